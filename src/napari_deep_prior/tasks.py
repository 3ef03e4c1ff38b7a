"""Tasks: which problem is posed. ``TASKS`` lists them by the name of their command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from .methods import METHODS, DeepImagePrior, Distillation, NonLocalRidge
from .networks.hourglass import Hourglass
from .operators import Identity
from .problem import Method, Problem, Task


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(Task):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    def operator(self) -> Identity:
        """Return the identity."""
        return Identity()


TASKS: dict[str, type[Task]] = {"denoise": Denoise}

DEFAULT_PRESET = "balanced"

PRESETS: Mapping[str, Mapping[str, Method]] = {
    "denoise": {
        "fast": NonLocalRidge(),
        "balanced": Distillation(),
        "best": Distillation(steps=3000, members=2),
        "deep-image-prior": DeepImagePrior(),
        # Ulyanov et al. 2018: the denoising notebook's network and numbers.
        "paper": DeepImagePrior(
            steps=3000,
            stop="none",
            code_channels=32,
            jitter_source="fresh",
            jitter_warmup=0,
            optimizer="adam",
            start_at_median=False,
            code_range=0.1,
            precision="float32",
            network=Hourglass(
                channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"
            ),
        ),
    }
}
"""Methods that are known to do well, by task and name."""


def preset(task: Task, name: str = DEFAULT_PRESET) -> Method:
    """Return the preset method of a task.

    Raises
    ------
    ValueError
        If the task has no preset of that name.
    """
    presets = PRESETS[task_name(task)]
    if name not in presets:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(presets)}")
    return presets[name]


def suited(method: Method, problem: Problem) -> tuple[Method, str]:
    """Return the method and an empty text, or the deep image prior and why it stands in: it can try any problem."""
    reason = method.limits(problem)
    if not reason:
        return method, ""
    return DeepImagePrior(seed=method.seed), f"{reason}: the deep image prior was used instead"


def from_record(record: Mapping[str, Any]) -> tuple[Task, Method]:
    """Return task and method of the record of a run (see :attr:`Restoration.record`).

    Raises
    ------
    ValueError
        If the record was not written by a version of this program that this one understands.
    """
    try:
        found = [
            next(kind for kind in table.values() if kind.__name__ == record[part]["kind"]).from_json(record[part])
            for part, table in (("task", TASKS), ("method", METHODS))
        ]
    except (KeyError, TypeError, StopIteration):
        raise ValueError("there are no settings of Deep Prior that this version understands") from None
    task, method = found
    assert isinstance(task, Task)  # noqa: S101  (for mypy: the tables say so)
    assert isinstance(method, Method)  # noqa: S101
    return task, method


def task_name(task: Task) -> str:
    """Return the name that a task has in ``TASKS``."""
    return next(name for name, kind in TASKS.items() if isinstance(task, kind))

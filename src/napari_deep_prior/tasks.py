"""Tasks: which problem is posed. ``TASKS`` lists them by the name of their command."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

from .axes import Array, MissingPixels
from .kernels import Area, Bicubic, Gaussian, Kernel, Lanczos2, Sampled
from .methods import METHODS, DeepImagePrior, Distillation, NonLocalFilling, NonLocalRidge, ZeroShotSR
from .networks.hourglass import Hourglass
from .operators import Downsample, Identity
from .problem import Method, Problem, Task
from .settings import Setting


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(Task):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    removes_noise = True

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

    def operator(self, axes: str, *, kernel: Array | None = None) -> Identity:
        """Return the identity."""
        return Identity()


@final
@dataclass(frozen=True, kw_only=True)
class Inpaint(Task):
    """Fill what is masked: scratches, dust, text, dead rows, hot or missing pixels; plausible, not measured."""

    takes_mask = True

    missing: Annotated[
        MissingPixels,
        Setting("NaN pixels", "refuse an image with NaN or infinite pixels, or fill them like masked ones"),
    ] = "fill"
    keep_known: Annotated[
        bool,
        Setting(
            "Keep known pixels",
            "pixels that are not masked come back exactly as they are, else as the filling has them",
            advanced=False,
        ),
    ] = True

    @property
    def keeps_known(self) -> bool:
        """As the setting says."""
        return self.keep_known

    def operator(self, axes: str, *, kernel: Array | None = None) -> Identity:
        """Return the identity: what is missing has no weight."""
        return Identity()


@final
@dataclass(frozen=True, kw_only=True)
class SuperResolve(Task):
    """Enlarge an image, and undo the blur of its large pixels: detail that was there, as far as it left a trace."""

    takes_kernel = True

    factor: Annotated[
        float,
        Setting("Factor", "pixels of the result in one of the image, along rows and columns", 1, 16, advanced=False),
    ] = 2.0
    z_factor: Annotated[
        float, Setting("Factor in Z", "planes of the result for one of the image; only as one volume", 1, 16)
    ] = 1.0
    blur: Annotated[
        Literal["bicubic", "lanczos", "area", "gaussian"],
        Setting(
            "Blur",
            "how the large pixels came about: area: a detector's pixels; bicubic, lanczos: reduced by a program; "
            "gaussian: of the width below. Rather too narrow than too wide",
            advanced=False,
        ),
    ] = "bicubic"
    blur_width: Annotated[
        float,
        Setting(
            "Blur width", "standard deviation of the gaussian blur, in pixels of the result", 0.0, 100.0, advanced=False
        ),
    ] = 1.0

    @property
    def keeps_known(self) -> bool:
        """No: there are new pixels."""
        return False

    def operator(self, axes: str, *, kernel: Array | None = None) -> Downsample:
        """Return the down-sampling by the factors and the blur.

        Raises
        ------
        ValueError
            If nothing would be enlarged, or Z were in a single plane.
        """
        if "Z" not in axes and self.z_factor != 1:
            raise ValueError(f"the factor in Z is {self.z_factor:g}, but a plane has no depth: restore as one volume")
        factors = tuple(self.z_factor if letter == "Z" else self.factor for letter in axes)
        if max(factors) == 1:
            raise ValueError("the factors are all 1: nothing would be enlarged; give one above 1, for example 2")
        kernels: dict[str, Kernel] = {
            "bicubic": Bicubic(),
            "lanczos": Lanczos2(),
            "area": Area(),
            "gaussian": Gaussian((self.blur_width,) * len(factors)),
        }
        return Downsample(factors, kernels[self.blur] if kernel is None else Sampled(kernel))


TASKS: dict[str, type[Task]] = {"denoise": Denoise, "inpaint": Inpaint, "super-resolve": SuperResolve}

DEFAULT_PRESET = "balanced"

# Ulyanov et al. 2018: the denoising notebook's network and numbers.
_PAPER = DeepImagePrior(
    steps=3000,
    stop="none",
    code_channels=32,
    jitter_source="fresh",
    jitter_warmup=0,
    optimizer="adam",
    start_at_median=False,
    code_range=0.1,
    precision="float32",
    network=Hourglass(channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"),
)

PRESETS: Mapping[str, Mapping[str, Method]] = {
    "denoise": {
        "fast": NonLocalRidge(),
        "balanced": Distillation(),
        "best": Distillation(steps=3000, members=2),
        "deep-image-prior": DeepImagePrior(),
        "paper": _PAPER,
    },
    "inpaint": {
        "fast": NonLocalFilling(passes=8),
        "balanced": NonLocalFilling(),
        "best": NonLocalFilling(passes=36, reach=15, alike=60),
        "deep-image-prior": DeepImagePrior(steps=2000, patience=300),
        # Ulyanov et al. 2018: single pixels missing. Other holes: see docs/inpainting.md.
        "paper": dataclasses.replace(_PAPER, steps=11000, rate=0.001, jitter=0.03),
    },
    "super-resolve": {
        "fast": NonLocalFilling(passes=6, reach=6, alike=30),
        "balanced": NonLocalFilling(passes=12),
        "zero-shot-fast": ZeroShotSR(steps=400, gradual=0),
        "zero-shot": ZeroShotSR(),
        # Shocher et al. 2018: the learning, the network and the median; no patches.
        "zero-shot-paper": ZeroShotSR(
            steps=3000, rate=0.001, rate_policy="slope", crop=128, gradual=0, denoising="no", patches=False
        ),
        "deep-image-prior": DeepImagePrior(steps=1500, patience=300, held_out=0.02),
        # Ulyanov et al. 2018, for a factor of 4.
        "paper": dataclasses.replace(_PAPER, steps=2000, jitter=0.03),
    },
}
"""Methods that are known to do well, by task and name."""


def default_preset(task: Task, *, volume: bool) -> str:
    """Return the name of the preset that is taken where none is chosen.

    To denoise a volume, a network that sees all of its depth is better than what works in planes.
    """
    return "deep-image-prior" if volume and task.removes_noise else DEFAULT_PRESET


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

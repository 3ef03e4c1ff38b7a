"""Presets: methods that are known to do well, by task; and which method is taken for a problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from scipy.ndimage import distance_transform_edt

from ..methods import DeepImagePrior, NLDeblocking, NLRidge, PlugAndPlay, SelfDistillation, ZeroShotSR
from ..methods.method import Method, SeededMethod
from ..networks.hourglass import Hourglass
from ..problem import Problem
from ..tasks import Inpaint, SuperResolve, task_name
from ..tasks.task import Task
from ..training.held_out import SCATTERED

DEFAULT_PRESET = "balanced"

# Ulyanov et al. 2018: the denoising notebook's network and numbers.
_PAPER_NETWORK = Hourglass(
    channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"
)
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
    network=_PAPER_NETWORK,
)

SPARSE, LARGE = 0.9, 32
"""Share of missing pixels from which only single ones are known, and pixels from which on a hole is a large one."""

_PAPER_HOLES: Mapping[str, Method] = {
    "paper-text": dataclasses.replace(
        _PAPER,
        steps=6000,
        jitter=0.03,
        network=dataclasses.replace(_PAPER_NETWORK, skip=(128,) * 5, upsampling="nearest"),
    ),
    "paper-large": dataclasses.replace(
        _PAPER,
        steps=3000,
        jitter=0.0,
        code_channels=1,
        network=dataclasses.replace(
            _PAPER_NETWORK, channels=(16, 32, 64, 128, 128, 128), skip=(0,) * 6, upsampling="nearest"
        ),
    ),
    "paper-sparse": dataclasses.replace(
        _PAPER,
        steps=1000,
        jitter=0.0,
        network=dataclasses.replace(_PAPER_NETWORK, channels=(16, 32, 64, 128, 128), skip=(0,) * 5),
    ),
}
"""Ulyanov et al. 2018, for text and scratches, a large hole, and 98 % of the pixels missing."""

_NARROW = Hourglass(channels=(8, 16, 32, 64, 128), skip=(0, 0, 0, 4, 4))
"""The paper's network for what repeats itself from block to block: it has hardly any fine features to show it with."""

_ZERO_SHOT_PAPER = ZeroShotSR(
    steps=3000, rate=0.001, rate_policy="slope", crop=128, gradual=0, denoising="no", patches=False
)
"""Shocher et al. 2018: the learning, the network and the median; no patches."""

_DENOISING: Mapping[str, Method] = {
    "fast": NLRidge(),
    "balanced": SelfDistillation(),
    "best": SelfDistillation(steps=3000, members=2),
    "deep-image-prior": DeepImagePrior(),
}

PRESETS: Mapping[str, Mapping[str, Method]] = {
    "denoise": {**_DENOISING, "paper": _PAPER},
    "inpaint": {
        "fast": PlugAndPlay(passes=8),
        "balanced": PlugAndPlay(),
        "best": PlugAndPlay(passes=36, search_radius=15, group_size=60),
        "deep-image-prior": DeepImagePrior(steps=2000, patience=300),
        # Ulyanov et al. 2018: half of the pixels missing.
        "paper": dataclasses.replace(_PAPER, steps=11000, rate=0.001, jitter=0.03),
        **_PAPER_HOLES,
    },
    "super-resolve": {
        "fast": PlugAndPlay(passes=6, search_radius=6, group_size=30),
        "balanced": ZeroShotSR(),
        "patches": PlugAndPlay(passes=12),
        "zero-shot-fast": ZeroShotSR(steps=400, gradual=0),
        "zero-shot-paper": _ZERO_SHOT_PAPER,
        # The same, for photographs of poor quality: noise on the examples, and no agreement with what is noisy itself.
        "zero-shot-real-image": dataclasses.replace(_ZERO_SHOT_PAPER, example_noise=0.0125, back_project=False),
        "deep-image-prior": DeepImagePrior(steps=1500, patience=300, held_out=0.02),
        # Ulyanov et al. 2018, for a factor of 4.
        "paper": dataclasses.replace(_PAPER, steps=2000, jitter=0.03),
    },
    "guide": {
        **_DENOISING,
        # Ulyanov et al. 2018, flash and no-flash: the guide alone is the code. Its rate of 0.1 gets stuck.
        "paper": dataclasses.replace(_PAPER, steps=600, jitter=0.0, code_channels=0),
    },
    "remove-artifacts": {
        "fast": NLDeblocking(passes=4, group_size=25, search_radius=8),
        "balanced": NLDeblocking(),
        "deep-image-prior": DeepImagePrior(steps=1200, network=_NARROW),
        # Ulyanov et al. 2018, blind.
        "paper": dataclasses.replace(
            _PAPER,
            steps=2400,
            code_channels=3,
            network=dataclasses.replace(_PAPER_NETWORK, channels=_NARROW.channels, skip=_NARROW.skip),
        ),
    },
}
"""Methods that are known to do well, by task and name."""


def default_preset(task: Task, *, volume: bool) -> str:
    """Return the name of the preset that is taken where none is chosen.

    To denoise a volume, a network that sees all of its depth is better than what works in planes; what learns from
    planes cannot enlarge them and their distance at once.
    """
    if isinstance(task, SuperResolve) and min(task.z_factor, task.factor) > 1:
        return "patches"
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


def suited(task: Task, method: Method, problem: Problem) -> tuple[Method, str]:
    """Return the method and an empty text, or the deep image prior and why it stands in: it can try any problem.

    Raises
    ------
    ValueError
        If it is the deep image prior itself that cannot solve it.
    """
    if isinstance(task, Inpaint) and method == with_seed_of(PRESETS["inpaint"]["paper"], method):
        name = paper_for_holes(problem)
        remark = "" if name == "paper" else f"the network was chosen by the size of the holes: {name}"
        return with_seed_of(PRESETS["inpaint"][name], method), remark
    reason = method.why_not(problem)
    if not reason:
        return method, ""
    if isinstance(method, DeepImagePrior):
        raise ValueError(reason)
    return guided(task, method), f"{reason}: the deep image prior was used instead"


def paper_for_holes(problem: Problem) -> str:
    """Return the name of the paper's settings for the holes of a problem."""
    missing = (problem.weight == 0).any(dim=1)[0].cpu().numpy()
    if missing.all():
        # A problem without data, posed to tell the memory.
        return "paper"
    if missing.mean() > SPARSE:
        return "paper-sparse"
    planes = missing.reshape(-1, *missing.shape[-2:])
    widest = max(2 * float(distance_transform_edt(plane).max()) for plane in planes)
    if widest > LARGE:
        return "paper-large"
    return "paper" if missing.mean() > SCATTERED else "paper-text"


def guided(task: Task, method: Method) -> DeepImagePrior:
    """Return how a task is done with a guide, if ``method`` is how it is done without: by the deep image prior."""
    if isinstance(method, DeepImagePrior):
        return method
    prior = with_seed_of(preset(task, "deep-image-prior"), method)
    assert isinstance(prior, DeepImagePrior)  # noqa: S101  (for mypy: the table says so)
    return prior


def with_seed_of(method: Method, other: Method) -> Method:
    """Return a method with the seed of another one, where both have one."""
    if isinstance(method, SeededMethod) and isinstance(other, SeededMethod):
        return dataclasses.replace(method, seed=other.seed)
    return method

"""How and how much: one table, task → method → effort → settings.

A method is how a problem is solved, an effort how much time is spent on it. ``published`` are the settings of a paper.
Every task can be done by the deep image prior, also one that the table does not name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from ..methods import (
    METHODS,
    DeepImagePrior,
    Method,
    NLDeblocking,
    NLRidge,
    PlugAndPlay,
    SelfDistillation,
    TrainedNetwork,
    ZeroShotSR,
)
from ..networks import Hourglass, Plain
from ..tasks import Task

Effort = Literal["fast", "balanced", "best", "published"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
DEFAULT_EFFORT: Effort = "balanced"

AUTO = "auto"
"""The name that stands for the method that :func:`~napari_deep_prior.runs.recommend.recommend` chooses."""

Efforts = Mapping[str, Method]
"""The settings of a method, by effort."""

_HOURGLASS = Hourglass(channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection")

_PUBLISHED = DeepImagePrior(
    steps=3000,
    stop="none",
    code_channels=32,
    jitter_source="fresh",
    jitter_warmup=0,
    optimizer="adam",
    rate=0.01,
    start_at_median=False,
    code_range=0.1,
    precision="float32",
    network=_HOURGLASS,
)
"""Ulyanov et al. 2018 (doi 10.1109/CVPR.2018.00984): the network and the numbers for denoising."""

_NARROW = Hourglass(channels=(8, 16, 32, 64, 128), skip=(0, 0, 0, 4, 4))
"""Their network for JPEGs: it has hardly any fine features to show blocks with, which are the same everywhere."""

_PUBLISHED_NARROW = dataclasses.replace(_HOURGLASS, channels=_NARROW.channels, skip=_NARROW.skip)

PUBLISHED_FOR_HOLES: Mapping[str, DeepImagePrior] = {
    "scattered pixels": dataclasses.replace(_PUBLISHED, steps=11000, rate=0.001, jitter=0.03),
    "text and scratches": dataclasses.replace(
        _PUBLISHED,
        steps=6000,
        jitter=0.03,
        network=dataclasses.replace(_HOURGLASS, skip=(128,) * 5, upsampling="nearest"),
    ),
    "a large hole": dataclasses.replace(
        _PUBLISHED,
        steps=3000,
        jitter=0.0,
        code_channels=1,
        network=dataclasses.replace(
            _HOURGLASS, channels=(16, 32, 64, 128, 128, 128), skip=(0,) * 6, upsampling="nearest"
        ),
    ),
    "few known pixels": dataclasses.replace(
        _PUBLISHED,
        steps=1000,
        jitter=0.0,
        network=dataclasses.replace(_HOURGLASS, channels=(16, 32, 64, 128, 128), skip=(0,) * 5),
    ),
}
"""Their settings for inpainting, by what is missing; :mod:`.recommend` chooses among them."""


def _deep_image_prior(published: DeepImagePrior, balanced: DeepImagePrior) -> Efforts:
    """Return the efforts of the deep image prior: half the steps; as given; twice the steps, and two networks."""
    return {
        "fast": dataclasses.replace(balanced, steps=balanced.steps // 2, patience=balanced.patience // 2),
        "balanced": balanced,
        "best": dataclasses.replace(balanced, steps=2 * balanced.steps, members=2),
        "published": published,
    }


def _always(method: Method) -> Efforts:
    """Return the efforts of a method that has but one."""
    return dict.fromkeys(("fast", "balanced", "best"), method)


_TRAINED: Efforts = {
    "fast": TrainedNetwork(orientations=1),
    "balanced": TrainedNetwork(),
    "best": TrainedNetwork(orientations=8),
}

_DENOISING: Mapping[str, Efforts] = {
    "self-distillation": {
        "fast": SelfDistillation(steps=300),
        "balanced": SelfDistillation(),
        "best": SelfDistillation(steps=3000, patience=1000, crop=96, members=2),
    },
    "nl-ridge": _always(NLRidge()),
}

TABLE: Mapping[str, Mapping[str, Efforts]] = {
    "denoise": {
        **_DENOISING,
        # More jitter keeps the network from the noise: 0.5 dB more on the mean of twelve images, in twice the steps.
        "deep-image-prior": _deep_image_prior(_PUBLISHED, DeepImagePrior(jitter=0.1, patches=True)),
        "trained-network": _TRAINED,
    },
    "guide": {
        **_DENOISING,
        # Flash and no-flash: the guide alone is the code. The published rate of 0.1 gets stuck.
        "deep-image-prior": _deep_image_prior(
            dataclasses.replace(_PUBLISHED, steps=600, jitter=0.0, code_channels=0), DeepImagePrior()
        ),
    },
    "inpaint": {
        "plug-and-play": {
            "fast": PlugAndPlay(passes=5, group_size=80),
            "balanced": PlugAndPlay(passes=8, group_size=80),
            "best": PlugAndPlay(passes=12, search_radius=15, group_size=80),
        },
        "deep-image-prior": _deep_image_prior(
            PUBLISHED_FOR_HOLES["scattered pixels"], DeepImagePrior(steps=2000, patience=300)
        ),
    },
    "super-resolve": {
        "zero-shot-sr": {
            "fast": ZeroShotSR(steps=300, gradual=0),
            "balanced": ZeroShotSR(),
            "best": ZeroShotSR(steps=2000, network=Plain()),
            # Shocher et al. 2018 (arXiv 1712.06087): the training, the network and the median; no patches.
            "published": ZeroShotSR(
                steps=3000,
                optimizer="adam",
                rate=0.001,
                rate_policy="slope",
                crop=128,
                gradual=0,
                denoising="no",
                averaging=0.0,
                patches=False,
                network=Plain(),
            ),
        },
        "plug-and-play": {
            "fast": PlugAndPlay(passes=6, search_radius=6, group_size=30),
            "balanced": PlugAndPlay(passes=12),
            "best": PlugAndPlay(passes=24),
        },
        # The published settings are for a factor of 4.
        "deep-image-prior": _deep_image_prior(
            dataclasses.replace(_PUBLISHED, steps=2000, jitter=0.03),
            DeepImagePrior(steps=1500, patience=300, held_out=0.02),
        ),
        "trained-network": _TRAINED,
    },
    "remove-artifacts": {
        "nl-deblocking": {
            "fast": NLDeblocking(passes=4, group_size=25, search_radius=8),
            "balanced": NLDeblocking(),
            "best": NLDeblocking(passes=20, group_size=40),
        },
        "deep-image-prior": _deep_image_prior(
            dataclasses.replace(
                _PUBLISHED,
                steps=2400,
                code_channels=3,
                network=_PUBLISHED_NARROW,
            ),
            DeepImagePrior(steps=1200, network=_NARROW),
        ),
    },
}

_ANY_TASK: Mapping[str, Efforts] = {"deep-image-prior": _deep_image_prior(_PUBLISHED, DeepImagePrior())}


def methods_of(task: Task) -> Mapping[str, Efforts]:
    """Return the methods that can do a task, with the settings of each effort."""
    return TABLE.get(task.command, _ANY_TASK)


def settings_for(task: Task, method: str, effort: str = DEFAULT_EFFORT) -> Method:
    """Return the settings of a method for a task.

    Raises
    ------
    ValueError
        If the task has no such method, or the method no such effort.
    """
    methods = methods_of(task)
    if method not in methods:
        known = "" if method in METHODS else ", which is none"
        raise ValueError(
            f"{task.command!r} cannot be done by {method!r}{known}: choose {AUTO!r} or one of "
            f"{', '.join(map(repr, methods))}"
        )
    if effort not in methods[method]:
        raise ValueError(
            f"{method!r} has no effort {effort!r} for {task.command!r}: choose one of {', '.join(methods[method])}"
        )
    return methods[method][effort]


def name_of(method: Method) -> str:
    """Return the name that a method has in ``METHODS``; that of its class where it is not listed there."""
    return next((name for name, kind in METHODS.items() if isinstance(method, kind)), type(method).__name__)

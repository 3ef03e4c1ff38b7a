"""How long one network for all slices of a stack takes, and where there is one."""

from __future__ import annotations

import math

from ..patches import nl_ridge
from ..patches.similar_patches import WIDE_STRIDE, WIDEST_STRIDE
from ..problem import Problem
from ..training.augmentation import crop_shape
from ..training.image_training import BACKWARD
from .self_distillation import SECONDS_PER_EXAMPLE_PIXEL, SECONDS_PER_PIXEL, SelfDistillation
from .shared_distillation import MOST_STEPS, ORIENTATIONS, TRAINED_ON

PREDICTIONS = 1 + ORIENTATIONS
"""Predictions of a slice: without the held-out pixels, and with them in several orientations."""

PLANES = 4
"""Axes of a tensor of planes; of volumes each has a network of its own."""


def is_shared(settings: SelfDistillation, pieces: int, *, planes: bool) -> bool:
    """Return whether the pieces of an array are restored with one network."""
    return settings.shared and settings.members == 1 and planes and pieces > 1


def seconds(settings: SelfDistillation, problem: Problem, pieces: int) -> float:
    """Return about how long it takes on two cores with AVX2 to restore pieces like one, with one network if it can."""
    if not is_shared(settings, pieces, planes=problem.measured.ndim == PLANES):
        return pieces * settings.seconds(problem)
    pixels = problem.measured.numel()
    example = settings.examples * math.prod(crop_shape(tuple(problem.measured.shape[2:]), settings.crop))
    training = min(settings.steps, MOST_STEPS) * example * SECONDS_PER_EXAMPLE_PIXEL
    patches = nl_ridge.seconds(pixels, group_size=nl_ridge.GROUP_SIZE_FIRST, stride=WIDEST_STRIDE)
    patches += nl_ridge.seconds(pixels, stride=WIDE_STRIDE)
    predicted = PREDICTIONS * pixels * SECONDS_PER_EXAMPLE_PIXEL / (1 + BACKWARD)
    first = min(TRAINED_ON, pieces) * SECONDS_PER_PIXEL / 2 * pixels
    return training + first + pieces * (patches + predicted)

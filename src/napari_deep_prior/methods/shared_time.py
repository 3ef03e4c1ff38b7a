"""How long one network for all slices of a stack takes, and where there is one."""

from __future__ import annotations

import math

from ..patches import nl_ridge
from ..patches.similar_patches import WIDE_STRIDE, WIDEST_STRIDE
from ..problem import Problem
from ..training.augmentation import crop_shape
from ..training.image_training import BACKWARD
from .self_distillation import SECONDS_PER_EXAMPLE_PIXEL, SECONDS_PER_PIXEL, SelfDistillation
from .shared_distillation import MOST_STEPS, ORIENTATIONS, TRAINED_ON, TRIED_PIXELS
from .windows_of_interest import WINDOW, WINDOWS

PREDICTIONS = 1 + ORIENTATIONS
"""Predictions of a slice: without the held-out pixels, and with them in several orientations."""

KEPT_VALUES = 10
"""Values that are kept of each pixel of a slice on which the network is compared with similar patches."""

PLANES = 4
"""Axes of a tensor of planes; of volumes each has a network of its own."""


def is_shared(settings: SelfDistillation, pieces: int, *, planes: bool) -> bool:
    """Return whether the pieces of an array are restored with one network."""
    return settings.shared and settings.members == 1 and planes and pieces > 1


def memory(settings: SelfDistillation, problem: Problem, pieces: int) -> int:
    """Return about how many bytes the slices take that a network is trained on, until it is; 0 without one."""
    if not is_shared(settings, pieces, planes=problem.measured.ndim == PLANES):
        return 0
    pixels, slices = problem.measured.numel(), min(TRAINED_ON, pieces)
    channels = problem.measured.shape[1]
    windows = 2 * slices * min(pixels, channels * WINDOWS * WINDOW**2)
    return 4 * (windows + KEPT_VALUES * max(pixels, min(slices * pixels, TRIED_PIXELS)))


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

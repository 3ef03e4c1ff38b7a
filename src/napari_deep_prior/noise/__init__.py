"""The noise of the detector: its model, the transform that evens it out, and its estimate from an image."""

from .anscombe import anscombe, anscombe_bias, expected_anscombe, inverse_anscombe
from .estimate import estimate_noise
from .model import NoiseModel

__all__ = [
    "NoiseModel",
    "anscombe",
    "anscombe_bias",
    "estimate_noise",
    "expected_anscombe",
    "inverse_anscombe",
]

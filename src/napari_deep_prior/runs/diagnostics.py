"""What a person checks a restoration by: what was taken away, and how sure the image is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array
from ..physics.noise_model import NoiseModel
from ..problem import Problem

STRUCTURE = 0.08
"""Correlation of neighbouring residuals, beyond that of the noise, from which one can see structure in them."""

WEAK, STRONG = 0.7, 1.3
"""Variance of the residual, in units of the noise's, outside of which too little or too much was taken away."""


@torch.no_grad()
def residual(problem: Problem, image: Tensor) -> Tensor:
    """Return what was taken away from the measurement, (1, C, *S), in standard deviations of its noise there.

    0 where nothing was measured. Noise alone has mean 0, variance 1 and no visible structure.
    """
    misfit = problem.misfit
    difference = misfit.stabilise(problem.measured) - misfit.expected(problem.operator(image))
    return torch.where(problem.weight > 0, difference / misfit.stabilised_variance(problem.operator(image)).sqrt(), 0.0)


def in_words(values: Array, noise: Sequence[NoiseModel]) -> str:
    """Return a sentence on the residual of a plane or volume, (..., rows, columns); empty if it cannot be told."""
    if min(values.shape[-2:]) < 2 or not values.any():
        return ""
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    down = float(np.mean(centred[..., 1:, :] * centred[..., :-1, :])) / variance
    right = float(np.mean(centred[..., :, 1:] * centred[..., :, :-1])) / variance
    expected = max((max(model.correlation) for model in noise), default=0.0)
    seen = f"neighbours correlate by {down:.2f} and {right:.2f}, the variance is {variance:.2f} of the noise's"
    if max(down, right) - expected > STRUCTURE:
        return f"structure was removed: {seen}"
    if variance > STRONG:
        return f"more than the noise was removed: {seen}"
    if variance < WEAK:
        return f"some noise was left: {seen}"
    return f"the residual looks like noise: {seen}"

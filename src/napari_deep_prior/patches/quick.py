"""Similar patches in little time: a first look at a slice, and a last pass after a network."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..physics.misfit import Misfit
from . import nl_ridge, scales
from .planes import map_planes
from .similar_patches import WIDE_STRIDE

REMOVED = 0.64
"""Share of the variance of the noise that is assumed: what a network leaves is less than what patches alone do."""


@torch.no_grad()
def first_look(noisy: Tensor, misfit: Misfit) -> Tensor:
    """Return the first estimate (1, C, *S) of stabilised means that similar patches give of their own."""
    return next(scales.estimates(noisy, misfit.variance_at))


@torch.no_grad()
def last_pass(noisy: Tensor, pilot: Tensor, misfit: Misfit, *, share: float = 0.5) -> Tensor:
    """Return the image (1, C, *S): stabilised means, and what similar patches make of the measurement with them.

    Parameters
    ----------
    noisy, pilot : Tensor, (1, C, *S)
        The stabilised measurement without gaps, and stabilised means that are close to the truth.
    share : float
        Of similar patches in the result; the rest is the pilot.
    """
    denoise = partial(nl_ridge.denoise_with_pilot, stride=WIDE_STRIDE)
    denoised = map_planes(denoise, noisy, pilot, REMOVED * misfit.variance_at(pilot))
    return misfit.unstabilise(torch.lerp(pilot, denoised, share))

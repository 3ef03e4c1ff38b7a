"""The last touch of a denoised image: patches that look alike, in the image and in its measurement, are brought together.

A network is best where the image is smooth, patches where it repeats itself (texture). What each of them contributes
is decided by the pixels that neither has seen.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .. import collaborative
from ..operators import Identity
from ..problem import Problem


SHARES = (0.3, 1.0)
"""Smallest and largest share of the expected noise that is believed to be there."""

SMOOTHING = 5
"""Pixels along a side of the mean from which the noise of each pixel is told before there is any better."""


def can_refine(problem: Problem) -> bool:
    """Return whether patches can help: on a plain image, of some size, whose noise is independent between pixels."""
    large = min(problem.measured.shape[-2:]) >= collaborative.SMALLEST_SIDE
    return isinstance(problem.operator, Identity) and problem.grain == 1 and large


@torch.no_grad()
def refine(problem: Problem, image: Tensor, hidden: Tensor) -> Tensor:
    """Return a fitted image refined by collaborative ridge regression; plane by plane and channel by channel.

    Parameters
    ----------
    image : Tensor, (1, C, *S)
        The fit, the pilot of the refinement.
    hidden : Tensor, (1, 1, *S)
        1 where the fit has not seen the measurement: there fit and patches are compared. All 0: only the fit is used.
    """
    misfit = problem.misfit
    pilot, variance = misfit.expected(image), misfit.spread(image)
    noisy = torch.where(problem.weight > 0, misfit.stabilise(problem.measured), pilot)
    unseen = (hidden * problem.weight) > 0
    result = torch.empty_like(pilot)
    for plane in _planes(pilot):
        guess, spread = pilot[plane], variance[plane]
        if unseen[plane].any():
            guess, spread = _blend(noisy[plane], guess, spread, unseen[plane])
        result[plane] = collaborative.refine(noisy[plane], guess, spread)
    return misfit.unstabilise(result)


@torch.no_grad()
def denoise(problem: Problem) -> Tensor:
    """Return the image that patches alone give, (1, C, *S); missing pixels are filled from their neighbours first."""
    misfit = problem.misfit
    noisy = misfit.stabilise(problem.measured)
    for plane in _planes(noisy):
        noisy[plane] = _filled(noisy[plane], problem.weight[plane] == 0)
    around = functional.avg_pool2d(
        noisy.flatten(0, -3)[:, None], SMOOTHING, stride=1, padding=SMOOTHING // 2, count_include_pad=False
    )
    variance = misfit.spread(misfit.unstabilise(around.reshape(noisy.shape)))
    result = torch.empty_like(noisy)
    for plane in _planes(noisy):
        result[plane] = collaborative.denoise(noisy[plane], variance[plane])
    return misfit.unstabilise(result)


def _blend(noisy: Tensor, fit: Tensor, variance: Tensor, unseen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mixture of fit and patches that is closest to the unseen pixels, and the variance of the noise.

    The distance from them is the noise with a little error of the mixture. Where it is less than was expected,
    texture had passed for noise in the estimate.
    """
    expected = variance[unseen].mean()
    share = ((fit - noisy)[unseen].square().mean() / expected).clamp(*SHARES)
    patches = collaborative.denoise(_filled(noisy, unseen), share * variance)
    difference = (fit - patches)[unseen]
    part = (difference * (noisy - patches)[unseen]).sum() / difference.square().sum().clamp(min=1e-12)
    mixture = torch.lerp(patches, fit, part.clamp(0, 1))
    return mixture, ((mixture - noisy)[unseen].square().mean() / expected).clamp(*SHARES) * variance


def _filled(plane: Tensor, missing: Tensor) -> Tensor:
    """Return a plane whose missing pixels are the mean of the nearest ones that are there."""
    known = (~missing).to(plane.dtype)
    plane = plane * known
    while not known.all():
        around = _sum_around(known)
        mean = _sum_around(plane) / around.clamp(min=1)
        plane = torch.where(known > 0, plane, mean)
        known = ((known > 0) | (around > 0)).to(plane.dtype)
        plane = plane * known
    return plane


def _sum_around(plane: Tensor) -> Tensor:
    return functional.avg_pool2d(plane[None, None], 3, stride=1, padding=1, divisor_override=1)[0, 0]


def _planes(image: Tensor) -> list[tuple[int, ...]]:
    """Return the indices of all planes (rows, columns) of a tensor."""
    leading = image.shape[:-2]
    return [tuple(int(i) for i in index) for index in torch.cartesian_prod(*map(torch.arange, leading)).reshape(-1, len(leading))]

"""Patches that look alike, brought together: by themselves, and as the last touch of a fitted image.

A network is best where the image is smooth, patches where it repeats itself (texture). What each of them contributes
is decided by the pixels that neither has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from .. import collaborative
from ..misfit import Misfit
from ..operators import Identity
from ..problem import Problem

PASSES = 4
"""Times that the result of one pass is the pilot of the next; more change nothing."""

THOROUGH, WIDE = 80, 8
"""Patches in a group, and pixels around in which they are looked for, where time matters less."""

CAUTION = 0.9
"""Share of the noise that a pass takes away: the pilot still has a little of it, and the next pass comes."""

BLUR, BLUR_REACH = 1.0, 3
"""Standard deviation and reach, in pixels, of the blur that the first pilot is made of."""

SHARES = (0.3, 1.0)
"""Smallest and largest share of the expected noise that is believed to be there."""


def can_refine(problem: Problem) -> bool:
    """Return whether patches can help: on a plain image, of some size, whose noise is independent between pixels."""
    large = min(problem.measured.shape[-2:]) >= collaborative.SMALLEST_SIDE
    return isinstance(problem.operator, Identity) and problem.grain == 1 and large


def memory(problem: Problem) -> int:
    """Return about how many bytes a refinement needs."""
    rows, columns = problem.measured.shape[-2:]
    return collaborative.memory(rows, columns, alike=THOROUGH, reach=WIDE)


@torch.no_grad()
def denoise(problem: Problem) -> Iterator[Tensor]:
    """Yield the image (1, C, *S) after each of ``PASSES`` + 1 passes; missing pixels are filled from around first."""
    noisy = _filled(problem.misfit.stabilise(problem.measured), problem.weight == 0)
    for means in _passes(noisy, problem.misfit):
        yield problem.misfit.unstabilise(means)


@torch.no_grad()
def denoise_unseen(problem: Problem, hidden: Tensor) -> Tensor:
    """Return the stabilised means (1, C, *S) that patches give, told without the measurement where ``hidden`` is 1."""
    missing = ((hidden > 0) | (problem.weight == 0)).expand_as(problem.measured)
    noisy = _filled(problem.misfit.stabilise(problem.measured), missing)
    *_, means = _passes(noisy, problem.misfit)
    return means


@final
class Pulled(Misfit):
    """A misfit whose measurement is drawn towards an estimate of its truth, in the space of stabilised noise.

    A network that is fitted to it gets there in fewer steps and learns the noise later; what the estimate has wrong,
    the measurement's own part corrects.
    """

    def __init__(self, misfit: Misfit, measured: Tensor, estimate: Tensor, pull: float) -> None:
        self.misfit = misfit
        self.target = torch.lerp(misfit.stabilise(measured), estimate, pull)

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared differences between the mean transform of the prediction and the target."""
        return (self.misfit.expected(predicted) - self.target).square()

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return what the misfit itself returns."""
        return self.misfit.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        """Return what the misfit itself returns."""
        return self.misfit.expected(image)

    def spread(self, image: Tensor) -> Tensor:
        """Return what the misfit itself returns."""
        return self.misfit.spread(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return what the misfit itself returns."""
        return self.misfit.unstabilise(means)


@torch.no_grad()
def mixer(problem: Problem, patches: Tensor, hidden: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function that mixes a fit (1, C, *S) with ``patches``, what :func:`denoise_unseen` gave.

    The mixture is the one closest to the pixels that neither has seen, so that a fit that has only begun is never
    worse than the patches. What is the same for every fit is computed here once.
    """
    misfit = problem.misfit
    unseen = hidden * problem.weight
    image = misfit.unstabilise(patches)
    means, noisy = misfit.expected(image), misfit.stabilise(problem.measured)

    @torch.no_grad()
    def mix(fit: Tensor) -> Tensor:
        return torch.lerp(image, fit, _part(misfit.expected(fit), means, noisy, unseen))

    return mix


@torch.no_grad()
def refine(problem: Problem, image: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """Return a fitted image mixed with what patches give, and refined by all pixels of the measurement.

    Parameters
    ----------
    image : Tensor, (1, C, *S)
        The fit.
    patches : Tensor, (1, C, *S)
        What :func:`denoise_unseen` gave.
    hidden : Tensor, (1, 1, *S)
        1 where neither has seen the measurement: there they are compared. All 0: only the fit counts.
    """
    misfit = problem.misfit
    fit = misfit.expected(image)
    noisy = torch.where(problem.weight > 0, misfit.stabilise(problem.measured), fit)
    unseen = ((hidden * problem.weight) > 0).to(fit.dtype)
    part = share = torch.ones((), device=fit.device)
    if unseen.any():
        part = _part(fit, patches, noisy, unseen)
        # Where there is less noise than was expected, texture had passed for noise in the estimate.
        mixture = torch.lerp(patches, fit, part)
        expected = misfit.spread(misfit.unstabilise(mixture)) * unseen
        share = (_sum((mixture - noisy).square() * unseen) / _sum(expected).clamp(min=1e-12)).clamp(*SHARES)
    # Now that their worth is known, the patches may see everything.
    *_, patches = _passes(noisy, misfit, share, thorough=True)
    pilot = torch.lerp(patches, fit, part)
    variance = share * misfit.spread(misfit.unstabilise(pilot))
    return misfit.unstabilise((pilot + _on_planes(_thoroughly, noisy, pilot, variance)) / 2)


def _passes(noisy: Tensor, misfit: Misfit, share: Tensor | float = 1.0, *, thorough: bool = False) -> Iterator[Tensor]:
    """Yield ever better estimates of the means of stabilised pixels; ``share`` scales the variance of their noise."""
    refine_plane = _thoroughly if thorough else collaborative.refine
    caution = 1.0 if thorough else CAUTION

    def variance(means: Tensor) -> Tensor:
        return caution * share * misfit.spread(misfit.unstabilise(means))

    # The blur keeps what is smooth, the first pass what repeats itself.
    blurred = _blurred(noisy)
    pilot = (blurred + _on_planes(collaborative.first, noisy, variance(blurred))) / 2
    yield pilot
    for _ in range(PASSES):
        pilot = _on_planes(refine_plane, noisy, pilot, variance(pilot))
        yield pilot


_thoroughly = partial(collaborative.refine, alike=THOROUGH, reach=WIDE)


def _part(fit: Tensor, patches: Tensor, noisy: Tensor, unseen: Tensor) -> Tensor:
    """Return, per channel, the part of the fit in the mixture that is closest to the unseen pixels."""
    difference = (fit - patches) * unseen
    part = _sum(difference * (noisy - patches)) / _sum(difference.square()).clamp(min=1e-12)
    # Where no pixel is hidden nothing tells what the patches are worth.
    return torch.where(_sum(unseen) > 0, part.clamp(0, 1), 1.0)


def _sum(values: Tensor) -> Tensor:
    """Return the sum over all spatial axes, one value per channel."""
    return values.sum(dim=tuple(range(2, values.ndim)), keepdim=True)


def _on_planes(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Return ``function`` of each plane (rows, columns) of the images (1, C, *S)."""
    planes = zip(*(image.flatten(0, -3) for image in images), strict=True)
    return torch.stack([function(*plane) for plane in planes]).reshape(images[0].shape)


def _blurred(image: Tensor) -> Tensor:
    distance = torch.arange(-BLUR_REACH, BLUR_REACH + 1, dtype=image.dtype, device=image.device)
    profile = torch.exp(-((distance / BLUR) ** 2) / 2)
    kernel = torch.outer(profile, profile)
    planes = image.flatten(0, -3)[:, None]
    padded = functional.pad(planes, (BLUR_REACH,) * 4, mode="reflect")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None]).reshape(image.shape)


def _filled(image: Tensor, missing: Tensor) -> Tensor:
    """Return an image whose missing pixels are the mean of the nearest ones of their plane that are there."""
    planes = image.flatten(0, -3)[:, None]
    known = (~missing).to(image.dtype).flatten(0, -3)[:, None]
    planes = planes * known
    # A plane without any pixel stays 0.
    while (known.sum(dim=(2, 3)) % known[0].numel()).any():
        around = functional.avg_pool2d(known, 3, stride=1, padding=1, divisor_override=1)
        sums = functional.avg_pool2d(planes, 3, stride=1, padding=1, divisor_override=1)
        planes = torch.where(known > 0, planes, sums / around.clamp(min=1))
        known = ((known > 0) | (around > 0)).to(image.dtype)
        planes = planes * known
    return planes.reshape(image.shape)

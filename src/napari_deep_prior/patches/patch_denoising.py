"""Patches that look alike, brought together: by themselves, and as the last touch of a fitted image.

A network is best where the image is smooth, patches where it repeats itself (texture). What each of them contributes
is decided by pixels that neither has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from ..physics.misfit import Misfit
from ..physics.operators import Identity
from ..problem import Problem
from . import nl_ridge as collaborative

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


@final
@dataclass(frozen=True)
class Estimate:
    """Stabilised means (1, C, *S), told without the hidden pixels, and from all of them (or not yet)."""

    restricted: Tensor
    seen: Tensor


def why_not(problem: Problem) -> str:
    """Return why patches cannot help with a problem; empty if they can."""
    if not isinstance(problem.operator, Identity):
        return "something else than the image itself was measured, and patches can only denoise"
    return too_small(tuple(problem.measured.shape[2:]))


def too_small(shape: tuple[int, ...]) -> str:
    """Return that an image of this spatial shape has no room for patches; empty if it has."""
    side = min(shape[-2:])
    if side >= collaborative.SMALLEST_SIDE:
        return ""
    return f"the image is only {side} pixels wide, and patches need {collaborative.SMALLEST_SIDE}"


def memory(problem: Problem) -> int:
    """Return about how many bytes a refinement needs."""
    rows, columns = problem.measured.shape[-2:]
    return collaborative.memory(rows, columns, group_size=THOROUGH, search_radius=WIDE)


def seconds(problem: Problem) -> float:
    """Return about how long :func:`denoise` takes on two cores with AVX2."""
    return (1 + PASSES) * collaborative.seconds(problem.measured.numel())


@torch.no_grad()
def denoise(problem: Problem) -> Iterator[Tensor]:
    """Yield the image (1, C, *S) after each of ``PASSES`` + 1 passes; missing pixels are filled from around first."""
    for means in _passes(stabilised(problem), problem.misfit):
        yield problem.misfit.unstabilise(means)


@torch.no_grad()
def denoise_without_held_out(problem: Problem, held_out: Tensor) -> Tensor:
    """Return the stabilised means (1, C, *S) that patches give, told without the measurement where ``hidden`` is 1."""
    *_, means = _passes(stabilised(problem, held_out), problem.misfit)
    return means


@torch.no_grad()
def stabilised(problem: Problem, held_out: Tensor | None = None) -> Tensor:
    """Return the stabilised measurement (1, C, *S); missing pixels, and ``hidden`` ones, are filled from around."""
    missing = problem.weight == 0
    if held_out is not None:
        missing = (missing | (held_out > 0)).expand_as(problem.measured)
    return filled(problem.misfit.stabilise(problem.measured), missing)


@torch.no_grad()
def mix(problem: Problem, first: Estimate, second: Estimate, held_out: Tensor) -> Tensor:
    """Return the image (1, C, *S) of a mixture of two estimates, the one that is closest to the hidden pixels."""
    noisy = problem.misfit.stabilise(problem.measured)
    part = _part(first.restricted, second.restricted, noisy, held_out * problem.weight)
    return problem.misfit.unstabilise(torch.lerp(second.seen, first.seen, part))


@torch.no_grad()
def share(problem: Problem, first: Tensor, second: Tensor, held_out: Tensor) -> Tensor:
    """Return the part (0 to 1, per channel) of one image in its mixture with another, by the hidden measurements."""
    misfit = problem.misfit
    one, other = (misfit.expected(problem.operator(image)) for image in (first, second))
    return _part(one, other, misfit.stabilise(problem.measured), held_out * problem.weight)


@torch.no_grad()
def share_beside(problem: Problem, first: Tensor, second: Estimate, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part (0 to 1, per channel) of an image beside one that has seen the hidden measurements.

    Where a pixel's own measurement was seen, less is left to be added to it than the hidden ones suggest: what seeing
    them has changed was part of the error before, if the estimates are conditional means.

    Parameters
    ----------
    first : Tensor, (1, C, *S)
        An image that has not seen the hidden measurements.
    second : Estimate
        Images, not stabilised means, that have not and that have.

    Returns
    -------
    part : Tensor, (1, C, 1, ...)
    saved : Tensor, (1, C, 1, ...)
        By how much the mixture makes the squared error smaller, in units of the noise, mean over the hidden ones.
    """
    misfit = problem.misfit
    one, restricted, seen = (
        misfit.expected(problem.operator(image)) for image in (first, second.restricted, second.seen)
    )
    weight = held_out * problem.weight
    noisy = misfit.stabilise(problem.measured)
    apart = _sum((one - seen).square() * weight)
    part = (_sum((one - restricted) * (noisy - seen) * weight) / apart.clamp(min=1e-12)).clamp(0, 1)
    return part, part.square() * apart / _sum(weight.expand_as(one)).clamp(min=1)


@torch.no_grad()
def refine(problem: Problem, estimate: Estimate, patches: Tensor, held_out: Tensor) -> Tensor:
    """Return the image of an estimate mixed with what patches give, and refined by all pixels of the measurement.

    Parameters
    ----------
    estimate : Estimate
        What something else than patches gives.
    patches : Tensor, (1, C, *S)
        What :func:`denoise_unseen` gave.
    hidden : Tensor, (1, 1, *S)
        1 where neither ``estimate.unseen`` nor ``patches`` has seen the measurement: there they are compared.
    """
    misfit = problem.misfit
    restricted = ((held_out * problem.weight) > 0).to(patches.dtype)
    noisy = torch.where(problem.weight > 0, misfit.stabilise(problem.measured), estimate.restricted)
    part = _part(estimate.restricted, patches, noisy, restricted)
    share = torch.ones((), device=patches.device)
    if restricted.any():
        # Where there is less noise than was expected, texture had passed for noise in the estimate.
        mixture = torch.lerp(patches, estimate.restricted, part)
        expected = misfit.stabilised_variance(misfit.unstabilise(mixture)) * restricted
        share = (_sum((mixture - noisy).square() * restricted) / _sum(expected).clamp(min=1e-12)).clamp(*SHARES)
    # Now that their worth is known, the patches may see everything.
    *_, patches = _passes(noisy, misfit, share, thorough=True)
    pilot = torch.lerp(patches, estimate.seen, part)
    variance = share * misfit.stabilised_variance(misfit.unstabilise(pilot))
    return misfit.unstabilise((pilot + on_planes(_thoroughly, noisy, pilot, variance)) / 2)


def _passes(noisy: Tensor, misfit: Misfit, share: Tensor | float = 1.0, *, thorough: bool = False) -> Iterator[Tensor]:
    """Yield ever better estimates of the means of stabilised pixels; ``share`` scales the variance of their noise."""
    refine_plane = _thoroughly if thorough else collaborative.refine
    caution = 1.0 if thorough else CAUTION

    def variance(means: Tensor) -> Tensor:
        return caution * share * misfit.stabilised_variance(misfit.unstabilise(means))

    # The blur keeps what is smooth, the first pass what repeats itself.
    blurred = _blurred(noisy)
    pilot = (blurred + on_planes(collaborative.first, noisy, variance(blurred))) / 2
    yield pilot
    for _ in range(PASSES):
        pilot = on_planes(refine_plane, noisy, pilot, variance(pilot))
        yield pilot


_thoroughly = partial(collaborative.refine, group_size=THOROUGH, search_radius=WIDE)


def _part(estimate: Tensor, patches: Tensor, noisy: Tensor, restricted: Tensor) -> Tensor:
    """Return, per channel, the part of the estimate in the mixture that is closest to the unseen pixels."""
    difference = (estimate - patches) * restricted
    part = _sum(difference * (noisy - patches)) / _sum(difference.square()).clamp(min=1e-12)
    # Where no pixel is hidden nothing tells what each is worth.
    return torch.where(_sum(restricted) > 0, part.clamp(0, 1), 0.5)


def _sum(values: Tensor) -> Tensor:
    """Return the sum over all spatial axes, one value per channel."""
    return values.sum(dim=tuple(range(2, values.ndim)), keepdim=True)


def on_planes(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
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


def filled(image: Tensor, missing: Tensor) -> Tensor:
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

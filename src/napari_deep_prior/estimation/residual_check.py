"""What a method has removed from an image besides noise, and put back.

The difference between a measurement and its restored image, the residual, should be noise alone. Where it is stronger
than the noise can be, at any of several scales, something of the image is in it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from ..problem import Problem
from .faint_spots import give_back_light, strongest_within, without_spots
from .noise_blocks import TO_DEVIATION

SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""The cubic B-spline by which an image is smoothed from scale to scale (à trous wavelets, Starck & Murtagh 1994)."""

BAND_DEVIATIONS = (0.8908, 0.2007, 0.0856, 0.0413, 0.0205)
"""Standard deviation of white noise of variance 1 in each band, the finest first."""

SMOOTH_DEVIATIONS = (0.2734, 0.1282, 0.0633, 0.0316, 0.0158)
"""Standard deviation of white noise of variance 1 after it was smoothed to each scale."""

SIGNIFICANT = 4.2
"""Standard deviations of the noise of a band from which on there is structure in it."""

LONE_SHARE, NOTHING_AROUND, FEWEST_LONE, CLEARLY_THERE = 0.1, 0.03, 20, 10.0
"""A strong pixel is a lone one if the eight around it have less than the first share of it. Lone pixels are noise if
those around them have less than the second on average, and if they are that many: detectors that multiply single
photons make them. A lens spreads all that is real over its neighbours: a quarter of spots as narrow as are searched
for, and 0.08 of those that are half a pixel wide. More standard deviations than the last are never noise."""

SPOT_WINDOW = 2.5
"""Standard deviation, in pixels, of the window in which the brightness of a spot is compared."""

CLEAR_SPOT, CLEAR_CHANGE = 9.0, 1.0
"""Squared signal-to-noise ratios of a measured spot from which on its brightness is known, and of a change of it that
is believed."""

LEAST_ADDED, MOST_ADDED = -0.5, 3.0
"""What is added to a spot at the most, in units of itself: similar patches can leave a quarter of a faint one."""

LARGEST_SHARE = 0.5
"""Share of the light of an image that can have been lost, or added, in proportion to it."""

LEAST_SURROUNDINGS = 0.1
"""Share of an image that must lie away from spots if its total is to be made right there alone."""

NOTICEABLE = 0.02
"""Share of what was removed from which on it is worth a word that it was put back."""


@torch.no_grad()
def checked(problem: Problem, image: Tensor) -> tuple[Tensor, str]:
    """Return an image (1, C, *S) from which noise alone was removed, and a clause on what had to be changed.

    The clause is empty where that is nothing to speak of. Channels without noise become as they were measured.
    """
    if is_noiseless(problem):
        return problem.measured, "no noise was found that can be told from structure: the image is unchanged"
    believed = without_lone_pixels(problem, image)
    whole, spots = give_back_light(believed, refit_spots(believed, image))
    whole = put_back(believed, whole)
    returned = ((whole - image).square() * problem.weight).sum()
    removed = ((problem.measured - image).square() * problem.weight).sum()
    remark = "structure was found in what had been removed, and put back" if returned > NOTICEABLE * removed else ""
    whole = keep_total(problem, torch.maximum(whole, _darkest(problem)), spots)
    if any(problem.noiseless):
        clean = image.new_tensor(problem.noiseless).reshape(1, -1, *(1,) * (image.ndim - 2)) > 0
        whole = torch.where(clean, problem.measured, whole)
    if problem.filled is not None:
        whole = torch.where(problem.filled, problem.measured, whole)
    return whole, remark


def _darkest(problem: Problem) -> Tensor:
    """Return the darkest measurement of each channel: what is darker a type without a sign would cut off."""
    measured = torch.where(problem.weight > 0, problem.measured, torch.inf)
    return measured.amin(dim=tuple(range(2, measured.ndim)), keepdim=True)


def is_noiseless(problem: Problem) -> bool:
    """Return whether noise was looked for, and no channel of the measurement has any."""
    return bool(problem.noiseless) and all(problem.noiseless)


@torch.no_grad()
def residual(problem: Problem, image: Tensor) -> Tensor:
    """Return what was taken away from the measurement, (1, C, *S), in standard deviations of its noise there.

    0 where nothing was measured. Noise alone has mean 0, variance 1 and no visible structure.
    """
    misfit = problem.misfit
    predicted = problem.operator(image)
    difference = misfit.stabilise(problem.measured) - misfit.expected(predicted)
    return torch.where(problem.weight > 0, difference / misfit.stabilised_variance(predicted).sqrt(), 0.0)


@torch.no_grad()
def without_lone_pixels(problem: Problem, image: Tensor) -> Problem:
    """Return the problem with a weight of 0 for lone pixels of the measurement if they are noise, however strong.

    They differ from the image (1, C, *S) by more than noise should, and the pixels around them do not.
    """
    planes = residual(problem, image).flatten(0, -3)[:, None]
    weight = problem.weight.expand_as(image)
    known = (weight > 0).to(planes.dtype).flatten(0, -3)[:, None]
    total, count = (functional.avg_pool2d(each, 3, stride=1, padding=1, divisor_override=1) for each in (planes, known))
    strength = planes.abs()
    around = (total - planes) / (count - known).clamp(min=1) * planes.sign() / strength.clamp(min=1e-6)
    lone = (strength > SIGNIFICANT) & (strength < CLEARLY_THERE) & (around < LONE_SHARE)
    if int(lone.sum()) < FEWEST_LONE or float(around[lone].mean()) > NOTHING_AROUND:
        return problem
    return replace(problem, weight=torch.where(lone.reshape(image.shape), 0.0, weight))


@torch.no_grad()
def put_back(problem: Problem, image: Tensor) -> Tensor:
    """Return an image (1, C, *S) with what is too strong in the residual to be noise."""
    misfit = problem.misfit
    means = misfit.expected(image)
    deviation = misfit.stabilised_variance(image).sqrt()
    planes = residual(problem, image).flatten(0, -3)[:, None]
    structure = structure_in(planes, robust=problem.correlation_length > 1).reshape(image.shape)
    if not bool(structure.any()):
        return image
    return torch.where(structure != 0, misfit.unstabilise(means + structure * deviation), image)


@torch.no_grad()
def refit_spots(problem: Problem, image: Tensor) -> Tensor:
    """Return an image (1, C, *S) whose spots are as bright as the measured ones.

    Every denoiser makes faint things fainter. A spot that can be seen in the restored image is scaled by the factor
    that brings it closest to the measurement (covariant least-square refitting, Deledalle et al. 2017,
    doi 10.1137/16M1080318, of one factor for each place).
    """
    planes = image.flatten(0, -3)[:, None]
    spots = planes - without_spots(planes)
    precision = (problem.weight / problem.misfit.pixel_variance(image)).flatten(0, -3)[:, None]
    difference = (problem.measured - image).flatten(0, -3)[:, None]
    signal = _window_sums(spots.square() * precision)
    factor = _window_sums(spots * difference * precision) / signal.clamp(min=1e-12)
    factor = factor.clamp(LEAST_ADDED, MOST_ADDED)
    measured = (signal * (1 + factor).square()).clamp(min=1e-12)
    factor = factor * (1 - CLEAR_SPOT / measured).clamp(min=0).sqrt()
    factor = factor * (1 - CLEAR_CHANGE / (signal * factor.square()).clamp(min=1e-12)).clamp(min=0)
    return image + (factor * spots).reshape(image.shape)


@torch.no_grad()
def keep_total(problem: Problem, image: Tensor, spots: Tensor | None = None) -> Tensor:
    """Return an image whose mean over the measured pixels is theirs, channel by channel.

    Parameters
    ----------
    spots : Tensor, (1, C, *S), or None
        How much of each pixel belongs to spots whose light is right: the others are changed, if there are enough.
    """
    spatial = tuple(range(2, image.ndim))
    weight = problem.weight.expand_as(image)
    count = weight.sum(dim=spatial, keepdim=True).clamp(min=1)
    rest = torch.ones_like(image) if spots is None else 1 - spots
    size = (rest * weight).sum(dim=spatial, keepdim=True) / count
    rest = torch.where(size < LEAST_SURROUNDINGS, 1.0, rest / size.clamp(min=LEAST_SURROUNDINGS))
    lost = ((problem.measured - image) * weight).sum(dim=spatial, keepdim=True) / count
    dark = image.amin(dim=spatial, keepdim=True)
    above = ((image - _darkest(problem)) * rest * weight).sum(dim=spatial, keepdim=True) / count
    # Surroundings without light have none to give.
    rest = torch.where(-lost > LARGEST_SHARE * above, 1.0, rest)
    light = ((image - dark) * rest * weight).sum(dim=spatial, keepdim=True) / count
    # In proportion to the light, as far as that is plausible; the rest is the same everywhere.
    share = (lost / light.clamp(min=1e-12)).clamp(-LARGEST_SHARE, LARGEST_SHARE)
    return image + rest * (share * (image - dark) + (lost - share * light))


def structure_in(planes: Tensor, *, robust: bool = False) -> Tensor:
    """Return the part of residual planes (N, 1, rows, columns), in units of the noise, that is too strong to be noise.

    Parameters
    ----------
    robust : bool
        Whether the noise is correlated: its strength in each band is then measured, not computed.
    """
    structure = torch.zeros_like(planes)
    smooth, deviation = planes, 1.0
    for level, unit in enumerate(BAND_DEVIATIONS):
        if 2 ** (level + 2) >= min(planes.shape[-2:]):
            break
        coarser = _smoothed(smooth, 2**level)
        structure += _significant(smooth - coarser, unit, reach=2**level, robust=robust)
        smooth, deviation = coarser, SMOOTH_DEVIATIONS[level]
    return structure + _significant(smooth, deviation, reach=0, robust=robust)


def _significant(band: Tensor, deviation: float, *, reach: int, robust: bool) -> Tensor:
    """Return the part of a band that noise of a standard deviation does not explain."""
    if robust:
        deviation = max(deviation, float(band.abs().flatten().median()) * TO_DEVIATION)
    # Of a spot only its middle stands out: the strongest neighbour speaks for the pixels around it.
    strength = strongest_within(band.abs() / deviation, reach)
    return band * (1 - (SIGNIFICANT / strength.clamp(min=1e-6)).square()).clamp(min=0)


def _window_sums(planes: Tensor) -> Tensor:
    """Return sums over a Gaussian window that is 1 in its middle."""
    reach = round(3 * SPOT_WINDOW)
    distance = torch.arange(-reach, reach + 1, dtype=planes.dtype, device=planes.device)
    taps = torch.exp(-((distance / SPOT_WINDOW) ** 2) / 2)
    planes = functional.conv2d(planes, taps.reshape(1, 1, -1, 1), padding=(reach, 0))
    return functional.conv2d(planes, taps.reshape(1, 1, 1, -1), padding=(0, reach))


def _smoothed(planes: Tensor, dilation: int) -> Tensor:
    """Return planes (N, 1, rows, columns) smoothed by the spline with its taps ``dilation`` pixels apart."""
    taps = planes.new_tensor(SPLINE)
    reach = 2 * dilation
    planes = functional.pad(planes, (reach,) * 4, mode="reflect" if reach < min(planes.shape[-2:]) else "replicate")
    planes = functional.conv2d(planes, taps.reshape(1, 1, -1, 1), dilation=(dilation, 1))
    return functional.conv2d(planes, taps.reshape(1, 1, 1, -1), dilation=(1, dilation))

"""The light that faint spots have lost, given back: spots of similar brightness have lost similar shares.

What one faint spot has lost looks like noise. Averaged over many spots it is known well, ring by ring around
their middles. The average must not be taken over places that were chosen because they are bright in the same
measurement: the noise that made them bright would be taken for light. So the measurement is split into two whose noise
is independent: spots are searched for in one, and their light is measured in the other. Photons go at random into one
of the two (Poisson thinning). Of other noise some is added to the one and subtracted from the other (Pang et al. 2021,
"Recorrupted-to-Recorrupted", CVPR, made pairs for training in this way).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from ..problem import Problem

SURROUNDINGS = 9
"""Pixels along a side of a square within which a spot stands out from its surroundings."""

WIDTHS = (0.7, 1.2, 2.0)
"""Standard deviations, in pixels, of the spots that are searched for; those between them are found nearly as well."""

VISIBLE = 3.5
"""Signal-to-noise ratio from which on a place counts as a spot; where there is none, nothing is lost on average."""

APART = 2
"""Pixels, along rows and columns, within which the strongest place alone is the middle of a spot."""

REACH = 6
"""Radius of the largest ring around a spot, in pixels."""

ADDED = 0.5
"""Standard deviation of the noise that the part for the search has besides, in units of the measurement's own."""

LOOKS, FEWEST_LOOKS, PIXELS_OF_ALL_LOOKS = 8, 2, 2 * 256**2
"""Draws of that noise, fewer in a large image, which has more spots; pixels up to which all are made."""

SPOTS_PER_CLASS, MOST_CLASSES = 16, 40
"""Spots that make a class of similar brightness, and the largest number of classes."""

DARKEST = 0.5
"""Photons per pixel below which the background counts as that bright: where it is darker noise is far from normal."""

DOUBT = 1.25
"""Times by which the light that rings have lost must be stronger than its noise, on average, to be believed."""

LEAST_GROWTH = 0.01
"""Share by which the variance grows over the range of the image, at least, where photons are the noise."""

ENOUGH = 1000
"""Pixels away from spots from which on the noise of the two parts is compared; else it counts as known."""

PASSES, SEED = 2, 0
"""Times that light is given back: spots that have it are surer, and their surroundings are darker; and their seed."""


@final
@dataclass(frozen=True)
class _NoisyPlanes:
    """What is known of a channel, each (N, rows, columns).

    ``variance`` is that of the noise of the image, ``dark_deviation`` the standard deviation of that of its background.
    A photon is ``gain`` canonical units, 0 where photons are not the noise, and there are none at ``zero``, (N, 1, 1).
    """

    measured: Tensor
    image: Tensor
    background: Tensor
    dark_deviation: Tensor
    variance: Tensor
    weight: Tensor
    gain: Tensor
    zero: Tensor


@final
@dataclass(frozen=True)
class _Found:
    """Spots that were found with one draw of noise.

    ``pixels`` are those of their rings, ``cells`` which ring of which spot each of them is in. ``strength`` is their
    signal-to-noise ratio; of each ring (spots, rings) ``lost`` is the light that was lost, ``variance`` that of the
    noise of this light, and ``count`` the number of pixels.
    """

    pixels: Tensor
    cells: Tensor
    strength: Tensor
    lost: Tensor
    variance: Tensor
    count: Tensor


@torch.no_grad()
def give_back_light(problem: Problem, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return an image (1, C, *S) whose spots have the light that spots like them have lost, and how much is spots.

    Where noise is correlated nothing is changed: independent noise cannot be split off it.

    Returns
    -------
    image, share : Tensor, (1, C, *S)
        The image with that light; and from 0 to 1, in how many of the draws of noise a pixel was near a spot.
    """
    share = torch.zeros_like(image)
    if problem.correlation_length > 1:
        return image, share
    image = image.clone()
    background = without_spots(image.flatten(0, -3)[:, None]).reshape(image.shape)
    variance, dark = problem.misfit.pixel_variance(image), problem.misfit.pixel_variance(background)
    gain, zero = _photons(problem)
    dark = torch.maximum(dark, DARKEST * gain.square())
    dark = dark.clamp(min=torch.finfo(image.dtype).tiny).sqrt()
    whole = (problem.measured, image, background, dark, variance, problem.weight.expand_as(image), gain, zero)
    for channel in range(image.shape[1]):
        generator = torch.Generator().manual_seed(SEED)  # the same for each: it comes out as it would alone
        planes = _NoisyPlanes(*(each[:, channel].flatten(0, -3) for each in whole))
        near = torch.zeros_like(planes.image)
        for _ in range(PASSES):
            added, now = _light_of_spots(planes, generator)
            # Edges are no spots: where rings around them are too bright, nothing becomes darker than anything was.
            brightened = (planes.image + added).clamp(min=float(planes.image.min()))
            planes, near = replace(planes, image=brightened), torch.maximum(near, now)
        image[:, channel] = planes.image.reshape(image[:, channel].shape)
        share[:, channel] = near.reshape(image[:, channel].shape)
    return image, share


@torch.no_grad()
def without_spots(planes: Tensor) -> Tensor:
    """Return planes (N, 1, rows, columns) without what is brighter than its surroundings: their opening."""
    reach = SURROUNDINGS // 2
    return strongest_within(-strongest_within(-planes, reach), reach)


def strongest_within(planes: Tensor, reach: int) -> Tensor:
    """Return the largest value within a square around each pixel: first along columns, then along rows."""
    width = 2 * reach + 1
    tall = functional.max_pool2d(planes, (width, 1), stride=1, padding=(reach, 0))
    return functional.max_pool2d(tall, (1, width), stride=1, padding=(0, reach))


def _photons(problem: Problem) -> tuple[Tensor, Tensor]:
    """Return the canonical units of a photon, and the value without any, (1, C, 1, ...): variance grows in a line.

    Read noise counts as photons that are everywhere (Snyder et al. 1993, doi 10.1364/JOSAA.10.001014).
    """
    spatial = tuple(range(2, problem.measured.ndim))
    light = problem.measured.amax(dim=spatial, keepdim=True)
    step = light - problem.measured.amin(dim=spatial, keepdim=True)
    # Above the brightest pixel: in the dark the variance of the model is not exact.
    less, more = problem.misfit.pixel_variance(light), problem.misfit.pixel_variance(light + step)
    gain = torch.where(more > (1 + LEAST_GROWTH) * less, (more - less) / step.clamp(min=1e-6), 0.0)
    return gain, light - less / gain.clamp(min=1e-12)


def _light_of_spots(planes: _NoisyPlanes, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return what spots have lost, and in how many draws of noise a pixel was near one; each (N, rows, columns)."""
    shape, device = planes.image.shape, planes.image.device
    pixels = planes.image.numel()
    looks = min(LOOKS, max(FEWEST_LOOKS, LOOKS * PIXELS_OF_ALL_LOOKS // pixels))
    found = [_search(planes, generator) for _ in range(looks)]
    added, near = torch.zeros(pixels, device=device), torch.zeros(pixels, device=device)
    for spots, lost in zip(found, _losses(found), strict=True):
        added[spots.pixels] += lost.flatten()[spots.cells].to(device) / looks
        near[spots.pixels] += 1 / looks
    return added.reshape(shape), near.reshape(shape)


def _search(planes: _NoisyPlanes, generator: torch.Generator) -> _Found:
    """Return the spots of one part of the measurement, and what they have lost of the other."""
    first = _first_part(planes, generator)
    brighter = first - planes.background
    brighter = brighter / (planes.dark_deviation * math.sqrt(1 + ADDED**2)) * planes.weight
    strength = torch.stack([_matched(brighter[:, None], width) for width in WIDTHS]).amax(dim=0)
    middle = (strongest_within(strength, APART) == strength) & (strength > VISIBLE)
    pixels, cells = _rings(middle[:, 0])
    strength = strength[middle]
    lost = _second_part(planes, first, away_from=pixels) - planes.image

    def table(values: Tensor) -> Tensor:
        # Sums on the CPU have the same order in every run.
        sums = torch.zeros(len(strength) * (REACH + 1))
        return sums.index_add_(0, cells, values.flatten()[pixels].cpu()).reshape(-1, REACH + 1)

    weight = planes.weight
    return _Found(pixels, cells, strength.cpu(), table(lost * weight), table(planes.variance * weight), table(weight))


def _first_part(planes: _NoisyPlanes, generator: torch.Generator) -> Tensor:
    """Return a measurement of ``1 + ADDED**2`` times the variance, which a second one is independent of.

    Photons go at random into one of the two, by which they become independent. Other noise is normal.
    """
    share = 1 / (1 + ADDED**2)
    gain = planes.gain.clamp(min=1e-12)
    photons = ((planes.measured - planes.zero) / gain).cpu()
    whole = (photons + torch.rand(photons.shape, generator=generator)).floor().clamp(min=0)
    taken = torch.binomial(whole, torch.full_like(whole, share), generator=generator).to(gain)
    noise = torch.randn(photons.shape, generator=generator).to(gain) * planes.variance.sqrt()
    return torch.where(planes.gain > 0, planes.zero + gain * taken / share, planes.measured + ADDED * noise)


def _second_part(planes: _NoisyPlanes, first: Tensor, *, away_from: Tensor) -> Tensor:
    """Return the measurement that is left, uncorrelated with the first away from some pixels: noise is never known."""
    away = planes.weight.clone().flatten()
    away[away_from] = 0
    first_noise, noise, taken = (
        each.flatten() - (each.flatten() * away).sum() / away.sum().clamp(min=1)
        for each in (first - planes.image, planes.measured - planes.image, first - planes.measured)
    )
    share = torch.as_tensor(ADDED**-2)
    if away.sum() > ENOUGH:
        found = (first_noise * noise * away).sum() / (first_noise * taken * away).sum().clamp(min=1e-12)
        share = found.clamp(share / 2, share * 2)
    return planes.measured + share * (planes.measured - first)


def _matched(planes: Tensor, width: float) -> Tensor:
    """Return by how many standard deviations of white noise of variance 1 a spot stands out, at each pixel."""
    reach = math.ceil(4 * width)
    distance = torch.arange(-reach, reach + 1, dtype=planes.dtype, device=planes.device)
    taps = torch.exp(-((distance / width) ** 2) / 2)
    taps = taps / taps.square().sum().sqrt()
    planes = functional.conv2d(planes, taps.reshape(1, 1, -1, 1), padding=(reach, 0))
    return functional.conv2d(planes, taps.reshape(1, 1, 1, -1), padding=(0, reach))


def _rings(middle: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels around the middles of spots, and the cell of each: ring and spot, of the nearest of these."""
    count, rows, columns = middle.shape
    plane, row, column = torch.nonzero(middle, as_tuple=True)
    spots = torch.arange(len(plane), device=middle.device)
    cells = torch.full((count * rows * columns,), -1, dtype=torch.long, device=middle.device)
    around = [(math.hypot(r, c), r, c) for r in range(-REACH, REACH + 1) for c in range(-REACH, REACH + 1)]
    # The nearest comes last, and replaces the others.
    for distance, down, right in sorted((each for each in around if each[0] < REACH + 0.5), reverse=True):
        at_row, at_column = row + down, column + right
        inside = (at_row >= 0) & (at_row < rows) & (at_column >= 0) & (at_column < columns)
        at = ((plane * rows + at_row) * columns + at_column)[inside]
        cells[at] = spots[inside] * (REACH + 1) + round(distance)
    pixels = torch.nonzero(cells >= 0)[:, 0]
    return pixels, cells[pixels].cpu()


def _losses(found: list[_Found]) -> list[Tensor]:
    """Return, for each draw of noise, what is lost in each pixel of the rings of each spot, (spots, rings)."""
    strength = torch.cat([each.strength for each in found])
    if not len(strength):
        return [each.lost for each in found]
    classes = min(MOST_CLASSES, max(1, round(len(strength) / len(found) / SPOTS_PER_CLASS)))
    lower, upper, share = _neighbouring_classes(strength.log(), classes)
    weights = ((lower, 1 - share[:, None]), (upper, share[:, None]))

    def mean_table(tables: list[Tensor], power: int) -> Tensor:
        sums = torch.zeros(classes, REACH + 1)
        for index, weight in weights:
            sums.index_add_(0, index, torch.cat(tables) * weight**power)
        return sums

    count = mean_table([each.count for each in found], 1).clamp(min=1e-6)
    lost = mean_table([each.lost for each in found], 1) / count
    # The noise of the measurement is the same in all draws, that which was added is not.
    variance = mean_table([each.variance for each in found], 2) * (len(found) + ADDED**-2) / count.square()
    lost = lost * _certainty(lost, variance)[:, None]
    each_lost = sum(lost[index] * weight for index, weight in weights)
    assert isinstance(each_lost, Tensor)  # noqa: S101  (of two summands)
    return list(each_lost.split([len(each.strength) for each in found]))


def _neighbouring_classes(brightness: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two classes of equally many spots between which each brightness lies, and the share of the second."""
    middles = (torch.arange(classes) + 0.5) / classes * len(brightness)
    centres = brightness.sort().values[middles.long()]
    upper = torch.searchsorted(centres, brightness).clamp(min(1, classes - 1), classes - 1)
    lower = (upper - 1).clamp(min=0)
    share = (brightness - centres[lower]) / (centres[upper] - centres[lower]).clamp(min=1e-6)
    return lower, upper, share.clamp(0, 1)


def _certainty(lost: Tensor, variance: Tensor) -> Tensor:
    """Return, for each class, a factor below 1 where what was lost (classes, rings) can be noise."""
    excess = (lost.square() / variance.clamp(min=torch.finfo(lost.dtype).tiny)).sum(dim=1)
    return (1 - (DOUBT * lost.shape[1] / excess.clamp(min=1e-6)).square()).clamp(min=0)

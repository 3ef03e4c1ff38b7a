"""Training pairs for enlarging an image, made from the image alone.

The image is the target. Its own operator reduces it, and the reduced image, interpolated, is the input (Shocher et al.
2018, arXiv 1712.06087).
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from ..physics.kernels import Bicubic
from ..physics.operators import Downsample
from .augmentation import ORIENTATIONS, draw_below, draw_crops, oriented
from .trainer import TrainingPair

SCALES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
"""Sizes of the targets, in units of the image's: patterns recur at other scales, and each scale is sampled anew."""

FREQUENCY = 0.25
"""How often a reduced target is drawn, relative to the image itself; times its size."""

ESTIMATE_SIZES = (0.14, 0.26, 0.38, 0.49, 0.58)
"""Sizes to which an enlarged estimate is reduced to be a target: exponents from the image's size (0) to its own (1)."""

LEAST_WEIGHT = 1e-6
"""Weight of a missing pixel, so that the sum of all weights is never 0."""

MOST_PIXELS = 1 << 22
"""Pixels of a volume that are used, in planes spread over all of it: more would only take memory."""

SMALLEST_SIDE = 4
"""Fewest pixels along a side of a target."""


@final
class TrainingPairs:
    """Training pairs of several sizes, from which random crops are drawn.

    Parameters
    ----------
    operator : Downsample
        What reduces the targets.
    orientations : tuple of int
        The orientations that commute with the operator: a crop is drawn in one of them. For all others, targets are
        oriented before they are reduced.
    """

    def __init__(self, operator: Downsample, orientations: tuple[int, ...]) -> None:
        self.operator, self.orientations = operator, orientations
        self.kept: list[list[TrainingPair]] = []
        self._frequencies: list[float] = []

    def add(self, targets: Tensor, weight: Tensor, *, frequency: float) -> None:
        """Add planes to the targets.

        Parameters
        ----------
        targets, weight : Tensor, (N, C, rows, columns)
            The planes, and 0 where they are not known.
        frequency : float
            How often they are drawn, relative to the others.
        """
        first = first_orientations(self.orientations)
        self.kept.append([self._pair(oriented(targets, each), oriented(weight, each)) for each in first])
        self._frequencies.append(frequency)

    def add_image(self, planes: Tensor, weight: Tensor) -> None:
        """Add the planes (N, C, rows, columns) of an image, and reduced versions of them."""
        planes, weight = _spread_planes(planes), _spread_planes(weight)
        for scale in SCALES:
            if scale == 1:
                self.add(planes, weight, frequency=1.0)
            elif min(planes.shape[-2:]) * scale >= SMALLEST_SIDE:
                smaller, its_weight = (_resized(each, (scale, scale)) for each in (planes, weight))
                self.add(smaller, its_weight, frequency=FREQUENCY * scale)

    def add_estimate(self, planes: Tensor) -> None:
        """Add the planes of an enlarged estimate, reduced to sizes at which its errors are small."""
        planes = _spread_planes(planes)
        for size in ESTIMATE_SIZES:
            smaller = _resized(planes, tuple(factor ** (size - 1) for factor in self.operator.factors))
            self.add(smaller, torch.ones_like(smaller), frequency=FREQUENCY)

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of ``count`` random crops (count, C, rows, columns)."""
        versions = self.kept[int(torch.multinomial(torch.tensor(self._frequencies), 1, generator=generator))]
        pair = versions[draw_below(len(versions), generator)]
        plane = draw_below(len(pair.target), generator)
        images = tuple(image[plane : plane + 1] for image in (pair.input, pair.target, pair.weight))
        crops = draw_crops(images, crop=crop, count=count, orientations=self.orientations, generator=generator)
        return TrainingPair(*crops)

    def _pair(self, target: Tensor, weight: Tensor) -> TrainingPair:
        rows, columns = target.shape[-2:]
        interpolated = self.operator.interpolate(self.operator(target))[..., :rows, :columns]
        return TrainingPair(interpolated.contiguous(), target.contiguous(), weight.clamp(min=LEAST_WEIGHT).contiguous())


def memory(shape: tuple[int, ...], *, channels: int, operator: Downsample, orientations: tuple[int, ...]) -> int:
    """Return about how many bytes the pairs of an image of this spatial shape take, an estimate included."""
    plane = math.prod(shape[-2:])
    pixels = channels * plane * min(math.prod(shape[:-2]), max(1, MOST_PIXELS // plane))
    sizes = sum(scale**2 for scale in SCALES) + sum(math.prod(operator.factors) ** size for size in ESTIMATE_SIZES)
    return int(3 * 4 * pixels * sizes * len(first_orientations(orientations)))


def first_orientations(orientations: tuple[int, ...]) -> list[int]:
    """Return the orientations that, each followed by one of ``orientations``, give all eight exactly once."""
    probe = torch.arange(4.0).reshape(2, 2)
    found: list[Tensor] = []
    first = []
    for orientation in range(ORIENTATIONS):
        start = oriented(probe, orientation)
        if not any(torch.equal(start, known) for known in found):
            first.append(orientation)
            found += [oriented(start, then) for then in orientations]
    return first


def _spread_planes(planes: Tensor) -> Tensor:
    """Return as many of the planes (N, C, rows, columns) as are used, spread evenly over all of them."""
    count = max(1, MOST_PIXELS // planes.shape[-2:].numel())
    return planes[:: -(-len(planes) // count)]


def _resized(planes: Tensor, scales: tuple[float, ...]) -> Tensor:
    """Return planes reduced to a share of their size along each axis, by bicubic resampling."""
    return Downsample(tuple(1 / scale for scale in scales), Bicubic())(planes)

"""Training pairs from many images: random crops of them, with noise that is drawn anew in every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from ..physics.kernels import Bicubic
from ..physics.operators import Downsample
from .augmentation import ORIENTATIONS, draw_below, draw_crops
from .cross_scale_pairs import TrainingPairs
from .trainer import TrainingPair

REDUCED = (1.0, 0.75, 0.55)
"""Sizes of the targets of super-resolution, in units of the images': more of them from the same images."""

OWN_EXPOSURE = 0.5
"""Share of the crops that are as bright as they were measured, where others are not."""

ALL_ORIENTATIONS = tuple(range(ORIENTATIONS))


class ImageSet(ABC):
    """What training pairs are drawn from."""

    @abstractmethod
    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of ``count`` random crops (count, C, rows, columns), each from a random plane."""


@final
class NoisyImages(ImageSet):
    """Images to which new noise is added in every step; what was there before is the target.

    Parameters
    ----------
    images : sequence of (Tensor, Tensor), each (1, C, rows, columns)
        The target, and the standard deviation of its noise.
    generator : torch.Generator
        Where the seed of the noise comes from, which is drawn on the device of the images.
    exposures : (float, float)
        Every other crop is multiplied by a factor between these, so that its noise is weaker or stronger beside it: as
        if it had been exposed for a longer or shorter time.
    """

    def __init__(
        self,
        images: Sequence[tuple[Tensor, Tensor]],
        generator: torch.Generator,
        exposures: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        self._places = _Places(images)
        self._exposures = exposures
        self._noise = torch.Generator(images[0][0].device)
        self._noise.manual_seed(int(torch.randint(2**31, (), generator=generator)))

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of random crops with new noise."""
        drawn = [self._places.draw(crop, generator) for _ in range(count)]
        target, deviation = (torch.cat(each) for each in zip(*drawn, strict=True))
        target = target * self._factors(count, generator).to(target)
        noise = torch.randn(target.shape, generator=self._noise, device=target.device)
        return TrainingPair(target + deviation * noise, target, torch.ones_like(target))

    def _factors(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the factors of crops, (count, 1, 1, 1)."""
        shortest, longest = map(math.log, self._exposures)
        if shortest == longest == 0:
            return torch.ones(1)
        drawn = shortest + (longest - shortest) * torch.rand(count, generator=generator)
        kept = torch.rand(count, generator=generator) < OWN_EXPOSURE
        return torch.where(kept, 0.0, drawn).exp().view(-1, 1, 1, 1)


@final
class PairedImages(ImageSet):
    """Pairs of images that were measured: what goes in, and what is to come out.

    Parameters
    ----------
    images : sequence of (Tensor, Tensor), each (1, C, rows, columns)
    """

    def __init__(self, images: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._places = _Places(images)

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of random crops."""
        drawn = [self._places.draw(crop, generator) for _ in range(count)]
        given, target = (torch.cat(each) for each in zip(*drawn, strict=True))
        return TrainingPair(given, target, torch.ones_like(target))


NoiseOf = Callable[[Tensor], Tensor]
"""Returns the standard deviation of the noise at every pixel of a measurement without noise."""


@final
class ReducedImages(ImageSet):
    """Images that an operator reduces; enlarged again by interpolation they go in, and the images are to come out.

    Parameters
    ----------
    images : sequence of (Tensor, function or None)
        The targets, (1, C, rows, columns), and the noise of their measurements.
    operator : Downsample
        What reduces them.
    orientations : tuple of int
        Those that commute with the operator.
    crop : int
        Pixels along a side of a crop: images are used also at smaller sizes, as far as they hold one.
    """

    def __init__(
        self,
        images: Sequence[tuple[Tensor, NoiseOf | None]],
        operator: Downsample,
        orientations: tuple[int, ...],
        *,
        crop: int,
    ) -> None:
        self._operator = operator
        self._noises = [noise for _, noise in images]
        self._sizes = torch.tensor([float(image[0, 0].numel()) for image, _ in images])
        self._pairs = []
        for image, _ in images:
            pairs = TrainingPairs(operator, orientations)
            for scale in REDUCED:
                smaller = image if scale == 1 else _resized(image, scale)
                if scale == 1 or min(smaller.shape[-2:]) >= crop:
                    pairs.add(smaller, torch.ones_like(smaller), frequency=scale**2)
            self._pairs.append(pairs)

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of random crops."""
        drawn = [self._draw(crop, generator) for _ in range(count)]
        return TrainingPair(
            torch.cat([pair.input for pair in drawn]),
            torch.cat([pair.target for pair in drawn]),
            torch.cat([pair.weight for pair in drawn]),
        )

    def _draw(self, crop: int, generator: torch.Generator) -> TrainingPair:
        chosen = int(torch.multinomial(self._sizes, 1, generator=generator))
        pair, noise = self._pairs[chosen].draw(crop=crop, count=1, generator=generator), self._noises[chosen]
        if noise is None:
            return pair
        return replace(pair, input=pair.input + interpolated_noise(pair.target, self._operator, noise, generator))


def interpolated_noise(target: Tensor, operator: Downsample, noise: NoiseOf, generator: torch.Generator) -> Tensor:
    """Return new noise of the measurement of images (N, C, rows, columns), interpolated to their pixels."""
    deviation = noise(operator(target))
    drawn = torch.randn(deviation.shape, generator=generator).to(deviation.device)
    rows, columns = target.shape[-2:]
    return operator.interpolate(deviation * drawn)[..., :rows, :columns]


def _resized(image: Tensor, scale: float) -> Tensor:
    """Return an image (1, C, rows, columns) reduced to a share of its size by bicubic resampling."""
    return Downsample((1 / scale, 1 / scale), Bicubic())(image)


@final
class _Places:
    """Draws planes, each as often as it has pixels, and crops from them.

    Parameters
    ----------
    images : sequence of (Tensor, Tensor), each (1, C, rows, columns)
    """

    def __init__(self, images: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._images = images
        self._sizes = torch.tensor([float(first[0, 0].numel()) for first, _ in images])

    def draw(self, crop: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        chosen = self._images[int(torch.multinomial(self._sizes, 1, generator=generator))]
        # Of two places the one with more to show: small bright objects would drown among crops of their background.
        places = 1 + draw_below(2, generator)
        drawn = [draw_crops(chosen, crop=crop, count=1, generator=generator) for _ in range(places)]
        contrasts = [float(crops[0].std()) for crops in drawn]
        return tuple(drawn[contrasts.index(max(contrasts))])

"""Training pairs from many images: random crops of them, with noise that is drawn anew in every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from ..physics.exposure import Exposure
from ..physics.kernels import Bicubic
from ..physics.misfit import Misfit
from ..physics.operators import Downsample
from .augmentation import ORIENTATIONS, draw_below, draw_crops
from .cross_scale_pairs import TrainingPairs
from .standardised import Standardisation
from .trainer import TrainingPair

REDUCED = (1.0, 0.75, 0.55)
"""Sizes of the targets of super-resolution, in units of the images': more of them from the same images."""

SIZES = (1.0, 0.7, 0.5, 0.35)
"""The same for denoising. What is finer than in the images that it was trained on a network would smooth: it is 0.5 dB
better on images of another kind (measured on two frames)."""

OWN_EXPOSURE, EXPOSURES = 1 / 3, (1 / 8, 4.0)
"""Share of the crops that have the light of their image, and the factors of it between which the others are drawn."""

SAMPLED = 8
"""Pixels along rows and columns of which one is taken to find the mean of an image."""

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
    """

    def __init__(self, images: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> None:
        self._places = _Places(images)
        self._noise = torch.Generator(images[0][0].device)
        self._noise.manual_seed(int(torch.randint(2**31, (), generator=generator)))

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of random crops with new noise."""
        drawn = [self._places.draw(crop, generator) for _ in range(count)]
        target, deviation = (torch.cat(each) for each in zip(*drawn, strict=True))
        noise = torch.randn(target.shape, generator=self._noise, device=target.device)
        return TrainingPair(target + deviation * noise, target, torch.ones_like(target))


@final
@dataclass(frozen=True)
class Scene:
    """An image without noise, and how it is measured.

    Parameters
    ----------
    image : Tensor, (1, C, rows, columns)
        Canonical, on the CPU.
    exposure : Exposure
        The camera.
    misfit : Misfit
        For its noise, on the CPU.
    """

    image: Tensor
    exposure: Exposure
    misfit: Misfit


@final
class ExposedImages(ImageSet):
    """Images that are measured anew in every step, some with more and some with less light, and at smaller sizes.

    Dim ones show hardly anything of the errors that an image has itself, and smaller ones finer structures.

    Parameters
    ----------
    scenes : sequence of Scene
    device : torch.device
        Where the pairs are needed.
    crop : int
        Pixels along a side of a crop: images are used also at smaller sizes, as far as they hold one.
    """

    def __init__(self, scenes: Sequence[Scene], device: torch.device, *, crop: int) -> None:
        self._device, self._scenes, places = device, [], []
        for scene in scenes:
            for _, image in _at_sizes(scene.image, SIZES, crop):
                places.append((image,))
                self._scenes.append(scene)
        self._places = _Places(places, power=0.5)
        # The mean of an image needs few of its pixels.
        self._samples = [scene.image[..., ::SAMPLED, ::SAMPLED] for scene in self._scenes]

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> TrainingPair:
        """Return a pair of random crops."""
        given, target = zip(*(self._draw(crop, generator) for _ in range(count)), strict=True)
        targets = torch.cat(target).to(self._device)
        return TrainingPair(torch.cat(given).to(self._device), targets, torch.ones_like(targets))

    def _draw(self, crop: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = self._places.choose(generator)
        (image,), scene, factor = self._places.crops(chosen, crop, generator), self._scenes[chosen], _factor(generator)
        image, sample = (scene.exposure.at(each, factor) for each in (image, self._samples[chosen]))
        space = Standardisation.by_light(scene.misfit.expected(sample), scene.misfit)
        noisy = scene.misfit.stabilise(scene.exposure.measured(image, generator))
        return space.of_means(noisy), space.of_means(scene.misfit.expected(image))


def _factor(generator: torch.Generator) -> float:
    """Return a factor of the light of a crop."""
    own, drawn = torch.rand(2, generator=generator).tolist()
    shortest, longest = map(math.log, EXPOSURES)
    return 1.0 if own < OWN_EXPOSURE else math.exp(shortest + (longest - shortest) * drawn)


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


@final
class ReducedImages(ImageSet):
    """Images that an operator reduces; enlarged again by interpolation they go in, and the images are to come out.

    Parameters
    ----------
    images : sequence of (Tensor, Exposure or None)
        The targets, (1, C, rows, columns), and what draws the noise of their measurements.
    operator : Downsample
        What reduces them.
    orientations : tuple of int
        Those that commute with the operator.
    crop : int
        Pixels along a side of a crop: images are used also at smaller sizes, as far as they hold one.
    """

    def __init__(
        self,
        images: Sequence[tuple[Tensor, Exposure | None]],
        operator: Downsample,
        orientations: tuple[int, ...],
        *,
        crop: int,
    ) -> None:
        self._operator = operator
        self._exposures = [exposure for _, exposure in images]
        self._sizes = torch.tensor([float(image[0, 0].numel()) for image, _ in images])
        self._pairs = []
        for image, _ in images:
            pairs = TrainingPairs(operator, orientations)
            for scale, smaller in _at_sizes(image, REDUCED, crop):
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
        pair = self._pairs[chosen].draw(crop=crop, count=1, generator=generator)
        exposure = self._exposures[chosen]
        if exposure is None:
            return pair
        return replace(pair, input=pair.input + interpolated_noise(pair.target, self._operator, exposure, generator))


def interpolated_noise(target: Tensor, operator: Downsample, exposure: Exposure, generator: torch.Generator) -> Tensor:
    """Return new noise of the measurement of images (N, C, rows, columns), interpolated to their pixels."""
    measured = operator(target).cpu()
    noise = (exposure.measured(measured, generator) - measured).to(target.device)
    rows, columns = target.shape[-2:]
    return operator.interpolate(noise)[..., :rows, :columns]


def _at_sizes(image: Tensor, sizes: Sequence[float], crop: int) -> Iterator[tuple[float, Tensor]]:
    """Yield sizes and an image at them: its own, and smaller ones as far as they hold a crop."""
    for size in sizes:
        resized = image if size == 1 else _resized(image, size)
        if size == 1 or min(resized.shape[-2:]) >= crop:
            yield size, resized


def _resized(image: Tensor, scale: float) -> Tensor:
    """Return an image (1, C, rows, columns) reduced to a share of its size by bicubic resampling."""
    return Downsample((1 / scale, 1 / scale), Bicubic())(image)


@final
class _Places:
    """Draws planes, the larger ones more often, and crops from them.

    Parameters
    ----------
    images : sequence of tuple of Tensor, each (1, C, rows, columns)
    power : float
        Of the number of pixels of a plane, to which it is drawn in proportion: below 1 small ones are drawn more often.
    """

    def __init__(self, images: Sequence[tuple[Tensor, ...]], *, power: float = 1.0) -> None:
        self._images = images
        self._sizes = torch.tensor([float(each[0][0, 0].numel()) ** power for each in images])

    def draw(self, crop: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return self.crops(self.choose(generator), crop, generator)

    def choose(self, generator: torch.Generator) -> int:
        return int(torch.multinomial(self._sizes, 1, generator=generator))

    def crops(self, number: int, crop: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        chosen = self._images[number]
        # Of two places the one with more to show: small bright objects would drown among crops of their background.
        places = 1 + draw_below(2, generator)
        drawn = [draw_crops(chosen, crop=crop, count=1, generator=generator) for _ in range(places)]
        contrasts = [float(crops[0].std()) for crops in drawn]
        return tuple(drawn[contrasts.index(max(contrasts))])

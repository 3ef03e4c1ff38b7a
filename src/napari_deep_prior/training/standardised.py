"""Noisy images as a network for denoising takes them: noise of variance 1, then mean 0, and divided by a scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor
from torch.nn import functional

from ..physics.misfit import Misfit

SMALLEST_SCALE = 0.1
"""Standard deviation of an image without its noise, in units of the noise, below which it counts as that."""


NOISE_UNIT = 4.0
"""Standard deviations of the noise that are 1 for a network that is blind to how strong it is beside the image."""

BY_CONTRAST = "stabilised, standardised by image"
"""Pixels are transformed so that their noise has variance 1; then, of each image and channel, the mean of its estimate
is subtracted, and they are divided by the standard deviation of that."""

BY_LIGHT = "stabilised, in units of the noise, counted from the dark"
"""The same, but they are divided by ``NOISE_UNIT``: the noise is equally strong in every image. Of a dim one nothing is
subtracted, so that a network sees how dark a pixel is: at less than three photons its noise is the weaker for it."""

DIM = 3.0
"""Mean of a stabilised image up to which it is dim, and that is left of the mean of a brighter one."""


@final
@dataclass(frozen=True)
class Standardisation:
    """Mean and scale, (1, C, ..., 1, 1) each, of every plane of a stabilised image."""

    misfit: Misfit
    mean: Tensor
    scale: Tensor

    @classmethod
    def of_noisy(cls, measured: Tensor, misfit: Misfit) -> Self:
        """Return those of a measurement (1, C, *S): the noise adds its own variance to the image's."""
        noisy = misfit.stabilise(measured)
        planes = measured.flatten(0, -3)[:, None]
        smooth = functional.avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
        variance = misfit.stabilised_variance(smooth.reshape(measured.shape))
        mean, noise = (each.mean(dim=(-2, -1), keepdim=True) for each in (noisy, variance))
        square = noisy.var(dim=(-2, -1), keepdim=True) - noise
        return cls(misfit, mean, square.clamp(min=SMALLEST_SCALE**2).sqrt())

    @classmethod
    def by_light(cls, means: Tensor, misfit: Misfit) -> Self:
        """Return those of stabilised values or their means (1, C, *S), with the same scale for every image."""
        mean = means.mean(dim=(-2, -1), keepdim=True)
        return cls(misfit, mean - mean.clamp(0, DIM), torch.full_like(mean, NOISE_UNIT))

    @classmethod
    def named(cls, intensity: str, measured: Tensor, misfit: Misfit) -> Self:
        """Return that by which a network takes a measurement (see ``BY_CONTRAST`` and ``BY_LIGHT``).

        Raises
        ------
        ValueError
            If it is none of them.
        """
        if intensity == BY_CONTRAST:
            return cls.of_noisy(measured, misfit)
        if intensity == BY_LIGHT:
            return cls.by_light(misfit.stabilise(measured), misfit)
        raise ValueError(
            f"the network takes images that are {intensity!r}, which this version does not know: train it anew"
        )

    def of_means(self, means: Tensor) -> Tensor:
        """Return stabilised values or their means as they go into a network."""
        return (means - self.mean) / self.scale

    def to_means(self, values: Tensor) -> Tensor:
        """Return the stabilised means of what a network gives."""
        return values * self.scale + self.mean

    def to_image(self, values: Tensor) -> Tensor:
        """Return the image (1, C, *S) of what a network gives."""
        return self.misfit.unstabilise(self.to_means(values))

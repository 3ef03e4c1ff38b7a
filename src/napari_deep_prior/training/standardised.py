"""Noisy images as a network for denoising takes them: noise of variance 1, then mean 0 and standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

from torch import Tensor
from torch.nn import functional

from ..physics.misfit import Misfit

SMALLEST_SCALE = 0.1
"""Standard deviation of an image without its noise, in units of the noise, below which it counts as that."""


@final
@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation, (1, C, ..., 1, 1) each, of every plane of a stabilised image without its noise."""

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

    def of_means(self, means: Tensor) -> Tensor:
        """Return stabilised values or their means as they go into a network."""
        return (means - self.mean) / self.scale

    def to_means(self, values: Tensor) -> Tensor:
        """Return the stabilised means of what a network gives."""
        return values * self.scale + self.mean

    def to_image(self, values: Tensor) -> Tensor:
        """Return the image (1, C, *S) of what a network gives."""
        return self.misfit.unstabilise(self.to_means(values))

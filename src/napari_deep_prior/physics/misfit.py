"""Misfits: minus the log-likelihood of a measurement, given a prediction of it, up to constants.

All are scaled so that a perfect prediction has a mean misfit of about 1 where the noise is known: the squared error in
units of the noise variance. The numbers therefore mean the same on every image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

STEP = 1e-3
"""Half of the distance over which the slope of stabilised means is measured."""


class Misfit(ABC):
    """How far a prediction is from the measurement, value by value."""

    @abstractmethod
    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the misfit of every value, in the shape of ``measured``; differentiable in ``predicted``."""

    @abstractmethod
    def stabilise(self, measured: Tensor) -> Tensor:
        """Return measured values transformed so that their noise has variance 1."""

    @abstractmethod
    def expected(self, image: Tensor) -> Tensor:
        """Return the mean of :meth:`stabilise` over the noise of measurements of ``image``."""

    @abstractmethod
    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return the variance of :meth:`stabilise` over the noise of measurements of ``image``: 1, less in the dark."""

    @abstractmethod
    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the image whose :meth:`expected` is ``means``: the inverse of :meth:`expected`."""

    @final
    def variance_at(self, means: Tensor) -> Tensor:
        """Return the variance of stabilised values whose means are known (see :meth:`stabilised_variance`)."""
        return self.stabilised_variance(self.unstabilise(means))

    @final
    def pixel_variance(self, image: Tensor) -> Tensor:
        """Return the variance of the noise of measurements of ``image``, pixel by pixel, in the tensors' units squared.

        It is that of the stabilised values over the squared slope of their means.
        """
        slope = (self.expected(image + STEP) - self.expected(image - STEP)) / (2 * STEP)
        return self.stabilised_variance(image) / slope.square()


@final
@dataclass(frozen=True)
class GaussianMisfit(Misfit):
    """Gaussian noise of the same standard deviation everywhere: the squared difference over its variance.

    Parameters
    ----------
    sigma : Tensor or float
        Standard deviation of the noise per channel, (1, C, 1, ...), or of all channels, in the tensors' units.
    """

    sigma: Tensor | float = 1.0

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared differences over the variance."""
        return ((predicted - measured) / self.sigma).square()

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the values divided by the standard deviation."""
        return measured / self.sigma

    def expected(self, image: Tensor) -> Tensor:
        """Return the values divided by the standard deviation."""
        return image / self.sigma

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the values multiplied by the standard deviation."""
        return means * self.sigma


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of ``values`` (0-d); values of weight 0 get the gradient 0."""
    return (values * weight).sum() / weight.sum()

"""Misfits: minus the log-likelihood of a measurement, given what the model predicts, up to constants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor


class Misfit(ABC):
    """How far a prediction is from the measurement, value by value."""

    @abstractmethod
    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the misfit of every value, of the shape of ``measured``; differentiable in ``predicted``."""


@final
@dataclass(frozen=True)
class Gaussian(Misfit):
    """Noise of one strength everywhere: the squared difference."""

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared differences, in the square of the tensors' units."""
        return (predicted - measured).square()


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of ``values`` with the weights ``weight`` (0-d); only values of weight > 0 get a gradient."""
    return (values * weight).sum() / weight.sum()


MISFITS: dict[str, type[Misfit]] = {"gaussian": Gaussian}

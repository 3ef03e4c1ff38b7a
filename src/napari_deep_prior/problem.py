"""What a task poses and a method solves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import Tensor

from .physics.misfit import Misfit
from .physics.operators import Operator

if TYPE_CHECKING:
    # Only methods know what is in it.
    from .training.model import Model

__all__ = ["Problem"]


@final
@dataclass(frozen=True, kw_only=True)
class Problem:
    """``measured = noise(operator(image))``: find the image.

    Parameters
    ----------
    measured : Tensor, (1, C, *S)
        The measurement, canonical (see :mod:`napari_deep_prior.arrays.axes`).
    weight : Tensor, (1, C, *S)
        How much each measured value counts: 1, or 0 where it is missing.
    operator : Operator
        From image to measurement.
    misfit : Misfit
        How far a prediction of the measurement is from it.
    correlation_length : int
        Pixels along a side over which the noise is correlated; 1 where it is independent from pixel to pixel.
    correlations : tuple of (float, float)
        For each channel, the correlation of the noise of neighbouring pixels along rows and columns; empty where
        nothing is known of it.
    guide : Tensor, (1, G, *S), or None
        Other images of the same place, on the image's pixels: each channel of mean 0 and standard deviation 1.
    noiseless : tuple of bool
        For each channel, whether its measurement has no noise; empty where nothing is known of it.
    filled : Tensor of bool, (1, C, *S), or None
        Where the measurement was filled with black, and has no weight: it stays as it is. None: nowhere.
    model : Model or None
        A trained network that is to solve it; None if there is none.
    piece : int
        Number of the piece of the array that this is, counted from 0: random numbers depend on it.
    """

    measured: Tensor
    weight: Tensor
    operator: Operator
    misfit: Misfit
    correlation_length: int = 1
    correlations: tuple[tuple[float, float], ...] = ()
    guide: Tensor | None = None
    noiseless: tuple[bool, ...] = ()
    filled: Tensor | None = None
    model: Model | None = None
    piece: int = 0

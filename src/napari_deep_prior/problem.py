"""What passes between task, method and caller: the problem that is posed, and a step towards its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from .physics.misfit import Misfit
from .physics.operators import Operator

__all__ = ["Problem", "Step"]


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
    guide : Tensor, (1, G, *S), or None
        Other images of the same place, on the image's pixels: each channel of mean 0 and standard deviation 1.
    noiseless : tuple of bool
        For each channel, whether its measurement has no noise; empty where nothing is known of it.
    piece : int
        Number of the piece of the array that this is, counted from 0: random numbers depend on it.
    """

    measured: Tensor
    weight: Tensor
    operator: Operator
    misfit: Misfit
    correlation_length: int = 1
    guide: Tensor | None = None
    noiseless: tuple[bool, ...] = ()
    piece: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """The state after one iteration. Its tensors are detached, stay on their device and never change later.

    Reading a value (``float(step.loss)``) waits for the device: whoever displays it pays for it.

    Parameters
    ----------
    number, total : int
        This iteration, counted from 1, and the most there can be.
    loss : Tensor, 0-d
        Misfit of this iteration on the pixels that are fitted.
    criterion : Tensor, 0-d, or None
        What decides the stop (smaller is better): held-out error or windowed variance. None if nothing does.
    criterion_name : str
        What the criterion is, for people; empty if nothing decides.
    chosen : Tensor, 0-d int64
        The iteration that ``image`` is from: the best so far.
    image : Tensor, (1, C, *S)
        The answer if the caller stops here.
    deviation : Tensor, (1, C, *S), or None
        Standard deviation of that image between the members of an ensemble; None if there is only one.
    """

    number: int
    total: int
    loss: Tensor
    criterion: Tensor | None
    criterion_name: str
    chosen: Tensor
    image: Tensor
    deviation: Tensor | None = None

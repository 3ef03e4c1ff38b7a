"""Is it worth it: whether an image has detail that larger pixels could not show, and whether a result explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..physics.operators import Operator
from . import spectrum

FAINTEST = 0.1
"""Share of the contrast that a blur leaves of the finest detail that counts as seen."""

NYQUIST = 0.5
"""Cycles per pixel of the finest detail that pixels can show."""

HIDDEN = 0.6
"""Where the noise begins before this share of where the blur ends the detail, the end of the blur is a guess."""

OVERSAMPLED = 0.5
"""Share of what the pixels could show below which the image fits into pixels twice as large."""


@final
@dataclass(frozen=True)
class Oversampling:
    """How much of what its pixels could show an image does show.

    Parameters
    ----------
    detail : tuple of float
        Highest frequency with signal along rows and columns, as a share of the highest that pixels can show (1 at
        most): where the blur leaves a tenth of the contrast, or the noise is stronger than the signal.
    blur : tuple of float
        The same if there were no noise.
    oversampled : bool
        Whether the blur ends the detail below half of what the pixels could show, along both axes, and the noise does
        not hide it.
    sentence : str
        The above for people.
    """

    detail: tuple[float, float]
    blur: tuple[float, float]
    oversampled: bool
    sentence: str


def oversampling(image: NDArray[Any]) -> Oversampling:
    """Tell from the power spectrum of a plane whether its pixels are smaller than its detail.

    Noise does not count as detail. Images that are too small or constant are taken for well sampled, as are those of
    a kind whose spectrum the model does not fit (see :mod:`napari_deep_prior.estimation.spectrum`) if they are sharp.

    Parameters
    ----------
    image : ndarray, (rows, columns)
        Of any unit; of colours, their mean.

    Raises
    ------
    ValueError
        If the image is no plane of finite values.
    """
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError(f"the image has shape {image.shape}; give one plane (rows, columns) of finite values")
    plane = np.asarray(image, np.float64)
    if min(plane.shape) < spectrum.SMALLEST_SIDE or plane.min() == plane.max():
        reason = "the image is too small, or constant: it cannot be told whether its pixels are smaller than its detail"
        return Oversampling((1.0, 1.0), (1.0, 1.0), False, reason)
    span = plane.max() - plane.min()
    found = spectrum.fit((plane - plane.min()) / span)
    ends = [_blur_end(float(variance)) for variance in np.diag(found.covariance)]
    noise = [min(1.0, end / NYQUIST) for end in found.noise_end]
    blur = (ends[0], ends[1])
    detail = (min(ends[0], noise[0]), min(ends[1], noise[1]))
    lowest = spectrum.LOWEST / NYQUIST
    seen = all(within > lowest and within >= HIDDEN * end for within, end in zip(noise, blur, strict=True))
    oversampled = max(blur) < OVERSAMPLED and seen
    return Oversampling(detail, blur, oversampled, _sentence(detail, oversampled=oversampled))


def consistency(operator: Operator, image: Tensor, measured: Tensor) -> float:
    """Return how well a result explains what was measured, in dB: the PSNR of the result degraded again.

    The data range is that of the measured values. Infinite where both are equal; values that are not finite do not
    count. Minus infinity if the measured image is constant and the result is not.

    Parameters
    ----------
    image : Tensor, (1, C, *S)
        The result.
    measured : Tensor, (1, C, *T)
        What it was made from.
    """
    with torch.no_grad():
        predicted = operator(image)
    known = torch.isfinite(measured)
    error = float((predicted[known].double() - measured[known].double()).square().mean()) if known.any() else 0.0
    if error == 0:
        return math.inf
    span = float(measured[known].double().max() - measured[known].double().min())
    return 20 * math.log10(span) - 10 * math.log10(error) if span > 0 else -math.inf


def _blur_end(variance: float) -> float:
    """Return the share of all frequencies of which a Gaussian leaves more than ``FAINTEST``."""
    if variance <= 0:
        return 1.0
    return min(1.0, math.sqrt(-2 * math.log(FAINTEST) / variance) / (2 * math.pi) / NYQUIST)


def _sentence(detail: tuple[float, float], *, oversampled: bool) -> str:
    percent = round(100 * max(detail))
    if oversampled:
        return f"the image's detail ends at {percent} % of what its pixels could show: enlarging it adds nothing"
    if max(detail) < OVERSAMPLED:
        return (
            f"beyond {percent} % of what the pixels could show there is more noise than detail: denoise the image first"
        )
    return f"the image has detail up to {percent} % of what its pixels could show"

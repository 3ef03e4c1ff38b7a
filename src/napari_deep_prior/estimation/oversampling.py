"""Whether the pixels of an image are smaller than its detail, and how well an enlarged image explains it."""

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
"""Share of the contrast that a blur leaves of the finest detail that still counts."""

NYQUIST = 0.5
"""Cycles per pixel of the finest detail that pixels can show."""

VISIBLE = 0.6
"""Share of the frequency at which the blur ends the detail where noise may begin: earlier noise hides that end."""

OVERSAMPLED = 0.5
"""Share of what the pixels could show below which the image fits into pixels twice as large."""


@final
@dataclass(frozen=True)
class Oversampling:
    """Share of the frequencies its pixels can show in which an image has detail.

    Parameters
    ----------
    detail : tuple of float
        Highest frequency with detail along rows and columns, as a share of the highest that pixels can show (1 at
        most): there the blur leaves a tenth of the contrast, or the noise becomes stronger than the signal.
    blur : tuple of float
        The same for the blur alone, as if there were no noise.
    oversampled : bool
        Whether the blur ends the detail below half of what the pixels can show, along both axes, and the noise is weak
        enough to know this.
    sentence : str
        The result for a person.
    """

    detail: tuple[float, float]
    blur: tuple[float, float]
    oversampled: bool
    sentence: str


def oversampling(image: NDArray[Any]) -> Oversampling:
    """Estimate from the power spectrum of a plane whether its pixels are smaller than its detail.

    Noise does not count as detail. Images that are too small or constant count as well sampled, and so do sharp images
    whose spectrum the model does not fit (see :mod:`napari_deep_prior.estimation.spectrum`).

    Parameters
    ----------
    image : ndarray, (rows, columns)
        In any unit; for colours, their mean.

    Raises
    ------
    ValueError
        If the image is not a plane of finite values.
    """
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError(f"the image has shape {image.shape}; give one plane (rows, columns) of finite values")
    plane = np.asarray(image, np.float64)
    if min(plane.shape) < spectrum.SMALLEST_SIDE or plane.min() == plane.max():
        reason = "the image is too small or constant to estimate whether its pixels are smaller than its detail"
        return Oversampling((1.0, 1.0), (1.0, 1.0), False, reason)
    span = plane.max() - plane.min()
    found = spectrum.fit((plane - plane.min()) / span)
    ends = [_blur_end(float(variance)) for variance in np.diag(found.covariance)]
    noise = [min(1.0, end / NYQUIST) for end in found.noise_end]
    blur = (ends[0], ends[1])
    detail = (min(ends[0], noise[0]), min(ends[1], noise[1]))
    lowest = spectrum.LOWEST / NYQUIST
    visible = all(within > lowest and within >= VISIBLE * end for within, end in zip(noise, blur, strict=True))
    oversampled = max(blur) < OVERSAMPLED and visible
    return Oversampling(detail, blur, oversampled, _sentence(detail, oversampled=oversampled))


def consistency(operator: Operator, image: Tensor, measured: Tensor) -> float:
    """Return how well a result explains the measurement, in dB: the PSNR of the result behind the operator.

    The data range is that of the measured values. Infinite where both are equal; values that are not finite do not
    count. Minus infinity if the measured image is constant and the result is not.

    Parameters
    ----------
    image : Tensor, (1, C, *S)
        The result.
    measured : Tensor, (1, C, *T)
        The measurement that it was restored from.
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
    """Return the share of all frequencies up to which a Gaussian leaves more than ``FAINTEST`` of the contrast."""
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

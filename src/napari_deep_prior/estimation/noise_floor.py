"""How strong noise can be at all: its spectrum is known, so it is nowhere above the weakest part of the image's.

White noise is equally strong at all frequencies. What passes for noise in small blocks, such as the strokes of a text,
spots of two pixels or a regular pattern, is weak at some frequencies at least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from ..physics.noise_model import Floats
from .noise_blocks import LAGS

BINS, LARGE = (2, 4), 64
"""Bins of the frequency along each axis, in small planes and from that many pixels along a side on. Those on and beyond
the diagonal show fine detail."""

LEAST_POWER = 0.3
"""Power of correlated noise, in units of white noise, below which a bin tells nothing."""

FEWEST_FREQUENCIES = 60
"""Frequencies in a bin below which its median is too uncertain."""


class Floor(NamedTuple):
    """The spectrum of fine detail where it is the weakest.

    Parameters
    ----------
    ratio : float
        Its power there, in units of that of the noise; inf if unknown.
    spread : float
        Share of the power of fine detail that is spread over the frequencies: 1 for noise, hardly any for a pattern.
    """

    ratio: float
    spread: float


def floor_of_spectrum(texture: Floats, variance: Floats, correlation: Floats) -> Floor:
    """Return the spectrum of an image where it is the weakest.

    Parameters
    ----------
    texture : ndarray, (planes, rows, columns)
        Planes that show the noise. NaN: not measured.
    variance : ndarray, (planes, rows, columns)
        Of the noise of each pixel; 0 where it has none.
    correlation : ndarray, (9, 9)
        Of the noise, at lags of -4 to 4 along (row, column).
    """
    shape = texture.shape[1:]
    window = _window(shape)
    expected = float((variance * window**2).sum())
    if expected <= 0:
        return Floor(float("inf"), 1.0)
    rows, columns = np.abs(np.fft.fftfreq(shape[0])), np.fft.rfftfreq(shape[1]).astype(np.float64)
    noise = _power_of(correlation, rows, columns)
    power = _spectrum(texture, window) / expected
    bins = BINS[min(shape) >= LARGE]
    row, column = (np.minimum(2 * bins * each, bins - 1).astype(np.intp) for each in (rows, columns))
    # The median, since the few frequencies of a pattern may be much stronger; of white noise it is known.
    typical = float(chi2.ppf(0.5, 2 * len(texture)) / (2 * len(texture)))
    ratio, spread, whole = float("inf"), 0.0, 0.0
    for which in np.ndindex(bins, bins):
        inside = np.ix_(row == which[0], column == which[1])
        enough = power[inside].size >= FEWEST_FREQUENCIES and noise[inside].mean() >= LEAST_POWER
        if enough and sum(which) >= bins - 1:
            ratio = min(ratio, float(np.median(power[inside] / noise[inside])) / typical)
            spread += float(np.median(power[inside])) / typical * power[inside].size
            whole += float(power[inside].sum())
    return Floor(ratio, spread / whole if whole > 0 else 1.0)


def mean_variance(variance: Floats) -> float:
    """Return the variance of white noise with the power of noise of this variance, (planes, rows, columns)."""
    weight = _window(variance.shape[1:]) ** 2
    return float((variance * weight).sum() / (weight.sum() * len(variance)))


def _window(shape: tuple[int, ...]) -> Floats:
    return np.asarray(np.hanning(shape[0] + 2)[1:-1, None] * np.hanning(shape[1] + 2)[1:-1])


def _spectrum(texture: Floats, window: Floats) -> Floats:
    """Return the power of planes together, (rows, columns // 2 + 1)."""
    known = np.isfinite(texture)
    mean = np.where(known, texture, 0.0).sum((1, 2), keepdims=True) / np.maximum(known.sum((1, 2), keepdims=True), 1)
    return np.asarray((np.abs(np.fft.rfft2(np.where(known, texture - mean, 0.0) * window)) ** 2).sum(0))


def _power_of(correlation: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the power of noise of variance 1 at frequencies, in cycles per pixel."""
    lags = np.arange(-LAGS, LAGS + 1)
    down, right = (np.exp(2j * np.pi * np.outer(each, lags)) for each in (rows, columns))
    return np.asarray(np.maximum((down @ correlation @ right.T).real, 1e-3))

"""The power spectrum of a plane, modelled as a scale-invariant scene with Gaussian blur and white noise.

Scenes of many objects have spectra that fall as a power of the frequency (Field 1987, doi 10.1364/JOSAA.4.002379),
which is a straight line on logarithmic axes. Blur bends that line, and noise flattens its end. The model does not hold
for a periodic texture or a few equal objects, whose spectra are not such a line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import least_squares

from ..physics.kernels import Floats

LOWEST, HIGHEST = 0.04, 0.5
"""Frequencies that are fitted, in cycles per pixel: below is the layout of the scene, above only the corners."""

RINGS, SECTORS = 14, 12
"""Bins of the spectrum along the frequency and around half a circle."""

FEWEST, ENOUGH = 3, 30
"""Fewest values of a bin, and the number from which on it has full weight."""

USUAL_SLOPE, SLOPE_SPREAD = 2.2, 0.35
"""Prior of the exponent of power over frequency, mean and standard deviation: it separates scene and blur."""

DIRECTION_WEIGHT = 0.6
"""Weight of the penalty on detail that differs with the direction, per unit of log power."""

OUTLIER = 0.5
"""Difference of log power above which a bin has less weight."""

ROUNDING = 1e-7
"""Share of the power that is added as rounding: it bounds the logarithm for planes without noise."""

STARTS = 0.3, 0.8
"""Widths of the blur from which a fit starts, in pixels; the better fit is used."""

EVALUATIONS = 200
"""Most evaluations of a fit: only spectra that no blur explains need more, and they gain nothing."""

SMALLEST_SIDE = 32
"""Pixels along a side below which there are too few frequencies."""

ALIASES = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)], np.float64)
"""Shifts of the frequency, in cycles per pixel, that sampling cannot distinguish."""


@final
@dataclass(frozen=True)
class Spectrum:
    """The fitted model of a power spectrum.

    Parameters
    ----------
    covariance : ndarray, (2, 2)
        Covariance of the Gaussian blur, in squared pixels; rows before columns.
    slope : float
        The power of the scene falls as the frequency to the power of minus slope.
    noise_end : tuple of float
        Frequency along rows and columns from which on noise is stronger than signal, in cycles per pixel; at most 0.5.
    """

    covariance: Floats
    slope: float
    noise_end: tuple[float, float]


def fit(plane: Floats) -> Spectrum:
    """Fit the power spectrum of a plane.

    Parameters
    ----------
    plane : ndarray, (rows, columns)
        Finite, not constant, ``SMALLEST_SIDE`` pixels or more along each side.
    """
    rows, columns, power, count = _bins(plane)
    found = np.log(power + ROUNDING * power.sum())
    weight = np.sqrt(np.minimum(count, ENOUGH) / ENOUGH)

    def differences(parameters: Floats) -> Floats:
        slope = (parameters[1] - USUAL_SLOPE) / SLOPE_SPREAD
        bins = weight * (_log_power(parameters, rows, columns) - found)
        return np.concatenate([bins, [slope], DIRECTION_WEIGHT * parameters[6:]])

    fits = []
    for width in STARTS:
        start = np.array([found.mean() - 4, USUAL_SLOPE, width, 0, width, found.min() - 2, 0, 0, 0, 0])
        fits.append(least_squares(differences, start, loss="soft_l1", f_scale=OUTLIER, max_nfev=EVALUATIONS))
    best = np.asarray(min(fits, key=lambda each: each.cost).x)
    ends = (_noise_end(best, 1.0, 0.0), _noise_end(best, 0.0, 1.0))
    return Spectrum(_covariance(best), float(best[1]), ends)


def _bins(plane: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean frequency along rows and columns, mean power and number of values of each bin that has enough."""
    windows = [np.hanning(length + 2)[1:-1] for length in plane.shape]
    power = np.abs(np.fft.rfft2((plane - plane.mean()) / plane.std() * np.multiply.outer(*windows))) ** 2
    rows, columns = np.meshgrid(np.fft.fftfreq(plane.shape[0]), np.fft.rfftfreq(plane.shape[1]), indexing="ij")
    ring = np.digitize(np.hypot(rows, columns), np.geomspace(LOWEST, HIGHEST, RINGS + 1)) - 1
    angle = np.arctan2(columns, rows) % math.pi
    sector = np.minimum((angle / math.pi * SECTORS).astype(int), SECTORS - 1)
    inside = (ring >= 0) & (ring < RINGS)
    index = (ring * SECTORS + sector)[inside]
    count = np.bincount(index, minlength=RINGS * SECTORS)
    enough = count >= FEWEST
    sums = [np.bincount(index, values[inside], RINGS * SECTORS)[enough] for values in (rows, columns, power)]
    each = count[enough].astype(np.float64)
    return sums[0] / each, sums[1] / each, sums[2] / each, each


def _log_power(parameters: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the logarithm of the power of scene, blur and noise, aliases included."""
    aliases = np.logaddexp.reduce(
        _log_signal(parameters, rows[:, None] + ALIASES[:, 0], columns[:, None] + ALIASES[:, 1]), axis=1
    )
    return np.asarray(np.logaddexp(aliases, parameters[5]))


def _log_signal(parameters: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the logarithm of the power of scene and blur, without aliases.

    The parameters are level and slope of the scene, the three numbers of the blur's Cholesky factor, the level of the
    noise, and four weights of waves around the circle: how much detail the scene has in each direction.
    """
    angle = np.arctan2(columns, rows)
    (down, mixed), (_, across) = _covariance(parameters)
    blur = down * rows**2 + 2 * mixed * rows * columns + across * columns**2
    waves = (np.cos(2 * angle), np.sin(2 * angle), np.cos(4 * angle), np.sin(4 * angle))
    direction = sum(strength * wave for strength, wave in zip(parameters[6:], waves, strict=True))
    level = parameters[0] - parameters[1] * np.log(np.hypot(rows, columns))
    return np.asarray(level - 4 * math.pi**2 * blur + direction)


def _covariance(parameters: Floats) -> Floats:
    """Return the covariance of the blur from its Cholesky factor."""
    factor = np.array([[parameters[2], 0.0], [parameters[3], parameters[4]]])
    return np.asarray(factor @ factor.T)


def _noise_end(parameters: Floats, rows: float, columns: float) -> float:
    """Return the highest frequency along a direction at which the signal is stronger than the noise."""
    frequencies = np.linspace(LOWEST, HIGHEST, 200)
    signal = _log_signal(parameters, rows * frequencies, columns * frequencies)
    above = frequencies[signal > parameters[5]]
    return float(above.max()) if above.size else LOWEST

"""The power spectrum of a plane, taken for that of a scene alike at every scale under a Gaussian blur and white noise.

Scenes of many objects have spectra that fall as a power of the frequency (Field 1987, doi 10.1364/JOSAA.4.002379): as
they look alike at every scale, nothing else is possible. A blur bends that straight line on logarithmic axes, noise
flattens its end. Fails on one periodic texture or a few like objects, whose spectra are no such line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import least_squares

from ..physics.kernels import Floats

LOWEST, HIGHEST = 0.04, 0.5
"""Frequencies that count, in cycles per pixel: below, the shape of the picture; above, only its corners."""

RINGS, SECTORS = 14, 12
"""Bins of the spectrum along the frequency and around half a circle."""

FEWEST, ENOUGH = 3, 30
"""Values that a bin has at least, and from which on it counts in full."""

USUAL_SLOPE, SLOPE_SPREAD = 2.2, 0.35
"""Exponent of power over frequency and its standard deviation between pictures, which keep the blur from it."""

DIRECTION_WEIGHT = 0.6
"""How strongly different amounts of detail in different directions are held back, per unit of log power."""

OUTLIER = 0.5
"""Difference of log power from which on a bin is less believed."""

ROUNDING = 1e-7
"""Share of the power that is rounding: 8-bit pictures, and planes without noise."""

STARTS = 0.3, 0.8
"""Widths that the fit begins with, in pixels; it keeps the better end."""

EVALUATIONS = 200
"""Rounds of the fit at most: few spectra that no blur explains need more, and gain nothing."""

SMALLEST_SIDE = 32
"""Pixels along a side below which there are too few frequencies."""

ALIASES = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)], np.float64)
"""Whole cycles per pixel that no pixel can tell from none."""


@final
@dataclass(frozen=True)
class Spectrum:
    """What a fit to a spectrum found.

    Parameters
    ----------
    covariance : ndarray, (2, 2)
        Of the Gaussian blur, in squared pixels; rows before columns.
    slope : float
        Power of the scene falls as frequency to the minus slope.
    noise_end : tuple of float
        Frequency along rows and columns from which on noise is stronger than signal, in cycles per pixel; at most 0.5.
    """

    covariance: Floats
    slope: float
    noise_end: tuple[float, float]


def fit(plane: Floats) -> Spectrum:
    """Fit a plane's spectrum.

    Parameters
    ----------
    plane : ndarray, (rows, columns)
        Finite, not constant, ``SMALLEST_SIDE`` pixels or more along each side.
    """
    rows, columns, power, count = _bins(plane)
    found = np.log(power + ROUNDING * power.sum())
    trust = np.sqrt(np.minimum(count, ENOUGH) / ENOUGH)

    def differences(parameters: Floats) -> Floats:
        slope = (parameters[1] - USUAL_SLOPE) / SLOPE_SPREAD
        bins = trust * (_log_power(parameters, rows, columns) - found)
        return np.concatenate([bins, [slope], DIRECTION_WEIGHT * parameters[6:]])

    fits = []
    for width in STARTS:
        start = np.array([found.mean() - 4, USUAL_SLOPE, width, 0, width, found.min() - 2, 0, 0, 0, 0])
        fits.append(least_squares(differences, start, loss="soft_l1", f_scale=OUTLIER, max_nfev=EVALUATIONS))
    best = np.asarray(min(fits, key=lambda each: each.cost).x)
    ends = (_noise_end(best, 1.0, 0.0), _noise_end(best, 0.0, 1.0))
    return Spectrum(_covariance(best), float(best[1]), ends)


def _bins(plane: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the mean frequency along rows and columns, power and number of values of each bin that has some."""
    windows = [np.hanning(length + 2)[1:-1] for length in plane.shape]
    power = np.abs(np.fft.rfft2((plane - plane.mean()) / plane.std() * np.multiply.outer(*windows))) ** 2
    rows, columns = np.meshgrid(np.fft.fftfreq(plane.shape[0]), np.fft.rfftfreq(plane.shape[1]), indexing="ij")
    ring = np.digitize(np.hypot(rows, columns), np.geomspace(LOWEST, HIGHEST, RINGS + 1)) - 1
    turn = np.arctan2(columns, rows) % math.pi
    sector = np.minimum((turn / math.pi * SECTORS).astype(int), SECTORS - 1)
    inside = (ring >= 0) & (ring < RINGS)
    index = (ring * SECTORS + sector)[inside]
    count = np.bincount(index, minlength=RINGS * SECTORS)
    enough = count >= FEWEST
    sums = [np.bincount(index, values[inside], RINGS * SECTORS)[enough] for values in (rows, columns, power)]
    each = count[enough].astype(np.float64)
    return sums[0] / each, sums[1] / each, sums[2] / each, each


def _log_power(parameters: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the logarithm of the power of scene, blur and noise: aliases are added up, as sampling does."""
    aliases = np.logaddexp.reduce(
        _log_signal(parameters, rows[:, None] + ALIASES[:, 0], columns[:, None] + ALIASES[:, 1]), axis=1
    )
    return np.asarray(np.logaddexp(aliases, parameters[5]))


def _log_signal(parameters: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the logarithm of the power of scene and blur, without aliases.

    The parameters are the scene's level and slope, the three numbers of the blur's Cholesky factor, the level of the
    noise, and how much detail the scene has in which direction.
    """
    turn = np.arctan2(columns, rows)
    (down, mixed), (_, across) = _covariance(parameters)
    blur = down * rows**2 + 2 * mixed * rows * columns + across * columns**2
    waves = (np.cos(2 * turn), np.sin(2 * turn), np.cos(4 * turn), np.sin(4 * turn))
    direction = sum(weight * wave for weight, wave in zip(parameters[6:], waves, strict=True))
    level = parameters[0] - parameters[1] * np.log(np.hypot(rows, columns))
    return np.asarray(level - 4 * math.pi**2 * blur + direction)


def _covariance(parameters: Floats) -> Floats:
    factor = np.array([[parameters[2], 0.0], [parameters[3], parameters[4]]])
    return np.asarray(factor @ factor.T)


def _noise_end(parameters: Floats, rows: float, columns: float) -> float:
    frequencies = np.linspace(LOWEST, HIGHEST, 200)
    signal = _log_signal(parameters, rows * frequencies, columns * frequencies)
    above = frequencies[signal > parameters[5]]
    return float(above.max()) if above.size else LOWEST

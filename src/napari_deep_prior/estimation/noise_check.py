"""Whether what was taken for noise is noise: structure differs from it in how it varies over places and scales.

Noise is everywhere: no part of the image has much less of it than was estimated. It is irregular: the variance of small
blocks scatters as that of random numbers does. And it is averaged away: in an image of half the size, white noise has
a quarter of its variance, while texture, which is similar at all scales, stays. Its spectrum is as strong at all
frequencies, which that of no drawing is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv
from skimage.measure import block_reduce

from ..physics.noise_model import Floats
from .equal_pixels import unequal_pixels
from .noise_blocks import BLACK, BLOCK, LAGS, LAPLACIAN_TAPS, UNCORRELATED, laplacian, means, tiles_of
from .noise_fit import LAPLACIAN_SPREAD, Detector
from .noise_floor import floor_of_spectrum, mean_variance

LOW = 0.05
"""Quantile of the blocks, ordered by their variance, that stands for the quietest ones."""

FEWEST_BLOCKS = 10
"""Blocks below which nothing can be said."""

FEWEST_PHOTONS = 30
"""Photons in a block below which its variance does not scatter as that of normal noise."""

UNEVEN, REGULAR = 0.8, 1.4
"""Variance of the quietest blocks over that of typical ones, in units of what noise has, outside of which it is
structure (measured: forty noisy images 0.85 to 1.18, clean photographs and drawings 0 to 0.75, chequerboards 1.9)."""

BELIEVED = 0.7
"""Share of the estimated variance in the quietest blocks from which on the estimate is taken as it is."""

SMOOTH_SCENE = 0.5
"""Correlation at lag 2 over that at lag 1 above which it is a smooth scene's (measured: noise up to 0.25)."""

SPARSE = 0.3
"""Share of the image in usable blocks below which they are its structures, and only the quietest count."""

SCENE = "fine structure of the image passes for noise"

NEGLIGIBLE = 0.03
"""Share of the estimated variance below which there is no noise."""

WEAKEST, WEAK = 0.4, 0.6
"""Power of the weakest part of the spectrum, in units of the noise's, below which the noise cannot be so strong
(measured: noisy images from 0.47 on), and below which it cannot if the spectrum is uneven, too."""

PATTERN, UNEVEN_SPECTRUM = 0.35, 0.75
"""Share of its power that is spread over the frequencies below which an image is a pattern (measured: correlated noise
from 0.48 on), and below which its spectrum is uneven (white noise from 0.87 on, drawings from 0.52 to 0.9)."""

LEAST_UNEQUAL = 0.3
"""Share of the neighbouring pixels that differ, in units of what it is with the noise, below which it is a drawing."""


class Finding(NamedTuple):
    """How much of an estimated noise is noise.

    Parameters
    ----------
    share : float
        Of the estimated variance, from 0 to 1.
    reason : str
        Why it is less than 1, in a clause; empty where it is 1. What is left is white noise then.
    """

    share: float
    reason: str = ""


def noise_without_structure(
    level: Floats,
    texture: Floats,
    *,
    detector: Detector,
    limits: tuple[float, float],
    correlation: Floats | None,
) -> tuple[Detector, str]:
    """Return the noise of a detector, as far as it is noise, and why it is less than was estimated.

    Parameters
    ----------
    level, texture : ndarray, (planes, rows, columns)
        Planes that show the grey level and planes that show the noise. NaN: not measured.
    detector : Detector
        The estimated noise.
    limits : tuple of float
        Grey levels that mean black and saturated.
    correlation : ndarray, (9, 9), or None
        Of the noise, at lags of -4 to 4 along (row, column); None if it is not believed.
    """
    shown = np.isfinite(level) & (level > limits[0]) & (level < limits[1])
    variance = np.where(shown, detector.variance(np.nan_to_num(level)), 0.0)
    floor = floor_of_spectrum(texture, variance, UNCORRELATED if correlation is None else correlation)
    weak = floor.ratio < (WEAK if floor.spread < UNEVEN_SPECTRUM else WEAKEST)
    drawn = texture is level and unequal_pixels(level, detector, limits) < LEAST_UNEQUAL
    if drawn or (weak and (floor.spread < PATTERN or not _is_everywhere(level, texture, detector, limits))):
        # What is left is white noise at most, and it must be found everywhere, too.
        white = Detector(0.0, 0.0, mean_variance(variance) * min(floor.ratio, 1.0))
        share = 0.0 if drawn or floor.ratio < NEGLIGIBLE else _finding(level, texture, white, limits, None).share
        return white.scaled(share), SCENE
    finding = _finding(level, texture, detector, limits, correlation)
    return detector.scaled(finding.share), finding.reason


def _is_everywhere(level: Floats, texture: Floats, detector: Detector, limits: tuple[float, float]) -> bool:
    """Return whether an estimated noise is found in most of an image, and equally strong."""
    fine = _ratios(level, texture, detector, limits)
    return fine.size >= max(FEWEST_BLOCKS, SPARSE * level.size / BLOCK**2) and UNEVEN < _evenness(fine) < REGULAR


def _evenness(fine: Floats) -> float:
    """Return the ratio of the quietest blocks over that of typical ones, in units of what noise has."""
    return _in_units_of_noise(fine, LOW) / max(_in_units_of_noise(fine, 0.5), 1e-12)


def _finding(
    level: Floats, texture: Floats, detector: Detector, limits: tuple[float, float], correlation: Floats | None
) -> Finding:
    """Return how much of an estimated noise is noise by its blocks."""
    gain = detector.gain
    fine = _ratios(level, texture, detector, limits)
    if fine.size < FEWEST_BLOCKS:
        return Finding(1.0)
    quietest = _in_units_of_noise(fine, LOW)
    if gain > 0 and fine.size < SPARSE * level.size / BLOCK**2:
        return Finding(quietest, SCENE) if quietest < BELIEVED else Finding(1.0)
    evenness = _evenness(fine)
    if evenness > REGULAR:
        return Finding(0.0, "what passes for noise is a regular pattern")
    if correlation is not None and evenness > UNEVEN:
        # Random, and as the brightness explains it: all of it is noise, unless a smooth scene adds to it.
        scene = quietest < BELIEVED and is_smooth(correlation)
        return Finding(quietest, SCENE) if scene else Finding(1.0)
    coarse = _ratios(_halved(level), _halved(texture), detector.scaled(1 / 4), limits)
    # Texture is as strong in the smaller image, which is four times as much beside the noise there.
    left = 0.0 if coarse.size < FEWEST_BLOCKS else max(_in_units_of_noise(coarse, LOW) - quietest, 0.0) / 3
    share = min(quietest - left, 1.0)
    if evenness > UNEVEN and share > BELIEVED:
        return Finding(1.0)
    return Finding(share if share > NEGLIGIBLE else 0.0, SCENE)


def _ratios(level: Floats, texture: Floats, detector: Detector, limits: tuple[float, float]) -> Floats:
    """Return the variance of every usable block, over the estimated one."""
    if min(level.shape[1:]) < BLOCK + 2:
        return np.empty(0)
    found, pixels = means(tiles_of(laplacian(texture, 1) ** 2 / LAPLACIAN_TAPS.max() ** 2, BLOCK))
    levels = tiles_of(level[:, 1:-1, 1:-1], BLOCK)
    mean = means(levels)[0]
    usable = (pixels > BLOCK**2 / 2) & ~(levels >= limits[1]).any((1, 2))
    lit = usable & ((levels <= limits[0]).mean((1, 2)) < BLACK)
    # Where nearly all of the image is black, that is its background, not clipped.
    usable = lit if np.count_nonzero(lit) > FEWEST_BLOCKS else (pixels > BLOCK**2 / 2)
    expected = detector.variance(mean)
    if detector.gain > 0:
        usable &= expected * pixels > FEWEST_PHOTONS * detector.gain**2
    return np.asarray(found[usable] / np.maximum(expected[usable], np.finfo(np.float64).tiny))


def _in_units_of_noise(ratios: Floats, quantile: float) -> float:
    """Return a quantile of ratios, as a multiple of what it is for white noise of the estimated strength."""
    shape = BLOCK**2 / LAPLACIAN_SPREAD
    return float(np.quantile(ratios, quantile) * shape / gammaincinv(shape, quantile))


def is_smooth(correlation: Floats) -> bool:
    """Return whether correlation is a smooth scene's: it hardly falls from lag 1 to lag 2, where that of noise ends."""
    near, far = ((correlation[LAGS + lag, LAGS] + correlation[LAGS, LAGS + lag]) / 2 for lag in (1, 2))
    return bool(far > SMOOTH_SCENE * near)


def _halved(planes: Floats) -> Floats:
    rows, columns = (length // 2 * 2 for length in planes.shape[1:])
    return np.asarray(block_reduce(planes[:, :rows, :columns], (1, 2, 2), np.mean))

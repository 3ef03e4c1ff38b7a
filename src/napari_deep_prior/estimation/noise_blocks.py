"""Level, noise variance and flatness of small blocks of an image, and the correlation of its noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from skimage.util import view_as_blocks

from ..physics.noise_model import Floats

# Constants without a source of their own were chosen on single frames that have an averaged reference: FMD
# (doi 10.1109/CVPR.2019.01198) and W2S (arXiv 2003.05961).

BLOCK = 8
"""Pixels along a side of a block: enough for a mean, few enough to find flat ones."""

CORRELATION_BLOCK, LAGS = 16, 4
"""Pixels along a side of a block in which correlation is measured, and the longest lag."""

INDEPENDENT = 0.3
"""Correlation below which two taps of the Laplacian count as independent."""

UNEVEN = 2.5
"""Times by which a flat block may be more uneven than noise alone (3 degrees of freedom: 6 % of flat blocks are)."""

FLATTEST = 0.03
"""Quantile of the unevenness of blocks that is taken for that of noise alone, to measure the correlation."""

BLACK, FEWEST_LIT = 0.1, 40
"""Share of black pixels, clipped or filled in, from which a block is left out (one column of 8 is more), and the
number of other blocks below which it is used all the same."""

MOSTLY_BLACK = 0.5
"""Share of black pixels from which on a block shows light in the dark, and not noise."""

UNCORRELATED = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
UNCORRELATED[LAGS, LAGS] = 1.0
"""Correlation of white noise, as :func:`autocorrelation` returns it."""

TO_DEVIATION = 1.4826
"""Standard deviation of normal noise over the median of its absolute values."""

LAPLACIAN_TAPS = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
"""Autocorrelation of the Laplacian (1, -2, 1) at lags of -2 to 2 dilations."""


class Blocks(NamedTuple):
    """Measurements of blocks, one value for each of them."""

    level: Floats
    variance: Floats
    unevenness: Floats
    """Variance of the means of the four quarters, as a multiple of that by noise of variance 1."""
    pixels: Floats
    """Number of measured pixels."""


def measure(level: Floats, texture: Floats, limits: tuple[float, float], correlation: Floats) -> Blocks:
    """Measure the noise and the flatness of every block that is not clipped.

    Parameters
    ----------
    level, texture : ndarray, (planes, rows, columns)
        Planes that show the grey level and planes that show the noise; they may be the same.
    limits : tuple of float
        Grey levels that mean black and saturated.
    correlation : ndarray, (9, 9)
        As :func:`autocorrelation` returns it.
    """
    dilation = _dilation(correlation, min(level.shape[1:]))
    gain = max(_laplacian_variance(correlation, dilation), 1.0)
    variance, pixels = means(tiles_of(laplacian(texture, dilation) ** 2 / gain, BLOCK))
    inside = (slice(None), *2 * (slice(dilation, -dilation),))
    tiles, quarter = tiles_of(level[inside], BLOCK), BLOCK // 2
    quarters = means(tiles_of(tiles_of(texture[inside], BLOCK), quarter))[0].reshape(-1, 4)
    # Variance of a quarter's mean. The mean of the four quarters takes up one of four degrees of freedom.
    triangle = 1 - np.abs(np.arange(1 - quarter, quarter)) / quarter
    share = float(triangle @ correlation[1:-1, 1:-1] @ triangle) / quarter**2
    unevenness = quarters.var(1) / (0.75 * max(share, 0.25 / quarter**2))
    # Blocks without any noise were clipped or filled in.
    keep = (variance > 0) & (pixels > 0)
    keep &= (tiles < limits[1]).sum((1, 2)) == np.isfinite(tiles).sum((1, 2))
    lit = keep & ((tiles <= limits[0]).mean((1, 2)) < BLACK)
    keep = lit if np.count_nonzero(lit) >= FEWEST_LIT else keep
    return Blocks(*(values[keep] for values in (means(tiles)[0], variance, unevenness, pixels)))


def autocorrelation(level: Floats, texture: Floats, limits: tuple[float, float]) -> Floats:
    """Return the correlation of the noise at lags of -4 to 4 along (row, column), (9, 9).

    It is measured in the flattest blocks without saturated pixels, after their slope is removed. Correlation that
    remains at a lag of 4 pixels comes from the scene, and is subtracted. Where light stands alone in black blocks its
    shape would be taken for correlation: noise counts as white if there are no others.

    Parameters
    ----------
    level, texture : ndarray, (planes, rows, columns)
        As for :func:`measure`.
    limits : tuple of float
        Grey levels that mean black and saturated.
    """
    size = min(CORRELATION_BLOCK, *level.shape[1:])
    tiles, measured = _without_slope(tiles_of(texture, size))
    number = measured.sum((1, 2))
    power = (tiles**2).sum((1, 2)) / np.maximum(number, 1)
    levels = tiles_of(level, size)
    brightest = np.nanmax(levels, (1, 2), initial=-np.inf)
    usable = (power > 0) & (2 * number > size**2) & (brightest < limits[1])
    usable &= (levels <= limits[0]).mean((1, 2)) < MOSTLY_BLACK
    result = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
    if usable.any():
        tiles, measured = tiles[usable], measured[usable]
        tiles = tiles / np.sqrt(power[usable])[:, None, None]
        coarse = means(tiles_of(tiles, 4))[0].reshape(len(tiles), -1).var(1)
        least = np.sort(coarse)[min(3, coarse.size - 1)]
        flat = coarse <= max(UNEVEN * np.quantile(coarse, FLATTEST), least)
        found = _lagged(tiles[flat]) / np.maximum(_lagged(measured[flat]).round(), 1)
        found /= found[LAGS, LAGS]
        inner = found[1:-1, 1:-1]
        rest = (found.sum() - inner.sum()) / (found.size - inner.size)
        result[1:-1, 1:-1] = (inner - rest) / (1 - rest)
    result[LAGS, LAGS] = 1.0
    return result


def tiles_of(planes: Floats, size: int) -> Floats:
    """Cut planes (number, rows, columns) into whole squares, (tiles, size, size)."""
    rows, columns = (length // size * size for length in planes.shape[1:])
    tiles: Floats = view_as_blocks(planes[:, :rows, :columns], (1, size, size)).reshape(-1, size, size)
    return tiles


def means(tiles: Floats) -> tuple[Floats, Floats]:
    """Return the mean of the measured pixels of each tile, and their number."""
    number = np.isfinite(tiles).sum((1, 2)).astype(np.float64)
    return np.nansum(tiles, (1, 2)) / np.maximum(number, 1), number


def _without_slope(tiles: Floats) -> tuple[Floats, Floats]:
    """Return tiles without their mean and their slope along both axes, 0 where not measured; and 1 where measured."""
    size = tiles.shape[1]
    measured = np.isfinite(tiles).astype(np.float64)
    tiles = np.where(measured > 0, tiles - means(tiles)[0][:, None, None], 0.0)
    ramp = np.arange(size) - (size - 1) / 2
    for _ in range(2):
        steepness = np.maximum((measured * ramp**2).sum((1, 2), keepdims=True), 1)
        slope = (tiles * ramp).sum((1, 2), keepdims=True) / steepness
        tiles = (tiles - measured * ramp * slope).swapaxes(1, 2)
        measured = measured.swapaxes(1, 2)
    return tiles, measured


def _lagged(tiles: Floats) -> Floats:
    """Return the sums over all tiles of products of pixels up to 4 apart, (9, 9)."""
    size = tiles.shape[1] + LAGS
    power = (np.abs(np.fft.rfft2(tiles, (size, size))) ** 2).sum(0)
    lags = np.arange(-LAGS, LAGS + 1)
    return np.fft.irfft2(power, (size, size))[np.ix_(lags, lags)]


def _dilation(correlation: Floats, side: int) -> int:
    """Return the distance of the Laplacian's taps: from where on their noise is independent, as far as planes allow.

    Taps with the same noise would cancel it and leave the scene.
    """
    beyond = slice(LAGS + 1, None)
    strongest = np.abs([correlation[beyond, LAGS], correlation[LAGS, beyond]]).max(0)
    return min(int(np.argmax(strongest < INDEPENDENT)) + 1, (side - BLOCK) // 2)


def laplacian(planes: Floats, dilation: int) -> Floats:
    """Return the Laplacian (1, -2, 1) along rows and columns of planes, its taps ``dilation`` pixels apart."""
    for _ in range(2):
        end = planes.shape[1] - 2 * dilation
        low, middle = planes[:, :end], planes[:, dilation : end + dilation]
        planes = (low - 2 * middle + planes[:, 2 * dilation :]).swapaxes(1, 2)
    return planes


def _laplacian_variance(correlation: Floats, dilation: int) -> float:
    """Return the variance of the Laplacian of noise of variance 1."""
    lags = LAGS + dilation * np.arange(-2, 3)
    near = np.abs(lags - LAGS) <= LAGS  # beyond it the noise is independent
    taps = LAPLACIAN_TAPS[near]
    return float(taps @ correlation[np.ix_(lags[near], lags[near])] @ taps)

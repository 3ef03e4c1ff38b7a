"""A line through the noise variances of blocks over their grey levels, robust against blocks that show structure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..physics.noise_model import Floats
from .noise_blocks import UNEVEN, Blocks

Indices = NDArray[np.intp]

FLAT_SHARE = 0.1
"""Share of equally bright blocks, the flattest ones, that count as flat in any case."""

MOST_BINS, BIN_BLOCKS, FEWEST_MEMBERS, FEWEST_FLAT = 24, 6, 4, 2
"""Most bins of the brightness, blocks per bin, and the fewest blocks and the fewest flat blocks in one."""

BRIGHTEST = 0.998
"""Quantile of the brightness at which the last bin ends: few blocks are brighter."""

LAPLACIAN_SPREAD = 2 * ((6**2 + 2 * 4**2 + 2 * 1**2) / 6**2) ** 2
"""Variance of the mean of squared Laplacians of normal noise of variance 1, times the pixels."""

MODEL_ERROR = 0.05
"""Departure of real variances from a line, as a share of the variance."""

LEAST_SHARE = 0.05
"""Share of the median variance below which no variance is expected."""

HUBER, OUTLIER = 2.0, 8.0
"""Standard errors: where Huber's weights begin, of a block with a hot pixel."""

SIGNIFICANT, SIGNIFICANT_OF_FEW = 2.5, 4.0
"""Standard errors of a slope that is believed, and of one that a few bright blocks show: they may not be flat."""

NOTICEABLE = 1.25
"""Ratio of the variances of bright and dark parts below which one variance serves both."""

ROUNDS, REWEIGHTINGS = 3, 30
"""Times that outliers are left out, and that the weights of a fit are renewed."""


class Line(NamedTuple):
    """Noise variance over the grey level."""

    gain: float
    intercept: float
    flat: float
    """The variance if it is the same everywhere."""
    error: float
    """Standard error of the gain."""
    misfit: float
    """Root mean square departure, in standard errors."""

    def at(self, level: Floats) -> Floats:
        """Return the variance at grey levels."""
        variance: Floats = self.gain * level + self.intercept
        return variance


class Detector(NamedTuple):
    """Noise variance over the grey level, that of photons and that at zero light."""

    gain: float
    zero: float
    """Grey level at zero light."""
    at_zero: float

    def variance(self, level: Floats) -> Floats:
        """Return the variance at grey levels."""
        return np.maximum(self.at_zero + self.gain * (level - self.zero), 0.0)

    def scaled(self, share: float) -> Detector:
        """Return it with a share of its variance."""
        return Detector(self.gain * share, self.zero, self.at_zero * share)


def fit_line(blocks: Blocks, white: float) -> tuple[Line, Blocks]:
    """Fit a line to the variance of the flat blocks below ``white``; return it with the blocks that were used.

    The gain is 0 if the variance does not noticeably depend on the level.
    """
    line, used = _fitted(blocks, white, few=False)
    if line.gain == 0:
        # Where hardly anything is bright, its few blocks alone show how the noise grows.
        steeper = _fitted(blocks, white, few=True)
        return steeper if steeper[0].gain > 0 else (line, used)
    return line, used


def _fitted(blocks: Blocks, white: float, *, few: bool) -> tuple[Line, Blocks]:
    """Fit a line; ``few``: bins of the brightness that have too few blocks are joined, and not left out."""
    used = blocks
    for _ in range(ROUNDS):
        points = _points(used, few=few)
        line = _regress(*points)
        expected = np.maximum(line.at(blocks.level), 0.1 * line.flat)
        spread = np.sqrt(_spread(expected, line.gain) / blocks.pixels)
        keep = blocks.variance - expected < OUTLIER * spread
        # Brighter blocks would have lost their bright pixels to saturation.
        keep &= blocks.level + 3 * np.sqrt(expected) < white
        if not keep.any():
            break
        used = Blocks(*(values[keep] for values in blocks))
    ends = points[0][[0, -1]] if few else np.quantile(used.level, [0.05, 0.95])
    least, most = np.sort(line.at(ends))
    constant = most < NOTICEABLE * least
    significant = SIGNIFICANT_OF_FEW if few else SIGNIFICANT
    if constant or abs(line.gain) < significant * line.error:
        line = line._replace(gain=0.0)
    return line, used


def _spread(variance: Floats, gain: float) -> Floats:
    """Return the variance, times the pixels, of a variance that was estimated from Laplacians."""
    return LAPLACIAN_SPREAD * variance**2 + max(gain, 0.0) ** 2 * variance


def _points(blocks: Blocks, *, few: bool) -> tuple[Floats, Floats, Floats]:
    """Return mean level, mean variance and number of pixels of the flat blocks in each bin of the brightness."""
    # The standard deviation of photon noise grows with the square root of the level, and so do the bins.
    root = np.sqrt(blocks.level - blocks.level.min())
    number = int(np.clip(root.size // BIN_BLOCKS, 1, MOST_BINS))
    edges = np.linspace(0, np.quantile(root, BRIGHTEST), number + 1)[1:-1]
    which = np.digitize(root, edges)
    fewest = min(FEWEST_MEMBERS, np.bincount(which).max())
    points = []
    too_few = np.empty(0, np.intp)
    for bin_number in range(number):
        members = np.append(too_few, np.flatnonzero(which == bin_number))
        if members.size < fewest:
            too_few = members if few else too_few
            continue
        too_few = too_few[:0]
        flat = _flat(blocks, members)
        weight = blocks.pixels[flat]
        means = [np.average(values[flat], weights=weight) for values in blocks[:2]]
        points.append((*means, weight.sum()))
    level, variance, pixels = np.array(points).T
    return level, variance, pixels


def _flat(blocks: Blocks, members: Indices) -> Indices:
    """Return those of equally bright blocks that are hardly more uneven than their noise."""
    members = members[np.argsort(blocks.unevenness[members])]
    flat = members[: max(FEWEST_FLAT, round(FLAT_SHARE * members.size))]
    for _ in range(ROUNDS):
        noise = np.average(blocks.variance[flat], weights=blocks.pixels[flat])
        even = members[blocks.unevenness[members] < UNEVEN * noise]
        flat = even if even.size > flat.size else flat
    return flat


def _regress(level: Floats, variance: Floats, pixels: Floats) -> Line:
    """Fit a constant, then a line, by least squares with Huber's (1964) weights."""
    flat = gain = intercept = slope_error = misfit = 0.0
    # From their middle and in their own unit: far from zero, or in an odd unit, the slope would have no digits left.
    middle, unit = float(level.mean()), float(level.std()) or 1.0
    for degree in (0, 1) if level.size > 2 else (0,):
        powers = np.vander((level - middle) / unit, degree + 1, increasing=True)
        least = LEAST_SHARE * np.median(variance)
        expected = np.maximum(variance, least) if degree else 0 * level + 20 * least
        trust = np.ones_like(level)
        for _ in range(REWEIGHTINGS):
            error = _spread(expected, gain) / pixels + (MODEL_ERROR * expected) ** 2
            weighted = powers * (trust / error)[:, None]
            covariance = np.linalg.pinv(weighted.T @ powers)
            found = covariance @ (weighted.T @ variance)
            gain = float(found[1]) / unit if degree else 0.0
            departure = np.abs(variance - powers @ found) / np.sqrt(error)
            trust = np.minimum(1.0, HUBER / np.maximum(departure, 1e-9))
            expected = np.maximum(powers @ found, least)
        misfit, intercept = float(np.sqrt(np.mean(departure**2))), float(found[0]) - gain * middle
        flat = flat if degree else intercept
        slope_error = float(np.sqrt(covariance[-1, -1])) / unit
    return Line(gain, intercept, flat, slope_error, misfit)

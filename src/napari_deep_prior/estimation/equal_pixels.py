"""Pixels that are exactly as bright as their neighbours: noise makes them rare, drawings are full of them."""

from __future__ import annotations

import math

import numpy as np

from ..physics.noise_model import Floats
from .noise_fit import Detector

CHANCE = 1 / (2 * math.sqrt(math.pi))
"""Grey levels per standard deviation, times this, are the chance that two pixels with normal noise are rounded to the
same grey level."""

FEWEST_PHOTONS = 1
"""Photons from which on a pixel counts: without light all are equal."""

FEWEST_PAIRS = 60
"""Pairs below which they say nothing."""

MOST_PIXELS = 2**20
"""Pixels that are looked at: more change nothing."""

FEW_LEVELS = 3
"""Grey levels of an image that may be a drawing."""

CONTINUED, SIGNIFICANT = 0.1, 4.0
"""Share of the differences of neighbouring pixels that has to grow with their distance in a drawing, and the standard
errors that it must be above 0."""


def is_drawing(level: Floats) -> bool:
    """Return whether planes (planes, rows, columns) of two or three grey levels are drawn, and not counted.

    Where a camera gives so few levels there are hardly any photons, and neighbouring pixels differ by chance: as much
    as pixels do that are two apart (the nugget of the variogram, Matheron 1963, doi 10.2113/gsecongeo.58.8.1246). In
    masks and text most neighbours are equal, and pixels two apart differ more often.
    """
    planes = _enough_of(level)
    levels, counts = np.unique(planes[np.isfinite(planes)], return_counts=True)
    if levels.size > FEW_LEVELS:
        return False
    least = max(CONTINUED, SIGNIFICANT / math.sqrt(max(counts.sum() - counts.max(), 1)))
    for axis in (1, 2):
        along = np.moveaxis(planes, axis, 0)
        near, far = (_mean_square(along[lag:] - along[:-lag]) for lag in (1, 2))
        if far - near > least * near > 0:
            return True
    return False


def _enough_of(level: Floats) -> Floats:
    return level[: max(1, MOST_PIXELS // math.prod(level.shape[1:]))]


def _mean_square(differences: Floats) -> float:
    known = differences[np.isfinite(differences)]
    return float(np.mean(known**2)) if known.size else 0.0


def unequal_pixels(level: Floats, detector: Detector, limits: tuple[float, float]) -> float:
    """Return how often neighbouring pixels differ, in units of how often they did with a noise; 1 if unknown.

    Parameters
    ----------
    level : ndarray, (planes, rows, columns)
        Planes as they were recorded. NaN: not measured.
    detector : Detector
        The noise.
    limits : tuple of float
        Grey levels that mean black and saturated.
    """
    planes = _enough_of(level)
    known = np.unique(planes[np.isfinite(planes) & (planes > limits[0]) & (planes < limits[1])])
    if detector.gain > 0:
        known = known[known > detector.zero + FEWEST_PHOTONS * detector.gain]
    if known.size < 2:
        return 1.0
    # Of grey levels that are not used a neighbour cannot have one: what counts is the way to the next that is.
    steps = np.diff(known)
    way = np.maximum(np.append(steps, 0.0), np.insert(steps, 0, 0.0))
    differ, expected, pairs = 0, 0.0, 0
    for first, second in ((planes[:, 1:], planes[:, :-1]), (planes[:, :, 1:], planes[:, :, :-1])):
        # Of the darkest ones those that differ may be left out.
        shown = (first > known[0]) & (first <= known[-1]) & (second >= known[0]) & (second <= known[-1])
        here = first[shown]
        deviation = np.sqrt(np.maximum(detector.variance(here), np.finfo(np.float64).tiny))
        chance = CHANCE * way[np.searchsorted(known, here)] / deviation
        differ += int(np.count_nonzero(here != second[shown]))
        expected += float((1 - np.minimum(chance, 1.0)).sum())
        pairs += here.size
    return differ / expected if pairs >= FEWEST_PAIRS and expected > 0 else 1.0

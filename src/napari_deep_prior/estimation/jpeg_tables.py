"""The JPEG tables of an image whose file is lost, estimated from the steps between its cosine coefficients.

The image must be as it was decoded, with all grey levels and from the first row and column on. An image that was
cropped across the blocks, enlarged or changed in another way has no such steps any more (cf. Fan & de Queiroz 2003,
doi 10.1109/TIP.2002.807361).
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn
from scipy.linalg import solve_banded
from skimage.util import view_as_blocks

from ..arrays.axes import Array
from ..physics.jpeg import BLOCK, LUMINANCES, MIDDLE, WHITE, JpegTables, Table, tables_of_quality

ROUNDING = 0.4
"""Standard deviation of a coefficient, in grey levels, due to the rounding in a decoder, with a little to spare."""

OUTLIERS = 0.02
"""Share of the coefficients that can have any value, because grey levels were clipped."""

CERTAIN = 30.0
"""Log-likelihood ratio, with a table over without one, from which on the image counts as compressed."""

DIGITS = 6
"""Decimal places to which the coefficients of equal blocks are equal."""

ENOUGH = 4096
"""About the most blocks that are evaluated, spread over the image: a second of work, whatever its size."""

FINEST = 95
"""The highest quality that is tried: steps of one or two grey levels cannot be found."""

PREFERRED = 3.0
"""Log of how much more often multiples of 5 are used as quality: smooth images hardly distinguish neighbours."""

SUBSAMPLINGS = ((2, 2), (1, 1), (1, 2), (2, 1))
"""Chroma subsamplings that are tried, the most common one first."""

SMOOTHING = (0.125, 0.75, 0.125)
"""Weights of neighbouring chroma values in the mean of two pixels that a decoder has interpolated from them."""


def estimate_tables(image: Array) -> JpegTables | None:
    """Return the tables with which an image was compressed, among those of libjpeg's qualities up to 95.

    Parameters
    ----------
    image : ndarray, (rows, columns) or (rows, columns, 3)
        Grey levels from 0 to 255, or red, green and blue.

    Returns
    -------
    JpegTables or None
        None if no tables are found: the image was never compressed, was changed later, has hardly any coefficient
        other than 0, or its tables are not libjpeg's.
    """
    colour = image.ndim == 3
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or min(image.shape[:2]) < BLOCK:
        return None
    if not (image.min() >= 0 and image.max() <= WHITE):
        return None
    levels = image.astype(np.float64) - MIDDLE
    planes = np.einsum("ij,rcj->irc", np.array(LUMINANCES), levels) if colour else levels[None]
    unclipped = np.all(((image > 0) & (image < WHITE)).reshape(*image.shape[:2], -1), axis=2)
    coefficients = _coefficients(planes[0], unclipped)
    evidence = {
        quality: _evidence(coefficients, tables_of_quality(quality, colour=False).luminance)
        for quality in range(1, FINEST + 1)
    }
    quality = max(evidence, key=lambda each: evidence[each] + (PREFERRED if each % 5 == 0 else 0))
    if evidence[quality] < CERTAIN:
        return None
    return tables_of_quality(quality, colour=colour, subsampling=_subsampling(planes, quality) if colour else (1, 1))


def _subsampling(planes: Array, quality: int) -> tuple[int, int]:
    """Return the most likely chroma subsampling; of equally likely ones the most common."""
    table = tables_of_quality(quality, colour=True).chrominance
    assert table is not None  # noqa: S101  (for mypy: colours have one)

    def evidence(sampling: tuple[int, int]) -> float:
        subsampled = [_subsampled(plane, sampling) for plane in planes[1:]]
        return sum(_evidence(_coefficients(plane, np.ones(plane.shape, bool)), table) for plane in subsampled)

    return max(SUBSAMPLINGS, key=evidence)


def _subsampled(plane: Array, sampling: tuple[int, int]) -> Array:
    """Return the subsampled values from which libjpeg's decoder has interpolated a plane."""
    for axis, factor in enumerate(sampling):
        if factor == 1 or plane.shape[axis] < 2 * factor:
            continue
        whole = np.moveaxis(plane, axis, 0)[: plane.shape[axis] // factor * factor]
        means = whole.reshape(-1, factor, whole.shape[1]).mean(axis=1)
        bands = np.repeat(np.array(SMOOTHING)[:, None], len(means), axis=1)
        bands[1, [0, -1]] += SMOOTHING[0]
        plane = np.moveaxis(solve_banded((1, 1), bands, means), 0, axis)
    return plane


def _coefficients(plane: Array, unclipped: Array) -> Array:
    """Return the coefficients (blocks, 8, 8) of the whole blocks in which no grey level was clipped."""
    rows, columns = (length // BLOCK * BLOCK for length in plane.shape)
    blocks, usable = (
        view_as_blocks(values[:rows, :columns], (BLOCK, BLOCK)).reshape(-1, BLOCK, BLOCK)
        for values in (plane, unclipped)
    )
    kept = blocks[usable.all(axis=(1, 2))]
    coefficients = dctn(kept[:: max(1, len(kept) // ENOUGH)], axes=(1, 2), norm="ortho")
    # The mean of a block is left out: the rounding errors of equal pixels add up in it.
    coefficients[:, 0, 0] = 0
    # Blocks that are repeated, as in a drawn pattern, are no independent evidence.
    return np.asarray(np.unique(coefficients.round(DIGITS), axis=0))


def _evidence(coefficients: Array, table: Table) -> float:
    """Return the log-likelihood ratio of coefficients that were rounded to the steps of a table over any others.

    Coefficients that would be rounded to 0 are no evidence for a table, as smooth images have them anyway, but they
    are evidence against it if they are not quite 0.
    """
    steps = np.array(table, dtype=np.float64)
    whole = np.rint(coefficients / steps)
    density = np.exp(-(((coefficients - whole * steps) / ROUNDING) ** 2) / 2) / (ROUNDING * np.sqrt(2 * np.pi))
    gains = np.log((1 - OUTLIERS) * density * steps + OUTLIERS)
    return float(np.where(whole == 0, np.minimum(gains, 0), gains).sum())

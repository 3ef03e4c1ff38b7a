"""Traces of JPEG compression in an image whose file is lost: whole steps between its coefficients tell the tables.

For images as they were decoded, with all their grey levels and from their first row and column on: what was cut out off
the blocks, enlarged or otherwise changed since has no such steps any more (cf. Fan & de Queiroz 2003,
doi 10.1109/TIP.2002.807361).
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn
from scipy.linalg import solve_banded

from ..arrays.axes import Array
from ..physics.jpeg import BLOCK, LUMINANCES, MIDDLE, WHITE, JpegTables, Table, tables_of_quality

ROUNDING = 0.4
"""Standard deviation, in grey levels, by which the roundings of a decoder move a coefficient: a little above theirs."""

ASTRAY = 0.02
"""Share of the coefficients that are anywhere, because grey levels were cut off."""

CERTAIN = 30.0
"""Least logarithm of how much likelier an image is with a table than without one."""

DIGITS = 6
"""Decimal places to which coefficients are compared that come of the same grey levels."""

ENOUGH = 4096
"""Blocks, spread over the image, that are about as many as are looked at: a second of work, however large it is."""

FINEST = 95
"""The largest quality that is looked for: steps of one or two grey levels leave no trace."""

PREFERRED = 3.0
"""Logarithm of how much more often multiples of 5 are chosen as quality; smooth images hardly tell its neighbours."""

SUBSAMPLINGS = ((2, 2), (1, 1), (1, 2), (2, 1))
"""Ways to share chrominances that are looked for, the most common one first."""

SHARED = (0.125, 0.75, 0.125)
"""What a value of the chrominances is after decoders have interpolated it and it was averaged over its two pixels."""


def estimate_tables(image: Array) -> JpegTables | None:
    """Return the tables by which an image was compressed, among those of libjpeg's qualities up to 95.

    Parameters
    ----------
    image : ndarray, (rows, columns) or (rows, columns, 3)
        Grey levels from 0 to 255, or red, green and blue.

    Returns
    -------
    JpegTables or None
        None if there is no trace: it was never compressed, was changed since, has hardly any coefficient that is not
        0, or its tables are not libjpeg's.
    """
    colour = image.ndim == 3
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or min(image.shape[:2]) < BLOCK:
        return None
    if not (image.min() >= 0 and image.max() <= WHITE):
        return None
    levels = image.astype(np.float64) - MIDDLE
    planes = np.einsum("ij,rcj->irc", np.array(LUMINANCES), levels) if colour else levels[None]
    untouched = np.all(((image > 0) & (image < WHITE)).reshape(*image.shape[:2], -1), axis=2)
    coefficients = _coefficients(planes[0], untouched)
    likely = {
        quality: _evidence(coefficients, tables_of_quality(quality, colour=False).luminance)
        for quality in range(1, FINEST + 1)
    }
    quality = max(likely, key=lambda each: likely[each] + (PREFERRED if each % 5 == 0 else 0))
    if likely[quality] < CERTAIN:
        return None
    return tables_of_quality(quality, colour=colour, subsampling=_subsampling(planes, quality) if colour else (1, 1))


def _subsampling(planes: Array, quality: int) -> tuple[int, int]:
    """Return how the chrominances were shared: of what is equally likely the most common way."""
    table = tables_of_quality(quality, colour=True).chrominance
    assert table is not None  # noqa: S101  (for mypy: colours have one)

    def evidence(sampling: tuple[int, int]) -> float:
        shared = [_shared(plane, sampling) for plane in planes[1:]]
        return sum(_evidence(_coefficients(plane, np.ones(plane.shape, bool)), table) for plane in shared)

    return max(SUBSAMPLINGS, key=evidence)


def _shared(plane: Array, sampling: tuple[int, int]) -> Array:
    """Return the values that pixels shared before they were interpolated between them, as libjpeg does."""
    for axis, factor in enumerate(sampling):
        if factor == 1 or plane.shape[axis] < 2 * factor:
            continue
        whole = np.moveaxis(plane, axis, 0)[: plane.shape[axis] // factor * factor]
        means = whole.reshape(-1, factor, whole.shape[1]).mean(axis=1)
        bands = np.repeat(np.array(SHARED)[:, None], len(means), axis=1)
        bands[1, [0, -1]] += SHARED[0]
        plane = np.moveaxis(solve_banded((1, 1), bands, means), 0, axis)
    return plane


def _coefficients(plane: Array, untouched: Array) -> Array:
    """Return the coefficients (blocks, 8, 8) of the whole blocks in which no grey level was cut off."""
    rows, columns = (length // BLOCK * BLOCK for length in plane.shape)

    def blocks(values: Array) -> Array:
        parts = values[:rows, :columns].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        return np.swapaxes(parts, 1, 2).reshape(-1, BLOCK, BLOCK)

    kept = blocks(plane)[blocks(untouched).all(axis=(1, 2))]
    coefficients = dctn(kept[:: max(1, len(kept) // ENOUGH)], axes=(1, 2), norm="ortho")
    # The mean of a block is left out: the rounding of alike pixels adds up in it.
    coefficients[:, 0, 0] = 0
    # Blocks that are repeated, as in a drawn pattern, say everything only once.
    return np.asarray(np.unique(coefficients.round(DIGITS), axis=0))


def _evidence(coefficients: Array, table: Table) -> float:
    """Return the logarithm of how much likelier coefficients are if they were rounded to the steps of a table.

    Coefficients of which nothing is left
    are no evidence for a table, as smooth images have such anyway, but against it if they are not quite 0.
    """
    steps = np.array(table, dtype=np.float64)
    whole = np.rint(coefficients / steps)
    density = np.exp(-(((coefficients - whole * steps) / ROUNDING) ** 2) / 2) / (ROUNDING * np.sqrt(2 * np.pi))
    gains = np.log((1 - ASTRAY) * density * steps + ASTRAY)
    return float(np.where(whole == 0, np.minimum(gains, 0), gains).sum())

"""The smallest and the largest value of a slice that is cut into tiles: all of its tiles are scaled by them."""

from __future__ import annotations

import itertools
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.frame import Limits, limits_of, limits_of_all
from ..arrays.pieces import Index, Piece

SIDE = 1024
"""Pixels along the sides of the parts in which a slice is looked at."""


@final
class SliceLimits:
    """Reads each slice once, part by part, when the first of its tiles is read.

    Parameters
    ----------
    array : array
        NumPy, dask or zarr.
    axes, piece_axes : str
        Letters of its axes, and of those that a slice has.
    mask : ndarray of bool, or None
        Missing pixels, of the array's shape.
    """

    def __init__(self, array: Any, axes: str, piece_axes: str, mask: Array | None) -> None:
        self._array, self._axes, self._piece_axes, self._mask = array, axes, piece_axes, mask
        self._known: dict[tuple[int, ...], Limits] = {}

    def of(self, piece: Piece) -> Limits | None:
        """Return the limits of the slice of a tile; None where a piece is all of its slice."""
        lengths = zip(piece.read, self._array.shape, strict=True)
        if all(isinstance(at, int) or (at.start, at.stop) == (0, length) for at, length in lengths):
            return None
        if piece.place not in self._known:
            self._known[piece.place] = limits_of_all([self._of_part(index) for index in self._parts(piece)])
        return self._known[piece.place]

    def _parts(self, piece: Piece) -> list[Index]:
        """Return the parts of the slice of a tile."""
        sides = {"Y": SIDE, "X": SIDE, "Z": 1}
        along: list[list[int | slice]] = []
        for at, letter, length in zip(piece.read, self._axes, self._array.shape, strict=True):
            side = sides.get(letter, length)
            starts = range(0, length, side)
            along.append([at] if isinstance(at, int) else [slice(start, start + side) for start in starts])
        return list(itertools.product(*along))

    def _of_part(self, index: Index) -> Limits:
        part = np.asarray(self._array[index])
        if self._mask is not None:
            part = np.where(self._mask[index], np.nan, part)
        return limits_of(part, self._piece_axes)

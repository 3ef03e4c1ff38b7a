"""A Zarr array with its axes in another order, and with a part on top that is not written yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from .lazy_pixels import Index


@final
class Reordered:
    """An array with its axes in another order, read and written where it is sliced.

    Parameters
    ----------
    array : zarr.Array
        The array.
    order : sequence of int
        For each axis of the array its position among those of this one.
    """

    def __init__(self, array: Any, order: Sequence[int]) -> None:
        self._array, self._order = array, order
        self.dtype = array.dtype
        self.shape = tuple(int(array.shape[order.index(axis)]) for axis in range(len(order)))
        self.ndim = len(self.shape)
        self._on_top: tuple[Index, Array] | None = None

    def put_on_top(self, index: Index, values: Array) -> None:
        """Show values in the place of those that are stored, until others are put there or they are taken away."""
        self._on_top = index, values

    def take_away(self) -> None:
        """Show what is stored."""
        self._on_top = None

    def __getitem__(self, index: Index) -> Array:
        """Return the part at an index of as many numbers or slices as there are axes."""
        part = np.asarray(self._array[self._inner(index)])
        stays = [axis for axis in self._order if isinstance(index[axis], slice)]
        part = np.transpose(part, [stays.index(axis) for axis in sorted(stays)])
        # Another thread may take it away meanwhile.
        on_top = self._on_top
        return part if on_top is None else self._covered(part, index, *on_top)

    def _covered(self, part: Array, index: Index, place: Index, values: Array) -> Array:
        """Return the part at an index with values of a place on it, as far as they lie in it."""
        asked, covered = self._positions(index), self._positions(place)
        both = [np.intersect1d(*pair, return_indices=True)[1:] for pair in zip(asked, covered, strict=True)]
        whole = part.reshape([len(each) for each in asked])
        within, of_values = (np.ix_(*(each[side] for each in both)) for side in (0, 1))
        whole[within] = values.reshape([len(each) for each in covered])[of_values]
        return whole.reshape(part.shape)

    def _positions(self, index: Index) -> list[Array]:
        """Return the positions along every axis that an index means."""
        return [np.atleast_1d(np.arange(length)[at]) for length, at in zip(self.shape, index, strict=True)]

    def __setitem__(self, index: Index, values: Array) -> None:
        """Write the part at such an index."""
        stays = [axis for axis, part in enumerate(index) if isinstance(part, slice)]
        order = [stays.index(axis) for axis in self._order if axis in stays]
        self._array[self._inner(index)] = np.transpose(values, order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all of it in memory."""
        return np.asarray(self[(slice(None),) * len(self.shape)], dtype)

    def _inner(self, index: Index) -> Index:
        return tuple(index[axis] for axis in self._order)

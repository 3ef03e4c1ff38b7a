"""A Zarr array with its axes in another order."""

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

    def __getitem__(self, index: Index) -> Array:
        """Return the part at an index of as many numbers or slices as there are axes."""
        part = np.asarray(self._array[self._inner(index)])
        stays = [axis for axis in self._order if isinstance(index[axis], slice)]
        return np.transpose(part, [stays.index(axis) for axis in sorted(stays)])

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

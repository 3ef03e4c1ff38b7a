"""Pixels that stay in their file, and are read where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from .reading import reading

Index = tuple[int | slice, ...]


@final
class LazyPixels:
    """An array in a file, sliced before it is read.

    Parameters
    ----------
    file : Path
        For errors.
    shape, dtype : tuple of int, dtype
        Of the array.
    read : function
        Returns the part at an index of as many numbers or slices as there are axes.
    """

    def __init__(
        self, file: Path, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[Index], Array]
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._file, self._read = file, read

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, index: Any) -> Array:
        """Return a part; the index is a number or slice, or a tuple of at most as many as there are axes.

        Raises
        ------
        ValueError
            If the file is damaged there, or has gone.
        """
        given = index if isinstance(index, tuple) else (index,)
        with reading(self._file, f"an image{_in_words(given)}"):
            return self._read((*given, *(slice(None),) * (self.ndim - len(given))))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all of it in memory."""
        return np.asarray(self[()], dtype)

    def taking(self, axis: int, numbers: Sequence[int]) -> LazyPixels:
        """Return the same with some places of an axis, read one by one."""
        shape = (*self.shape[:axis], len(numbers), *self.shape[axis + 1 :])
        read = partial(read_places, self._read, axis, numbers)
        return LazyPixels(self._file, shape, self.dtype, read)

    def with_single_axes(self, positions: Collection[int]) -> LazyPixels:
        """Return the same with axes of length 1 more, which will be at some positions."""
        lengths = iter(self.shape)
        ndim = self.ndim + len(positions)
        shape = tuple(1 if axis in positions else next(lengths) for axis in range(ndim))

        def read(index: Index) -> Array:
            kept = [slice(None) if axis not in positions else None for axis in range(ndim) if _stays(index[axis])]
            part = self._read(tuple(each for axis, each in enumerate(index) if axis not in positions))
            return np.asarray(part[tuple(kept)])

        return LazyPixels(self._file, shape, self.dtype, read)


def read_places(read: Callable[[Index], Array], axis: int, numbers: Sequence[int], index: Index) -> Array:
    """Return the part at an index of an array that has only some places of an axis of another one, read one by one.

    Parameters
    ----------
    read : function
        Returns the part of the other array at an index of as many numbers or slices as there are axes.
    """
    before, at, after = index[:axis], index[axis], index[axis + 1 :]
    if not isinstance(at, slice):
        return read((*before, numbers[at], *after))
    parts = [read((*before, number, *after)) for number in numbers[at]]
    kept = sum(_stays(each) for each in before)
    return np.stack(parts, axis=kept) if parts else read((*before, slice(0), *after))


def _in_words(index: Index) -> str:
    """Return which part of an array that is, so that a damaged one can be found; nothing if it is all of it."""
    numbers = [
        str(at) if isinstance(at, int) else f"{at.start or 0}:{'' if at.stop is None else at.stop}" for at in index
    ]
    return f" at [{', '.join(numbers)}]" if any(number != "0:" for number in numbers) else ""


def _stays(index: int | slice) -> bool:
    """Return whether an axis is still there when it was indexed."""
    return isinstance(index, slice)

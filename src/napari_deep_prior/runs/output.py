"""Where the pieces of a result go: an array in memory, or a Zarr array on disk."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.pieces import Piece


class Output(ABC):
    """Takes the finished pieces of a result, each once and in any order.

    Parameters
    ----------
    shape : tuple of int
        Lengths of the result.
    dtype : dtype
        Of its pixels.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype

    @property
    @abstractmethod
    def memory(self) -> int:
        """Bytes of memory that the result takes once all pieces are written."""

    @abstractmethod
    def become(self, dtype: np.dtype[Any]) -> None:
        """Take another type of pixels, which can hold what was written so far: pieces that passed through."""

    @abstractmethod
    def write(self, piece: Piece, values: Array) -> None:
        """Write a finished piece: values of the result's type, of the shape of ``piece.write``."""

    @abstractmethod
    def done(self, piece: Piece) -> bool:
        """Return whether a piece was written already."""

    @abstractmethod
    def preview(self, piece: Piece, values: Array) -> None:
        """Show what a piece looks like that is not finished, where that costs little."""

    @abstractmethod
    def image(self) -> Any:
        """Return the result, also while it grows; 0 where no piece was written yet."""

    @abstractmethod
    def snapshot(self) -> Any:
        """Return a copy of the result as it is now, in memory."""

    @abstractmethod
    def close(self) -> None:
        """Let others write there, where that makes a difference; the result stays."""


@final
class ArrayOutput(Output):
    """A NumPy array, which takes memory only where pieces were written."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(shape, dtype)
        self._array: Array | None = None
        self._done: set[int] = set()

    @property
    def memory(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def become(self, dtype: np.dtype[Any]) -> None:
        """Take another type; what :meth:`image` returned before is no longer the result."""
        if self._array is not None and dtype != self.dtype:
            self._array = self._array.astype(dtype)
        self.dtype = dtype

    def write(self, piece: Piece, values: Array) -> None:
        """Write a finished piece."""
        self.image()[piece.write] = values
        self._done.add(piece.number)

    def done(self, piece: Piece) -> bool:
        """Return whether a piece was written."""
        return piece.number in self._done

    def preview(self, piece: Piece, values: Array) -> None:
        """Write a piece that is not finished."""
        self.image()[piece.write] = values

    def image(self) -> Array:
        """Return the array itself."""
        if self._array is None:
            # Zeros take no memory before they are written to.
            self._array = np.zeros(self.shape, self.dtype)
        return self._array

    def snapshot(self) -> Array:
        """Return a copy."""
        return self.image().copy()

    def close(self) -> None:
        """Do nothing: nobody else can write into the memory."""

"""Where the pieces of a result go: an array in memory, or a Zarr array on disk."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from ..arrays.seams import BandsInMemory, Seams


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
    def write(self, piece: Piece, values: Array, note: Mapping[str, Any] | None = None) -> None:
        """Write a finished piece.

        Parameters
        ----------
        values : ndarray
            Of the result's type, in the shape of ``piece.restored``.
        note : mapping, optional
            What is to be known of the piece, of JSON types.
        """

    @abstractmethod
    def noted(self, piece: Piece) -> Mapping[str, Any]:
        """Return what is to be known of a piece that a run before has written; empty if that has left nothing."""

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
    def remote(self) -> RemoteOutput:
        """Return what takes pieces in another process."""

    @abstractmethod
    def adopt(self, piece: Piece, values: Array | None) -> None:
        """Take in a piece that another process has finished; None if that has written it."""

    @abstractmethod
    def close(self) -> None:
        """Let others write there, where that makes a difference; the result stays."""


class RemoteOutput(Output):
    """Takes the pieces that a process restores for another one; it knows nothing of the others."""

    @property
    @final
    def memory(self) -> int:
        """None to speak of."""
        return 0

    @final
    def become(self, dtype: np.dtype[Any]) -> None:
        """Take another type."""
        self.dtype = dtype

    @final
    def done(self, piece: Piece) -> bool:
        """Return that a piece is to be restored: the other process has looked."""
        return False

    @final
    def noted(self, piece: Piece) -> Mapping[str, Any]:
        """Return nothing: the other process has looked."""
        return {}

    @final
    def preview(self, piece: Piece, values: Array) -> None:
        """Do nothing: nobody looks."""

    @final
    def image(self) -> Array:
        """Return nothing: the result is elsewhere."""
        return np.zeros((0,) * len(self.shape), self.dtype)

    @final
    def snapshot(self) -> Array:
        """Return nothing: the result is elsewhere."""
        return self.image()

    @final
    def remote(self) -> RemoteOutput:
        """Return this one."""
        return self

    @final
    def adopt(self, piece: Piece, values: Array | None) -> None:
        """Do nothing: pieces are adopted where the run was begun."""

    @abstractmethod
    def take(self) -> Array | None:
        """Return the piece that was written, to be sent back; None if it is where it belongs."""


@final
class SentBack(RemoteOutput):
    """Keeps a piece until it is sent back."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(shape, dtype)
        self._values: Array | None = None

    def write(self, piece: Piece, values: Array, note: Mapping[str, Any] | None = None) -> None:
        """Keep a piece."""
        self._values = values

    def take(self) -> Array | None:
        """Return the piece, and keep it no longer."""
        values, self._values = self._values, None
        return values

    def close(self) -> None:
        """Do nothing."""


@final
class ArrayOutput(Output):
    """A NumPy array, which takes memory only where pieces were written.

    Parameters
    ----------
    shape, dtype : tuple of int, dtype
        Of the result.
    pieces : sequence of Piece
        All pieces of the result: tiles are joined as soon as all of a slice are written.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], pieces: Sequence[Piece] = ()) -> None:
        super().__init__(shape, dtype)
        self._seams, self._bands = Seams(pieces), BandsInMemory()
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

    def noted(self, piece: Piece) -> Mapping[str, Any]:
        """Return nothing: no run before has written into the memory."""
        return {}

    def write(self, piece: Piece, values: Array, note: Mapping[str, Any] | None = None) -> None:
        """Write a finished piece."""
        image = self.image()
        image[piece.write] = values[piece.inner]
        self._done.add(piece.number)
        if self._seams.needed:
            self._bands.put(piece.number, self._seams.bands(piece, values))
            self._join(image, self._seams.slice_of(piece))

    def done(self, piece: Piece) -> bool:
        """Return whether a piece was written."""
        return piece.number in self._done

    def preview(self, piece: Piece, values: Array) -> None:
        """Write a piece that is not finished."""
        self.image()[piece.write] = values[piece.inner]

    def remote(self) -> SentBack:
        """Return what keeps a piece until it is sent back."""
        return SentBack(self.shape, self.dtype)

    def adopt(self, piece: Piece, values: Array | None) -> None:
        """Write a piece that was sent back."""
        if values is not None:
            self.write(piece, values)

    def _join(self, image: Array, tiles: Sequence[Piece]) -> None:
        """Join the tiles of a slice once all of them are written."""
        if not all(self.done(tile) for tile in tiles):
            return
        for index, values in self._seams.joined(tiles, self._bands):
            image[index] = values
        for tile in tiles:
            self._bands.drop(tile.number)

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

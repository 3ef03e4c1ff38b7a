"""What tiles make of the pixels around their borders, kept in the folder of a result until the slice is joined."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from ..arrays.seams import Bands, BandStore, Seams
from ..files.reordered import Reordered
from ..files.zarr_reader import zarr_library
from .errors import RestorationError
from .output import RemoteOutput
from .zarr_place import ZarrPlace

ENDING = ".npz"


@final
class BandsInFolder(BandStore):
    """Files beside the markers of the pieces: a run that was killed finds them again.

    Parameters
    ----------
    place : ZarrPlace
        Where the result goes.
    """

    def __init__(self, place: ZarrPlace) -> None:
        self._folder = place.markers

    def put(self, number: int, bands: Bands) -> None:
        """Write a file that is there as a whole or not at all."""
        unfinished = self._folder / f"{number}.part"
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **bands)
        unfinished.replace(self._file(number))

    def get(self, number: int) -> Bands:
        """Return the bands of a tile."""
        with np.load(self._file(number), allow_pickle=False) as file:
            return dict(file)

    def drop(self, number: int) -> None:
        """Remove the file of a tile, if there is one."""
        self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}{ENDING}"


@final
class WrittenThere(RemoteOutput):
    """Writes pieces into a Zarr folder that another process has made, which also joins them.

    Parameters
    ----------
    place : ZarrPlace
        The folder, on a file system that both processes see.
    array : (str, sequence of int)
        Path of the array in it, and the order of its axes.
    seams : Seams
        Of all pieces.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        place: ZarrPlace,
        array: tuple[str, Sequence[int]],
        seams: Seams,
    ) -> None:
        super().__init__(shape, dtype)
        self._place, self._path, self._seams = place, array, seams

    def write(self, piece: Piece, values: Array, note: Mapping[str, Any] | None = None) -> None:
        """Write a piece, what is needed to join it, and its marker.

        Raises
        ------
        RestorationError
            If that is not possible here.
        """
        path, order = self._path
        try:
            group = zarr_library().open_group(str(self._place.path), mode="r+")
            Reordered(group[path], order)[piece.write] = values[piece.inner]
            if self._seams.needed:
                BandsInFolder(self._place).put(piece.number, self._seams.bands(piece, values))
            self._place.mark(piece.number, note)
        except OSError as error:
            raise RestorationError(
                f"a piece could not be written to {str(self._place.path)!r} on {platform.node()}: {error}. The folder "
                "must be on a file system that all computers see: remove the cause, and start the same run again"
            ) from error

    def take(self) -> None:
        """Return nothing: what is written is where it belongs."""

    def close(self) -> None:
        """Do nothing: nothing is locked."""


def chunk_length(axis: int, length: int, pieces: Sequence[Piece], most: int) -> int:
    """Return the pixels of a chunk along an axis of the result: a tile is whole chunks, so that no two share one.

    Parameters
    ----------
    length : int
        Of the axis.
    most : int
        The largest chunk.
    """
    written = pieces[0].write[axis] if pieces else slice(0, length)
    if isinstance(written, int) or written.stop >= length:
        return min(most, length)
    return next(size for size in range(min(most, written.stop), 0, -1) if written.stop % size == 0)

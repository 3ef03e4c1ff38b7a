"""What tiles make of the pixels around their borders, kept in the folder of a result until the slice is joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from ..arrays.pieces import Piece
from ..arrays.seams import Bands, BandStore
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

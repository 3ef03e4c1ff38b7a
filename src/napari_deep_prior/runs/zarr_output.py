"""A result on disk, piece by piece: a run that was killed goes on where it was.

Needs the extra ``zarr``. The result is an OME-Zarr. As long as it is not finished, a folder in it has a marker for each
finished piece that carries the identity of the run: pieces of another run are refused, never mixed. Chunks cannot tell
what is finished, since Zarr does not write chunks that hold nothing but the fill value.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from ..arrays.seams import Seams
from ..files.image_file import RECORD, ImageFile
from ..files.locking import FolderLock
from ..files.ngff import Level, attributes_of, order_of
from ..files.pyramid import add_levels
from ..files.reordered import Reordered
from ..files.zarr_reader import zarr_library
from .errors import NotWrittenError
from .output import Output, RemoteOutput
from .report import size
from .zarr_bands import BandsInFolder, WrittenThere, chunk_length
from .zarr_place import ZarrPlace

LARGEST = "0"
"""Path of the array of full resolution."""

CHUNK = 1024
"""The most pixels of a chunk along Y and X; along other axes it has one, so that scrolling is fast."""

PYRAMID = 4 / 3
"""Pixels of all arrays of a pyramid together for each one of the largest."""


@final
class ZarrOutput(Output):
    """An OME-Zarr of which every piece is written as soon as it is finished; nothing is written before the first.

    Parameters
    ----------
    shape, dtype : tuple of int, dtype
        Of the result.
    place : ZarrPlace
        Where it goes.
    image : ImageFile
        What is known of the result: its axes, sizes of pixels and channels. Its pixels are not looked at.
    pieces : sequence of Piece
        All pieces of the result: tiles are joined as soon as all of a slice are written.

    Raises
    ------
    ValueError
        If there is something else, or pieces of another run; OME-Zarr has no place for an axis; or the extra ``zarr``
        is not installed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        place: ZarrPlace,
        image: ImageFile,
        pieces: Sequence[Piece] = (),
    ) -> None:
        super().__init__(shape, dtype.newbyteorder("="))
        self._pieces = pieces
        self._seams, self._bands = Seams(pieces), BandsInFolder(place)
        self._zarr = zarr_library()
        self._order = order_of(image.axes)
        self._place, self._image = place, image
        self._group: Any = None
        self._array: Reordered | None = None
        self._lock: FolderLock | None = None
        self._done = set() if place.replaces() else place.marked()
        self._complete = place.is_complete()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._place.path

    @property
    def memory(self) -> int:
        """None to speak of: what is written lies on the disk."""
        return 0

    @property
    def pieces_done(self) -> int:
        """How many pieces are finished, also by runs before."""
        return len(self._done)

    def become(self, dtype: np.dtype[Any]) -> None:
        """Take another type, as long as nothing is written.

        Raises
        ------
        ValueError
            If pieces of another type are there already, or another process writes into the folder.
        """
        native = dtype.newbyteorder("=")
        if self._array is None:
            self.dtype = native
            with self._disk_errors_as_sentences():
                self._opened()
        if native != self.dtype:
            raise ValueError(
                f"{self.dtype} would round away what is restored, and {dtype} is needed: make the result of that type"
            )

    def refuse_full_disk(self, pieces: int) -> None:
        """Raise a ValueError if the disk has no room for those of ``pieces`` that are not finished.

        Chunks are compressed, by an amount that is not known.
        """
        path, left = self._place.path.absolute(), 1 - len(self._done) / pieces
        needed = int(PYRAMID * left * math.prod(self.shape) * self.dtype.itemsize)
        folder = next(each for each in (path, *path.parents) if each.is_dir())
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"the result needs up to {size(needed)} on the disk of {str(folder)!r}, and {size(free)} are free: "
                "make room, or choose another place"
            )

    def noted(self, piece: Piece) -> Mapping[str, Any]:
        """Return what is to be known of a piece that a run before has written."""
        return {} if self._complete else self._place.noted(piece.number)

    def write(self, piece: Piece, values: Array, note: Mapping[str, Any] | None = None) -> None:
        """Write a finished piece, and then its marker.

        Raises
        ------
        NotWrittenError
            If the disk is full or gone; what is finished stays.
        """
        with self._disk_errors_as_sentences():
            array = self._opened()
            array[piece.write] = values[piece.inner]
            array.take_away()
            if self._seams.needed:
                self._bands.put(piece.number, self._seams.bands(piece, values))
            self._place.mark(piece.number, note)
            self._done.add(piece.number)
            if self._seams.needed:
                self._join(array, self._seams.slice_of(piece))

    def remote(self) -> RemoteOutput:
        """Return what writes pieces in another process; the folder must be there."""
        # Another process may work in another folder.
        place = replace(self._place, path=self._place.path.absolute())
        return WrittenThere(self.shape, self.dtype, place, (LARGEST, self._order), self._seams)

    def adopt(self, piece: Piece, values: Array | None) -> None:
        """Join the tiles of a slice after its last one was written elsewhere."""
        with self._disk_errors_as_sentences():
            self._done.add(piece.number)
            if self._seams.needed:
                self._join(self._opened(), self._seams.slice_of(piece))

    def done(self, piece: Piece) -> bool:
        """Return whether a piece was written, also by a run before."""
        return self._complete or piece.number in self._done

    def preview(self, piece: Piece, values: Array) -> None:
        """Show it to whoever reads the growing result; what is not finished does not go to the disk."""
        if self._array is not None:
            self._array.put_on_top(piece.write, values[piece.inner])

    @property
    def is_complete(self) -> bool:
        """Whether a run before has finished the result."""
        return self._complete

    def image(self) -> Reordered:
        """Return the result, read where it is sliced."""
        if self._array is None and (self._place.path / LARGEST).is_dir() and self._done:
            # Reading needs no lock.
            group = self._zarr.open_group(str(self._place.path), mode="r")
            return Reordered(group[LARGEST], self._order)
        return self._opened()

    def snapshot(self) -> Array:
        """Return a copy in memory."""
        return np.asarray(self.image())

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the pyramid and the record, and remove the markers.

        Raises
        ------
        NotWrittenError
            If the disk is full or gone; the pieces stay.
        """
        with self._disk_errors_as_sentences():
            if self._complete:
                return
            array = self._opened()
            for tiles in self._seams.slices if self._seams.needed else ():
                self._join(array, tiles)
            levels, limits = add_levels(self._group, LARGEST, self._axes())
            written = {**record, "identity": self._place.identity}
            self._group.attrs.put({"ome": attributes_of(self._image, levels, limits), RECORD: written})
            self.close()
            self._place.end()

    def close(self) -> None:
        """Let others write into the folder; what is finished stays, and a later run goes on from there."""
        if self._lock is not None:
            self._lock.release()
        if self._array is not None:
            self._array.take_away()
        self._lock = self._array = self._group = None

    def _join(self, array: Reordered, tiles: Sequence[Piece]) -> None:
        """Join the tiles of a slice once all of them are written."""
        first = tiles[0].number
        if not all(self.done(tile) for tile in tiles) or self._place.is_joined(first):
            return
        for index, values in self._seams.joined(tiles, self._bands):
            array[index] = values
        self._place.mark_joined(first)
        for tile in tiles:
            self._bands.drop(tile.number)

    def _axes(self) -> str:
        """Return the axes as they are written."""
        return "".join(self._image.axes[axis] for axis in self._order).replace("S", "C")

    def _opened(self) -> Reordered:
        """Return the array; folder, lock and array are made if they are not there."""
        if self._array is not None:
            return self._array
        place = self._place
        # Something else may have been written there since, or another run of the same identity has ended.
        place.replaces()
        self._complete = place.is_complete()
        if not self._complete:
            place.path.mkdir(exist_ok=True)
            self._lock = FolderLock(place.path, place.process_file)
        with ExitStack() as stack:
            stack.callback(self.close)
            if not self._complete:
                place.begin()
                self._done = place.marked()
            array = Reordered(self._open_array(), self._order)
            stack.pop_all()
        self._array = array
        return array

    def _open_array(self) -> Any:
        path = str(self._place.path)
        self._group = self._zarr.open_group(path, mode="a", zarr_format=3)
        shape, axes = tuple(self.shape[axis] for axis in self._order), self._axes()
        if LARGEST not in self._group:
            chunks = tuple(
                chunk_length(axis, self.shape[axis], self._pieces, CHUNK) if letter in "YX" else 1
                for axis, letter in zip(self._order, axes, strict=True)
            )
            names = list(axes.lower())
            self._group.create_array(
                LARGEST, shape=shape, dtype=self.dtype, chunks=chunks, fill_value=0, dimension_names=names
            )
            self._group.attrs.put({"ome": attributes_of(self._image, [Level(path=LARGEST)], [])})
        array = self._group[LARGEST]
        if tuple(array.shape) != shape or array.dtype != self.dtype:
            raise ValueError(
                f"{path!r} holds a {array.dtype} array of shape {tuple(array.shape)}; {self.dtype} of {shape} is to be "
                "written: choose another folder"
            )
        return array

    @contextmanager
    def _disk_errors_as_sentences(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NotWrittenError(
                f"the result could not be written to {str(self._place.path)!r}: {error.strerror or error}. The "
                f"{len(self._done)} pieces that are finished stay: remove the cause, and start the same run again"
            ) from error

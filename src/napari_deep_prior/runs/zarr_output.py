"""A result on disk, piece by piece: a run that was killed goes on where it was.

Needs the extra ``zarr``. Beside the array lies a folder of markers, one for each finished piece, that carry the
identity of the run: pieces of another run are refused, never mixed. Chunks cannot tell what is finished, since Zarr
does not write chunks that hold nothing but the fill value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from .output import Output

MARKERS = "deep-prior-pieces"
"""Folder of the markers, inside of that of the array."""


@final
class ZarrOutput(Output):
    """A Zarr array of which every piece is written as soon as it is finished.

    Parameters
    ----------
    path : Path
        Folder of the array; made if it is not there.
    shape, dtype, chunks : tuple of int, dtype, tuple of int
        Of the array. Pieces should be whole chunks.
    identity : str
        Names settings, input and version: two runs of the same identity make the same pieces.

    Raises
    ------
    ValueError
        If the folder holds something else, or pieces of another run; or the extra ``zarr`` is not installed.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, chunks: tuple[int, ...], identity: str
    ) -> None:
        super().__init__(shape, dtype)
        try:
            import zarr
        except ImportError as error:
            raise ValueError(
                "results are written to Zarr with the package zarr, which is not installed: "
                "pip install 'napari-deep-prior[zarr]'"
            ) from error
        self._identity, self._markers = identity, path / MARKERS
        if path.exists() and any(path.iterdir()) and not self._markers.is_dir():
            raise ValueError(f"the folder {str(path)!r} is not empty, and not a result of this program: choose another")
        self._markers.mkdir(parents=True, exist_ok=True)
        self._refuse_others(path)
        self._array: Any = zarr.open_array(str(path), mode="a", shape=shape, dtype=dtype, chunks=chunks, fill_value=0)
        if tuple(self._array.shape) != shape or self._array.dtype != dtype:
            raise ValueError(
                f"{str(path)!r} holds a {self._array.dtype} array of shape {tuple(self._array.shape)}; "
                f"{dtype} of {shape} is to be written: choose another folder"
            )

    @property
    def memory(self) -> int:
        """None to speak of: what is written lies on the disk."""
        return 0

    def become(self, dtype: np.dtype[Any]) -> None:
        """Refuse another type: the array is there already.

        Raises
        ------
        ValueError
            If it is another one than that of the array.
        """
        if dtype != self.dtype:
            raise ValueError(
                f"{self.dtype} would round away what is restored, and {dtype} is needed: make the result of that type"
            )

    def write(self, piece: Piece, values: Array) -> None:
        """Write a finished piece, and then its marker."""
        self._array[piece.write] = values
        marker = self._markers / f"{piece.number}.json"
        unfinished = marker.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"identity": self._identity}), encoding="utf-8")
        unfinished.replace(marker)

    def done(self, piece: Piece) -> bool:
        """Return whether a piece was written, also by a run before."""
        return (self._markers / f"{piece.number}.json").is_file()

    def preview(self, piece: Piece, values: Array) -> None:
        """Do nothing: what is not finished does not go to the disk."""

    def image(self) -> Any:
        """Return the Zarr array."""
        return self._array

    def snapshot(self) -> Array:
        """Return a copy in memory."""
        return np.asarray(self._array[...])

    def _refuse_others(self, path: Path) -> None:
        for marker in self._markers.glob("*.json"):
            other = json.loads(marker.read_text(encoding="utf-8"))["identity"]
            if other != self._identity:
                raise ValueError(
                    f"{str(path)!r} holds pieces of another run ({other}; this one is {self._identity}): choose "
                    "another folder, or delete it"
                )

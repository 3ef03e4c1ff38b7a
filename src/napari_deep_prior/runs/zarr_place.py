"""The folder of a result on disk: what is there already, and which of its pieces are finished."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..files.image_file import RECORD
from ..files.replacing import refuse_place
from .errors import OtherResultError

MARKERS = "deep-prior-pieces"
"""Folder of the markers, inside of that of the result; removed once that is finished."""

RUN, PROCESS = "run.json", "process.json"
"""Files beside the markers: the identity of the run, and the process that writes."""

JOINED = ".joined"
"""Ending of the marker of a slice whose tiles are joined, with the number of the first of them."""

ATTRIBUTES = "zarr.json"
"""File of a result's attributes."""


@final
@dataclass(frozen=True, kw_only=True)
class ZarrPlace:
    """Where a result goes.

    Parameters
    ----------
    path : Path
        Folder of the result; made if it is not there.
    identity : str
        Names settings, input and version: two runs of the same identity make the same pieces.
    overwrite : bool
        Whether an older result of another identity may be replaced.
    """

    path: Path
    identity: str
    overwrite: bool = False
    tile: int | None = None
    """Pixels along the sides of a tile of the input; None if slices are not cut."""

    @property
    def markers(self) -> Path:
        """Folder of the markers."""
        return self.path / MARKERS

    @property
    def process_file(self) -> Path:
        """File with the number of the process that writes."""
        return self.path / MARKERS / PROCESS

    def replaces(self) -> bool:
        """Return whether there is an older result that is to be removed first.

        Raises
        ------
        ValueError
            If nothing can be written there, or what is there must stay.
        """
        name = repr(str(self.path))
        if not self.path.is_dir():
            if self.path.exists():
                raise ValueError(f"{name} is a file, and a folder is to be written: choose another name")
            refuse_place(self.path, overwrite=False)
            return False
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise ValueError(f"the folder {name} is read-only: choose another name, or allow writing to it first")
        if not any(self.path.iterdir()):
            return False
        older = _identity_of(self.path)
        if older is None:
            raise OtherResultError(
                f"the folder {name} is not empty, and not a result of this program: choose another name"
            )
        if older in ("", self.identity):
            return False
        if not self.overwrite:
            raise OtherResultError(
                f"{name} holds the result, or pieces of one, of another run: its input, settings or version were "
                f"others ({older}; this one is {self.identity}): choose another name, or replace it with --overwrite"
            )
        return True

    def is_complete(self) -> bool:
        """Return whether a run of the same identity has finished the result."""
        return not (self.path / MARKERS / RUN).is_file() and _identity_of(self.path) == self.identity

    def begin(self) -> None:
        """Take down the identity of the run, in a folder with nothing of another one."""
        if self.is_complete():
            raise ValueError(f"another run has just finished {str(self.path)!r}: there is nothing left to do")
        if self.replaces() or not self.marked():
            # Also what a run has left that was killed before its first piece was finished.
            self._empty()
        _write_whole(self.path / MARKERS / RUN, {"identity": self.identity, "tile": self.tile})

    def is_begun(self) -> bool:
        """Return whether a run of the same identity has finished pieces, but not all."""
        return _read(self.markers / RUN).get("identity") == self.identity and bool(self.marked())

    def tile_of_run(self) -> int | None:
        """Return the side of the tiles of the run that has begun; None if slices are not cut."""
        tile = _read(self.markers / RUN).get("tile")
        return tile if isinstance(tile, int) else None

    def _empty(self) -> None:
        """Remove everything but the file of the process."""
        for each in self.path.iterdir():
            if each.name != MARKERS:
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        for each in self.markers.iterdir():
            if each.name != PROCESS:
                each.unlink()

    def mark(self, number: int, note: Mapping[str, Any] | None = None) -> None:
        """Take down that a piece is finished, and what is to be known of it."""
        _write_whole(self.markers / f"{number}.json", {"identity": self.identity} | ({"note": note} if note else {}))

    def noted(self, number: int) -> dict[str, Any]:
        """Return what is to be known of a finished piece."""
        note = _read(self.markers / f"{number}.json").get("note", {})
        return note if isinstance(note, dict) else {}

    def marked(self) -> set[int]:
        """Return the numbers of the finished pieces."""
        files = [file for file in (self.path / MARKERS).glob("*.json") if file.stem.isdigit()]
        return {int(file.stem) for file in files if _read(file).get("identity") == self.identity}

    def mark_joined(self, number: int) -> None:
        """Take down that the tiles of the slice of a piece, which is the first of them, are joined."""
        _write_whole(self.markers / f"{number}{JOINED}", {"identity": self.identity})

    def is_joined(self, number: int) -> bool:
        """Return whether the tiles of the slice of a piece, which is the first of them, are joined."""
        return bool(_read(self.markers / f"{number}{JOINED}").get("identity") == self.identity)

    def end(self) -> None:
        """Remove the markers."""
        shutil.rmtree(self.path / MARKERS)


def is_result(folder: Path) -> bool:
    """Return whether a folder is a result of this program, also one that is not finished."""
    return (folder / ATTRIBUTES).is_file() and _identity_of(folder) is not None


def record_in(folder: Path) -> Mapping[str, Any]:
    """Return the record of a result that is finished; empty if there is none."""
    attributes = _read(folder / ATTRIBUTES).get("attributes")
    record = attributes.get(RECORD) if isinstance(attributes, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def _identity_of(folder: Path) -> str | None:
    """Return the identity of the run that wrote into a folder; empty if it had written nothing, None if none has."""
    if (folder / MARKERS / RUN).is_file():
        return str(_read(folder / MARKERS / RUN).get("identity", ""))
    record = record_in(folder)
    if record:
        return str(record.get("identity", "another"))
    return "" if (folder / MARKERS).is_dir() else None


def _read(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if there is none."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write_whole(file: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object such that it is there as a whole or not at all."""
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(values), encoding="utf-8")
    unfinished.replace(file)

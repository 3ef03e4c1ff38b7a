"""Where a result goes that is too large for the memory: into a folder, piece by piece."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from magicgui.widgets import LineEdit
from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from ..files.locking import FolderLock
from ..files.zarr_reader import OME_ZARR_ENDING, ZARR_ENDING
from ..runs.identity import identity
from ..runs.into_folder import written_into
from ..runs.setup import Setup
from ..runs.zarr_place import ZarrPlace
from .files import described
from .form import add_row
from .layers import Part
from .saving import ask_where_folder

LABEL = "Result in"


@final
class UnfinishedResultError(ValueError):
    """In the folder is an unfinished result of the same image, settings and version."""


@final
class FinishedResultError(ValueError):
    """In the folder ``path`` is a finished result of the same image, settings and version."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{str(path)!r} is the finished result of this image and these settings")
        self.path = path


@final
class ResultTooLargeError(ValueError):
    """The result does not fit into the memory: it needs a folder."""


@final
class ResultPlace(QWidget):
    """A line with the folder of the result, empty where it stays in memory, and the memory that a run may take."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.line, self.button = QLineEdit(), QPushButton("Choose …")
        self.line.setPlaceholderText("memory")
        self.memory = LineEdit(
            label="Memory",
            tooltip="The most that a run may take, such as 4GiB: slices that need more are cut into tiles, and a "
            "larger result needs a folder. Empty: what is free",
        )
        self.memory.native.setPlaceholderText("what is free")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        self.button.clicked.connect(lambda: self.ask(""))
        self.line.textChanged.connect(self.changed)
        self.memory.changed.connect(self.changed.emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        label = QLabel(LABEL)
        for part in (label, self.line, self.button):
            part.setToolTip(
                "Empty: in memory. A folder (.ome.zarr): for a result that does not fit there. Finished slices are "
                "written and shown while it grows, and a run that was stopped goes on there, also after a restart"
            )
        rows.addRow(label, self)
        add_row(rows, self.memory)

    @property
    def folder(self) -> Path | None:
        """The folder; None if the result stays in memory."""
        text = self.line.text().strip()
        path = Path(text).expanduser() if text else None
        return path if path is None or path.suffix.lower() == ZARR_ENDING else Path(f"{path}{OME_ZARR_ENDING}")

    def ask(self, name: str) -> bool:
        """Ask for a folder, and return whether one was chosen."""
        chosen = ask_where_folder(self, name or "result")
        if chosen:
            self.line.setText(chosen)
        return bool(chosen)


def identity_of(part: Part, more: object) -> str:
    """Return a hash of the pixels of a part of a layer, which are read plane by plane, and of more."""
    pixels = part.pixels
    planes = (identity(np.asarray(pixels[place])) for place in np.ndindex(tuple(pixels.shape)[:-2]))
    return identity(part.axes, tuple(pixels.shape), [*planes], more)


def in_folder(setup: Setup, part: Part, look: Mapping[str, Any], path: Path, *, goes_on: bool | None) -> Setup:
    """Return a run whose pieces are written into a folder.

    Parameters
    ----------
    look : mapping
        How the layer of the result looks and lies.
    goes_on : bool or None
        Whether an unfinished result of the same run is gone on with, or begun anew; None: nobody has said.

    Raises
    ------
    UnfinishedResultError, FinishedResultError
        If there is such a result, and nobody has said what to do with it.
    ValueError
        If the result cannot be written there.
    """
    if setup.diagnostics:
        raise ValueError("a result that goes into a folder has no layers to check it by: untick 'Also add'")
    place = ZarrPlace(path=path, identity=setup.identity)
    if goes_on is False and place.is_begun():
        # Raises an error if another run is writing there.
        FolderLock(path, place.process_file).release()
        shutil.rmtree(path)
    try:
        setup, output = written_into(setup, described(part, look), place)
    except ValueError as error:
        raise ValueError(str(error).replace(", or replace it with --overwrite", "")) from None
    if output.is_complete:
        raise FinishedResultError(path)
    if output.pieces_done and goes_on is None:
        done = f"{output.pieces_done} of {len(setup.pieces)} {setup.unit}s"
        raise UnfinishedResultError(
            f"{path.name!r} has an unfinished result of these settings ({done}): go on with it?"
        )
    return setup

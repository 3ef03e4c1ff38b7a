"""The dock that compares layers with a reference: choose, press Compare, read the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from qtpy.QtWidgets import QApplication, QFormLayout, QPushButton, QVBoxLayout, QWidget

from ..arrays.axes import Array
from ..files.replacing import write_text
from ..runs.compare import difference
from ..runs.comparison_table import Row, notes_in_words
from ..runs.source import ArrayLike
from .compare_choices import CompareChoices, Compared
from .compare_table import CompareTable
from .dock_frame import framed, side_by_side
from .job import BackgroundJob
from .labels import StatusLine, text_label
from .layers import PLACE, Part, appearance, pixels_of
from .saving import ask_where_table

if TYPE_CHECKING:
    import napari.viewer

LOOKED_AT = 1_000_000
"""Most values from which the limits of a difference are chosen."""


@final
class CompareDock(QWidget):
    """Choose results, a reference and a region; see MSE, PSNR, SSIM and HFEN; add the difference as a layer."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.job: BackgroundJob | None = None
        self.compared: Compared | None = None
        self.choices = CompareChoices(viewer)
        self.compare_button, self.stop_button = QPushButton("Compare"), QPushButton("Stop")
        self.compare_button.setToolTip("Compare the results that are ticked with the reference")
        self.stop_button.setToolTip("End the comparison without a table")
        self.stop_button.setEnabled(False)
        self.status = StatusLine()
        self.about = text_label("", "about")
        self.table = CompareTable()
        self.copy_button, self.save_button = QPushButton("Copy"), QPushButton("Save CSV …")
        self.copy_button.setToolTip("Copy the table with all digits, to be pasted into a spreadsheet")
        self.save_button.setToolTip("Save the table with all digits")
        self.difference_button = QPushButton("Add difference layer")
        self.difference_button.setToolTip("Of the selected row: result less reference, white where both are equal")
        self.notes = text_label("\n".join(notes_in_words()), "notes")
        self._arrange()
        self._connect()
        self.choices.choose_first()

    # -- assembling ---------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        column = framed(self, self.start)
        rows = QFormLayout()
        self.choices.lay_out(rows)
        column.addLayout(rows)
        column.addLayout(side_by_side(self.compare_button, self.stop_button))
        column.addWidget(self.status)
        self.outcome = QWidget()
        below = QVBoxLayout(self.outcome)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.about)
        below.addWidget(self.table)
        below.addLayout(side_by_side(self.copy_button, self.save_button, self.difference_button))
        below.addWidget(self.notes)
        column.addWidget(self.outcome)
        column.addStretch(1)
        self.outcome.hide()

    def _connect(self) -> None:
        self.compare_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(self.save)
        self.difference_button.clicked.connect(self.add_difference)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._layers_changed)

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Compare what is chosen; what is wrong with it is said in the status line."""
        if self.job is not None:
            return
        try:
            work = self.choices.work()
        except ValueError as error:
            self._tell(str(error), error=True)
            return
        self._begin(work, self._show)

    def stop(self) -> None:
        """End the comparison."""
        if self.job is not None:
            self.job.stop()
            self.stop_button.setEnabled(False)
            self._tell("Stopping …")

    def copy(self) -> None:
        """Copy the table."""
        clipboard = QApplication.clipboard()
        if self.table.shown is not None and clipboard is not None:
            clipboard.setText(self.table.shown.separated("\t"))
            self._tell("The table is copied: paste it into a spreadsheet.")

    def save(self) -> None:
        """Write the table where the person says."""
        table = self.table.shown
        if table is None:
            return
        path = ask_where_table(self, f"comparison with {table.reference}")
        if not path:
            return
        try:
            write_text(Path(path), table.separated())
        except (ValueError, OSError) as error:
            self._tell(f"{path!r} could not be written: {error}", error=True)
            return
        self._tell(f"Saved as {Path(path).name!r}.")

    def add_difference(self) -> None:
        """Add the difference of the selected row as a layer."""
        made, row = self.compared, self.table.chosen
        if self.job is not None or row is None:
            return
        if made is None:
            self._tell("a layer of this comparison is gone: compare again", error=True)
            return
        self._begin(partial(_difference, row, made.aligned.pixels[row.name], made), partial(self._add, row, made))

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin(self, work: Callable[[], Any], show: Callable[..., None]) -> None:
        self.job = BackgroundJob(work)
        self.job.told.connect(self._tell)
        self.job.succeeded.connect(show)
        self.job.failed.connect(self._failed)
        self.job.finished.connect(self._finished)
        self.destroyed.connect(self.job.stop)
        for button in (self.compare_button, self.difference_button):
            button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self._tell("Comparing …")
        self.job.start()

    def _layers_changed(self) -> None:
        self.choices.layers_changed()
        made = self.compared
        if made is not None and any(layer not in self._viewer.layers for layer in (made.layer, *made.layers.values())):
            # A layer that the person deletes is to leave the memory.
            self.compared = None

    def _show(self, made: Compared) -> None:
        self.compared = made
        self.table.show_table(made.table)
        self.outcome.show()
        said = [made.aligned.words] if made.aligned.words else []
        self.about.setText(" ".join([*made.table.introduction(), *said, *_elsewhere(made)]))
        self._tell("")

    def _add(self, row: Row, made: Compared, found: tuple[Array, float]) -> None:
        values, limit = found
        name = f"{row.title} less {made.reference.name}"
        self._viewer.add_image(values, name=name, colormap="PiYG", contrast_limits=(-limit, limit), **_place_of(made))
        self._tell(f"{name!r} is added: white is 0, green above, pink below.")

    def _failed(self, problem: str) -> None:
        self._tell(problem or "Stopped: nothing was compared.", error=bool(problem))

    def _finished(self) -> None:
        self.job = None
        for button in (self.compare_button, self.difference_button):
            button.setEnabled(True)
        self.stop_button.setEnabled(False)

    def _tell(self, text: str, *, error: bool = False) -> None:
        self.status.tell(text, error=error)
        self.status.setVisible(bool(text))


def _difference(row: Row, pixels: ArrayLike, made: Compared) -> tuple[Array, float]:
    """Return a difference, of colours their mean, and the limit between which 99.5 % of it lies."""
    values = difference(row, pixels, made.reference)
    if made.layer.rgb:
        values = values.mean(axis=-1)
    some = np.abs(values.ravel()[:: max(1, values.size // LOOKED_AT)])
    some = some[np.isfinite(some)]
    return values, float(np.quantile(some, 0.995)) or 1.0


def _place_of(made: Compared) -> dict[str, Any]:
    """Return where the part of the reference lies that was compared."""
    layer, spans = made.layer, made.aligned.spans[: made.layer.ndim]
    part = Part(layer, made.reference.pixels, made.reference.axes, tuple(span.start for span in spans))
    look = appearance(part, {})
    return {name: look[name] for name in PLACE}


def _elsewhere(made: Compared) -> list[str]:
    """Return a sentence on every result of the reference's size that does not lie where the reference lies."""
    own = made.layer
    return [
        f"{name!r} does not lie where the reference lies: pixels are compared by their row and column."
        for name, layer in made.layers.items()
        if pixels_of(layer).shape == pixels_of(own).shape
        and (np.abs(layer.extent.world - own.extent.world) > own.scale / 2).any()
    ]

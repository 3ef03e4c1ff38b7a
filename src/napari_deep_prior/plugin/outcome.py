"""Where a run is started, watched and stopped, and what came out of it is said."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from ..runs.record import Record
from ..runs.report import (
    LONG,
    outcome_in_words,
    place_in_words,
    progress_in_words,
    stage_in_words,
)
from .curve import Curve
from .dock_frame import side_by_side, thin_bar
from .labels import StatusLine, text_label
from .worker import Outcome, Update

BLUR_HEIGHT = 64
"""Pixels of the screen that the image of a blur is high."""


@final
class OutcomePanel(QWidget):
    """Buttons, progress bar, status line, the blur that was undone, and the curve; ``text`` is the curve's colour."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.run_button = QPushButton("Run")
        self.run_button.setToolTip("Restore what is chosen above; the result is a new layer")
        self.try_button = QPushButton("Try here")
        self.try_button.setToolTip("Restore the current view: a quick look, of which the next one takes the place")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End now and keep the best image so far")
        self.stop_button.setEnabled(False)
        self.bar = thin_bar()
        self.status = StatusLine()
        self.fill_button = QPushButton("Fill the missing pixels and run")
        self.fill_button.setToolTip("NaN and infinite pixels are treated as missing, and filled in")
        self.apply_button = QPushButton("")
        self.apply_button.setToolTip("All slices of the layer, with the settings and the noise of this quick look")
        self.go_on_button = QPushButton("Go on with the other slices")
        self.go_on_button.setToolTip("What is restored already stays as it is")
        self.resume_button, self.anew_button = QPushButton("Go on"), QPushButton("Begin anew")
        self.resume_button.setToolTip("What is finished in the folder stays as it is")
        self.anew_button.setToolTip("What is finished in the folder is deleted")
        self.folder_button = QPushButton("Choose a folder and run …")
        self.folder_button.setToolTip("The result is written there piece by piece, and need not fit into the memory")
        self.model_button = QPushButton("Save model …")
        self.model_button.setToolTip("The network of all slices, for 'Trained network' (.safetensors)")
        self.save_button = QPushButton("Save result …")
        self.save_button.setToolTip("As OME-TIFF, with pixel size, units and the record of what was done")
        self.blur = text_label("", "blur")
        self.curve = Curve(text, self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(side_by_side(self.run_button, self.try_button, self.stop_button))
        self._offers = (
            *(self.apply_button, self.go_on_button, self.fill_button, self.resume_button, self.anew_button),
            *(self.folder_button, self.save_button, self.model_button),
        )
        for part in (self.bar, self.status, *self._offers[:6], self.blur, self.curve, *self._offers[6:]):
            column.addWidget(part)
        self._hide_offers()
        self.blur.hide()

    def tell(self, text: str, *, error: bool = False) -> None:
        """Show a sentence under the buttons."""
        self.status.tell(text, error=error)

    def show_start(self) -> None:
        """Show that a run is under way."""
        self.curve.clear_run()
        self.blur.hide()
        for button in (self.run_button, self.try_button):
            button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self._hide_offers()
        # Nothing that moves by itself: each of its pictures would have the whole window drawn anew.
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.tell("Starting …")

    def show_stop(self) -> None:
        """Show that a run has been asked to end."""
        self.stop_button.setEnabled(False)
        self.tell("Stopping …")

    def show_update(self, update: Update) -> None:
        """Show how far a run is."""
        self.curve.add(update)
        if update.total:
            # Of all slices, so that the bar fills once.
            self.bar.setRange(0, update.total * update.piece_count)
            self.bar.setValue(update.total * (update.piece_number - 1) + update.number)
        if self.stop_button.isEnabled():
            self.tell(_progress(update))

    def show_outcome(self, outcome: Outcome | None) -> None:
        """Show how a run ended; None: before there was an image."""
        if outcome is None:
            self.tell("Stopped before there was an image: nothing was changed.")
            return
        record = outcome.record
        words = outcome_in_words(
            record, steps=outcome.steps, total=outcome.total, stopped=outcome.stopped, seconds=outcome.seconds
        )
        self.go_on_button.setVisible(outcome.missing > 0)
        self.tell(words)
        # What lies in a folder is saved already.
        self.save_button.setVisible(not outcome.folder)
        self.model_button.setVisible(outcome.model is not None)
        chosen = record.chosen_steps[0] if record.piece_count == 1 else None
        if chosen is not None:
            self.curve.mark(chosen)
        self._show_blur(record)

    def show_end(self) -> None:
        """Show that no run is under way."""
        for button in (self.run_button, self.try_button):
            button.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)

    def offer(self, words: str, *buttons: QPushButton) -> None:
        """Show what is in the way of a run, with buttons that have it done otherwise."""
        self.tell(words, error=not words.endswith("?"))
        for button in buttons:
            button.show()

    def refuse_missing(self, problem: str) -> None:
        """Show that pixels are missing, with a button that has them filled."""
        self.offer(f"{problem.partition(':')[0]}: fill them, or replace them first.", self.fill_button)

    def _hide_offers(self) -> None:
        for button in self._offers:
            button.hide()

    def _show_blur(self, record: Record) -> None:
        """Show the blur that was undone as a small image; of a volume its middle plane."""
        values: list[Any] | None = record.blur
        self.blur.setVisible(values is not None)
        if values is None:
            return
        blur = np.array(values)
        blur = blur if blur.ndim == 2 else blur[len(blur) // 2]
        grey = np.ascontiguousarray(255 * np.clip(blur / blur.max(), 0, 1), np.uint8)
        rows, columns = grey.shape
        image = QImage(grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        self.blur.setPixmap(QPixmap.fromImage(image).scaledToHeight(BLUR_HEIGHT))
        self.blur.setToolTip(f"The blur that was undone, {rows} × {columns} pixels of the result")


def _progress(update: Update) -> str:
    place = place_in_words(update.piece_number, update.piece_count, update.unit)
    # Between two steps a stage is worth a word only where it takes long.
    if not update.number or (update.stage and update.stage_seconds >= LONG):
        return stage_in_words(place, update.stage or "Preparing", seconds=update.stage_seconds)
    return progress_in_words(
        place, step=update.number, total=update.total, chosen=update.chosen, seconds_left=update.seconds_left
    )

"""Where a run is started, watched and stopped, and what came out of it is said."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..runs.record import Record
from ..runs.report import outcome_in_words, progress_in_words
from .curve import Curve
from .labels import ERROR_STYLE, sentence, text_label
from .worker import Outcome, Update

BLUR_HEIGHT = 64
"""Pixels of the screen that the image of a blur is high."""


@final
class OutcomePanel(QWidget):
    """Buttons, progress bar, status line, the blur that was undone, and the curve; ``text`` is the curve's colour."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.run_button = QPushButton("Run")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End now and keep the best image so far")
        self.stop_button.setEnabled(False)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.status = text_label("", "status")
        self.fill_button = QPushButton("Fill the missing pixels and run")
        self.blur = text_label("", "blur")
        self.curve = Curve(text, self)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        for part in (self.bar, self.status, self.blur, self.fill_button, self.curve):
            column.addWidget(part)
        self.fill_button.hide()
        self.blur.hide()

    def tell(self, text: str, *, error: bool = False) -> None:
        """Show a sentence under the buttons."""
        self.status.setText(sentence(text))
        self.status.setStyleSheet(ERROR_STYLE if error else "")

    def show_start(self, device: str) -> None:
        """Show that a run has been started."""
        self.curve.clear_run()
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self.bar.setRange(0, 0)
        self.tell(f"Starting on {device} …")

    def show_stop(self) -> None:
        """Show that a run has been asked to end."""
        self.stop_button.setEnabled(False)
        self.tell("Stopping after this step …")

    def show_update(self, update: Update) -> None:
        """Show how far a run is."""
        self.curve.add(update)
        self.bar.setRange(0, update.total)
        self.bar.setValue(update.number)
        if self.stop_button.isEnabled():
            self.tell(
                progress_in_words(
                    piece=update.piece_number,
                    step=update.number,
                    total=update.total,
                    chosen=update.chosen,
                    seconds_left=update.seconds_left,
                )
            )

    def show_outcome(self, outcome: Outcome) -> None:
        """Show how a run ended."""
        record = outcome.record
        self.tell(
            outcome_in_words(
                record,
                steps=outcome.steps,
                total=outcome.total,
                stopped=outcome.stopped,
                seconds=outcome.seconds,
            )
        )
        chosen = record.chosen_steps[0]
        if record.piece_count == 1 and chosen is not None:
            self.curve.mark(chosen)
        self._show_blur(record)

    def show_end(self) -> None:
        """Show that no run is under way."""
        self.run_button.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)

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

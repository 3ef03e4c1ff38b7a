"""The table of a batch in its dock: a row for each image, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ..runs.batch import Job, JobOutcome
from ..runs.batch_table import row_of
from ..runs.batch_words import STATUSES
from .labels import ERROR_COLOUR

COLUMNS = ("Image", "State", "PSNR (dB)", "Seconds", "Noise")
NUMBERS = ("Seconds", "PSNR (dB)")

LOWEST, NARROWEST = 180, 400
"""Pixels of the screen that the table is high and wide at least."""

WIDEST_NAME = 110
"""Pixels of the screen that the column of names is wide at most; what is cut off stands in the tooltip."""


@final
class BatchTableView(QTableWidget):
    """Rows of a batch."""

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setMinimumSize(NARROWEST, LOWEST)
        self.setToolTip("Double-click a row to open its result as a layer")
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is not None and down is not None:
            down.hide()
            across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            across.setStretchLastSection(True)

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Show a row for each job, none of which has begun."""
        self.setRowCount(len(jobs))
        for at, job in enumerate(jobs):
            for column in range(len(COLUMNS)):
                self.setItem(at, column, QTableWidgetItem(""))
            self._write(at, "Image", job.name)
            self._write(at, "State", "waiting")
        self._fit()

    def show_state(self, number: int, words: str) -> None:
        """Show how far a job is; the first one is number 1."""
        self._write(number - 1, "State", words)
        self.scrollToItem(self.item(number - 1, 0))

    def show_outcome(self, number: int, outcome: JobOutcome) -> None:
        """Show what has become of a job."""
        at, row = number - 1, row_of(outcome)
        self._write(at, "State", STATUSES[outcome.status])
        item = self.item(at, COLUMNS.index("State"))
        if item is not None and outcome.message:
            item.setToolTip(outcome.message)
        if item is not None and outcome.status in ("failed", "refused"):
            item.setForeground(ERROR_COLOUR)
        self._write(at, "Noise", row["noise"])
        self._write(at, "Seconds", row["seconds"])
        numbers = [row.get(name, "") for name in ("psnr_before", "psnr")]
        self._write(at, "PSNR (dB)", " → ".join(filter(None, numbers)))
        self._fit()

    def _write(self, at: int, column: str, text: str) -> None:
        item = self.item(at, COLUMNS.index(column))
        if item is None:
            return
        item.setText(text)
        item.setToolTip(text)
        if column in NUMBERS:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _fit(self) -> None:
        self.resizeColumnsToContents()
        self.setColumnWidth(0, min(WIDEST_NAME, self.columnWidth(0)))

"""The table of a comparison in a dock, with what is done with it."""

from __future__ import annotations

from typing import final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ..runs.comparison_table import NOTES, ComparisonTable, Row

MOST_ROWS = 8
"""Rows that are shown without scrolling."""

WIDEST_NAME = 170
"""Pixels of the screen that the column of names is wide at most; longer names are cut, and shown by their tooltips."""


WIDEST = 460
"""Pixels of the screen up to which the dock widens for the table; a wider one scrolls."""


@final
class CompareTable(QTableWidget):
    """Rows of a comparison; one of them is selected."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: ComparisonTable | None = None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self._headers()[1].hide()

    @property
    def chosen(self) -> Row | None:
        """The row that is selected."""
        at = self.currentRow()
        return None if self.shown is None or at < 0 else self.shown.rows[at]

    def show_table(self, table: ComparisonTable) -> None:
        """Show a comparison, with its first row selected."""
        self.shown = table
        titles = table.titles()
        self.clear()
        self.setRowCount(len(table.rows))
        self.setColumnCount(len(titles))
        for column, title in enumerate(titles):
            name = title.partition(" ")[0]
            header = QTableWidgetItem(title.replace(" (", "\n(").replace(", ", "\n"))
            header.setToolTip(NOTES.get(name, ""))
            self.setHorizontalHeaderItem(column, header)
        for at, row in enumerate(table.rows):
            for column, text in enumerate(table.cells(row)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if titles[column] not in ("Result", "Plane"):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(at, column, item)
        self._fit()
        self.selectRow(0)

    def _fit(self) -> None:
        """Give the columns the width of their texts, and the table the height of its rows."""
        across, down = self._headers()
        self.resizeColumnsToContents()
        self.resizeRowsToContents()
        self.setColumnWidth(0, min(WIDEST_NAME, self.columnWidth(0)))
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        across.setStretchLastSection(True)
        self.setMinimumWidth(min(WIDEST, across.length() + 2 * self.frameWidth()))
        rows = sum(down.sectionSize(at) for at in range(min(MOST_ROWS, self.rowCount())))
        bar = self.horizontalScrollBar()
        scroll = 0 if bar is None else bar.sizeHint().height()
        self.setFixedHeight(across.sizeHint().height() + rows + scroll + 2 * self.frameWidth())

    def _headers(self) -> tuple[QHeaderView, QHeaderView]:
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is None or down is None:
            raise ValueError("the table has no headers")
        return across, down

"""A folder that a person chooses or types."""

from __future__ import annotations

from pathlib import Path
from typing import final

from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget


@final
class FolderInput(QWidget):
    """A line with the path of a folder, and a button that asks for it.

    Parameters
    ----------
    label, tooltip : str
        For people.
    placeholder : str
        What the line says as long as it is empty.
    """

    changed = Signal()

    def __init__(self, label: str, tooltip: str, placeholder: str = "") -> None:
        super().__init__()
        self._label = QLabel(label)
        self.line, self.button = QLineEdit(), QPushButton("Choose …")
        self.line.setPlaceholderText(placeholder)
        for part in (self._label, self.line, self.button):
            part.setToolTip(tooltip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        self.button.clicked.connect(self._ask)
        self.line.textChanged.connect(self.changed)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        rows.addRow(self._label, self)

    def show_row(self, *, visible: bool) -> None:
        """Show or hide the widget and its label."""
        self.setVisible(visible)
        self._label.setVisible(visible)

    @property
    def folder(self) -> Path | None:
        """The folder; None if there is no text."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def needed(self) -> Path:
        """Return the folder.

        Raises
        ------
        ValueError
            If none is chosen.
        """
        if self.folder is None:
            raise ValueError(f"nothing is chosen under {self._label.text()!r}: choose a folder there")
        return self.folder

    def existing(self) -> Path | None:
        """Return the folder, None if none is chosen.

        Raises
        ------
        ValueError
            If there is no such folder.
        """
        if self.folder is not None and not self.folder.is_dir():
            raise ValueError(f"there is no folder {str(self.folder)!r}, which stands under {self._label.text()!r}")
        return self.folder

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self._label.text(), self.line.text())
        if chosen:
            self.line.setText(chosen)

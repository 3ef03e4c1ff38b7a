"""Texts in the dock."""

from __future__ import annotations

from typing import final

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel

from ..runs.report import sentence

ERROR_COLOUR = QColor("#ff6b5e")
ERROR_STYLE = f"color: {ERROR_COLOUR.name()};"


def text_label(text: str, name: str) -> QLabel:
    """Return a label that wraps its lines, and whose text can be copied."""
    label = QLabel(text)
    _wrap(label, name)
    return label


@final
class StatusLine(QLabel):
    """A sentence on how things stand, below the buttons of a dock."""

    def __init__(self) -> None:
        super().__init__()
        _wrap(self, "status")

    def tell(self, text: str, *, error: bool = False) -> None:
        """Show a sentence."""
        self.setText(sentence(text))
        self.setStyleSheet(ERROR_STYLE if error else "")


def _wrap(label: QLabel, name: str) -> None:
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

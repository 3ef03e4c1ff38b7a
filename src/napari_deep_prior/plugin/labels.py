"""Texts in the dock."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel

ERROR_COLOUR = QColor("#ff6b5e")
ERROR_STYLE = f"color: {ERROR_COLOUR.name()};"


def text_label(text: str, name: str) -> QLabel:
    """Return a label that wraps its lines, and whose text can be copied."""
    label = QLabel(text)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label

"""Texts in the dock."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

ERROR_STYLE = "color: #ff6b5e;"


def text_label(text: str, name: str) -> QLabel:
    """Return a label that wraps its lines, and whose text can be copied."""
    label = QLabel(text)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label

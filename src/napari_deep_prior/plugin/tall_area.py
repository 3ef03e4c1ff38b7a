"""A dock that is lower than its content: on a laptop, or with the advanced settings unfolded."""

from __future__ import annotations

from typing import final

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

NARROWEST = 320
"""Pixels of the screen that a dock is wide at least: sentences are hard to read in less."""

NEW_WIDTH = (QEvent.Type.LayoutRequest, QEvent.Type.Show)
"""Events after which the content may need another width."""


@final
class TallArea(QScrollArea):
    """Scrolls up and down only: it is never narrower than its content, of which nothing is cut off."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Follow the content when rows come and go, or the theme changes."""
        content, bar = self.widget(), self.verticalScrollBar()
        if event is not None and event.type() in NEW_WIDTH and content is not None and bar is not None:
            needed = content.minimumSizeHint().width() + bar.sizeHint().width() + 2 * self.frameWidth()
            self.setMinimumWidth(max(NARROWEST, needed))
        return super().eventFilter(watched, event)

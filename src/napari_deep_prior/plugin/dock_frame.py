"""How a dock behaves in the window: beside others of its kind it becomes a tab, and Enter does what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QProgressBar, QVBoxLayout, QWidget

from .tall_area import TallArea

ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)

MARK = "deep-prior-dock"
"""Property by which docks of this plugin know each other."""


@final
class DockFrame(QObject):
    """Moves a dock behind the other docks of the plugin when it is first shown: side by side none would have room.

    Parameters
    ----------
    content : QWidget
        What stands in the dock.
    enter : callable
        Is called when Enter is pressed anywhere within it.
    """

    def __init__(self, content: QWidget, enter: Callable[[], None]) -> None:
        super().__init__(content)
        self._enter, self._was_shown = enter, False
        content.setProperty(MARK, True)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Wait for the first time that the content is shown, and for keys that none of its widgets has taken."""
        if event is not None and event.type() == QEvent.Type.Show and not self._was_shown:
            self._was_shown = True
            # The window first gives the dock its place.
            QTimer.singleShot(0, self._become_tab)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in ENTER:
            self._enter()
            return True
        return super().eventFilter(watched, event)

    def _become_tab(self) -> None:
        content = self.parent()
        frame = content.parent() if content is not None else None
        window = frame.parent() if frame is not None else None
        if not isinstance(frame, QDockWidget) or not isinstance(window, QMainWindow) or frame.isFloating():
            return
        for other in window.findChildren(QDockWidget):
            if window.tabifiedDockWidgets(frame):
                return
            inside = other.widget()
            if other is frame or inside is None or not inside.property(MARK) or other.isFloating():
                continue
            if window.dockWidgetArea(other) == window.dockWidgetArea(frame):
                window.tabifyDockWidget(other, frame)
                frame.raise_()


def framed(dock: QWidget, enter: Callable[[], None]) -> QVBoxLayout:
    """Return the column in which the parts of a dock stand, which scrolls; Enter anywhere in it calls ``enter``."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(6, 6, 6, 6)
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(TallArea(content))
    DockFrame(dock, enter)
    return column


def side_by_side(*parts: QWidget) -> QHBoxLayout:
    """Return a row of widgets."""
    row = QHBoxLayout()
    for part in parts:
        row.addWidget(part)
    return row


def thin_bar() -> QProgressBar:
    """Return a progress bar without a text."""
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setMaximumHeight(8)
    return bar


def window_of(dock: QWidget) -> QWidget:
    """Return the viewer's window, in which a dock stands or from which it was moved out."""
    while (parent := dock.parentWidget()) is not None:
        dock = parent
    return dock

"""The end of a viewer's window, with which the work ends that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


@final
class WindowEnd(QObject):
    """Calls a function when a window is closed or deleted.

    Parameters
    ----------
    window : QWidget
        The window.
    end : callable
        What is called, perhaps more than once.
    """

    def __init__(self, window: QWidget, end: Callable[[], None]) -> None:
        super().__init__()
        self._end = end
        window.destroyed.connect(self._ended)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Wait until the window is hidden by the program: when it is minimised the window manager hides it."""
        if event is not None and event.type() == QEvent.Type.Hide and not event.spontaneous():
            self._ended()
        return super().eventFilter(watched, event)

    def _ended(self) -> None:
        self._end()

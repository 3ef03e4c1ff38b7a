"""Which channels are restored, and whether together or one by one."""

from __future__ import annotations

from typing import final

from magicgui.widgets import CheckBox, LineEdit
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout

from .form import add_row, show_row

ONE_BY_ONE = "restore one by one"


@final
class ChannelInput:
    """A line with the channels, and a tick for channels that are restored one by one."""

    changed = Signal()

    def __init__(self) -> None:
        self._rows: QFormLayout | None = None
        self.line = LineEdit(
            label="Channels",
            tooltip="Numbers, counted from 0, or names of the channels that are restored, separated by commas; empty: "
            "all. The result has no others",
        )
        self.separate = CheckBox(
            label=" ",
            tooltip="Each channel as if it were an image of its own, with a network of its own: where they show "
            "different structures. Else all channels of a slice are restored together; each has its own noise "
            "in both cases",
        )
        self.line.changed.connect(self._emit)
        self.separate.changed.connect(self._emit)

    @property
    def text(self) -> str:
        """The channels as they stand in the form; empty: all."""
        return str(self.line.value).strip()

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        self._rows = rows
        add_row(rows, self.line)
        add_row(rows, self.separate)
        self.separate.native.setText(ONE_BY_ONE)

    def offer(self, words: str) -> None:
        """Show the rows with these words where nothing is chosen; hide them if there are none."""
        self.line.native.setPlaceholderText(words)
        if self._rows is not None:
            for widget in (self.line, self.separate):
                show_row(self._rows, widget, visible=bool(words))

    def _emit(self) -> None:
        self.changed.emit()

"""Where the work is done, and what comes out besides the image."""

from __future__ import annotations

from typing import Any, final

from magicgui.widgets import CheckBox, ComboBox
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout

from ..runs.devices import available_devices
from .form import add_row


@final
class RunOptionsForm:
    """Widgets for device, type of the result, and layers to check it by.

    Parameters
    ----------
    diagnostics : bool
        Whether the task has a residual that can be checked.
    """

    changed = Signal()

    def __init__(self, *, diagnostics: bool) -> None:
        self._offers_diagnostics = diagnostics
        self.device: Any = ComboBox(label="Device", choices=available_devices(), tooltip="Where the work is done")
        self.dtype: Any = ComboBox(
            label="Result type",
            choices=[("as the input", "same"), ("float32", "float32")],
            tooltip="Pixel type of the result: the input's (rounded where it is an integer, unless that would round "
            "the light away, as of photon counts below about three) or 32-bit float",
        )
        self.diagnostics: Any = CheckBox(
            label="Also add",
            tooltip="Layers to check the result by: what was taken away, in units of the noise, and how far the "
            "members of an ensemble are apart (with two or more, as with the effort 'best')",
        )
        for widget in (self.device, self.dtype, self.diagnostics):
            widget.changed.connect(self._emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        add_row(rows, self.device)
        add_row(rows, self.dtype)
        if self._offers_diagnostics:
            add_row(rows, self.diagnostics)
            self.diagnostics.native.setText("residual, uncertainty")

    def _emit(self) -> None:
        self.changed.emit()

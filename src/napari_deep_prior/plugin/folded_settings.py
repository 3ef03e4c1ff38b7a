"""Settings that are folded away at first."""

from __future__ import annotations

from typing import final

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

from .method_form import MethodForm

TITLE = "Advanced settings"


@final
class FoldedSettings(QCollapsible):
    """A part of a dock that unfolds; its title says whether settings of the method are others than at first.

    Parameters
    ----------
    content : QWidget
        What is folded away.
    method_form : MethodForm
        The settings that may have been changed.
    """

    def __init__(self, content: QWidget, method_form: MethodForm) -> None:
        # The arrow is part of the text, whose colour follows the theme.
        super().__init__(expandedIcon=QIcon(), collapsedIcon=QIcon())
        self._method_form = method_form
        self.toggled.connect(self._name)
        method_form.changed.connect(self._name)
        self._name()
        self.addWidget(content)

    def _name(self) -> None:
        changed = " (changed)" if self._method_form.is_changed else ""
        self.setText(f"{'▾' if self.isExpanded() else '▸'} {TITLE}{changed}")

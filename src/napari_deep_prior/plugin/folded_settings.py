"""Settings that are folded away at first."""

from __future__ import annotations

from typing import Any, Protocol, final

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

TITLE = "Advanced settings"


class ChangedForm(Protocol):
    """A form that knows whether anything in it is other than at first."""

    @property
    def changed(self) -> Any:
        """A signal: something may be other than before."""

    @property
    def is_changed(self) -> bool:
        """Whether anything is other than at first."""


@final
class FoldedSettings(QCollapsible):
    """A part of a dock that unfolds; its title says whether settings are others than at first.

    Parameters
    ----------
    content : QWidget
        What is folded away.
    form : ChangedForm
        The settings that may have been changed.
    """

    def __init__(self, content: QWidget, form: ChangedForm) -> None:
        # The arrow is part of the text, whose colour follows the theme.
        super().__init__(expandedIcon=QIcon(), collapsedIcon=QIcon())
        self._form = form
        self.toggled.connect(self._name)
        form.changed.connect(self._name)
        self._name()
        self.addWidget(content)
        self.toggleButton().setToolTip("Show or hide settings that are rarely needed")

    def _name(self) -> None:
        changed = " (changed)" if self._form.is_changed else ""
        self.setText(f"{'▾' if self.isExpanded() else '▸'} {TITLE}{changed}")

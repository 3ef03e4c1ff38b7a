"""The curve of a run: fit and criterion against the iteration, with the chosen step marked."""

from __future__ import annotations

from typing import final

import pyqtgraph
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from .log_plot import BEHIND_LEGEND, LogAxis, colour_axes, dress
from .worker import Update

FIT = "#4c9be8"
CRITERION = "#e8a33d"
CHOSEN = "#7fbf7f"
FEWEST_STEPS = 50
"""Steps of a method from which its curve tells something."""


@final
class Curve(pyqtgraph.PlotWidget):  # type: ignore[misc]
    """A small plot that grows with the updates of a run; ``text`` is the colour of its labels.

    Hidden where there is nothing to see: before a run, and for methods that make a few passes, whose misfit tells
    nothing (it grows, because the noise goes). What comes while it is covered is drawn when it is seen again.
    """

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None, axisItems={"left": LogAxis("left")})
        dress(self)
        self._legend = self.addLegend(offset=(-5, 5), labelTextColor=text, brush=BEHIND_LEGEND)
        self._criterion_name = ""
        self._fit = self.plot([], [], pen=pyqtgraph.mkPen(FIT, width=1), name="fit")
        self._criterion = self.plot([], [], pen=pyqtgraph.mkPen(CRITERION, width=2))
        self._mark = pyqtgraph.InfiniteLine(angle=90, pen=pyqtgraph.mkPen(CHOSEN, width=2))
        self.addItem(self._mark)
        self.show_in(text)
        self.clear_run()

    def show_in(self, text: str) -> None:
        """Show numbers, axes and names in another colour."""
        colour_axes(self, text)
        self._legend.setLabelTextColor(text)
        self._name_curves(self._criterion_name, anew=True)

    def clear_run(self) -> None:
        """Forget the last run, or the last piece."""
        self.losses: list[float] = []
        self.criteria: list[float] = []
        self.piece_number = 0
        self._mark.hide()
        self.hide()
        self._draw()

    def add(self, update: Update) -> None:
        """Append the steps of an update and move the mark."""
        if update.piece_number != self.piece_number:
            self.clear_run()
            self.piece_number = update.piece_number
        self.losses += update.losses
        self.criteria += update.criteria
        if update.total < FEWEST_STEPS or len(self.losses) < 2:
            return
        self._name_curves(update.criterion_name)
        self.mark(update.chosen)
        self._is_drawn = False
        if self.isHidden():
            self.show()
        elif self.isVisible():
            self._draw()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Draw what has come meanwhile."""
        super().showEvent(event)
        if not self._is_drawn:
            self._draw()

    def mark(self, step: int) -> None:
        """Mark the step that the image is from."""
        self._mark.setValue(step)
        self._mark.show()

    def _name_curves(self, criterion: str, *, anew: bool = False) -> None:
        if anew or criterion != self._criterion_name:
            self._criterion_name = criterion
            self._legend.clear()
            self._legend.addItem(self._fit, "fit")
            if criterion:
                self._legend.addItem(self._criterion, criterion)

    def _draw(self) -> None:
        self._is_drawn = True
        self._fit.setData(range(1, len(self.losses) + 1), self.losses)
        first = len(self.losses) - len(self.criteria) + 1
        self._criterion.setData(range(first, first + len(self.criteria)), self.criteria)

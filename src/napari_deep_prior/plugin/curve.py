"""The curve of a run: fit and criterion against the iteration, with the chosen step marked."""

from __future__ import annotations

import math
from typing import final

import pyqtgraph
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from .worker import Update

FIT = "#4c9be8"
CRITERION = "#e8a33d"
CHOSEN = "#7fbf7f"
FEWEST_STEPS = 50
"""Steps of a method from which its curve tells something."""

BEHIND_LEGEND = (128, 128, 128, 90)
"""Dims a curve behind the names, so that they can be read on a dark and on a light theme."""


@final
class _LogAxis(pyqtgraph.AxisItem):  # type: ignore[misc]
    """Ticks at 1, 2 and 5 of each decade; pyqtgraph's own overlap in a low plot.

    pyqtgraph names these two methods as the place to change its ticks.
    """

    def logTickValues(  # noqa: N802
        self,
        minVal: float,  # noqa: N803
        maxVal: float,  # noqa: N803
        size: float,
        stdTicks: object,  # noqa: N803
    ) -> list[tuple[None, list[float]]]:
        """Return the logarithms of the tick values."""
        decades = range(math.floor(minVal), math.ceil(maxVal) + 1)
        ticks = [decade + math.log10(digit) for decade in decades for digit in (1, 2, 5)]
        shown = [tick for tick in ticks if minVal <= tick <= maxVal]
        return [(None, shown if len(shown) > 1 else [minVal, (minVal + maxVal) / 2, maxVal])]

    def logTickStrings(self, values: list[float], scale: float, spacing: object) -> list[str]:  # noqa: N802
        """Return the tick values as text."""
        return [f"{10**value * scale:.3g}" for value in values]


@final
class Curve(pyqtgraph.PlotWidget):  # type: ignore[misc]
    """A small plot that grows with the updates of a run; ``text`` is the colour of its labels.

    Hidden where there is nothing to see: before a run, and for methods that make a few passes, whose misfit tells
    nothing (it grows, because the noise goes). What comes while it is covered is drawn when it is seen again.
    """

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None, axisItems={"left": _LogAxis("left")})
        self.setMinimumHeight(170)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        for side, label in (("bottom", "step"), ("left", "error")):
            self.getAxis(side).enableAutoSIPrefix(False)
            self.setLabel(side, label)
        # Room for the uppermost number, and under the label, whose descenders would be cut off.
        self.plotItem.setContentsMargins(0, 8, 0, 8)
        self.setLogMode(y=True)
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
        for side in ("bottom", "left"):
            axis = self.getAxis(side)
            axis.setTextPen(text)
            axis.setPen(text)
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

"""The curve of a training: its loss on crops and on held-out images against the step, with the best step marked."""

from __future__ import annotations

import math
from typing import final

import pyqtgraph
from qtpy.QtWidgets import QWidget

from .curve import CHOSEN, CRITERION, FIT
from .log_plot import BEHIND_LEGEND, LogAxis, colour_axes, dress
from .training_job import TrainingCourse

TRAINING, VALIDATION = "training", "held-out images"


@final
class TrainingCurve(pyqtgraph.PlotWidget):  # type: ignore[misc]
    """A small plot that grows with a training; ``text`` is the colour of its labels. Hidden before there are points."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None, axisItems={"left": LogAxis("left")})
        dress(self)
        self._legend = self.addLegend(offset=(-5, 5), labelTextColor=text, brush=BEHIND_LEGEND)
        pen = pyqtgraph.mkPen(CRITERION, width=2)
        self.training = self.plot([], [], pen=pyqtgraph.mkPen(FIT, width=1), name=TRAINING)
        self.validation = self.plot(
            [], [], pen=pen, symbol="o", symbolSize=5, symbolBrush=CRITERION, symbolPen=None, name=VALIDATION
        )
        self._mark = pyqtgraph.InfiniteLine(angle=90, pen=pyqtgraph.mkPen(CHOSEN, width=2))
        self.addItem(self._mark)
        self.show_in(text)
        self.hide()

    def show_in(self, text: str) -> None:
        """Show numbers, axes and names in another colour."""
        colour_axes(self, text)
        self._legend.setLabelTextColor(text)
        self._legend.clear()
        for curve, name in ((self.training, TRAINING), (self.validation, VALIDATION)):
            self._legend.addItem(curve, name)

    def show_course(self, course: TrainingCourse) -> None:
        """Show how a training has gone so far."""
        validations = [(step, each.loss) for step, each in course.validations]
        for curve, points in ((self.training, course.losses), (self.validation, validations)):
            # What has diverged has no place on the axis.
            shown = [point for point in points if math.isfinite(point[1]) and point[1] > 0]
            curve.setData([step for step, _ in shown], [loss for _, loss in shown])
        self._mark.setValue(course.chosen)
        self._mark.setVisible(bool(validations))
        self.setVisible(bool(course.losses))

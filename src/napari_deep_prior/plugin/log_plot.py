"""A small plot with a logarithmic error axis, as curves of runs and of trainings have it."""

from __future__ import annotations

import math
from typing import Any, final

import pyqtgraph

BEHIND_LEGEND = (128, 128, 128, 90)
"""Dims a curve behind the names, so that they can be read on a dark and on a light theme."""


@final
class LogAxis(pyqtgraph.AxisItem):  # type: ignore[misc]
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


def dress(plot: Any) -> None:
    """Make a new plot small and still, with steps along it and a logarithmic error axis."""
    plot.setMinimumHeight(170)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(x=False, y=False)
    plot.hideButtons()
    for side, label in (("bottom", "step"), ("left", "error")):
        plot.getAxis(side).enableAutoSIPrefix(False)
        plot.setLabel(side, label)
    # Room for the uppermost number, and under the label, whose descenders would be cut off.
    plot.plotItem.setContentsMargins(0, 8, 0, 8)
    plot.setLogMode(y=True)


def colour_axes(plot: Any, text: str) -> None:
    """Show numbers and axes of a plot in a colour."""
    for side in ("bottom", "left"):
        axis = plot.getAxis(side)
        axis.setTextPen(text)
        axis.setPen(text)

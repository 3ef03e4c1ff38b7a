"""What a network in training does: a part of a held-out image as it goes in, as it comes out, and the truth."""

from __future__ import annotations

from typing import final

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from ..arrays.axes import Array
from ..arrays.windows import most_varied
from ..training.held_out_images import Example

SIDE = 124
"""Pixels of the screen along a side of each of the three parts."""

DARKEST, BRIGHTEST = 0.001, 0.999
"""Quantiles of the truth that are shown black and white."""


@final
class TrainingPicture(QWidget):
    """Three parts of an image side by side, at the place that shows the most. Hidden before there is one."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        self._names, self._parts = [QLabel("input"), QLabel("output"), QLabel()], [QLabel(), QLabel(), QLabel()]
        for column, (name, part) in enumerate(zip(self._names, self._parts, strict=True)):
            part.setMinimumSize(SIDE, SIDE)
            grid.addWidget(name, 0, column, Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(part, 1, column, Qt.AlignmentFlag.AlignCenter)
        self.hide()

    def show_example(self, example: Example, truth_name: str) -> None:
        """Show a held-out image, and say what its truth is."""
        self._names[-1].setText(truth_name)
        rows, columns = most_varied(example.truth, SIDE)
        truth = example.truth[:, rows, columns]
        low, high = np.quantile(truth, [DARKEST, BRIGHTEST])
        for part, planes in zip(self._parts, (example.given, example.output, example.truth), strict=True):
            values = (planes[:, rows, columns] - low) / max(float(high - low), 1e-12)
            part.setPixmap(_pixmap(np.nan_to_num(values)))
        self.setToolTip(f"A part of {example.name!r}, which is held out")
        self.show()


def _pixmap(values: Array) -> QPixmap:
    """Return planes (C, rows, columns) between 0 and 1 in grey, or three of them in colour; small ones enlarged."""
    channels = values[:3] if len(values) >= len("RGB") else values[[0, 0, 0]]
    pixels = np.ascontiguousarray(np.moveaxis((255 * channels.clip(0, 1)).astype(np.uint8), 0, -1))
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    factor = max(1, SIDE // max(height, width))
    # Pixels are to be seen as they are.
    return QPixmap.fromImage(image).scaled(factor * width, factor * height)

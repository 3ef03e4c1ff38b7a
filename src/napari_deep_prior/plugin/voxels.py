"""What the dock of super-resolution offers besides: factors from the size of pixels and voxels."""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np
from magicgui.widgets import LineEdit
from napari.layers import Image
from qtpy.QtWidgets import QFormLayout, QPushButton

from ..settings import fields
from ..tasks import SuperResolve
from ..tasks.super_resolve import isotropic
from .form import Form, add_row
from .image_input import ImageInput
from .outcome import OutcomePanel

LARGEST_FACTOR = next(field.about.high for field in fields(SuperResolve) if field.name == "factor")


@final
class VoxelTools:
    """Sets the factors of a dock of super-resolution."""

    def __init__(self, image_input: ImageInput, task_form: Form, outcome: OutcomePanel) -> None:
        self._image_input, self._task_form, self._outcome = image_input, task_form, outcome
        self.isotropic_button = QPushButton("Make voxels cubes")
        self.isotropic_button.setToolTip("As many planes as make the voxels of the layer as deep as they are wide")
        self.pixel_size = LineEdit(
            label="New pixel size",
            tooltip="How wide the pixels of the result are to be, in the layer's unit: sets the factor",
        )
        self.isotropic_button.clicked.connect(self._make_isotropic)
        self.pixel_size.changed.connect(self._choose_factor)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        rows.addRow("", self.isotropic_button)
        add_row(rows, self.pixel_size)

    def _choose_factor(self, text: str) -> None:
        """Set the factor by the pixel size that is wanted."""
        layer = self._image_input.layer
        if layer is None or not text.strip():
            return
        width = float(layer.scale[-1])
        try:
            factor = width / float(text)
            self._task_form.show(dataclasses.replace(self._task_form.read(), factor=factor))
        except (ValueError, ZeroDivisionError):
            self._outcome.tell(
                f"the pixel size is {text!r}; it must be a number from {width / LARGEST_FACTOR:.3g} to {width:.3g}, "
                "the layer's own",
                error=True,
            )
            return
        self._outcome.tell(f"Pixels of {text.strip()} are the layer's, {width:.3g}, by a factor of {factor:.3g}.")

    def _make_isotropic(self) -> None:
        """Set the factors by the voxels of the layer; what is wrong with them is said."""
        layer = self._image_input.layer
        if layer is None:
            self._outcome.tell("there is no image layer: open an image first", error=True)
            return
        letters = self._image_input.letters
        if "Z" not in letters:
            self._outcome.tell(
                f"the axes {letters} have no Z, only a volume has voxels: correct them if it is one", error=True
            )
            return
        try:
            task = self._task_form.read()
        except ValueError as error:
            self._outcome.tell(str(error), error=True)
            return
        try:
            task = voxels_as_cubes(task, layer, letters)
        except ValueError as error:
            self._outcome.tell(
                f"{error}. This comes from the scale of the layer: correct it, or give the factor in Z", error=True
            )
            return
        self._task_form.show(task)
        self._image_input.choose_extent("volume")
        self._outcome.tell(f"{task.z_factor:.3g} planes for one, estimated from the planes themselves. Press Run.")


def voxels_as_cubes(task: SuperResolve, layer: Image, axes: str) -> SuperResolve:
    """Return the task with the factors that make the voxels of a layer cubes, by the layer's scale.

    Raises
    ------
    ValueError
        If the scale says that voxels are not deeper than wide, or is in several units.
    """
    units = dict(zip(axes, map(str, layer.units), strict=False))
    if len({units[letter] for letter in "ZYX" if letter in units}) > 1:
        raise ValueError("the voxels are measured in several units")
    return isotropic(task, dict(zip(axes, np.abs(layer.scale).tolist(), strict=False)))

"""A button that takes over the settings by which a layer was made."""

from __future__ import annotations

from typing import final

from napari.layers import Image
from qtpy.QtWidgets import QPushButton

from ..files.images import RECORD
from ..runs.record import Recipe
from ..runs.report import TASK_NAMES
from ..tasks import Task
from .form import Form
from .image_input import ImageInput
from .method_form import MethodForm
from .outcome import OutcomePanel


@final
class SettingsReuse:
    """Shows the settings of a result in the form of a dock.

    Parameters
    ----------
    task : Task
        That of the dock: settings of another one are refused.
    image_input, forms, outcome : ImageInput, (Form, MethodForm), OutcomePanel
        Where the layer is chosen, its settings are shown, and that is said.
    """

    def __init__(
        self, task: Task, image_input: ImageInput, forms: tuple[Form, MethodForm], outcome: OutcomePanel
    ) -> None:
        self._task, self._image_input, self._outcome = task, image_input, outcome
        self._task_form, self._method_form = forms
        self.native = QPushButton("Re-use settings of this layer")
        self.native.setToolTip("Method, effort and settings of a result of Deep Prior")
        self.native.clicked.connect(self._take_over)

    def layer_chosen(self) -> None:
        """Offer the button where the layer that is chosen is a result."""
        layer = self._image_input.layer
        self.native.setVisible(layer is not None and RECORD in layer.metadata)

    def _take_over(self) -> None:
        """Show the settings of the layer that is chosen, and say so."""
        layer = self._image_input.layer
        if layer is None:
            return
        try:
            recipe = self._show_recipe(layer)
        except ValueError as error:
            self._outcome.tell(str(error), error=True)
            return
        blur = " Choose the blur image again that it was made with." if recipe.kernel is not None else ""
        self._outcome.tell(f"Settings of {layer.name!r} taken over.{blur}")

    def _show_recipe(self, layer: Image) -> Recipe:
        """Show the settings by which a layer was made, and return them."""
        recipe = Recipe.from_json(layer.metadata[RECORD])
        if type(recipe.task) is not type(self._task):
            raise ValueError(f"{layer.name!r} was made by {TASK_NAMES[recipe.task.command]!r}: open that dock")
        if recipe.volume:
            self._image_input.choose_extent("volume")
        elif self._image_input.chosen_extent == "volume":
            self._image_input.choose_extent("stack")
        self._image_input.channels.separate.value = recipe.separate_channels
        self._method_form.show_recipe(recipe)
        self._task_form.show(recipe.task)
        return recipe

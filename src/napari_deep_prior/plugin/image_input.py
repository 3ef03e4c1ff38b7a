"""Which layer is restored, what its axes are, and what of it is restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import ComboBox, LineEdit
from napari.layers import Image
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout

from ..arrays.axes import stack_axes
from ..files.channels import channels_in_words
from .channel_input import ChannelInput
from .form import add_row, layer_choice, show_row
from .layers import Extent, axes_of, channels_of, images_of, pixels_of

if TYPE_CHECKING:
    import napari.viewer

EXTENTS: dict[str, Extent] = {
    "this slice": "slice",
    "whole stack, slice by slice": "stack",
    "as one volume (3D)": "volume",
}
"""What of a layer can be restored, as the dock says it."""


@final
class ImageInput:
    """Widgets that say what is restored; their rows stand around those of the task's other inputs."""

    layer_chosen = Signal()
    changed = Signal()
    """The layer, its axes or the extent are others."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._rows: QFormLayout | None = None
        self.image = layer_choice(lambda: images_of(viewer), label="Image", tooltip="The layer that is restored")
        self.axes = LineEdit(
            label="Axes",
            tooltip="One letter per axis, from the layer's axis labels; correct them where they are wrong: Y and X, "
            "Z depth, T time, C channels, S colour (RGB); any other letter is an axis of a stack",
        )
        self.extent: Any = ComboBox(label="Restore", choices=list(EXTENTS), tooltip="What of the layer is restored")
        self.channels = ChannelInput()
        self.channels.changed.connect(self._emit)
        self.image.changed.connect(self._layer_chosen)
        self.axes.changed.connect(self._axes_changed)
        self.extent.changed.connect(self._emit)

    @property
    def layer(self) -> Image | None:
        """The layer that is chosen."""
        layer: Image | None = self.image.value
        return layer

    @property
    def letters(self) -> str:
        """The axes as they stand in the form."""
        return self.axes.value.upper()

    @property
    def chosen_extent(self) -> Extent:
        """What of the layer is restored; an image without a stack axis is restored whole."""
        stacked = stack_axes(self.letters, volume=False)
        return EXTENTS[self.extent.value] if stacked else "stack"

    def lay_out_image(self, rows: QFormLayout) -> None:
        """Add the row of the layer."""
        add_row(rows, self.image)

    def lay_out_extent(self, rows: QFormLayout) -> None:
        """Add the rows of the axes, of the channels and of the extent."""
        self._rows = rows
        add_row(rows, self.axes)
        self.channels.lay_out(rows)
        add_row(rows, self.extent)
        self._offer_extents()
        self._offer_channels()

    def choose_extent(self, extent: Extent) -> None:
        """Choose what of the layer is restored, where that is offered."""
        text = next(text for text, known in EXTENTS.items() if known == extent)
        if text in self.extent.choices:
            self.extent.value = text

    def layers_changed(self) -> None:
        """Offer the layers that there are now."""
        self.image.reset_choices()

    def choose_visible(self) -> None:
        """Begin with the image that the person looks at: the active layer, else the topmost one that is shown."""
        self.image.reset_choices()
        shown = [layer for layer in images_of(self._viewer) if layer.visible]
        if shown:
            active = self._viewer.layers.selection.active
            self.image.value = active if active in shown else shown[-1]
        self._layer_chosen()

    def _layer_chosen(self) -> None:
        if self.layer is not None:
            self.axes.value = axes_of(self.layer)
        self.layer_chosen.emit()
        self._axes_changed()

    def _axes_changed(self) -> None:
        self._offer_extents()
        self._offer_channels()
        self.changed.emit()

    def _offer_extents(self) -> None:
        """Ask only where there is something to choose: an image without a stack axis has one slice."""
        stacked = stack_axes(self.letters, volume=False)
        if self._rows is not None:
            show_row(self._rows, self.extent, visible=bool(stacked))
        if stacked:
            self.extent.choices = [
                text for text, extent in EXTENTS.items() if extent != "volume" or "Z" in self.letters
            ]

    def _offer_channels(self) -> None:
        """Ask only where there are several channels."""
        axis, layer = self.letters.find("C"), self.layer
        shape = () if layer is None else pixels_of(layer).shape
        count = shape[axis] if 0 <= axis < len(shape) else 1
        known = () if layer is None else channels_of(layer)
        self.channels.offer(f"all: {channels_in_words(known, range(count))}" if count > 1 else "")

    def _emit(self) -> None:
        self.changed.emit()

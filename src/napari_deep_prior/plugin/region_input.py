"""Which part of the plane is restored: all of it, what the viewer shows, or a rectangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import ComboBox
from napari.layers import Image, Shapes
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout

from ..arrays.axes import parse_axes
from .crop import Crop, camera_of, rectangle_of, view_of
from .form import add_row
from .layers import pixels_of, place_of

if TYPE_CHECKING:
    import napari.viewer

WHOLE, VIEW, DRAW = "whole image", "current view", "draw a rectangle …"
"""What can always be chosen, besides the Shapes layers that there are."""

NEW = {"edge_color": "yellow", "face_color": "transparent"}
"""How a new rectangle looks: what lies under it stays visible."""


@final
class RegionInput:
    """The widget that says which part is restored.

    Parameters
    ----------
    viewer : Viewer
        Whose view and Shapes layers are offered.
    """

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._image: Image | None = None
        self._followed: Shapes | None = None
        self.choice: Any = ComboBox(
            label="Region",
            choices=lambda _: self._offered(),
            value=WHOLE,
            tooltip="Only this part is read and restored, and the result lies exactly on it: for a quick look, or "
            "where the rest does not matter",
        )
        self.choice.changed.connect(self._chosen)
        camera_of(viewer).events.connect(self._moved)
        for event in (viewer.dims.events.order, viewer.dims.events.ndisplay):
            event.connect(self._moved)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.choice)

    def set_image(self, image: Image | None) -> None:
        """Take in of which layer a part is restored: a new rectangle is drawn on it."""
        self._image = image

    def layers_changed(self) -> None:
        """Offer the Shapes layers that there are now; what was chosen stays chosen."""
        self.choice.reset_choices()

    def crop(self, layer: Image, axes: str) -> Crop | None:
        """Return the part of a layer that is chosen; None: all of it.

        Raises
        ------
        ValueError
            If it does not lie on the layer, or cannot be restored by itself, or the axes do not fit the layer.
        """
        chosen = self.choice.value
        if chosen == VIEW:
            return self.view(layer, axes)
        if isinstance(chosen, Shapes):
            return rectangle_of(chosen, layer, parse_axes(axes, tuple(pixels_of(layer).shape)))
        return None

    def view(self, layer: Image, axes: str) -> Crop:
        """Return what the viewer shows of a layer; raises a ValueError as :meth:`crop` does."""
        return view_of(self._viewer, layer, parse_axes(axes, tuple(pixels_of(layer).shape)))

    def _offered(self) -> list[tuple[str, Any]]:
        shapes = [(f"rectangle in {each.name!r}", each) for each in self._viewer.layers if isinstance(each, Shapes)]
        return [(WHOLE, WHOLE), (VIEW, VIEW), *shapes, (DRAW, DRAW)]

    def _chosen(self, chosen: Any) -> None:
        if chosen == DRAW:
            # To choose the layer comes back here.
            self.choice.value = self._drawn_on()
            return
        if self._followed is not None:
            self._followed.events.set_data.disconnect(self._emit)
            self._followed = None
        if isinstance(chosen, Shapes):
            self._followed = chosen
            chosen.events.set_data.connect(self._emit)
        self._emit()

    def _drawn_on(self) -> Any:
        """Return a new Shapes layer on the image, ready to draw; without an image nothing can be drawn."""
        image = self._image
        if image is None:
            return WHOLE
        shapes = self._viewer.add_shapes(ndim=image.ndim, name=f"{image.name} region", **place_of(image), **NEW)
        shapes.mode = "add_rectangle"
        self.choice.reset_choices()
        return shapes

    def _moved(self) -> None:
        if self.choice.value == VIEW:
            self._emit()

    def _emit(self) -> None:
        self.changed.emit()

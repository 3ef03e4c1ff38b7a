"""What a task takes besides the image: a mask in a Labels layer, a blur or guides in Image layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from magicgui.widgets import Select, SpinBox, create_widget
from napari.layers import Image, Labels
from qtpy.QtWidgets import QFormLayout, QPushButton

from ..arrays.axes import Array
from .form import add_row
from .layers import PLACE, Source, guide_of, mask_of, pixels_of

if TYPE_CHECKING:
    import napari.viewer


GUIDE_HEIGHT = 72
"""Pixels of the list of guides: three names, then it scrolls."""


@final
class MaskInput:
    """Choose a Labels layer, all of its labels or one, or begin a new one."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self.labels: Any = create_widget(annotation=Labels, label="Mask")
        self.labels.tooltip = "Labels layer: what is painted is filled. It may have another scale or fewer axes"
        self.label = SpinBox(
            label="Label (0: all)", min=0, max=2**31 - 1, tooltip="The label that is filled; 0: whatever is painted"
        )
        self.new_button = QPushButton("New mask layer")
        self.new_button.setToolTip("An empty Labels layer of the image's size, ready to paint")

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        add_row(rows, self.labels)
        add_row(rows, self.label)
        rows.addRow("", self.new_button)

    def begin(self, layer: Image) -> None:
        """Add an empty mask of the image's size and let the person paint."""
        shape = pixels_of(layer).shape[: layer.ndim]
        place = {name: getattr(layer, name) for name in PLACE if name != "affine"}
        mask = self._viewer.add_labels(
            np.zeros(shape, np.uint8), name=f"{layer.name} mask", affine=layer.affine.affine_matrix, **place
        )
        mask.mode = "paint"
        self.labels.reset_choices()
        self.labels.value = mask

    def read(self, layer: Image, source: Source) -> Array | None:
        """Return the mask of the part of a layer that is to be restored; None if no layer is chosen."""
        if self.labels.value is None:
            return None
        mask = mask_of(self.labels.value, layer, label=self.label.value)
        place = zip(source.offset, source.pixels.shape, strict=False)
        part = mask[tuple(slice(start, start + length) for start, length in place)]
        if not part.any():
            raise ValueError(
                f"nothing is painted in the mask {self.labels.value.name!r} where the image is restored: paint what is "
                "to be filled, or choose another label"
            )
        return np.broadcast_to(part[..., None], source.pixels.shape) if layer.rgb else part


@final
class GuideInput:
    """Choose image layers of the same place that guide the restoration, or none."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self.layers: Any = Select(
            label="Guides",
            choices=lambda _: [(layer.name, layer) for layer in viewer.layers if isinstance(layer, Image)],
            tooltip="Image layers of the same place that show edges, such as bright field; Ctrl-click for several or "
            "none. They may have another scale, position or fewer axes",
        )
        self.layers.native.setMaximumHeight(GUIDE_HEIGHT)
        self.layers.value = []

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.layers)

    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was chosen stays chosen."""
        chosen = self.layers.value
        self.layers.reset_choices()
        self.layers.value = [layer for layer in chosen if layer in self._viewer.layers]

    def read(self, layer: Image, source: Source, factors: Mapping[str, float], shape: tuple[int, ...]) -> list[Array]:
        """Return the guides on the pixels of a result of that shape; ``factors`` are how much it is enlarged."""
        if layer in self.layers.value:
            raise ValueError(f"{layer.name!r} cannot guide itself: its noise would come back; choose another layer")
        return [guide_of(guide, layer, source, factors, shape) for guide in self.layers.value]


@final
class KernelInput:
    """Choose an image layer that shows the blur, for example a bead; or none."""

    def __init__(self) -> None:
        self.layer: Any = create_widget(annotation=Image, label="Blur image", options={"nullable": True})
        self.layer.tooltip = "A picture of the blur, such as a bead, in pixels of the result; counts instead of 'Blur'"

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.layer)

    def read(self) -> Array | None:
        """Return the blur, None if no layer is chosen."""
        return None if self.layer.value is None else np.asarray(pixels_of(self.layer.value), dtype=np.float64)

"""What a task takes besides the image, chosen among the layers: one kind of widget for each kind of input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from magicgui.widgets import FileEdit, Select, SpinBox
from napari.layers import Image, Labels
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout, QPushButton

from ..arrays.axes import Array
from ..files.model_files import ENDING, read_model
from ..tasks.inputs import INPUTS, Kind
from .form import add_row, layer_choice
from .layers import Part, images_of, pixels_of, place_of, tables_of
from .request import Request
from .resampled import guide_of, mask_of

if TYPE_CHECKING:
    import napari.viewer


GUIDE_HEIGHT = 72
"""Pixels of the list of guides: three names, then it scrolls."""


class InputWidget(ABC):
    """Where a person chooses an input; made from a row of ``INPUTS``."""

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer, label: str) -> None:
        self._viewer, self._label = viewer, label

    @abstractmethod
    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""

    @property
    @abstractmethod
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""

    @abstractmethod
    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was chosen stays chosen."""

    @abstractmethod
    def read(self, part: Part, request: Request) -> Any:
        """Return the input for a run on a part of a layer; None, or an empty list, if nothing is chosen.

        Raises
        ------
        ValueError
            If what is chosen does not fit the layer.
        """

    @abstractmethod
    def outline(self, part: Part) -> Any:
        """Return what takes the place of the input in a forecast: of its size, but no layer is read for it."""

    def _emit(self) -> None:
        self.changed.emit()


@final
class MaskInput(InputWidget):
    """Choose a Labels layer, all of its labels or one, or begin a new one."""

    def __init__(self, viewer: napari.viewer.Viewer, label: str) -> None:
        super().__init__(viewer, label)
        self.labels = layer_choice(
            lambda: [layer for layer in viewer.layers if isinstance(layer, Labels)],
            label=label,
            tooltip="Labels layer: what is painted is filled. It may have another scale or fewer axes",
        )
        self.label = SpinBox(
            label="Label (0: all)", min=0, max=2**31 - 1, tooltip="The label that is filled; 0: whatever is painted"
        )
        self.new_button = QPushButton("New mask layer")
        self.new_button.setToolTip("An empty Labels layer of the image's size, ready to paint")
        self.labels.changed.connect(self._emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widgets to a form."""
        add_row(rows, self.labels)
        add_row(rows, self.label)
        rows.addRow("", self.new_button)

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return self.labels.value is not None

    def layers_changed(self) -> None:
        """Offer the layers that there are now."""
        self.labels.reset_choices()

    def begin(self, layer: Image) -> None:
        """Add an empty mask of the image's size and let the person paint."""
        shape = pixels_of(layer).shape[: layer.ndim]
        mask = self._viewer.add_labels(np.zeros(shape, np.uint8), name=f"{layer.name} mask", **place_of(layer))
        mask.mode = "paint"
        self.labels.reset_choices()
        self.labels.value = mask

    def read(self, part: Part, request: Request) -> Array | None:
        """Return the mask of the part of the layer."""
        if self.labels.value is None:
            return None
        mask = mask_of(self.labels.value, part.layer, label=self.label.value)
        mask = part.of_array(mask)
        if not mask.any():
            raise ValueError(
                f"nothing is painted in the mask {self.labels.value.name!r} where the image is restored: paint what is "
                "to be filled, or choose another label"
            )
        if "S" in part.axes:
            # One value for all colours of a pixel.
            mask = np.broadcast_to(mask[..., None], part.pixels.shape)
        return mask

    def outline(self, part: Part) -> Array | None:
        """Return a mask of one plane in which one pixel is marked."""
        return None if self.labels.value is None else _marked_plane(part)


@final
class ImagesInput(InputWidget):
    """Choose other image layers of the same place: one, several or none."""

    def __init__(self, viewer: napari.viewer.Viewer, label: str) -> None:
        super().__init__(viewer, label)
        self.layers: Any = Select(
            label=label,
            choices=lambda _: [(layer.name, layer) for layer in images_of(viewer)],
            tooltip="Image layers of the same place that show edges, such as bright field; Ctrl-click for several or "
            "none. They may have another scale, position or fewer axes",
        )
        self.layers.native.setMaximumHeight(GUIDE_HEIGHT)
        self.layers.value = []
        self.layers.changed.connect(self._emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.layers)

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return bool(self.layers.value)

    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was chosen stays chosen."""
        chosen = self.layers.value
        self.layers.reset_choices()
        self.layers.value = [layer for layer in chosen if layer in images_of(self._viewer)]

    def read(self, part: Part, request: Request) -> list[Array]:
        """Return the images on the pixels of the result."""
        if part.layer in self.layers.value:
            name = part.layer.name
            raise ValueError(f"{name!r} cannot guide itself: its noise would come back; choose another layer")
        factors, shape = request.factors(part), request.shape_of_result(part)
        return [guide_of(guide, part, factors, shape) for guide in self.layers.value]

    def outline(self, part: Part) -> list[Array]:
        """Return planes with as many channels as the images have."""
        plane = _marked_plane(part)
        return [np.stack([plane] * 3, axis=-1) if guide.rgb else plane for guide in self.layers.value]


@final
class KernelInput(InputWidget):
    """Choose an image layer that shows the blur, for example a bead; or none."""

    def __init__(self, viewer: napari.viewer.Viewer, label: str) -> None:
        super().__init__(viewer, label)
        self.layer = layer_choice(
            lambda: images_of(viewer),
            label=label,
            tooltip="An image of the blur, such as a bead, in pixels of the result; replaces 'Blur'",
            optional=True,
        )
        self.layer.changed.connect(self._emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.layer)

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return self.layer.value is not None

    def layers_changed(self) -> None:
        """Offer the layers that there are now."""
        self.layer.reset_choices()

    def read(self, part: Part, request: Request) -> Array | None:
        """Return the blur."""
        return None if self.layer.value is None else np.asarray(pixels_of(self.layer.value), dtype=np.float64)

    def outline(self, part: Part) -> Any:
        """Return the blur itself, which is small; it is read only when the forecast is made."""
        return None if self.layer.value is None else pixels_of(self.layer.value)


@final
class TablesInput(InputWidget):
    """The tables of the JPEG file that a layer was opened from: there is nothing to choose."""

    def lay_out(self, rows: QFormLayout) -> None:
        """Add nothing: the layer knows its file."""

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return False

    def layers_changed(self) -> None:
        """Do nothing: no layer is chosen here."""

    def read(self, part: Part, request: Request) -> Any:
        """Return the tables of the layer's file."""
        return tables_of(part.layer)

    def outline(self, part: Part) -> Any:
        """Return the tables of the layer's file, which are small."""
        return tables_of(part.layer)


@final
class ModelInput(InputWidget):
    """Choose the file of a trained network, or none."""

    def __init__(self, viewer: napari.viewer.Viewer, label: str) -> None:
        super().__init__(viewer, label)
        self.file: Any = FileEdit(
            label=label,
            filter=f"Trained networks (*{ENDING})",
            nullable=True,
            tooltip="A network that deep-prior train has written; empty: what needs no training restores the image",
        )
        self.file.changed.connect(self._emit)

    def lay_out(self, rows: QFormLayout) -> None:
        """Add the widget to a form."""
        add_row(rows, self.file)

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return self.file.value is not None and str(self.file.value) not in ("", ".")

    def layers_changed(self) -> None:
        """Do nothing: no layer is chosen here."""

    def read(self, part: Part, request: Request) -> Any:
        """Return the network in the file."""
        return read_model(str(self.file.value)) if self.is_chosen else None

    def outline(self, part: Part) -> Any:
        """Return the network itself: the forecast depends on it."""
        return read_model(str(self.file.value)) if self.is_chosen else None


KINDS: Mapping[Kind, type[InputWidget]] = {
    "mask": MaskInput,
    "images": ImagesInput,
    "kernel": KernelInput,
    "tables": TablesInput,
    "model": ModelInput,
}
"""Which widget each kind of input has."""


def input_widgets(viewer: napari.viewer.Viewer, names: frozenset[str]) -> dict[str, InputWidget]:
    """Return a widget for each named row of ``INPUTS``, in the order of the table."""
    return {name: KINDS[row.kind](viewer, row.label) for name, row in INPUTS.items() if name in names}


def _marked_plane(part: Part) -> Array:
    """Return a plane of a part of a layer, 0 but for one pixel."""
    lengths = dict(zip(part.axes, part.pixels.shape, strict=True))
    plane = np.zeros((lengths["Y"], lengths["X"]), np.uint8)
    plane[0, 0] = 1
    return plane

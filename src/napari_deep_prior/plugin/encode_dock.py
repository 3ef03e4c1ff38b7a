"""The dock that shows what a network sees in a layer: its code, and the principal components of that in colours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import ComboBox, FileEdit
from napari.layers import Image
from qtpy.QtWidgets import QFormLayout, QPushButton, QWidget

from ..files.model_files import ENDING, read_model
from ..networks import RESIDUAL_NETWORKS
from ..runs.devices import available_devices
from ..runs.encode import OWN_NETWORK, Code, encode
from ..runs.source import ArrayLike
from .code_layers import layers_of
from .dock_frame import framed, side_by_side
from .form import add_row, layer_choice, show_row
from .job import BackgroundJob
from .labels import StatusLine, text_label
from .layers import axes_of, images_of, pixels_of

if TYPE_CHECKING:
    import napari.viewer

ABOUT = (
    "A network reduces the image to its code: few pixels with many numbers each. In the colours, which are the first "
    "three principal components of these numbers, places that look the same to the network have the same colour."
)


@final
class EncodeDock(QWidget):
    """Choose a layer and a network; its code becomes a layer of channels, and one of colours."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.job: BackgroundJob | None = None
        self.image = layer_choice(
            lambda: images_of(viewer), label="Image", tooltip="Each plane of a stack is encoded by itself"
        )
        self.model: Any = FileEdit(
            label="Trained network",
            filter=f"Trained networks (*{ENDING})",
            nullable=True,
            tooltip="A network that was trained on images of this kind; empty: one is trained on this image",
        )
        self.network: Any = ComboBox(
            label="Else train",
            choices=list(RESIDUAL_NETWORKS),
            value=OWN_NETWORK,
            tooltip="The network that is trained on the image itself, in about 15 s on one core",
        )
        self.device: Any = ComboBox(label="Device", choices=available_devices(), tooltip="Where the work is done")
        self.run_button, self.stop_button = QPushButton("Run"), QPushButton("Stop")
        self.run_button.setToolTip("Add the code of the image, and its colours, as two layers")
        self.stop_button.setToolTip("End now without a result")
        self.stop_button.setEnabled(False)
        self.status, self.about = StatusLine(), text_label(ABOUT, "about")
        self._arrange()
        self.run_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.model.changed.connect(self._show_rows)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._layers_changed)
        active = viewer.layers.selection.active
        if active in images_of(viewer):
            self.image.value = active

    def _arrange(self) -> None:
        column = framed(self, self.start)
        self._rows = QFormLayout()
        for widget in (self.image, self.model, self.network, self.device):
            add_row(self._rows, widget)
        column.addLayout(self._rows)
        column.addLayout(side_by_side(self.run_button, self.stop_button))
        column.addWidget(self.status)
        column.addWidget(self.about)
        column.addStretch()

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Encode the layer that is chosen; what is wrong is said in the status line."""
        if self.job is not None:
            return
        layer: Image | None = self.image.value
        if layer is None:
            self.status.tell("there is no image layer: open an image first", error=True)
            return
        axes = axes_of(layer)
        path = str(self.model.value) if self._has_model() else ""
        work = partial(_encode, pixels_of(layer), axes, path, self.network.value, self.device.value)
        self.job = job = BackgroundJob(work)
        self.destroyed.connect(job.stop)
        job.told.connect(self.status.tell)
        job.succeeded.connect(partial(self._show, layer, axes))
        job.failed.connect(self._failed)
        job.finished.connect(self._finished)
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self.status.tell("Starting …")
        job.start()

    def stop(self) -> None:
        """End it without a result."""
        if self.job is not None:
            self.job.stop()
            self.stop_button.setEnabled(False)
            self.status.tell("Stopping …")

    # -- inside -------------------------------------------------------------------------------------------------

    def _has_model(self) -> bool:
        return self.model.value is not None and str(self.model.value) not in ("", ".")

    def _show_rows(self) -> None:
        show_row(self._rows, self.network, visible=not self._has_model())

    def _layers_changed(self) -> None:
        self.image.reset_choices()

    def _show(self, layer: Image, axes: str, code: Code) -> None:
        for pixels, about in layers_of(code, layer, axes):
            self._viewer.add_image(pixels, **about)
        self.status.tell(f"{code.in_words()}.")

    def _failed(self, problem: str) -> None:
        self.status.tell(problem or "Stopped: nothing was added.", error=bool(problem))

    def _finished(self) -> None:
        self.job = None
        self.run_button.setEnabled(True)
        self.stop_button.setEnabled(False)


def _encode(pixels: ArrayLike, axes: str, path: str, network: str, device: str) -> Code:
    model = read_model(path) if path else None
    return encode(pixels, model, axes=axes, network=network, device=device)

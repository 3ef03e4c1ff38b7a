"""The dock: one widget class for every task. It assembles and connects; the work is done elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, LineEdit, PushButton, create_widget
from napari.layers import Image
from napari.qt.threading import FunctionWorker
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from ..arrays.axes import Array, stack_axes
from ..arrays.frame import MissingPixelsError
from ..files.images import RECORD
from ..methods.method import Method
from ..runs.devices import available_devices, describe_device, resolve_device, why_no_gpu
from ..runs.errors import RestorationError
from ..runs.presets import DEFAULT_PRESET, PRESETS, default_preset, with_seed_of
from ..runs.restoration import Restoration, name_of_result, restore
from ..tasks import Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, from_record, task_name
from ..tasks.task import Task
from .curve import Curve
from .form import Form, add_row, show_row
from .inputs import GuideInput, KernelInput, MaskInput
from .layers import Extent, Source, appearance, axes_of, noise_in_words, tables_of, take, voxels_as_cubes
from .run import Run
from .worker import Outcome, Update

if TYPE_CHECKING:
    import napari.viewer

CHANGED = "(changed)"
"""What the preset box shows when the settings are no preset's."""

BLUR_HEIGHT = 64
"""Pixels of the screen that the picture of a blur is high."""

EXTENTS: dict[str, Extent] = {
    "this slice": "slice",
    "whole stack, slice by slice": "stack",
    "as one volume (3D)": "volume",
}


class TaskWidget(QWidget):
    """Dock of a task: choose a layer, run, watch, stop when you like, keep the best."""

    task: ClassVar[Task]

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.run: Run | None = None
        self.presets = PRESETS[task_name(self.task)]
        self._build_inputs()
        self._build_settings()
        self._build_outcome()
        self._arrange()
        self._connect()
        self.show_method(self.presets[DEFAULT_PRESET])
        self._choose_visible()
        self._layer_chosen()

    # -- assembling ---------------------------------------------------------------------------------------------

    def _build_inputs(self) -> None:
        self.image: Any = create_widget(annotation=Image, label="Image")
        self.axes = LineEdit(
            label="Axes",
            tooltip="One letter per axis, as the layer says or as you correct it: Y and X, Z depth, T time, "
            "C channels, S colour (RGB); any other letter is an axis of a stack",
        )
        self.mask_input = MaskInput(self._viewer) if "mask" in self.task.takes else None
        self.kernel_input = KernelInput() if "kernel" in self.task.takes else None
        self.isotropic_button = QPushButton("Make voxels cubes")
        self.pixel_size = LineEdit(
            label="New pixel size",
            tooltip="How wide the pixels of the result are to be, in the layer's unit: sets the factor",
        )
        self.isotropic_button.setToolTip("As many planes as make the voxels of the layer as deep as they are wide")
        self.guide_input = GuideInput(self._viewer)
        self.extent: Any = ComboBox(label="Restore", choices=list(EXTENTS), tooltip="What of the layer is restored")

    def _build_settings(self) -> None:
        self.preset: Any = ComboBox(
            label="Preset", choices=[*self.presets, CHANGED], value=DEFAULT_PRESET, tooltip="Settings known to do well"
        )
        self.task_form = Form(self.task)
        # A form for each kind of method that a preset may be; one of them is shown.
        self._forms = {type(method): Form(method) for method in self.presets.values()}
        self.method_form = self._forms[type(self.presets[DEFAULT_PRESET])]
        self.device: Any = ComboBox(label="Device", choices=available_devices(), tooltip="Where the work is done")
        self.dtype: Any = ComboBox(
            label="Result type",
            choices=[("as the input", "same"), ("float32", "float32")],
            tooltip="Pixel type of the result: the input's (rounded where it is an integer) or 32-bit float",
        )
        self.diagnostics: Any = CheckBox(
            label="Also add",
            tooltip="Layers to check the result by: what was taken away, in units of the noise, and how far the "
            "members of an ensemble are apart (with two or more, as in the preset 'best')",
        )
        self.reuse = PushButton(text="Re-use settings of this layer", tooltip="Of a layer that Deep Prior has made")

    def _build_outcome(self) -> None:
        self.device_note = _label(why_no_gpu() or f"GPU: {describe_device(resolve_device())}", "device_note")
        self.noise_note = _label("", "noise_note")
        self.run_button = QPushButton("Run")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End now and keep the best image so far")
        self.stop_button.setEnabled(False)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.status = _label("", "status")
        self.fill_button = QPushButton("Fill the missing pixels and run")
        self.fill_button.hide()
        self.blur = _label("", "blur")
        self.blur.hide()
        self.curve = Curve(get_theme(self._viewer.theme).text.as_hex(), self)

    def _arrange(self) -> None:
        self._arrange_rows()
        advanced = self._advanced()
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(self.rows)
        for part in (self.device_note, self.noise_note, advanced, self.reuse.native):
            column.addWidget(part)
        column.addLayout(buttons)
        for part in (self.bar, self.status, self.blur, self.fill_button, self.curve):
            column.addWidget(part)
        column.addStretch()
        # A dock can be lower than its content, on a laptop or with the advanced settings unfolded.
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(320)

    def _advanced(self) -> QCollapsible:
        """Return what is folded away at first."""
        rows = QWidget()
        layout = QFormLayout(rows)
        layout.setContentsMargins(0, 0, 0, 0)
        if "guides" in self.task.takes and not self.task.needs:
            self.guide_input.lay_out(layout)
        for form in (self.task_form, *self._forms.values()):
            form.lay_out(layout, advanced=True)
        folded = QCollapsible("Advanced settings")
        folded.addWidget(rows)
        return folded

    def _arrange_rows(self) -> None:
        self.rows = QFormLayout()
        add_row(self.rows, self.image)
        if self.task.needs:
            self.guide_input.lay_out(self.rows)
        if self.mask_input is not None:
            self.mask_input.lay_out(self.rows)
        if self.kernel_input is not None:
            self.kernel_input.lay_out(self.rows)
            self.rows.addRow("", self.isotropic_button)
            add_row(self.rows, self.pixel_size)
        for widget in (self.axes, self.extent, self.preset):
            add_row(self.rows, widget)
        self.task_form.lay_out(self.rows, advanced=False)
        for form in self._forms.values():
            form.lay_out(self.rows, advanced=False)
        for widget in (self.device, self.dtype, self.diagnostics):
            add_row(self.rows, widget)
        show_row(self.rows, self.diagnostics, visible=self.task.removes_noise)
        self.diagnostics.native.setText("residual and uncertainty")

    def _connect(self) -> None:
        self.image.changed.connect(self._layer_chosen)
        self.axes.changed.connect(self._offer_extents)
        self.extent.changed.connect(self._extent_chosen)
        self.preset.changed.connect(self._preset_chosen)
        for form in self._forms.values():
            form.changed.connect(self._name_preset)
        self.reuse.changed.connect(self._reuse)
        self.run_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.fill_button.clicked.connect(self._fill_and_start)
        self.isotropic_button.clicked.connect(self._make_isotropic)
        self.pixel_size.changed.connect(self._choose_factor)
        if self.mask_input is not None:
            self.mask_input.new_button.clicked.connect(self._begin_mask)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._layers_changed)

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run with what the form says; what is wrong with it is said in the status line."""
        self.fill_button.hide()
        if self.run is not None:
            return
        try:
            self._start()
        except MissingPixelsError as error:
            self.tell(str(error), error=True)
            self.fill_button.show()
        except (ValueError, RestorationError) as error:
            self.tell(str(error), error=True)

    def stop(self) -> None:
        """End the run; its best image so far becomes the result."""
        if self.run is not None:
            self.run.stop()
            self.stop_button.setEnabled(False)
            self.tell("Stopping after this step …")

    def tell(self, text: str, *, error: bool = False) -> None:
        """Show a sentence under the buttons."""
        self.status.setText(text[:1].upper() + text[1:])
        self.status.setStyleSheet("color: #ff6b5e;" if error else "")

    # -- inside -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        layer = self.image.value
        if layer is None:
            raise ValueError("there is no image layer: open an image first, for example with File ▸ Open Sample")
        extent = EXTENTS[self.extent.value] if stack_axes(self.axes.value.upper(), volume=False) else "stack"
        source = take(layer, self.axes.value, extent, self._viewer.dims.point)
        restoration = self._restoration(layer, source, volume=extent == "volume")
        name = name_of_result(layer.name, restoration.task)
        factors = [restoration.factors.get(letter, 1) for letter in source.axes[: layer.ndim]]
        look = appearance(layer, source.offset, factors)
        self.run = Run(self._viewer, self._window(), restoration, name, restoration.image.astype(np.float32), look)
        self.run.updated.connect(self._show_update)
        self.run.succeeded.connect(self._show_outcome)
        self.run.failed.connect(self._show_failure)
        self.run.finished.connect(self._finished)
        # A closed dock stops its run, whose result still arrives as a layer.
        self.destroyed.connect(self.run.stop)
        self.curve.clear_run()
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self.bar.setRange(0, 0)
        self.tell(f"Starting on {describe_device(restoration.device)} …")
        self.run.start()

    def _restoration(self, layer: Image, source: Source, *, volume: bool) -> Restoration:
        """Return the run that the form asks for."""
        task, method = self.task_form.read(), self.method_form.read()
        mask = None if self.mask_input is None else self.mask_input.read(layer, source)
        kernel = None if self.kernel_input is None else self.kernel_input.read()
        jpeg = tables_of(layer) if "jpeg" in self.task.takes else None

        def posed(task: Task, guides: Sequence[Array] = ()) -> Restoration:
            return restore(
                source.pixels, task, method, axes=source.axes, volume=volume, mask=mask, kernel=kernel,
                guide=guides, jpeg=jpeg, device=self.device.value, dtype=self.dtype.value,
                diagnostics=self.diagnostics.value,
            )  # fmt: skip

        if not self.guide_input.layers.value:
            return posed(task)
        # Guides come on the pixels of the result, whose shape the run without them tells.
        plain = posed(task if not task.needs else Denoise())
        return posed(task, self.guide_input.read(layer, source, plain.factors, plain.shape))

    def _window(self) -> QWidget:
        """Return the viewer's window, in which this dock stands or from which it was pulled out."""
        widget: QWidget = self
        while (parent := widget.parentWidget()) is not None:
            widget = parent
        return widget

    def _show_update(self, update: Update) -> None:
        self.curve.add(update)
        self.bar.setRange(0, update.total)
        self.bar.setValue(update.number)
        if self.stop_button.isEnabled():
            slices = f"Slice {update.slice_number}: " if update.slice_number > 1 else ""
            self.tell(
                f"{slices}step {update.number} of at most {update.total}, best so far {update.chosen}, "
                f"at most {_minutes(update.seconds_left)} left"
            )

    def _show_outcome(self, outcome: Outcome) -> None:
        chosen = outcome.record["chosen step"]
        if isinstance(chosen, list):
            made = f"{outcome.record['slices restored']} slices restored"
        elif outcome.stopped:
            made = f"stopped at step {outcome.steps}, the image is from step {chosen}"
        elif outcome.steps < outcome.total:
            made = f"stopped by itself at step {outcome.steps}, the image is from step {chosen}"
        else:
            made = f"all {outcome.steps} steps made, the image is from step {chosen}"
        verdict = outcome.record["residual"]
        checked = f" {verdict[:1].upper()}{verdict[1:]}." if isinstance(verdict, str) and verdict else ""
        remarks = "".join(f" {remark[:1].upper()}{remark[1:]}." for remark in outcome.record["remarks"])
        self.tell(f"Done: {made}. {outcome.seconds:.0f} s on {outcome.record['device']}.{remarks}{checked}")
        if not isinstance(chosen, list):
            self.curve.mark(chosen)
        self._show_blur(outcome.record["blur"])

    def _show_blur(self, values: list[Any] | None) -> None:
        """Show the blur that a run reckoned with as a small picture; of a volume its middle plane."""
        self.blur.setVisible(values is not None)
        if values is None:
            return
        picture = np.array(values)
        picture = picture if picture.ndim == 2 else picture[len(picture) // 2]
        grey = np.ascontiguousarray(255 * np.clip(picture / picture.max(), 0, 1), np.uint8)
        rows, columns = grey.shape
        image = QImage(grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        self.blur.setPixmap(QPixmap.fromImage(image).scaledToHeight(BLUR_HEIGHT))
        self.blur.setToolTip(f"The blur that was undone, {rows} × {columns} pixels of the result")

    def _show_failure(self, error: BaseException) -> None:
        self.tell(str(error), error=True)

    def _finished(self) -> None:
        self.run = None
        self.run_button.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)

    def _fill_and_start(self) -> None:
        self.task_form.show(dataclasses.replace(self.task_form.read(), missing="fill"))
        self.start()

    def _choose_factor(self, text: str) -> None:
        """Set the factor by the pixel size that is wanted."""
        layer: Image | None = self.image.value
        if layer is None or not text.strip():
            return
        try:
            factor = float(layer.scale[-1]) / float(text)
            self.task_form.show(dataclasses.replace(self.task_form.read(), factor=factor))
        except (ValueError, ZeroDivisionError):
            self.tell(
                f"the pixel size is {text!r}; it must be a number from {layer.scale[-1] / 16:.3g} to "
                f"{layer.scale[-1]:.3g}, the layer's own",
                error=True,
            )
            return
        self.tell(f"Pixels of {text.strip()} are the layer's, {layer.scale[-1]:.3g}, by a factor of {factor:.3g}.")

    def _make_isotropic(self) -> None:
        """Set the factors by the voxels of the layer; what is wrong with them is said."""
        layer: Image | None = self.image.value
        if layer is None:
            self.tell("there is no image layer: open an image first", error=True)
            return
        letters = self.axes.value.upper()
        if "Z" not in letters:
            self.tell(f"the axes {letters} have no Z, only a volume has voxels: correct them if it is one", error=True)
            return
        try:
            task = voxels_as_cubes(layer, letters)
        except ValueError as error:
            self.tell(f"{error}. That is what the scale of the layer says: set it, or the factor in Z", error=True)
            return
        try:
            form = self.task_form.read()
        except ValueError as error:
            self.tell(str(error), error=True)
            return
        self.task_form.show(dataclasses.replace(form, factor=task.factor, z_factor=task.z_factor))
        self.extent.value = next(text for text, extent in EXTENTS.items() if extent == "volume")
        self.preset.value = default_preset(task, volume=True)
        self.tell(f"{task.z_factor:.3g} planes for one, learned from the planes themselves. Press Run.")

    def _begin_mask(self) -> None:
        if self.image.value is None:
            self.tell("there is no image layer to paint a mask for: open an image first", error=True)
        elif self.mask_input is not None:
            self.mask_input.begin(self.image.value)
            self.tell("Paint what is to be filled, then press Run.")

    def _layers_changed(self) -> None:
        self.image.reset_choices()
        if self.mask_input is not None:
            self.mask_input.labels.reset_choices()
        if self.kernel_input is not None:
            self.kernel_input.layer.reset_choices()
        self.guide_input.layers_changed()

    def _choose_visible(self) -> None:
        """Begin with the image that the person looks at: the active layer, else the topmost one that is shown."""
        self.image.reset_choices()
        shown = [layer for layer in self._viewer.layers if isinstance(layer, Image) and layer.visible]
        if shown:
            active = self._viewer.layers.selection.active
            self.image.value = active if active in shown else shown[-1]

    def _layer_chosen(self) -> None:
        layer: Image | None = self.image.value
        self.reuse.enabled = layer is not None and RECORD in layer.metadata
        if layer is not None:
            self.axes.value = axes_of(layer)
        self._offer_extents()
        self._tell_noise()

    def _tell_noise(self) -> None:
        """Estimate the noise of the slice that is looked at, in a thread, and say it in words."""
        layer: Image | None = self.image.value
        self.noise_note.setText("")
        self.noise_note.setVisible(self.task.removes_noise)
        if layer is None or not self.task.removes_noise:
            return
        axes, task = self.axes.value, self.task_form.read()
        point = self._viewer.dims.point
        worker = FunctionWorker(lambda: noise_in_words(layer, axes, task, point))
        worker.returned.connect(self._show_noise)
        worker.start()

    def _show_noise(self, words: str) -> None:
        self.noise_note.setText(words)

    def _offer_extents(self) -> None:
        """Ask only where there is something to choose: an image without a stack axis has one slice."""
        letters = self.axes.value.upper()
        stacked = stack_axes(letters, volume=False)
        show_row(self.rows, self.extent, visible=bool(stacked))
        if stacked:
            self.extent.choices = [text for text, extent in EXTENTS.items() if extent != "volume" or "Z" in letters]

    def _extent_chosen(self, _: str) -> None:
        """Change from one default preset to the other; what a person chose is left alone."""
        defaults = {volume: default_preset(self.task, volume=volume) for volume in (False, True)}
        volume = EXTENTS.get(self.extent.value) == "volume"
        if self.preset.value == defaults[not volume]:
            self.preset.value = defaults[volume]

    def show_method(self, method: Method) -> None:
        """Show the settings of a method, of whatever kind."""
        self.method_form = self._forms[type(method)]
        for form in self._forms.values():
            form.set_visible(form is self.method_form)
        self.method_form.show(method)

    def _preset_chosen(self, name: str) -> None:
        if name in self.presets:
            self.show_method(with_seed_of(self.presets[name], self.method_form.read()))

    def _name_preset(self) -> None:
        try:
            method: Method = self.method_form.read()
        except ValueError:
            self.preset.value = CHANGED
            return
        names = (name for name, preset in self.presets.items() if with_seed_of(preset, method) == method)
        self.preset.value = next(names, CHANGED)

    def _reuse(self) -> None:
        try:
            record = self.image.value.metadata[RECORD]
            task, method = from_record(record)
            self.task_form.show(task)
            self.show_method(method)
        except ValueError as error:
            self.tell(str(error), error=True)
            return
        self._name_preset()
        blur = (
            " The blur image that it was made with is to be chosen again." if record.get("kernel") is not None else ""
        )
        self.tell(f"Settings of {self.image.value.name!r} taken over.{blur}")


@final
class DenoiseWidget(TaskWidget):
    """Dock of :class:`~napari_deep_prior.tasks.Denoise`."""

    task = Denoise()

    # napari reads the annotation of the class's own __init__ to decide what to hand in.
    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)


@final
class InpaintWidget(TaskWidget):
    """Dock of :class:`~napari_deep_prior.tasks.Inpaint`."""

    task = Inpaint()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)


@final
class SuperResolveWidget(TaskWidget):
    """Dock of :class:`~napari_deep_prior.tasks.SuperResolve`."""

    task = SuperResolve()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)


@final
class GuidedWidget(TaskWidget):
    """Dock of :class:`~napari_deep_prior.tasks.Guided`."""

    task = Guided()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)


@final
class RemoveArtifactsWidget(TaskWidget):
    """Dock of :class:`~napari_deep_prior.tasks.RemoveArtifacts`."""

    task = RemoveArtifacts()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _label(text: str, name: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label

"""The dock of a task: it assembles its parts and connects them; the work is done elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QFormLayout, QWidget

from ..runs.devices import describe_device, resolve_device, why_no_gpu
from ..runs.errors import RestorationError
from ..tasks import SuperResolve, Task
from ..tasks.inputs import INPUTS, is_given
from .crop import Crop
from .dock_frame import framed, window_of
from .folded_settings import FoldedSettings
from .form import Form
from .image_input import ImageInput
from .inputs import MaskInput, ModelInput, input_widgets
from .labels import text_label
from .layers import appearance
from .method_form import MethodForm
from .offers import Offers
from .outcome import OutcomePanel
from .plan import PlanNotes
from .region_input import RegionInput
from .request import Request
from .result_place import ResultPlace
from .reuse import SettingsReuse
from .run import Run
from .run_control import RunControl
from .run_options import RunOptionsForm
from .trial import Trials, trial_of
from .voxels import VoxelTools

if TYPE_CHECKING:
    import napari.viewer


class Dock(QWidget):
    """Choose a layer, run, watch, stop when you like, keep the best image."""

    def __init__(self, viewer: napari.viewer.Viewer, task: Task) -> None:
        super().__init__()
        self._viewer, self.task = viewer, task
        self.image_input, self.region_input = ImageInput(viewer), RegionInput(viewer)
        self.inputs = input_widgets(viewer, task.takes)
        self.task_form = Form(task, task.takes)
        self.method_form = MethodForm(task)
        self.options, self.place = RunOptionsForm(diagnostics=task.removes_noise), ResultPlace()
        self.notes = PlanNotes(tells_noise=task.removes_noise)
        self.device_note = text_label(why_no_gpu() or f"GPU: {describe_device(resolve_device())}", "device_note")
        self.outcome = OutcomePanel(self._text_colour())
        self.reuse = SettingsReuse(task, self.image_input, (self.task_form, self.method_form), self.outcome)
        self.control, self.trials = RunControl(viewer, self.outcome), Trials(viewer, self.outcome)
        self.offers = Offers(self.outcome, self.place, self._begin)
        self.voxel_tools = (
            VoxelTools(self.image_input, self.task_form, self.outcome) if isinstance(task, SuperResolve) else None
        )
        self._arrange()
        self._connect()
        self.image_input.choose_visible()
        self._inputs_changed()
        self.control.follow_one_under_way(task.command)

    # -- assembling ---------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        column = framed(self, self.start)
        column.addLayout(self._everyday())
        for part in (self.notes, self.device_note, self._advanced(), self.reuse.native, self.outcome):
            column.addWidget(part)
        column.addStretch()

    def _everyday(self) -> QFormLayout:
        """Return the rows that are always shown."""
        rows = QFormLayout()
        self.image_input.lay_out_image(rows)
        for name, widget in self.inputs.items():
            if self._is_everyday(name):
                widget.lay_out(rows)
        self.image_input.lay_out_extent(rows)
        self.region_input.lay_out(rows)
        self.task_form.lay_out(rows, advanced=False)
        if self.voxel_tools is not None:
            self.voxel_tools.lay_out(rows)
        self.method_form.lay_out_choice(rows)
        return rows

    def _advanced(self) -> FoldedSettings:
        """Return what is folded away at first."""
        content = QWidget()
        rows = QFormLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        for name, widget in self.inputs.items():
            if not self._is_everyday(name):
                widget.lay_out(rows)
        self.task_form.lay_out(rows, advanced=True)
        self.method_form.lay_out_advanced(rows)
        self.options.lay_out(rows)
        self.place.lay_out(rows)
        self.folded = FoldedSettings(content, self.method_form)
        return self.folded

    def _is_everyday(self, name: str) -> bool:
        """Return whether an input is what the task is about, or helps only sometimes."""
        return name in self.task.needs or INPUTS[name].kind != "images"

    def _connect(self) -> None:
        self.notes.wanted.connect(self._plan)
        self.image_input.layer_chosen.connect(self._layer_chosen)
        self.image_input.changed.connect(self._place_changed)
        self.task_form.changed.connect(self.notes.update_soon)
        self.method_form.changed.connect(self.notes.update_soon)
        self.options.changed.connect(self.notes.update_soon)
        self.place.changed.connect(self.notes.update_soon)
        self.region_input.changed.connect(self.notes.update_soon)
        self.outcome.run_button.clicked.connect(self.start)
        self.outcome.try_button.clicked.connect(self.try_here)
        self.outcome.apply_button.clicked.connect(self.apply)
        self.outcome.fill_button.clicked.connect(self._fill_and_start)
        for widget in self.inputs.values():
            widget.changed.connect(self._inputs_changed)
            if isinstance(widget, MaskInput):
                widget.new_button.clicked.connect(self._begin_mask)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._layers_changed)
        self._viewer.events.theme.connect(self._theme_changed)

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run with what the form says; what is wrong with it is said in the status line."""
        self._begin(self._asked)

    def try_here(self) -> None:
        """Restore the current view with what the form says."""
        self._begin(self._trial, is_trial=True)

    def apply(self) -> None:
        """Restore all of the layer as the last quick look has restored a part."""
        self._begin(lambda: dataclasses.replace(self.trials.whole(), folder=self.place.folder))

    def stop(self) -> None:
        """End the run; its best image so far becomes the result."""
        self.control.stop()

    def use_model(self, path: str, task: Task) -> None:
        """Choose a trained network, and what it is for: its factor and blur."""
        model = self.inputs["model"]
        if isinstance(model, ModelInput):
            model.file.value = path
        if isinstance(task, SuperResolve):
            self.task_form.show(task)

    @property
    def run(self) -> Run | None:
        """The run that is under way."""
        return self.control.run

    # -- inside -------------------------------------------------------------------------------------------------

    def _request(self, layer: Image, crop: Crop | None) -> Request:
        """Return what the form asks for, of some rows and columns."""
        return Request(
            layer=layer,
            axes=self.image_input.letters,
            extent=self.image_input.chosen_extent,
            channels=self.image_input.channels.text,
            separate_channels=bool(self.image_input.channels.separate.value),
            point=tuple(self._viewer.dims.point),
            crop=crop,
            task=self.task_form.read(),
            wish=self.method_form.wish(),
            device=self.options.device.value,
            dtype=self.options.dtype.value,
            diagnostics=self.options.diagnostics.value,
            memory=str(self.place.memory.value).strip(),
            folder=self.place.folder,
        )

    def _plan(self) -> None:
        """Have the plan made of what the form asks for, with outlines of the inputs."""
        if self.image_input.layer is None:
            self.notes.clear()
            return
        try:
            request = self._asked()
            part = request.part()
            given = self._given(lambda name: self.inputs[name].outline(part))
        except ValueError as error:
            self.notes.show_problem(str(error))
            return
        self.notes.make(request, given)

    def _given(self, read: Callable[[str], Any]) -> dict[str, Any]:
        """Return all inputs.

        Raises
        ------
        ValueError
            If one is not chosen that the task needs.
        """
        given = {name: read(name) for name in self.inputs}
        for name in sorted(self.task.needs):
            if not is_given(given[name]):
                raise ValueError(f"nothing is chosen under {INPUTS[name].label!r}: choose at least one layer there")
        return given

    def _begin(self, ask: Callable[[], Request], *, is_trial: bool = False) -> None:
        self.outcome.fill_button.hide()
        if self.run is not None:
            return
        try:
            request = self.offers.last = ask()
            part = request.part()
            given = self._given(lambda name: self.inputs[name].read(part, request))
            look = appearance(part, request.factors(part))
            run = Run(self._viewer, window_of(self), self.task.command, request.name, look)
            self.control.start(run, partial(request.set_up, part, given), request.device)
        except (ValueError, RestorationError) as error:
            self.control.show_failure(error)
        else:
            if is_trial:
                self.trials.begin(request, run)

    def _layer(self) -> Image:
        layer = self.image_input.layer
        if layer is None:
            raise ValueError("there is no image layer: open an image first, for example with File ▸ Open Sample")
        return layer

    def _asked(self) -> Request:
        layer = self._layer()
        return self._request(layer, self.region_input.crop(layer, self.image_input.letters))

    def _trial(self) -> Request:
        layer = self._layer()
        view = self.region_input.view(layer, self.image_input.letters)
        return trial_of(self._request(layer, view))

    def _text_colour(self) -> str:
        return str(get_theme(self._viewer.theme).text.as_hex())

    def _theme_changed(self) -> None:
        self.outcome.curve.show_in(self._text_colour())

    def _inputs_changed(self) -> None:
        given = frozenset(name for name, widget in self.inputs.items() if widget.is_chosen)
        self.task_form.set_given(given)
        self.method_form.set_given(given)
        self.notes.update_soon()

    def _fill_and_start(self) -> None:
        self.task_form.show(dataclasses.replace(self.task_form.read(), missing="fill"))
        self.start()

    def _begin_mask(self) -> None:
        layer = self.image_input.layer
        if layer is None:
            self.outcome.tell("there is no image layer to paint a mask for: open an image first", error=True)
            return
        for widget in self.inputs.values():
            if isinstance(widget, MaskInput):
                widget.begin(layer)
        self.outcome.tell("Paint what is to be filled, then press Run.")

    def _layers_changed(self) -> None:
        self.image_input.layers_changed()
        self.region_input.layers_changed()
        self.trials.layers_changed()
        for widget in self.inputs.values():
            widget.layers_changed()

    def _layer_chosen(self) -> None:
        self.region_input.set_image(self.image_input.layer)
        self.reuse.layer_chosen()

    def _place_changed(self) -> None:
        self.method_form.set_volume(self.image_input.chosen_extent == "volume")
        self.notes.update_soon()

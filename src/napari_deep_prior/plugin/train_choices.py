"""What is trained, on which images and how: the form of the Train dock."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, final

import numpy as np
from magicgui.widgets import ComboBox, FileEdit, LineEdit
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from ..files.model_files import LAST_ENDING
from ..files.trainings import read_checkpoint
from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork
from ..runs.devices import available_devices, resolve_device
from ..runs.report import TASK_NAMES
from ..runs.train import Checkpoint
from ..runs.training_choices import OF_TASK, network_for, settings_of, task_of
from ..runs.training_forecast import TrainingForecast
from ..tasks import TASKS, Task
from ..tasks.inputs import INPUTS
from ..training.training_settings import TrainingSettings
from .folded_settings import FoldedSettings
from .folder_input import FolderInput
from .form import Form, add_row, layer_choice, show_row
from .layer_ticks import LayerTicks
from .layers import images_of, pixels_of
from .train_request import Images, TrainingRequest, images_of_folder, images_of_layers

if TYPE_CHECKING:
    import napari.viewer

FOLDER, LAYERS = "all images of a folder", "layers"


@final
class TrainChoices:
    """Widgets for a :class:`.TrainingRequest`."""

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._rows, self._advanced = QFormLayout(), QFormLayout()
        commands = [kind.command for kind in OF_TASK]
        self.task: Any = ComboBox(
            label="Task",
            choices=[(TASK_NAMES[command], command) for command in commands],
            tooltip="What the network is to do",
        )
        self.source: Any = ComboBox(label="Train on", choices=[FOLDER, LAYERS], tooltip="Images of one kind")
        self._choose_images()
        self.kernel = layer_choice(
            lambda: images_of(viewer), label=INPUTS["kernel"].label, tooltip="Replaces 'Blur'", optional=True
        )
        self.task_forms = {command: Form(TASKS[command](), only=OF_TASK[TASKS[command]]) for command in commands}
        self.form = Form(TrainingSettings())
        self._suggested = self._networks()
        self.resume: Any = FileEdit(
            label="Go on from",
            filter=f"Last networks of trainings (*{LAST_ENDING})",
            nullable=True,
            tooltip="The last network of another training, with its settings; empty: begin anew",
        )
        self.device: Any = ComboBox(label="Device", choices=available_devices(), tooltip="Where it is trained")
        self._connect()

    def _choose_images(self) -> None:
        """Make the widgets that say where the images are."""
        self.folder = FolderInput("Folder", "With the images: TIFF, PNG and JPEG")
        self.pattern = LineEdit(
            label="Files", tooltip="Which files of the folder, such as *.tif, or **/*.tif with those in its folders"
        )
        self.pattern.native.setPlaceholderText("all, or such as *.tif")
        self.clean_folder = FolderInput(
            "Clean folder",
            "A folder with clean images of the same places, with the same names: what is to come out. None: similar "
            "patches denoise the noisy ones first",
            "none",
        )
        tooltip = "Image layers to train on; of a stack all planes"
        self.layers = LayerTicks(lambda: images_of(self._viewer), tooltip=tooltip)
        self.clean_layers = LayerTicks(
            lambda: images_of(self._viewer),
            tooltip="Clean images of the same places, as many and in the same order; none: similar patches denoise "
            "the noisy ones first",
        )
        self._labels = {self.layers: QLabel("Layers"), self.clean_layers: QLabel("Clean layers")}

    def lay_out(self, column: QVBoxLayout) -> None:
        """Add all widgets to a dock."""
        rows, advanced = self._rows, self._advanced
        for widget in (self.task, self.source):
            add_row(rows, widget)
        self.folder.lay_out(rows)
        add_row(rows, self.pattern)
        self.clean_folder.lay_out(rows)
        for ticks, label in self._labels.items():
            label.setToolTip(ticks.toolTip())
            rows.addRow(label, ticks)
        for form in self.task_forms.values():
            form.lay_out(rows, advanced=False)
            form.lay_out(advanced, advanced=True)
        add_row(advanced, self.kernel)
        self.form.lay_out(rows, advanced=False)
        self.form.lay_out(advanced, advanced=True)
        add_row(advanced, self.resume)
        add_row(advanced, self.device)
        content = QWidget()
        advanced.setContentsMargins(0, 0, 0, 0)
        content.setLayout(advanced)
        column.addLayout(rows)
        self.folded = FoldedSettings(content, self)
        column.addWidget(self.folded)
        self.layers_changed()
        self._show_rows()

    @property
    def is_changed(self) -> bool:
        """Whether a setting is other than at first."""
        try:
            task = self._task()
            return bool(self.form.read() != TrainingSettings() or task != type(task)())
        except ValueError:
            return True

    def layers_changed(self) -> None:
        """Offer the layers that there are now; what was chosen stays chosen."""
        for ticks in self._labels:
            ticks.layers_changed()
        self.kernel.reset_choices()

    def request(self) -> TrainingRequest:
        """Return what the form asks for.

        Raises
        ------
        ValueError
            If something is wrong with it, or there is nothing to train on.
        """
        task, settings = self._task(), self.form.read()
        path = self._resumed_file()
        kernel = self.kernel.value if task.command == "super-resolve" else None
        return TrainingRequest(
            images=self._images(),
            task=task,
            settings=settings,
            device=self.device.value,
            kernel=None if kernel is None else np.asarray(pixels_of(kernel), np.float64),
            resume=None if path is None else read_checkpoint(path),
        )

    def forecast(self) -> str:
        """Return a sentence on what *Run* will do; empty as long as the form does not say it."""
        try:
            images, settings = self._images(), self.form.read()
        except (ValueError, OSError):
            # What is wrong is said when it is run.
            return ""
        has_clean = self.clean_layers.ticked if self.source.value == LAYERS else self.clean_folder.folder
        return TrainingForecast(
            settings=settings,
            images=images.count,
            pixels=images.pixels,
            restored=self.task.value == "denoise" and not settings.clean and not has_clean,
            device=resolve_device(self.device.value),
        ).in_words()

    def again(self, request: TrainingRequest, checkpoint: Checkpoint) -> TrainingRequest:
        """Return what goes on from a training: the same, for the time that the form says."""
        wanted = self.form.read()
        settings = dataclasses.replace(request.settings, minutes=None, epochs=None)
        settings = dataclasses.replace(settings, minutes=wanted.minutes, epochs=wanted.epochs)
        return dataclasses.replace(request, settings=settings, resume=checkpoint)

    def _connect(self) -> None:
        for widget in (self.task, self.source):
            widget.changed.connect(self._show_rows)
        self.task.changed.connect(self._suggest_networks)
        self.resume.changed.connect(self._show_resumed)
        for form in (self.form, *self.task_forms.values()):
            form.changed.connect(self._emit)
        self.pattern.changed.connect(self._emit)
        for folder in (self.folder, self.clean_folder):
            folder.changed.connect(self._emit)
        for ticks in self._labels:
            ticks.itemChanged.connect(self._emit)

    def _networks(self) -> dict[str, ResidualNetwork]:
        """Return each network with the settings that suit the task."""
        task = TASKS[self.task.value]()
        return {name: network_for(task, kind()) for name, kind in RESIDUAL_NETWORKS.items()}

    def _suggest_networks(self) -> None:
        """Show the networks with the settings that suit the task, but those that somebody has changed."""
        before, self._suggested = self._suggested, self._networks()
        for name, form in self.form.groups["network"].forms.items():
            # A text that is no number was changed, too.
            with contextlib.suppress(ValueError):
                if form.read() == before[name] != self._suggested[name]:
                    form.show(self._suggested[name])

    def _task(self) -> Task:
        task: Task = self.task_forms[self.task.value].read()
        return task

    def _images(self) -> Images:
        denoises = self.task.value == "denoise"
        if self.source.value == LAYERS:
            return images_of_layers(self.layers.ticked, self.clean_layers.ticked if denoises else ())
        folder = self.folder.needed()
        self.folder.existing()
        clean = self.clean_folder.existing() if denoises else None
        return images_of_folder(folder, self.pattern.value.strip() or None, clean)

    def _resumed_file(self) -> str | None:
        path = self.resume.value
        return None if path is None or str(path) in ("", ".") else str(path)

    def _show_resumed(self) -> None:
        """Show the settings of the training that is to go on: only its time can be another."""
        path = self._resumed_file()
        if path is None:
            return
        try:
            model = read_checkpoint(path).model
            task, settings = task_of(model), settings_of(model)
        except (ValueError, KeyError):
            # What is wrong with the file is said when it is used.
            return
        self.task.value = model.task
        self.task_forms[model.task].show(task)
        self.form.show(settings)

    def _show_rows(self) -> None:
        """Show what belongs to the task and to where the images are."""
        of_folder, denoises = self.source.value == FOLDER, self.task.value == "denoise"
        self.folder.show_row(visible=of_folder)
        show_row(self._rows, self.pattern, visible=of_folder)
        self.clean_folder.show_row(visible=of_folder and denoises)
        for ticks, label in self._labels.items():
            visible = not of_folder and (denoises or ticks is self.layers)
            ticks.setVisible(visible)
            label.setVisible(visible)
        for command, form in self.task_forms.items():
            form.set_visible(command == self.task.value)
        show_row(self._rows, self.form.widgets["clean"], visible=denoises)
        show_row(self._advanced, self.kernel, visible=not denoises)
        self._emit()

    def _emit(self) -> None:
        self.changed.emit()


def in_train_dock(text: str) -> str:
    """Return a sentence with the remedies of the dock where it names those of the command line."""
    for option, words in WORDS.items():
        text = text.replace(option, words)
    return text


WORDS = {
    "(--validate 0)": "('Held-out share' 0)",
    "(--clean-folder)": "(under 'Clean folder')",
    "(--clean)": "(tick 'Clean images')",
    "(--gain, --sigma)": "(under the advanced settings)",
    "(--crop)": "(under the advanced settings)",
    ", for example with --pattern": "",
    "with --pattern": "under 'Files'",
    "with --kernel": "under 'Blur image'",
}
"""What options of the command line are called in the dock."""

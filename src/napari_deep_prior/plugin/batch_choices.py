"""What a batch is made of: the form of its dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from qtpy.QtWidgets import QFormLayout, QVBoxLayout

from ..files.model_files import read_model
from ..runs.batch import Job
from ..runs.batch_network import BatchNetwork
from ..runs.recommend import asked
from ..tasks import Denoise, SuperResolve, Task
from ..tasks.inputs import INPUTS
from ..training.model import Model
from .batch_jobs import BatchRequest, jobs_of_folder, jobs_of_layers
from .channel_input import ChannelInput
from .folder_input import FolderInput
from .form import add_row, show_row
from .inputs import ModelInput
from .layers import images_of
from .run_options import RunOptionsForm
from .task_forms import TaskForms

if TYPE_CHECKING:
    import napari.viewer

FOLDER, LAYERS = "all images of a folder", "the selected layers"
REPLACE = "Replace other results"
ZARR = "as OME-Zarr, slice by slice"
SHARED = "one network for all images"
ABOUT_SHARED = (
    "One network is trained for all images, which takes little more time than one for a single image; pixels that are "
    "held out decide how much it counts in each. For denoising by self-distillation"
)

NONE = {"mask": "none: NaN pixels are filled", "guide": "none"}
"""What it means that there is no folder of an input, by its name in ``INPUTS``."""

OTHERS = tuple(NONE)
"""Inputs of which every image can have its own."""

OF_NAMES = "A folder with files of the names of the images"

AXES = "One letter per axis of every image, such as TCYX, where its file says something else"


@final
class BatchChoices:
    """Widgets that say which images are restored, how, and where the results go."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._rows: QFormLayout | None = None
        self.tasks = TaskForms()
        self.source: Any = ComboBox(label="Restore", choices=[FOLDER, LAYERS], tooltip="Which images are restored")
        self.folder = FolderInput("Folder", "With the images: TIFF, PNG, JPEG and Zarr")
        self.pattern = LineEdit(
            label="Files", tooltip="Which files of the folder, such as *.tif, or **/*.tif with those in its folders"
        )
        self.pattern.native.setPlaceholderText("all, or such as *.tif")
        self.others = {
            name: FolderInput(INPUTS[name].label, f"{OF_NAMES}: {INPUTS[name].help}", nothing)
            for name, nothing in NONE.items()
        }
        self.model = ModelInput(viewer, INPUTS["model"].label)
        self.results = FolderInput("Results in", "A folder for the results and their table (CSV)")
        truth = f"{OF_NAMES}, which show the truth: PSNR in the table"
        self.reference = FolderInput("References", truth, "none: no PSNR")
        self.axes = LineEdit(label="Axes", tooltip=AXES)
        self.axes.native.setPlaceholderText("as in the files, or TCYX")
        self.channels = ChannelInput()
        self.volume = CheckBox(label="3D", tooltip="Restore Z, Y and X together, not plane by plane")
        self.shared = CheckBox(label=" ", tooltip=ABOUT_SHARED)
        self.replace = CheckBox(
            label="",
            tooltip="Results that are there already, of the same image, settings and version, are skipped; those of "
            "another image, other settings or another version are replaced only if this is ticked",
        )
        self.zarr = CheckBox(
            label="",
            tooltip="For results that do not fit into the memory: what is finished of one stays when the batch is "
            "stopped. Of Zarr images the results always are",
        )
        self.options = RunOptionsForm(diagnostics=False)
        self.tasks.changed.connect(self._show_rows)
        self.source.changed.connect(self._show_rows)
        self.volume.changed.connect(self.tasks.set_volume)
        for widget in self.others.values():
            widget.changed.connect(self._given_changed)
        self.model.changed.connect(self._given_changed)

    def lay_out(self, column: QVBoxLayout) -> None:
        """Add all widgets to a dock."""
        self._rows = rows = QFormLayout()
        self.tasks.lay_out_choice(rows)
        add_row(rows, self.source)
        self.folder.lay_out(rows)
        add_row(rows, self.pattern)
        for other in self.others.values():
            other.lay_out(rows)
        self.model.lay_out(rows)
        self.results.lay_out(rows)
        self.reference.lay_out(rows)
        add_row(rows, self.axes)
        self.channels.lay_out(rows)
        self.channels.offer("all, or such as 0,2 or DAPI,GFP")
        add_row(rows, self.volume)
        self.volume.native.setText("as one volume")
        add_row(rows, self.shared)
        self.shared.native.setText(SHARED)
        add_row(rows, self.zarr)
        self.zarr.native.setText(ZARR)
        add_row(rows, self.replace)
        self.replace.native.setText(REPLACE)
        self.options.lay_out(rows)
        column.addLayout(rows)
        column.addWidget(self.tasks)
        self._show_rows()

    def align(self) -> None:
        """Have all fields below each other, in the font that the labels have by now."""
        if self._rows is not None:
            self.tasks.form.align_with(self._rows)

    def jobs(self) -> tuple[BatchRequest, list[Job]]:
        """Return what the form asks for.

        Raises
        ------
        ValueError
            If something is wrong with it, or there is nothing to restore.
        """
        task, wish = self.tasks.read()
        taken = [name for name in OTHERS if name in task.takes]
        for name in taken:
            if name in task.needs:
                self.others[name].needed()
        others = {name: folder for name in taken if (folder := self.others[name].existing()) is not None}
        request = BatchRequest(
            task=task,
            wish=wish,
            results=self.results.needed(),
            others=others,
            model=self._model(task),
            reference=self.reference.existing(),
            device=self.options.device.value,
            dtype=self.options.dtype.value,
            replace=bool(self.replace.value),
            zarr=bool(self.zarr.value),
            axes=str(self.axes.value).strip(),
            channels=self.channels.text,
            separate_channels=bool(self.channels.separate.value),
        )
        jobs = self._jobs(request)
        if self.shared.value and not self.shared.native.isHidden():
            jobs = BatchNetwork(jobs, asked(task, wish)[0]).jobs
        return request, jobs

    def _model(self, task: Task) -> Model | None:
        if "model" not in task.takes or not self.model.is_chosen:
            return None
        model = read_model(str(self.model.file.value))
        model.refuse_task(enlarges=isinstance(task, SuperResolve))
        return model

    def _jobs(self, request: BatchRequest) -> list[Job]:
        if self.source.value == LAYERS:
            selected = self._viewer.layers.selection
            return jobs_of_layers(request, [layer for layer in images_of(self._viewer) if layer in selected])
        return jobs_of_folder(request, self.folder.needed(), self.pattern.value.strip() or None)

    def _show_rows(self) -> None:
        """Show what belongs to the task and to where the images are."""
        of_folder = self.source.value == FOLDER
        self.folder.show_row(visible=of_folder)
        if self._rows is not None:
            show_row(self._rows, self.pattern, visible=of_folder)
            show_row(self._rows, self.shared, visible=self.tasks.task is Denoise)
            show_row(self._rows, self.model.file, visible="model" in self.tasks.task.takes)
        for name, widget in self.others.items():
            widget.show_row(visible=name in self.tasks.task.takes)
        self.align()
        self._given_changed()

    def _given_changed(self) -> None:
        given = {name for name, widget in self.others.items() if widget.folder is not None}
        self.tasks.set_given(given | ({"model"} if self.model.is_chosen else set()))


def in_dock(text: str) -> str:
    """Return a sentence with the remedies of the dock where it names those of the command line."""
    for option, words in WORDS.items():
        text = text.replace(option, words)
    return text


WORDS = {
    "allow it with --overwrite": f"tick {REPLACE!r}",
    "replace it with --overwrite": f"tick {REPLACE!r}",
    "choose --method self-distillation, or leave out --shared-model": "choose the method 'Self-distillation' or the "
    f"effort 'balanced', or untick {SHARED!r}",
    "leave out --shared-model": f"untick {SHARED!r}",
    "with --pattern": "under 'Files'",
    "with --axes": "under 'Axes'",
    " (--dtype float32)": " (under 'Result type')",
}
"""What options of the command line are called in the dock."""

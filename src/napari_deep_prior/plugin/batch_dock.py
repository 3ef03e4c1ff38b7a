"""The dock that restores many images, one after another, and writes the results and a table of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QPushButton, QWidget

from ..files.folders import TABLE
from ..runs.batch import JobOutcome, Progress
from ..runs.batch_words import WITHOUT_RESULT, end_in_words, files_in_words, outcome_in_words
from ..runs.devices import describe_device, resolve_device
from ..runs.report import duration, sentence
from .batch import Batch
from .batch_choices import BatchChoices, in_dock
from .batch_table_view import BatchTableView
from .dock_frame import framed, side_by_side, thin_bar, window_of
from .labels import ERROR_STYLE, StatusLine, text_label
from .viewer_job import job_under_way

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtWidgets import QTableWidgetItem


@final
class BatchDock(QWidget):
    """Choose a task, images and a folder for the results; press Run, and watch the table."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.batch: Batch | None = None
        self._last: Batch | None = None
        self._failure = ""
        self._left: float | None = None
        self.choices = BatchChoices(viewer)
        self.run_button, self.stop_button = QPushButton("Run"), QPushButton("Stop")
        self.run_button.setToolTip("Restore all images; results that are there already are skipped")
        self.stop_button.setToolTip("End now: finished results stay, and the same batch goes on where it was")
        self.stop_button.setEnabled(False)
        self.bar = thin_bar()
        self.status = StatusLine()
        self.table = BatchTableView()
        self.errors = text_label("", "errors")
        self.errors.setStyleSheet(ERROR_STYLE)
        self._arrange()
        self.run_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.table.itemDoubleClicked.connect(self._open_result)
        under_way = job_under_way(viewer, Batch)
        if under_way is not None:
            self._follow(under_way)

    def _arrange(self) -> None:
        column = framed(self, self.start)
        self.choices.lay_out(column)
        column.addLayout(side_by_side(self.run_button, self.stop_button))
        for part in (self.bar, self.status, self.table, self.errors):
            column.addWidget(part)
        column.addStretch()
        for part in (self.table, self.errors):
            part.hide()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Align the form: only now the labels have the font of the window."""
        super().showEvent(event)
        self.choices.align()

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Restore what the form asks for; what is wrong with it is said in the status line."""
        if self.batch is not None:
            return
        try:
            request, jobs = self.choices.jobs()
            device = resolve_device(request.device)
        except (ValueError, OSError) as error:
            self.status.tell(in_dock(str(error)), error=True)
            return
        batch = Batch(self._viewer, window_of(self), jobs, request.results)
        self._follow(batch)
        self.status.tell(f"{files_in_words(len(jobs))} on {describe_device(device)} …")
        batch.start()

    def stop(self) -> None:
        """End the batch; what is finished stays."""
        if self.batch is not None:
            self.batch.stop()
            self.stop_button.setEnabled(False)
            self.status.tell("Stopping …")

    # -- inside -------------------------------------------------------------------------------------------------

    def _follow(self, batch: Batch) -> None:
        """Show a batch, which may be under way since before this dock was opened."""
        self.batch = self._last = batch
        self._failure = ""
        batch.progressed.connect(self._progressed)
        batch.told.connect(self._told)
        batch.ended.connect(self._ended)
        batch.failed.connect(self._failed)
        batch.finished.connect(self._finished)
        self.table.show_jobs(batch.jobs)
        self.bar.setRange(0, len(batch.jobs))
        for number, outcome in enumerate(batch.outcomes, 1):
            self.table.show_outcome(number, outcome)
        self.bar.setValue(len(batch.outcomes))
        self.table.show()
        self.errors.hide()
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(not batch.is_stopping)
        self.status.tell("Stopping …" if batch.is_stopping else "Starting …")

    def _progressed(self, progress: Progress) -> None:
        self.table.show_state(progress.number, "restoring")
        self._left = progress.seconds_left
        step = progress.step
        part = f"slice {progress.piece} of {progress.pieces}, " if progress.pieces > 1 else ""
        self._show_place(
            progress.number, "reading" if step is None else f"{part}step {step.number} of at most {step.total}"
        )

    def _told(self, stage: str) -> None:
        if self.batch is not None and len(self.batch.outcomes) < len(self.batch.jobs):
            self._show_place(len(self.batch.outcomes) + 1, stage[:1].lower() + stage[1:])

    def _show_place(self, number: int, words: str) -> None:
        if self.batch is not None and self.stop_button.isEnabled():
            left = "" if self._left is None else f", about {duration(self._left)} left"
            self.status.tell(f"Image {number} of {len(self.batch.jobs)}: {words}{left}")

    def _ended(self, outcome: JobOutcome) -> None:
        if self._last is not None:
            number = self._last.jobs.index(outcome.job) + 1
            self.table.show_outcome(number, outcome)
            self.bar.setValue(number)

    def _failed(self, words: str) -> None:
        self._failure = words

    def _finished(self) -> None:
        batch, self.batch = self.batch, None
        self.run_button.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setValue(0)
        if batch is None:
            return
        outcomes, count = batch.outcomes, len(batch.jobs)
        for number in range(len(outcomes) + 1, count + 1):
            self.table.show_state(number, "not restored")
        ended = "Stopped. " if len(outcomes) < count else ""
        said = [*end_in_words(outcomes, count), f"the table is {TABLE} in the folder of the results"]
        self.status.tell(f"{ended}{'. '.join(map(sentence, said))}.")
        wrong = [outcome_in_words(each) for each in outcomes if each.status in WITHOUT_RESULT]
        wrong += [sentence(self._failure)] if self._failure else []
        # Names of files are not written with a capital letter.
        self.errors.setText("\n".join(map(in_dock, wrong)))
        self.errors.setVisible(bool(wrong))

    def _open_result(self, item: QTableWidgetItem) -> None:
        """Open the result of a row as a layer, if there is one."""
        jobs = [] if self._last is None else self._last.jobs
        if item.row() < len(jobs) and Path(jobs[item.row()].result).exists():
            self._viewer.open(jobs[item.row()].result, plugin="napari-deep-prior")

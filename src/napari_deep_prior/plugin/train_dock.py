"""The dock that trains a network on a person's own images: choose, press Run, watch, keep the best, use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from magicgui.widgets import ComboBox
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QWidget

from ..files.trainings import TrainingFiles
from ..runs.devices import describe_device, resolve_device
from ..runs.report import TASK_NAMES, duration, sentence
from ..training.held_out_images import Measures
from .dock_frame import framed, side_by_side, thin_bar, window_of
from .labels import StatusLine, text_label
from .plan import DELAY
from .saving import ask_where_model
from .train_choices import TrainChoices, in_train_dock
from .training_curve import TrainingCurve
from .training_job import TrainingJob
from .training_picture import TrainingPicture
from .viewer_job import job_under_way

if TYPE_CHECKING:
    import napari.viewer

BEST, LAST = "best", "last"


@final
class TrainDock(QWidget):
    """Choose images, a task and a network; train, watch, stop when you like, save the network and use it."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.job: TrainingJob | None = None
        self.last: TrainingJob | None = None
        self.saved: TrainingFiles | None = None
        self._failure: str | None = None
        self.choices = TrainChoices(viewer)
        self.run_button, self.stop_button = QPushButton("Run"), QPushButton("Stop")
        self.run_button.setToolTip("Train a new network on these images")
        self.stop_button.setToolTip("End now and keep the best network so far")
        self.stop_button.setEnabled(False)
        self.go_on_button = QPushButton("Go on")
        self.go_on_button.setToolTip("Go on from the last network, on the same images, for the time that is chosen")
        self.bar = thin_bar()
        self.status, self.about = StatusLine(), text_label("", "about")
        self.forecast = text_label("", "forecast")
        self._moment = QTimer(self)
        self._moment.setSingleShot(True)
        self._moment.setInterval(DELAY)
        self.measures = text_label("", "measures")
        self.curve = TrainingCurve(self._text_colour(), self)
        self.picture = TrainingPicture()
        self.which: Any = ComboBox(label="Network", choices=[BEST, LAST], tooltip="Which weights are used")
        self.save_button, self.use_button = QPushButton("Save model …"), QPushButton("Use model …")
        self.save_button.setToolTip("Two files: the network that was best on held-out images, and the last one")
        self.use_button.setToolTip("Choose this network in the dock of its task; it is saved before")
        self._arrange()
        self._connect()
        under_way = job_under_way(viewer, TrainingJob)
        if under_way is not None:
            self._follow(under_way)

    # -- assembling ---------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        column = framed(self, self.start)
        self.choices.lay_out(column)
        column.addWidget(self.forecast)
        column.addLayout(side_by_side(self.run_button, self.go_on_button, self.stop_button))
        column.addWidget(self.bar)
        column.addWidget(self.status)
        self.outcome = QWidget()
        row = side_by_side(self.which.native, self.save_button, self.use_button)
        row.setContentsMargins(0, 0, 0, 0)
        self.outcome.setLayout(row)
        below: tuple[QWidget, ...] = (self.outcome, self.measures, self.curve, self.picture, self.about)
        for part in below:
            column.addWidget(part)
        column.addStretch()
        self._hide_outcome()

    def _connect(self) -> None:
        self.run_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.go_on_button.clicked.connect(self.go_on)
        self.choices.changed.connect(self._choices_changed)
        self._moment.timeout.connect(self._foretell)
        self.save_button.clicked.connect(self.save)
        self.use_button.clicked.connect(self.use)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self.choices.layers_changed)
        self._viewer.events.theme.connect(self._theme_changed)

    # -- what a person does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Train what the form asks for; what is wrong with it is said in the status line."""
        self._begin(go_on=False)

    def go_on(self) -> None:
        """Train the last network on."""
        self._begin(go_on=True)

    def stop(self) -> None:
        """End the training; the best network so far stays."""
        if self.job is not None:
            self.job.stop()
            self.stop_button.setEnabled(False)
            self.status.tell("Stopping …")

    def save(self) -> TrainingFiles | None:
        """Write the best network and the last one where the person says; return the files, None if there are none."""
        training = None if self.last is None else self.last.training
        if training is None:
            return None
        path = ask_where_model(self, f"{training.model.task} {training.split.training[0].name}")
        if not path:
            return None
        files = TrainingFiles(path)
        try:
            files.write(training)
        except (ValueError, OSError) as error:
            self.status.tell(f"{path!r} could not be written: {error}", error=True)
            return None
        self.saved = files
        names = (Path(each).name for each in (files.best, files.last))
        self.status.tell("Saved: the best network as {!r}, the last one as {!r}".format(*names))
        return files

    def use(self) -> None:
        """Choose the network in the dock of its task, saved before if it is not yet."""
        training = None if self.last is None else self.last.training
        files = self.saved or self.save()
        if training is None or files is None:
            return
        path = files.best if self.which.value == BEST else files.last
        name = TASK_NAMES[training.model.task]
        _, dock = self._viewer.window.add_plugin_dock_widget("napari-deep-prior", name)
        dock.use_model(path, training.task)
        self.status.tell(f"{Path(path).name!r} is chosen in the dock {name!r}: press Run there")

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin(self, *, go_on: bool) -> None:
        if self.job is not None:
            return
        try:
            before = None if self.last is None or not go_on else self.last.training
            if before is not None and self.last is not None:
                request = self.choices.again(self.last.request, before.checkpoint)
            else:
                request = self.choices.request()
            device = resolve_device(request.device)
        except (ValueError, OSError) as error:
            self.status.tell(in_train_dock(str(error)), error=True)
            return
        job = TrainingJob(self._viewer, window_of(self), request)
        self._follow(job)
        self.status.tell(f"Starting on {describe_device(device)} …")
        job.start()

    def _follow(self, job: TrainingJob) -> None:
        """Show a training, which may be under way since before this dock was opened."""
        self.job = self.last = job
        self.saved, self._failure = None, None
        job.began.connect(self._began)
        job.updated.connect(self._updated)
        job.told.connect(self.status.tell)
        job.failed.connect(self._failed)
        job.finished.connect(self._finished)
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(not job.is_stopping)
        self._hide_outcome()
        self.status.tell("Stopping …" if job.is_stopping else "Starting …")
        if job.training is not None:
            self._began()
            self._updated()

    def _choices_changed(self) -> None:
        self._moment.start()

    def _foretell(self) -> None:
        """Say what Run will do."""
        self.forecast.setText(sentence(self.choices.forecast()))
        self.forecast.setVisible(bool(self.forecast.text()))

    def _hide_outcome(self) -> None:
        self.go_on_button.setEnabled(False)
        parts: list[QWidget] = [self.outcome, self.measures, self.about, self.picture]
        for part in parts:
            part.hide()
        self.curve.hide()

    def _began(self) -> None:
        if self.job is None or self.job.training is None:
            return
        training, held_out = self.job.training, self.job.training.split.held_out
        names = ", ".join(repr(image.name) for image in held_out)
        said = [f"held out: {names}" if held_out else "nothing is held out: the last network is kept"]
        self.about.setText("\n".join(f"{sentence(each)}." for each in [*said, *map(in_train_dock, training.remarks)]))
        self.about.show()
        self._show_course()
        self.status.tell("Training …")

    def _updated(self) -> None:
        if self.job is None:
            return
        course = self.job.course
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * min(1.0, course.done)))
        self._show_course()
        if not self.job.is_stopping:
            left = course.seconds * (1 - course.done) / course.done if course.done > 0 else 0.0
            self.status.tell(f"Step {course.number}, about {duration(left)} left")

    def _show_course(self) -> None:
        if self.last is None or self.last.training is None:
            return
        course = self.last.course
        self.curve.show_course(course)
        if course.validations:
            self.picture.show_example(course.validations[-1][1].example, self.last.training.truth)
            self.measures.setText(_measures_in_words(self.last))
            self.measures.show()

    def _failed(self, words: str) -> None:
        self._failure = words

    def _finished(self) -> None:
        job, self.job = self.job, None
        self.run_button.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setValue(0)
        training = None if job is None else job.training
        if training is not None:
            self._show_course()
            self.outcome.show()
            self.go_on_button.setEnabled(True)
        if self._failure is not None:
            kept = "" if training is None else "; the best network so far is kept"
            words = f"{in_train_dock(self._failure)}{kept}" if self._failure else "Stopped before the first step."
            self.status.tell(words, error=bool(self._failure))
        elif training is not None and job is not None:
            ended = "Stopped after" if job.is_stopping else "Trained for"
            what = "the best" if training.best is not None else "kept"
            said = [f"{ended} {training.steps} steps. The network of step {training.chosen} is {what}: save or use it."]
            said += [f"{sentence(training.doubt)}."] if training.doubt else []
            said += [f"Until then it is kept as {job.kept!r}."] if job.kept else []
            self.status.tell(" ".join(said))

    def _text_colour(self) -> str:
        return str(get_theme(self._viewer.theme).text.as_hex())

    def _theme_changed(self) -> None:
        self.curve.show_in(self._text_colour())


def _measures_in_words(job: TrainingJob) -> str:
    """Return a table of what the held-out images say: of what goes in, of the last validation, and of the best one."""
    (step, now), best = job.course.validations[-1], None if job.training is None else job.training.best
    chosen = job.course.chosen
    rows = [("input", now.before), (f"step {step}{', the best' if step == chosen else ''}", now.after)]
    if best is not None and step != chosen:
        rows.append((f"step {chosen}, the best", best.after))
    lines = "".join(_row(name, measures) for name, measures in rows)
    heads = "".join(f"<th align='right'>{name}</th>" for name in ("PSNR (dB)", "SSIM", "HFEN"))
    return f"<table cellspacing='0' cellpadding='3'><tr><th align='left'>held out</th>{heads}</tr>{lines}</table>"


def _row(name: str, measures: Measures) -> str:
    numbers = (f"{measures.psnr:.2f}", f"{measures.ssim:.4f}", f"{measures.hfen:.4g}")
    cells = "".join(f"<td align='right'>{number}</td>" for number in numbers)
    return f"<tr><td>{name}</td>{cells}</tr>"

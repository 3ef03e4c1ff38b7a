"""A training under way in the viewer: it goes on when its dock is closed, and another dock shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import torch
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget
from torch import Tensor

from ..progress.stages import Stopped, checkpoint, watched
from ..runs.errors import RestorationError
from ..runs.train import Training
from ..training.held_out_images import Validation
from ..training.image_training import TrainingStep
from .job import BackgroundJob
from .run import itself
from .train_request import TrainingRequest
from .window_end import WindowEnd

if TYPE_CHECKING:
    from napari.viewer import Viewer

INTERVAL = 1.0
"""Seconds between two updates: each of them has the whole window drawn anew."""

ACTIVE: set[TrainingJob] = set()
"""Trainings under way."""


def training_under_way(viewer: Viewer) -> TrainingJob | None:
    """Return the training that is under way in a viewer."""
    return next((job for job in ACTIVE if job.is_in(viewer)), None)


@final
@dataclass
class TrainingCourse:
    """How a training has gone so far.

    Parameters
    ----------
    losses : list of (int, float)
        Steps, and the mean loss of the steps from the one before to each.
    validations : list of (int, Validation)
        Steps, and what the held-out images say of each.
    chosen, done, seconds : int, float, float
        The step that the best weights are from, the share that is done, the time that it took.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    validations: list[tuple[int, Validation]] = field(default_factory=list)
    chosen: int = 0
    done: float = 0.0
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """The last step."""
        return self.losses[-1][0] if self.losses else 0


@final
class TrainingJob(QObject):
    """Trains in a thread; when it is stopped or fails, the best network so far stays.

    Parameters
    ----------
    viewer, window : Viewer, QWidget
        Where it belongs: it ends when the window is closed.
    request : TrainingRequest
        What is trained.
    """

    began = Signal()
    """The images are read and prepared: the first step comes."""
    updated = Signal()
    """There is more in :attr:`course`."""
    told = Signal(str)
    """What is done where there are no steps."""
    failed = Signal(str)
    """Why the training did not come to its end; empty if it was stopped before the first step."""
    finished = Signal()
    """The training is over, however it ended."""

    def __init__(self, viewer: Viewer, window: QWidget, request: TrainingRequest) -> None:
        super().__init__()
        self._window_end = WindowEnd(window, self.stop)
        self._viewer, self.request = viewer, request
        self.training: Training | None = None
        self.course = TrainingCourse()
        self.is_stopping = False
        self._pending: list[Tensor] = []
        self._job = BackgroundJob(self._work)
        self._job.told.connect(self.told)
        self._job.failed.connect(self.failed)
        self._job.finished.connect(self._finish)

    def start(self) -> None:
        """Start the thread."""
        ACTIVE.add(self)
        self._job.start()

    def stop(self) -> None:
        """End the training; the best network so far stays."""
        self.is_stopping = True
        self._job.stop()

    def is_in(self, viewer: Viewer) -> bool:
        """Return whether the training belongs to a viewer; docks are given proxies of it."""
        return itself(self._viewer) is itself(viewer)

    def _work(self) -> None:
        training = self.request.begin()
        best = training.best
        if best is not None:
            self.course.validations.append((training.steps, best))
        self.training = training
        self.began.emit()
        try:
            self._train(training)
        except RestorationError as error:
            raise ValueError(str(error)) from error
        finally:
            training.close()

    def _train(self, training: Training) -> None:
        began, shown = time.monotonic(), 0.0
        try:
            for step in training:
                self._pending.append(step.loss)
                now = time.monotonic()
                if step.validation is not None or now - shown > INTERVAL:
                    shown = now
                    self._note(step, now - began)
                checkpoint()
        except Stopped:
            # Only now: what is stopped before the first step has no network.
            with watched(_leave_alone):
                self._conclude(training, time.monotonic() - began)

    def _note(self, step: TrainingStep, seconds: float) -> None:
        course = self.course
        course.losses.append((step.number, float(torch.stack(self._pending).mean())))
        self._pending.clear()
        if step.validation is not None:
            course.validations.append((step.number, step.validation))
        course.chosen, course.done, course.seconds = step.chosen, step.done, seconds
        self.updated.emit()

    def _conclude(self, training: Training, seconds: float) -> None:
        validation, course = training.conclude(), self.course
        if validation is not None:
            course.validations.append((training.steps, validation))
        course.chosen, course.seconds = training.chosen, seconds
        self.updated.emit()

    def _finish(self) -> None:
        ACTIVE.discard(self)
        self.finished.emit()


def _leave_alone(_stage: str) -> None:
    """Let what is under way come to its end."""

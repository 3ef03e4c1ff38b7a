"""A training under way in the viewer: it goes on when its dock is closed, and another dock shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import torch
from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget
from torch import Tensor

from ..files.trainings import TrainingFiles
from ..progress.stages import Stopped, checkpoint, watched
from ..runs.train import Training
from ..training.held_out_images import Validation
from ..training.image_training import TrainingStep
from .job import INTERVAL
from .kept_networks import files_to_keep
from .train_request import TrainingRequest
from .viewer_job import ViewerJob

if TYPE_CHECKING:
    from napari.viewer import Viewer


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
class TrainingJob(ViewerJob):
    """Trains in a thread; when it is stopped or fails, the best network so far stays, also in a file.

    Parameters
    ----------
    viewer, window : Viewer, QWidget
        Where it belongs: it ends when the window is closed.
    request : TrainingRequest
        What is trained.

    Attributes
    ----------
    kept : str
        The file in which the best network is, once it is over; empty if it could not be written.
    """

    began = Signal()
    """The images are read and prepared: the first step comes."""
    updated = Signal()
    """There is more in :attr:`course`."""

    def __init__(self, viewer: Viewer, window: QWidget, request: TrainingRequest) -> None:
        super().__init__(viewer, window)
        self.request = request
        self.training: Training | None = None
        self.course = TrainingCourse()
        self.kept = ""
        self._files: TrainingFiles | None = None
        self._pending: list[Tensor] = []

    def _work(self) -> None:
        training = self.request.begin()
        best = training.best
        if best is not None:
            self.course.validations.append((training.steps, best))
        self.training = training
        self.began.emit()
        try:
            self._train(training)
        finally:
            training.close()
            # What was stopped before the first step has no network.
            if self.course.losses:
                self._keep(training)

    def _keep(self, training: Training, *, now_and_then: bool = False) -> None:
        """Write the networks to files of their own, which nobody has asked for: that they fail ends nothing."""
        try:
            if self._files is None:
                self._files = files_to_keep(training.task.command)
            if now_and_then:
                self._files.write_now_and_then(training)
            else:
                self._files.write(training)
                self.kept = self._files.best
        except (ValueError, OSError):
            self.kept = ""

    def _train(self, training: Training) -> None:
        began, shown = time.monotonic(), 0.0
        try:
            for step in training:
                self._pending.append(step.loss)
                now = time.monotonic()
                if step.validation is not None or now - shown > INTERVAL:
                    shown = now
                    self._note(step, now - began)
                    self._keep(training, now_and_then=True)
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


def _leave_alone(_stage: str) -> None:
    """Let what is under way come to its end."""

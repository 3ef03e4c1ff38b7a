"""A batch under way in the viewer: it goes on when its dock is closed, and another dock shows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget

from ..files.folders import TABLE
from ..files.replacing import alone_in, refuse_place
from ..runs.batch import Job, JobOutcome, restore_all
from ..runs.batch_table import Table
from ..runs.errors import RestorationError
from .job import INTERVAL, BackgroundJob
from .run import itself
from .window_end import WindowEnd

if TYPE_CHECKING:
    from napari.viewer import Viewer

ACTIVE: set[Batch] = set()
"""Batches under way."""


def batch_under_way(viewer: Viewer) -> Batch | None:
    """Return the batch that is under way in a viewer."""
    return next((batch for batch in ACTIVE if batch.is_in(viewer)), None)


@final
class Batch(QObject):
    """Restores images one after another in a thread, and writes the table of them.

    Parameters
    ----------
    viewer, window : Viewer, QWidget
        Where it belongs: it ends when the window is closed.
    jobs, results : sequence of Job, Path
        What is restored, and the folder of the results.
    """

    progressed = Signal(object)
    """A :class:`.Progress`, at most once a second."""
    ended = Signal(object)
    """A :class:`.JobOutcome`."""
    told = Signal(str)
    """What is done where there are no steps."""
    failed = Signal(str)
    """Why the batch did not come to its end; empty if it was stopped."""
    finished = Signal()
    """The batch is over, however it ended."""

    def __init__(self, viewer: Viewer, window: QWidget, jobs: Sequence[Job], results: Path) -> None:
        super().__init__()
        self._window_end = WindowEnd(window, self.stop)
        self._viewer, self.jobs, self.results = viewer, list(jobs), results
        self.outcomes: list[JobOutcome] = []
        self.is_stopping = False
        self._job = BackgroundJob(self._work)
        self._job.told.connect(self.told)
        self._job.failed.connect(self.failed)
        self._job.finished.connect(self._finish)
        self.ended.connect(self._keep)

    def start(self) -> None:
        """Start the thread."""
        ACTIVE.add(self)
        self._job.start()

    def stop(self) -> None:
        """End the batch: finished results stay, the one under way is not written."""
        self.is_stopping = True
        self._job.stop()

    def is_in(self, viewer: Viewer) -> bool:
        """Return whether the batch belongs to a viewer; docks are given proxies of it."""
        return itself(self._viewer) is itself(viewer)

    def _work(self) -> None:
        place = self.results / TABLE
        refuse_place(place, overwrite=True)
        with alone_in(self.results):
            table = Table(place)
            try:
                self._restore(table)
            except RestorationError as error:
                raise ValueError(str(error)) from error
            finally:
                table.write()

    def _restore(self, table: Table) -> None:
        shown = 0.0
        for event in restore_all(self.jobs):
            if isinstance(event, JobOutcome):
                table.add(event)
                self.ended.emit(event)
            elif event.step is None or time.monotonic() - shown > INTERVAL:
                shown = time.monotonic()
                self.progressed.emit(event)

    def _keep(self, outcome: JobOutcome) -> None:
        self.outcomes.append(outcome)

    def _finish(self) -> None:
        ACTIVE.discard(self)
        self.finished.emit()

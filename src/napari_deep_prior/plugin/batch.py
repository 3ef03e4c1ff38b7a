"""A batch under way in the viewer: it goes on when its dock is closed, and another dock shows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget

from ..files.folders import TABLE
from ..files.replacing import alone_in, refuse_place
from ..runs.batch import Job, JobOutcome, restore_all
from ..runs.batch_table import Table
from .job import INTERVAL
from .viewer_job import ViewerJob

if TYPE_CHECKING:
    from napari.viewer import Viewer


@final
class Batch(ViewerJob):
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

    def __init__(self, viewer: Viewer, window: QWidget, jobs: Sequence[Job], results: Path) -> None:
        super().__init__(viewer, window)
        self.jobs, self.results = list(jobs), results
        self.outcomes: list[JobOutcome] = []
        self.ended.connect(self._keep)

    def _work(self) -> None:
        place = self.results / TABLE
        refuse_place(place, overwrite=True)
        with alone_in(self.results):
            table = Table(place)
            try:
                self._restore(table)
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

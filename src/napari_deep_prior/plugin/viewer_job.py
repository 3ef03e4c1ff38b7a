"""A computation that belongs to a viewer: it goes on when its dock is closed, and another dock shows it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget

from .job import BackgroundJob
from .run import itself
from .window_end import WindowEnd

if TYPE_CHECKING:
    from napari.viewer import Viewer

ACTIVE: set[ViewerJob] = set()
"""Jobs under way."""

Kind = TypeVar("Kind", bound="ViewerJob")


class ViewerJob(QObject):
    """Works in a thread; only its signals reach the viewer.

    Parameters
    ----------
    viewer, window : Viewer, QWidget
        Where it belongs: it ends when the window is closed.
    """

    told = Signal(str)
    """What is done where there are no steps."""
    failed = Signal(str)
    """Why it did not come to its end; empty if it was stopped."""
    finished = Signal()
    """It is over, however it ended."""

    def __init__(self, viewer: Viewer, window: QWidget) -> None:
        super().__init__()
        self._window_end = WindowEnd(window, self.stop)
        self._viewer = viewer
        self.is_stopping = False
        self._job = BackgroundJob(self._work)
        self._job.told.connect(self.told)
        self._job.failed.connect(self.failed)
        self._job.finished.connect(self._finish)

    @abstractmethod
    def _work(self) -> None:
        """Do the work, in the thread, with checkpoints (see :mod:`napari_deep_prior.progress.stages`)."""

    def start(self) -> None:
        """Start the thread."""
        ACTIVE.add(self)
        self._job.start()

    def stop(self) -> None:
        """End the work at its next checkpoint; what there is so far stays."""
        self.is_stopping = True
        self._job.stop()

    def is_in(self, viewer: Viewer) -> bool:
        """Return whether it belongs to a viewer; docks are given proxies of it."""
        return itself(self._viewer) is itself(viewer)

    def _finish(self) -> None:
        ACTIVE.discard(self)
        self.finished.emit()


def job_under_way(viewer: Viewer, kind: type[Kind]) -> Kind | None:
    """Return the job of a kind that is under way in a viewer."""
    return next((job for job in ACTIVE if isinstance(job, kind) and job.is_in(viewer)), None)

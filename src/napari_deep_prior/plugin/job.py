"""A computation in a thread, which tells what it is doing, can be stopped, and whose failures are sentences."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time

from ..progress.stages import Stopped, watched
from ..runs.errors import RestorationError, is_out_of_memory
from .background import in_background

INTERVAL = 1.0
"""Seconds between two sentences on what is being done: each of them has the whole window drawn anew."""


@final
@dataclass(frozen=True)
class _Failure:
    """Why there is no result."""

    words: str


@final
class BackgroundJob(QObject):
    """Calls a function in a thread; only its signals reach the viewer.

    Parameters
    ----------
    function : callable
        Has checkpoints (see :mod:`napari_deep_prior.progress.stages`).
    """

    told = Signal(str)
    """What is being done."""
    succeeded = Signal(object)
    """What the function returned."""
    failed = Signal(str)
    """Why it did not; empty if it was stopped."""
    finished = Signal()
    """The job is over, however it ended, and the worker is idle."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self._function = function
        self._stop = threading.Event()
        self._last = 0.0
        self._worker: Any = None

    def start(self) -> None:
        """Start the thread."""
        self._worker = in_background(self._work)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._errored)
        self._worker.finished.connect(self.finished)
        self._last = time.monotonic()
        self._worker.start()

    def stop(self) -> None:
        """End the job at its next checkpoint."""
        self._stop.set()

    def _work(self) -> Any:
        try:
            with watched(self._check):
                return self._function()
        except Stopped:
            return _Failure("")
        except (ValueError, OSError, RestorationError) as error:
            return _Failure(str(error))
        except (MemoryError, RuntimeError) as error:
            # superqt's worker takes a RuntimeError for its own end and says nothing.
            words = "not enough memory: close other programs, or crop the images" if is_out_of_memory(error) else ""
            return _Failure(words or str(error) or type(error).__name__)

    def _check(self, stage: str) -> None:
        # napari waits for its workers when it quits.
        if self._stop.is_set() or self._worker.abort_requested:
            raise Stopped
        now = time.monotonic()
        if stage and now - self._last >= INTERVAL:
            self._last = now
            self.told.emit(stage)

    def _returned(self, result: Any) -> None:
        if isinstance(result, _Failure):
            self.failed.emit(result.words)
        else:
            self.succeeded.emit(result)

    def _errored(self, error: BaseException) -> None:
        self.failed.emit(f"{type(error).__name__}: {error}")

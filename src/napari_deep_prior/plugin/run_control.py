"""A dock and its run: it is started, shown, stopped, gone on with, and its result is saved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from napari.layers import Image

from ..arrays.frame import MissingPixelsError
from ..files.model_files import write_model
from ..runs.devices import describe_device, resolve_device
from ..runs.setup import Setup
from ..training.model import Model
from .outcome import OutcomePanel
from .result_place import FinishedResultError, ResultTooLargeError, UnfinishedResultError
from .run import Run, run_under_way
from .saving import ask_where, ask_where_model, save_layer
from .worker import Outcome

if TYPE_CHECKING:
    import napari.viewer


DISTRIBUTION = "napari-deep-prior"
"""Whose reader opens a finished result."""


@final
class RunControl:
    """Shows a run in the panel of a dock.

    Parameters
    ----------
    viewer : Viewer
        Where the run is made.
    outcome : OutcomePanel
        Where it is shown.
    """

    def __init__(self, viewer: napari.viewer.Viewer, outcome: OutcomePanel) -> None:
        self._viewer, self._outcome = viewer, outcome
        self.run: Run | None = None
        self._last: Run | None = None
        self._unfinished: Outcome | None = None
        self._model: Model | None = None
        outcome.stop_button.clicked.connect(self.stop)
        outcome.go_on_button.clicked.connect(self.go_on)
        outcome.save_button.clicked.connect(self.save)
        outcome.model_button.clicked.connect(self.save_model)
        outcome.destroyed.connect(self._leave)

    def follow_one_under_way(self, task: str) -> None:
        """Show the run of the task that is under way, if there is one: another dock, closed meanwhile, started it."""
        under_way = run_under_way(self._viewer, task)
        if under_way is not None:
            self._follow(under_way)

    def start(self, run: Run, set_up: Callable[[], Setup], device: str) -> None:
        """Start a run and show it.

        Raises
        ------
        ValueError
            If there is no such device.
        """
        described = describe_device(resolve_device(device))
        self._follow(run)
        self._outcome.tell(f"Starting on {described} …")
        run.start(set_up)

    def stop(self) -> None:
        """End the run; its best image so far becomes the result."""
        if self.run is not None:
            self.run.stop()
            self._outcome.show_stop()

    def go_on(self) -> None:
        """Restore the slices that the last run did not reach, into the same layer."""
        outcome, last = self._unfinished, self._last
        if self.run is None and outcome is not None and last is not None:
            setup, run = outcome.setup, last.again()
            self._follow(run)
            run.start(lambda: setup, last.layer)

    def save(self) -> None:
        """Write the result where the person says, with all that the file can hold."""
        layer = None if self._last is None else self._last.layer
        if layer is None or layer not in self._viewer.layers:
            self._outcome.tell("the layer of the result is gone: run again", error=True)
            return
        path = ask_where(self._outcome, layer.name)
        if path:
            self._save(path, layer)

    def save_model(self) -> None:
        """Write the network of all slices where the person says."""
        model = self._model
        path = "" if model is None else ask_where_model(self._outcome, f"{model.task} network")
        if model is None or not path:
            return
        try:
            write_model(path, model)
            self._outcome.tell(f"Saved: the network of all slices as {Path(path).name!r}.")
        except (ValueError, OSError) as error:
            self._outcome.tell(f"{path!r} could not be written: {error}", error=True)

    def show_failure(self, error: BaseException) -> None:
        """Say what is wrong, with a button where there is a remedy."""
        panel = self._outcome
        if isinstance(error, MissingPixelsError):
            panel.refuse_missing(str(error))
        elif isinstance(error, UnfinishedResultError):
            panel.offer(str(error), panel.resume_button, panel.anew_button)
        elif isinstance(error, ResultTooLargeError):
            panel.offer(str(error), panel.folder_button)
        elif isinstance(error, FinishedResultError):
            self._viewer.open(str(error.path), plugin=DISTRIBUTION)
            panel.tell(f"{error}: it was opened.")
        else:
            self._outcome.tell(str(error), error=True)

    def _follow(self, run: Run) -> None:
        self.run, self._unfinished = run, None
        run.updated.connect(self._outcome.show_update)
        run.succeeded.connect(self._succeeded)
        run.failed.connect(self.show_failure)
        run.finished.connect(self._finished)
        self._outcome.show_start()
        if run.is_stopping:
            self._outcome.show_stop()

    def _leave(self) -> None:
        """Leave the run alone, which goes on: there is nothing left to show it in."""
        if self.run is None:
            return
        # When Python ends, PyQt may delete the run before the dock.
        with suppress(RuntimeError):
            self.run.updated.disconnect(self._outcome.show_update)
            self.run.succeeded.disconnect(self._succeeded)
            self.run.failed.disconnect(self.show_failure)
            self.run.finished.disconnect(self._finished)

    def _succeeded(self, outcome: Outcome | None) -> None:
        self._last = self.run
        self._model = None if outcome is None else outcome.model
        # What can go on keeps image and result in memory: nothing else does.
        self._unfinished = outcome if outcome is not None and outcome.missing else None
        self._outcome.show_outcome(outcome)

    def _finished(self) -> None:
        self.run = None
        self._outcome.show_end()

    def _save(self, path: str, layer: Image) -> None:
        try:
            self._outcome.tell(save_layer(path, layer))
        except (ValueError, OSError) as error:
            self._outcome.tell(f"{path!r} could not be written: {error}", error=True)

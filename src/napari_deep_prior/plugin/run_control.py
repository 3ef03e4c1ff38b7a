"""A dock and its run: it is started, shown, stopped, gone on with, and its result is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from napari.layers import Image

from ..arrays.frame import MissingPixelsError
from ..runs.devices import describe_device, resolve_device
from ..runs.setup import Setup
from .outcome import OutcomePanel
from .run import Run, run_under_way
from .saving import ask_where, save_layer
from .worker import Outcome

if TYPE_CHECKING:
    import napari.viewer


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
        outcome.stop_button.clicked.connect(self.stop)
        outcome.go_on_button.clicked.connect(self.go_on)
        outcome.save_button.clicked.connect(self.save)
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

    def show_failure(self, error: BaseException) -> None:
        """Say what is wrong, with a button where there is a remedy."""
        if isinstance(error, MissingPixelsError):
            self._outcome.refuse_missing(str(error))
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
        if self.run is not None:
            self.run.updated.disconnect(self._outcome.show_update)
            self.run.succeeded.disconnect(self._succeeded)
            self.run.failed.disconnect(self.show_failure)
            self.run.finished.disconnect(self._finished)

    def _succeeded(self, outcome: Outcome | None) -> None:
        self._last = self.run
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

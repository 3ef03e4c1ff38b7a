"""A run in the viewer, from start to result: its worker, and the layer that is its preview meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget

from ..arrays.axes import Array
from ..files.images import RECORD
from ..runs.report import name_of_part
from ..runs.setup import Setup
from .background import in_background
from .layers import PLACE, PREVIEW
from .window_end import WindowEnd
from .worker import Driver, Outcome, Update

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

ACTIVE: set[Run] = set()
"""Runs under way. A run belongs to its viewer: it outlives the dock that started it, and another dock shows it."""

RESIDUAL_LIMITS = (-4.0, 4.0)
"""Standard deviations of the noise between which a residual is shown."""


def run_under_way(viewer: Viewer, task: str) -> Run | None:
    """Return the run of a task, by its command, that is under way in a viewer."""
    return next((run for run in ACTIVE if run.task == task and run.is_in(viewer)), None)


@final
class Run(QObject):
    """Restores in a thread and shows the result in one layer, which is the preview while the run is under way.

    The layer shows the array that the worker writes the result into: there is no second one. All methods run in the
    main thread, and only they touch the viewer.

    Parameters
    ----------
    viewer, window : Viewer, QWidget
        Where the result is shown.
    task : str
        The command of the task.
    name, look : str, mapping
        Of the layer of the result. A layer that it ``replaces`` is removed once there is something to show.
    """

    updated = Signal(object)
    """An :class:`Update`, at most once a second."""
    succeeded = Signal(object)
    """The :class:`Outcome`, when the layer shows the result; None if it was stopped before there was an image."""
    failed = Signal(object)
    """The exception that ended the run."""
    finished = Signal()
    """The run is over, however it ended, and the worker is idle."""
    told = Signal(object)
    """An :class:`Update` on its way from the worker's thread."""

    def __init__(self, viewer: Viewer, window: QWidget, task: str, name: str, look: Mapping[str, Any]) -> None:
        super().__init__()
        self.task = task
        self.is_stopping = False
        self._window: QWidget | None = window
        self._window_end = WindowEnd(window, self._forget_window)
        self._viewer, self._name, self._look = viewer, name, dict(look)
        self.layer: Image | None = None
        self.replaces: Image | None = None
        self._driver: Driver | None = None
        self.worker: Any = None
        self.told.connect(self._update)

    def start(self, set_up: Callable[[], Setup], layer: Image | None = None) -> None:
        """Start the worker.

        Parameters
        ----------
        set_up : callable
            Returns what is run; called by the worker, because the first time it imports much.
        layer : Image, optional
            The layer of the part of the result that there is already.
        """
        ACTIVE.add(self)
        if layer is not None and layer in self._viewer.layers:
            self.layer = layer
        self._driver = Driver(set_up, self.told.emit)
        self.worker = in_background(self._driver.work)
        # napari waits for its workers when it quits.
        self._driver.stop_also(partial(getattr, self.worker, "abort_requested"))
        self.worker.returned.connect(self._succeed)
        self.worker.errored.connect(self._fail)
        self.worker.finished.connect(self._finish)
        self.worker.start()

    def again(self) -> Run:
        """Return a run with the same name and place, to go on where this one was stopped."""
        window = self._window if self._window is not None else QWidget()
        return Run(self._viewer, window, self.task, self._name, self._look)

    def stop(self) -> None:
        """End the run, with the best image so far as its result."""
        self.is_stopping = True
        if self._driver is not None:
            self._driver.stop()

    def is_in(self, viewer: Viewer) -> bool:
        """Return whether the run belongs to a viewer; docks are given proxies of it."""
        return itself(self._viewer) is itself(viewer)

    def _forget_window(self) -> None:
        self._window = None
        self.stop()

    def _update(self, update: Update) -> None:
        # Once the window is closed there is nowhere to show anything.
        if self._window is None:
            return
        began = time.monotonic()
        if update.number and (self.layer is None or self.layer.data is not update.image):
            self._show_preview(update.image)
        elif update.redraw and self._is_shown():
            self._refresh()
        self.updated.emit(update)
        # Events of drawing come first.
        QTimer.singleShot(0, partial(self._drawn, began))

    def _drawn(self, began: float) -> None:
        if self._driver is not None:
            self._driver.shown(time.monotonic() - began)

    def _is_shown(self) -> bool:
        """Return whether anybody sees the layer change."""
        return self._window is not None and not self._window.isMinimized() and self._exists()

    def _exists(self) -> bool:
        return self.layer is not None and self.layer in self._viewer.layers

    def _refresh(self) -> None:
        if self.layer is not None:
            self.layer.refresh(extent=False)

    def _show_preview(self, image: Array) -> None:
        """Show the growing array, in the layer of an earlier part if there is one."""
        name, mark = f"{self._name} (preview)", {PREVIEW: True}
        if self.layer is None:
            self.layer = self._added(image, name, mark)
        elif self._exists():
            self.layer.metadata = mark
            self.layer.data = image
            self.layer.name = name

    def _added(self, image: Array, name: str, metadata: Mapping[str, Any]) -> Image:
        if self.replaces is not None and self.replaces in self._viewer.layers:
            self._viewer.layers.remove(self.replaces)
        self.replaces = None
        return self._viewer.add_image(image, name=name, **{**self._look, "metadata": metadata})

    def _succeed(self, outcome: Outcome | None) -> None:
        if self._window is None:
            return
        if outcome is not None:
            self._show_result(outcome)
        self.succeeded.emit(outcome)

    def _show_result(self, outcome: Outcome) -> None:
        metadata = {**self._look.get("metadata", {}), RECORD: outcome.record.to_json()}
        name = self._name
        if outcome.missing:
            count = outcome.record.piece_count
            name = name_of_part(name, count - outcome.missing, count, outcome.record.unit)
        if self._exists() and self.layer is not None:
            # The mark of a preview goes before the name: docks offer the layer when that changes.
            self.layer.metadata = metadata
            if self.layer.data is not outcome.image:
                self.layer.data = outcome.image
            self._refresh()
            self.layer.name = name
        else:
            self.layer = self._added(outcome.image, name, metadata)
        for kind, values in outcome.diagnostics.items():
            self._add_diagnostic(kind, values)

    def _add_diagnostic(self, name: str, values: Array) -> None:
        """Add what the result can be checked by as an invisible layer of the same place."""
        if self._look["rgb"]:
            values = values[..., :3].mean(axis=-1)
        place = {key: value for key, value in self._look.items() if key in PLACE}
        if name == "residual":
            look: dict[str, Any] = {"colormap": "PiYG", "contrast_limits": RESIDUAL_LIMITS}
        else:
            limit = float(np.quantile(np.abs(values), 0.99)) or 1.0
            look = {"colormap": "magma", "contrast_limits": (0.0, limit)}
        active = self._viewer.layers.selection.active
        self._viewer.add_image(values, name=f"{self._name}: {name}", visible=False, **place, **look)
        self._viewer.layers.selection.active = active

    def _fail(self, error: BaseException) -> None:
        """Keep the preview, under a name that says what it is."""
        if self._window is None:
            return
        if self._exists() and self.layer is not None:
            self.layer.metadata = dict(self._look.get("metadata", {}))
            self.layer.name = f"{self._name} (unfinished)"
        self.failed.emit(error)

    def _finish(self) -> None:
        ACTIVE.discard(self)
        # They hold the image and the result, which the person may want to delete.
        self._driver = self.worker = None
        self.finished.emit()


def itself(viewer: Viewer) -> Any:
    """Return a viewer, not the proxy of it that docks are given."""
    return getattr(viewer, "__wrapped__", viewer)

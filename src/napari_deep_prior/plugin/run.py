"""A run in the viewer: worker, preview layer and progress bar, from start to result."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from napari.qt.threading import GeneratorWorker
from napari.utils import progress
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # qtpy renames it at run time
from qtpy.QtWidgets import QWidget

from ..arrays.axes import Array
from ..files.images import RECORD
from ..runs.restoration import Restoration
from .layers import PLACE
from .worker import Outcome, Pace, Update, drive

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

ACTIVE: set[Run] = set()
"""Runs under way: they outlive the dock that started them, so that closing it loses nothing."""

RESIDUAL_LIMITS = (-4.0, 4.0)
"""Standard deviations of the noise between which a residual is shown."""


@final
class Run(QObject):
    """Restores in a thread and shows the result in one layer, which is the preview while the run is under way.

    The layer shows the array that the worker writes the result into: there is no second one. All methods run in the
    main thread, and only they touch the viewer.
    """

    updated = Signal(object)
    """An :class:`Update`, a few times a second."""
    succeeded = Signal(object)
    """The :class:`Outcome`, when the layer shows the result."""
    failed = Signal(object)
    """The exception that ended the run."""
    finished = Signal()
    """The run is over, however it ended, and the worker is idle."""

    def __init__(
        self,
        viewer: Viewer,
        window: QWidget,
        restoration: Restoration,
        name: str,
        look: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._window: QWidget | None = window
        self._shown = window.isVisible()
        window.destroyed.connect(self._forget_window)
        self._viewer, self._name, self._look = viewer, name, dict(look)
        self._restoration = restoration
        self._layer: Image | None = None
        self._stop = threading.Event()
        self._pace = Pace()
        self._pieces = restoration.piece_count
        self._progress: Any = None
        # Made directly: the decorator would hide that the generator's own return value is the result.
        self.worker: Any = GeneratorWorker(drive, restoration, self._stop, self._pace)
        self.worker.yielded.connect(self._update)
        self.worker.returned.connect(self._succeed)
        self.worker.errored.connect(self._fail)
        self.worker.finished.connect(self._finish)

    def start(self) -> None:
        """Start the worker."""
        ACTIVE.add(self)
        self._progress = progress(total=0, desc=self._name)
        self.worker.start()

    def stop(self) -> None:
        """End the run after the iteration under way, with the best image so far as its result."""
        self._stop.set()

    def _forget_window(self) -> None:
        self._window = None

    def _closed(self) -> bool:
        """Return whether the viewer was closed meanwhile: then there is nowhere to show anything."""
        return self._window is None or (self._shown and not self._window.isVisible())

    def _update(self, update: Update) -> None:
        if self._closed():
            self._stop.set()
            return
        began = time.monotonic()
        if self._layer is None:
            self._layer = self._viewer.add_image(
                self._restoration.growing, name=f"{self._name} (preview)", **self._look
            )
        elif update.redraw and self._layer in self._viewer.layers:
            self._layer.refresh(extent=False)
        self._advance(update)
        self.updated.emit(update)
        self._pace.shown(time.monotonic() - began)

    def _advance(self, update: Update) -> None:
        self._progress.total = update.total * self._pieces
        done = update.total * (update.piece_number - 1) + update.number
        self._progress.update(done - self._progress.n)

    def _succeed(self, outcome: Outcome) -> None:
        if self._closed():
            return
        metadata = {**self._look.get("metadata", {}), RECORD: outcome.record.to_json()}
        if self._layer is not None and self._layer in self._viewer.layers:
            self._layer.refresh(extent=False)
            self._layer.name = self._name
            self._layer.metadata = {**self._layer.metadata, **metadata}
        else:
            self._layer = self._viewer.add_image(outcome.image, name=self._name, **{**self._look, "metadata": metadata})
        for name, values in outcome.diagnostics.items():
            self._add_diagnostic(name, values)
        self.succeeded.emit(outcome)

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
        if self._closed():
            return
        if self._layer is not None and self._layer in self._viewer.layers:
            self._layer.name = f"{self._name} (unfinished)"
        self.failed.emit(error)

    def _finish(self) -> None:
        self._progress.close()
        ACTIVE.discard(self)
        self.finished.emit()

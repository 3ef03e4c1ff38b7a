"""A quick look: the current view is restored with the settings of the form, and then all of the layer likewise."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from napari.layers import Image
from qtpy.QtCore import QObject

from ..arrays.pieces import plan
from ..physics.noise_model import NoiseModel
from ..runs.report import duration
from ..runs.source import SourceArray
from .crop import Crop
from .layers import Extent
from .outcome import OutcomePanel
from .request import Request
from .run import Run
from .worker import Outcome

if TYPE_CHECKING:
    import napari.viewer

APPLY = "Apply to the whole layer"


@final
@dataclass(frozen=True)
class _Trial:
    """A quick look that has begun; what is known once it is over."""

    request: Request
    run: Run
    layer: Image | None = None
    noise: tuple[NoiseModel, ...] = ()


@final
class Trials(QObject):
    """The last quick look of a dock, and how it goes on.

    Parameters
    ----------
    viewer, outcome : Viewer, OutcomePanel
        Where its layer lies, and where the button is that goes on.
    """

    def __init__(self, viewer: napari.viewer.Viewer, outcome: OutcomePanel) -> None:
        # The panel takes it along when it is closed: nothing tells it of a run any more.
        super().__init__(outcome)
        self._viewer, self._outcome = viewer, outcome
        self._last: _Trial | None = None

    def begin(self, request: Request, run: Run) -> None:
        """Take in that a quick look begins, whose layer takes the place of the last one's."""
        before = None if self._last is None else self._last.layer
        run.replaces = before
        self._last = _Trial(request, run, layer=before)
        run.succeeded.connect(self._succeeded)

    def whole(self) -> Request:
        """Return what restores all of the layer as the last quick look has restored a part.

        Raises
        ------
        ValueError
            If there is no such layer any more.
        """
        if self._last is None or self._last.request.layer not in self._viewer.layers:
            raise ValueError("the layer on which the settings were tried is gone: try them again")
        request = self._last.request
        extent: Extent = "volume" if request.wish.volume else "stack"
        return dataclasses.replace(request, extent=extent, crop=None, noise=self._last.noise)

    def layers_changed(self) -> None:
        """Forget a quick look on a layer that is gone: it would keep its pixels in memory."""
        if self._last is not None and self._last.request.layer not in self._viewer.layers:
            self._last = None
            self._outcome.apply_button.hide()

    def _succeeded(self, outcome: Outcome | None) -> None:
        if self._last is None or outcome is None:
            return
        noise = () if outcome.record.noise is None else outcome.record.noise.channels
        # A part in which no noise was found says nothing about the others.
        known = all(each.reliable and not (each.unknown or each.noiseless) for each in noise)
        self._last = dataclasses.replace(self._last, layer=self._last.run.layer, noise=noise if known else ())
        self._outcome.apply_button.setText(f"{APPLY} (about {duration(seconds_of(self.whole(), outcome))})")
        self._outcome.apply_button.show()


def trial_of(request: Request) -> Request:
    """Return what restores some rows and columns as a quick look: of the slice, or of the volume, that is shown."""
    spans = {} if request.crop is None else request.crop.spans
    extent: Extent = "one volume" if request.extent == "volume" else "slice"
    return dataclasses.replace(request, extent=extent, crop=Crop("try", spans), folder=None)


def seconds_of(whole: Request, tried: Outcome) -> float:
    """Return how long all of a layer will take, from how long a part of it has taken."""
    setup, part = tried.setup, whole.part()
    volume = whole.wish.volume
    source = SourceArray(
        part.pixels, part.axes, volume=volume, mask=None, separate_channels=setup.source.separate_channels
    )
    pieces = plan(source.shape, source.planned_axes, volume=volume)
    every = dataclasses.replace(setup, source=source, pieces=pieces)
    return tried.seconds * every.forecast().seconds / setup.forecast().seconds

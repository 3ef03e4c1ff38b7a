"""A run in a worker's thread: it tells the viewer at a limited rate how far it is, and ends when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from ..arrays.axes import Array
from ..progress import Step
from ..progress.stages import Stopped, run_stage, watched
from ..runs.record import Record
from ..runs.restoration import Restoration
from ..runs.result import result_of
from ..runs.setup import Setup
from ..runs.zarr_output import ZarrOutput
from ..training.model import Model

INTERVAL = 1.0
"""Seconds between two updates of the viewer: every one of them has the whole window drawn anew."""

NOTHING = np.zeros((1, 1))
"""What is shown before there is an image."""

LAST_CHECK = 2.0
"""Seconds that a run which was stopped may still take to examine what it has removed: large images take longer."""

SHARE = 0.05
"""Most of the main thread's time that updates may take."""


@final
@dataclass(frozen=True)
class Update:
    """What happened since the last update: for the curve, the progress bar and the preview.

    ``stage`` is what is done where no steps are made, for ``stage_seconds`` so far. ``redraw`` says that the growing
    ``image`` has changed; drawing the same one again would only cost time. ``losses`` and ``criteria`` are those of the
    steps since then, the last of them ``number``; all three are 0 or empty before the first one. ``seconds_left`` holds
    if all steps of all pieces are made; None until two looks at the steps tell how long they take. ``unit`` is what
    pieces are called.
    """

    image: Any
    piece_number: int
    piece_count: int
    stage: str
    stage_seconds: float
    number: int
    total: int
    chosen: int
    seconds_left: float | None
    losses: list[float]
    criteria: list[float]
    criterion_name: str
    redraw: bool
    unit: str


@final
@dataclass(frozen=True)
class Outcome:
    """The end of a run: the image, the record of what was done, and how long it took.

    ``image`` is the array that grew while the run was under way. ``stopped`` says that a person ended the run,
    ``steps`` how many iterations were made on the last piece, ``missing`` how many pieces were not reached and are not
    in the image (see :class:`.Result`). With ``setup`` the run can go on. ``folder`` is where the image lies, if not in
    memory, and ``model`` the network of all slices, if there is one.
    """

    image: Any
    record: Record
    diagnostics: dict[str, Array]
    seconds: float
    steps: int
    total: int
    stopped: bool
    missing: int
    setup: Setup
    folder: str = ""
    model: Model | None = None


@final
class Clock:
    """Tells how long the steps of a run still take, from how long they have taken; preparation is none of them."""

    def __init__(self) -> None:
        self._piece, self._began, self._ended = 0, 0.0, 0.0
        self._first: tuple[float, int] | None = None
        self._durations: list[float] = []

    def left(self, run: Restoration, step: Step, now: float) -> float | None:
        """Return the seconds that are left, for a look at a step; None at the first look at a piece."""
        if run.piece_number != self._piece:
            if self._piece:
                self._durations.append(now - self._began)
            self._piece, self._began, self._first = run.piece_number, now, None
        if self._first is None or step.number <= self._first[1]:
            self._first = (now, step.number)
            return None
        seconds, number = self._first
        here = (now - seconds) / (step.number - number) * (step.total - step.number)
        whole = float(np.mean(self._durations)) if self._durations else now - self._began + here
        return here + whole * (run.piece_count - run.piece_number)


@final
class Driver:
    """Makes a run, iterates it and tells how far it is.

    Parameters
    ----------
    set_up : callable
        Returns what is run; it may take a while, too.
    tell : callable
        Is called with every :class:`Update`, in the thread of the run.
    """

    def __init__(self, set_up: Callable[[], Setup], tell: Callable[[Update], None]) -> None:
        self._set_up, self._tell = set_up, tell
        self._interval = INTERVAL
        self._stop = threading.Event()
        self._quits: Callable[[], bool] = bool  # which is False
        self._run: Restoration | None = None
        self._clock = Clock()
        self._left: float | None = None
        self._steps: list[Step] = []
        self._step: Step | None = None
        self._shown: torch.Tensor | None = None
        self._piece, self._stage, self._stage_began, self._last = 0, "", 0.0, 0.0

    def stop(self) -> None:
        """End the run at its next checkpoint, with the best image so far as its result."""
        self._stop.set()

    def stop_also(self, quits: Callable[[], bool]) -> None:
        """End the run as well when ``quits`` returns True."""
        self._quits = quits

    def shown(self, seconds: float) -> None:
        """Take in how long an update has kept the main thread busy: the slower that is, the fewer of them."""
        self._interval = max(INTERVAL, seconds / SHARE)

    def work(self) -> Outcome | None:
        """Run to the end or to the stop, and return the outcome; None if it was stopped before there was an image."""
        began = self._last = time.monotonic()
        with suppress(Stopped), watched(self._check):
            self._run = Restoration(run_stage("Preparing", self._set_up))
        if self._run is None:
            return None
        # What is written when the run is closed is no longer watched: it must not be ended in the middle.
        with self._run as run:
            with suppress(Stopped), watched(self._check):
                for step in run:
                    self._take(run, step)
            with suppress(Stopped), watched(self._until(time.monotonic() + LAST_CHECK)):
                run.check()
        if self._step is None:
            if self._stop.is_set():
                return None
            raise ValueError("every slice of the image is constant: there is nothing to restore")
        self._send(run, "", time.monotonic())
        return self._outcome(run, self._step, time.monotonic() - began)

    def _check(self, stage: str) -> None:
        """Watch the run (see :data:`~napari_deep_prior.progress.stages.Watcher`)."""
        if self._stop.is_set() or self._quits():
            raise Stopped
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._stage_began = stage, now
        if stage and self._run is not None and now - self._last >= self._interval:
            self._send(self._run, stage, now)

    def _until(self, end: float) -> Callable[[str], None]:
        """Return what watches the end of a run that was stopped, and ends it when its time is over."""

        def watch(_: str) -> None:
            if time.monotonic() >= end or self._quits():
                raise Stopped

        return watch

    def _take(self, run: Restoration, step: Step) -> None:
        if run.piece_number != self._piece:
            self._piece, self._steps = run.piece_number, []
        first = not self._steps and step.number == 1
        self._steps.append(step)
        self._step = step
        now = time.monotonic()
        self._check("")
        if now - self._last >= self._interval or first:
            self._send(run, "", now)

    def _send(self, run: Restoration, stage: str, now: float) -> None:
        """Tell what has happened since the last time."""
        self._last = now
        steps, self._steps = self._steps, []
        step = self._step if run.piece_number == self._piece else None
        redraw = step is not None and step.image is not self._shown
        if step is not None and redraw and run.show_latest() is not None:
            self._shown = step.image
        if step is None or not stage:
            self._left = None if step is None else self._clock.left(run, step, now)
        criteria = [each.criterion for each in steps if each.criterion is not None]
        self._tell(
            Update(
                # Before the first step its type is not certain.
                image=NOTHING if step is None else run.growing,
                piece_number=run.piece_number,
                piece_count=run.piece_count,
                stage=stage,
                stage_seconds=now - self._stage_began,
                number=step.number if step else 0,
                total=step.total if step else 0,
                chosen=int(step.chosen) if step else 0,
                seconds_left=self._left,
                losses=_floats([each.loss for each in steps]),
                criteria=_floats(criteria) if len(criteria) == len(steps) else [],
                criterion_name=step.criterion_name if step else "",
                redraw=redraw,
                unit=run.setup.unit,
            )
        )

    def _outcome(self, run: Restoration, step: Step, seconds: float) -> Outcome:
        output = run.setup.output
        result = result_of(run)
        return Outcome(
            image=result.image,
            record=result.record,
            diagnostics=result.diagnostics,
            seconds=seconds,
            steps=step.number,
            total=step.total,
            stopped=self._stop.is_set(),
            missing=result.missing,
            setup=run.setup,
            folder=str(output.path) if isinstance(output, ZarrOutput) else "",
            model=run.model,
        )


def _floats(values: list[torch.Tensor]) -> list[float]:
    """Return values as floats, with one wait for the device and not one for each."""
    return [float(value) for value in torch.stack(values).tolist()] if values else []

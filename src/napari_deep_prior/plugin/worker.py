"""Restoration to generator for napari's thread worker: updates at a limited rate, a stop that keeps the best image."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import final

import torch

from ..arrays.axes import Array
from ..problem import Step
from ..runs.record import Record
from ..runs.restoration import Restoration

INTERVAL = 0.25
"""Seconds between two updates of the viewer; also how soon a worker notices that napari quits."""


@final
@dataclass(frozen=True)
class Update:
    """What happened since the last update: for the curve, the progress bar and the preview.

    ``redraw`` says that the growing image has changed; drawing the same one again would only cost time. ``losses`` and
    ``criteria`` are those of the steps since then, the last of them ``number``; ``seconds_left`` holds if all steps of
    all pieces are made.
    """

    piece_number: int
    number: int
    total: int
    chosen: int
    seconds_left: float
    losses: list[float]
    criteria: list[float]
    criterion_name: str
    redraw: bool


@final
@dataclass(frozen=True)
class Outcome:
    """The end of a run: the image, the record of what was done, and how long it took.

    ``image`` is the array that grew while the run was under way. ``stopped`` says that a person ended the run,
    ``steps`` how many iterations were made on the last piece.
    """

    image: Array
    record: Record
    diagnostics: dict[str, Array]
    seconds: float
    steps: int
    total: int
    stopped: bool


@final
class Pace:
    """How often the viewer is updated: less often where showing an image takes long."""

    def __init__(self) -> None:
        self.interval = INTERVAL

    def shown(self, seconds: float) -> None:
        """Take in how long the viewer needed: previews are to take at most a tenth of its time."""
        self.interval = max(INTERVAL, 10 * seconds)


def drive(run: Restoration, stop: threading.Event, pace: Pace) -> Generator[Update, None, Outcome]:
    """Iterate ``run`` until it ends or ``stop`` is set, yielding updates, and return its outcome.

    A stop ends the generator by a return: a worker that quits never delivers its result.
    """
    started = last = time.monotonic()
    pending: list[Step] = []
    shown: torch.Tensor | None = None
    step: Step | None = None
    piece_number = 0
    with run:
        for step in run:
            if run.piece_number != piece_number:
                piece_number, pending = run.piece_number, []
            pending.append(step)
            now = time.monotonic()
            if stop.is_set():
                break
            if now - last >= pace.interval or step.number == 1:
                redraw = step.image is not shown
                if redraw:
                    run.show_latest()
                yield _update(run, pending, now - started, redraw=redraw)
                last, pending, shown = time.monotonic(), [], step.image
    if step is None:
        raise ValueError("every slice of the image is constant: there is nothing to restore")
    return Outcome(
        image=run.image,
        record=run.record,
        diagnostics=run.diagnostics,
        seconds=time.monotonic() - started,
        steps=step.number,
        total=step.total,
        stopped=stop.is_set(),
    )


def _update(run: Restoration, steps: list[Step], seconds: float, *, redraw: bool) -> Update:
    last = steps[-1]
    done = last.total * (run.piece_number - 1) + last.number
    criteria = [step.criterion for step in steps if step.criterion is not None]
    return Update(
        piece_number=run.piece_number,
        number=last.number,
        total=last.total,
        chosen=int(last.chosen),
        seconds_left=seconds / done * (last.total * run.piece_count - done),
        losses=_floats([step.loss for step in steps]),
        criteria=_floats(criteria) if len(criteria) == len(steps) else [],
        criterion_name=last.criterion_name,
        redraw=redraw,
    )


def _floats(values: list[torch.Tensor]) -> list[float]:
    """Return values as floats, with one wait for the device and not one for each."""
    return [float(value) for value in torch.stack(values).tolist()]

"""Restoration to generator for napari's thread worker: throttled updates, a stop that keeps the best."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, final

import torch

from ..arrays.axes import Array
from ..arrays.pieces import Index
from ..problem import Step
from ..runs.restoration import Restoration

INTERVAL = 0.25
"""Seconds between two updates of the viewer; also how soon a worker notices that napari quits."""


@final
@dataclass(frozen=True)
class Update:
    """What happened since the last update: for the curve, the progress bar and the preview.

    ``image`` is None while the best image is the one of the last update: drawing it again would only cost time.
    ``losses`` and ``criteria`` are those of the steps since then, the last of them ``number``; ``seconds_left``
    holds if all steps of all slices are made.
    """

    slice_number: int
    number: int
    total: int
    chosen: int
    seconds_left: float
    losses: list[float]
    criteria: list[float]
    criterion_name: str
    index: Index
    image: Array | None


@final
@dataclass(frozen=True)
class Outcome:
    """The end of a run: the image, the record of what was done, and how long it took.

    ``stopped`` tells that a person ended it, ``steps`` how many iterations were made on the last slice.
    """

    image: Array
    record: dict[str, Any]
    diagnostics: dict[str, Array]
    seconds: float
    steps: int
    total: int
    stopped: bool


@final
class Pace:
    """How often the viewer is updated; slower where showing an image takes long."""

    def __init__(self) -> None:
        self.interval = INTERVAL

    def shown(self, seconds: float) -> None:
        """Take in how long the viewer needed: it shall spend at most a tenth of its time on previews."""
        self.interval = max(INTERVAL, 10 * seconds)


def drive(run: Restoration, stop: threading.Event, pace: Pace) -> Generator[Update, None, Outcome]:
    """Iterate ``run`` until it ends or ``stop`` is set, yielding updates, and return its outcome.

    Stopping returns instead of quitting: a worker that is told to quit never delivers its result.
    """
    started = last = time.monotonic()
    pending: list[Step] = []
    shown: torch.Tensor | None = None
    step: Step | None = None
    slice_number = 0
    with run:
        for step in run:
            if run.slice_number != slice_number:
                slice_number, pending = run.slice_number, []
            pending.append(step)
            now = time.monotonic()
            if stop.is_set():
                break
            if now - last >= pace.interval or step.number == 1:
                yield _update(run, pending, now - started, changed=step.image is not shown)
                last, pending, shown = time.monotonic(), [], step.image
    if step is None:
        raise ValueError("every slice of the image is constant: there is nothing to restore")
    return Outcome(
        run.image,
        run.record,
        run.diagnostics,
        time.monotonic() - started,
        step.number,
        step.total,
        stopped=stop.is_set(),
    )


def _update(run: Restoration, steps: list[Step], seconds: float, *, changed: bool) -> Update:
    last = steps[-1]
    done = last.total * (run.slice_number - 1) + last.number
    latest = run.latest_slice
    assert latest is not None  # noqa: S101  (for mypy: a step has been made)
    index, image = latest
    criteria = [step.criterion for step in steps if step.criterion is not None]
    return Update(
        slice_number=run.slice_number,
        number=last.number,
        total=last.total,
        chosen=int(last.chosen),
        seconds_left=seconds / done * (last.total * run.slice_count - done),
        losses=_floats([step.loss for step in steps]),
        criteria=_floats(criteria) if len(criteria) == len(steps) else [],
        criterion_name=last.criterion_name,
        index=index,
        image=image if changed else None,
    )


def _floats(values: list[torch.Tensor]) -> list[float]:
    """One wait for the device, not one per value."""
    return [float(value) for value in torch.stack(values).tolist()]

"""A batch: arrays are restored one after another; what cannot be restored is reported, and stops no other.

Both the command line and a dock drive it. A :class:`Job` says what is to be restored, and opens it only when its time
has come. Whoever iterates :func:`restore_all` may stop at any time: finished results stay, the one under way is not
written.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

from ..progress import Step
from .errors import FAILURES, NotWrittenError, OtherResultError, failure_in_words
from .forecast import Forecast
from .peak_memory import forget_peak, peak_memory
from .preparation import look_ahead
from .report import SLICE
from .restoration import Restoration
from .result import Result, result_of
from .setup import Setup

Status = Literal["done", "skipped", "refused", "failed"]
"""What has become of a job: its result is written; was written by an earlier batch; may not be written; cannot be."""


ALLOW = "allow it with --overwrite"
"""The remedy where another result is in the way, on the command line."""


@final
@dataclass(frozen=True, kw_only=True)
class Scores:
    """How close an image was to its reference before the run, and is after it: PSNR in dB, and SSIM.

    The SSIM is None where an image is too small for it, and what was before where an image had missing pixels.
    """

    psnr_before: float | None
    psnr: float
    ssim_before: float | None = None
    ssim: float | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What lies already where a result is to go; its record is empty if it is no result of this program."""

    record: Mapping[str, Any]
    scores: Scores | None = None


class Work(ABC):
    """A job that was opened.

    Parameters
    ----------
    setup : Setup
        The run that can begin.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    @abstractmethod
    def earlier(self) -> Earlier | None:
        """Return what lies where the result is to go; None if there is nothing, or it may be replaced.

        Raises
        ------
        OtherResultError
            If something lies there that may not be replaced.
        """

    @abstractmethod
    def refuse(self, run: Restoration, plan: Forecast) -> None:
        """Raise a ValueError, before the first step, if the result cannot be written."""

    @abstractmethod
    def write(self, result: Result) -> Scores | None:
        """Write the result, whole or not at all, and return how close it is to its reference if there is one."""


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """One array of a batch.

    Parameters
    ----------
    name, result : str
        What people call the array, and the place of its result.
    size : int
        Its bytes, by which the time left is estimated.
    open : function
        Reads it; raises one of ``FAILURES`` if that is not possible.
    """

    name: str
    result: str
    size: int
    open: Callable[[], Work]


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a batch is: at job ``number`` of ``count``, at a piece (``unit``) of several, after a step, if any.

    ``seconds_left`` is None until it is known.
    """

    job: Job
    number: int
    count: int
    seconds_left: float | None = None
    piece: int = 0
    pieces: int = 0
    unit: str = SLICE
    step: Step | None = None


@final
@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """What has become of a job.

    Parameters
    ----------
    image : str
        Axes, lengths and type of the pixels; empty if it could not be opened.
    identity : str
        Of the result (see :func:`.identity`).
    record : mapping
        That of the result, as JSON types; empty if there is none.
    seconds, memory : float, int
        Time it took, and the most bytes (see :func:`.peak_memory`); None where nothing was restored.
    message : str
        Why there is no result; of a result, what is to be known of it.
    """

    job: Job
    status: Status
    image: str = ""
    identity: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    memory: int | None = None
    scores: Scores | None = None
    message: str = ""


def restore_all(jobs: Sequence[Job]) -> Iterator[Progress | JobOutcome]:
    """Restore arrays one after another; yields how far the batch is, and for every job one :class:`JobOutcome`.

    Raises
    ------
    NotWrittenError
        If a result could not be written because of its place, such as a full disk.
    """
    clock = _Clock(jobs)
    for number, job in enumerate(jobs, 1):
        clock.began(job)
        outcome = yield from _attempt(Progress(job=job, number=number, count=len(jobs)), clock)
        clock.ended(outcome)
        yield outcome


def _attempt(place: Progress, clock: _Clock) -> Generator[Progress, None, JobOutcome]:
    outcome = JobOutcome(job=place.job, status="failed")
    yield replace(place, seconds_left=clock.left())
    try:
        work = place.job.open()
        outcome = replace(outcome, image=_in_words(work.setup), identity=work.setup.identity)
        earlier = work.earlier()
        if earlier is not None:
            return _known(outcome, earlier)
        return (yield from _restored(outcome, work, place, clock))
    except NotWrittenError:
        # The results of the other jobs would have no place either.
        raise
    except OtherResultError as error:
        return replace(outcome, status="refused", message=str(error))
    except FAILURES as error:
        return replace(outcome, message=failure_in_words(error))


def _known(outcome: JobOutcome, earlier: Earlier) -> JobOutcome:
    """Return the outcome of a job where something lies already."""
    if outcome.identity and earlier.record.get("identity") == outcome.identity:
        return replace(outcome, status="skipped", record=earlier.record, scores=earlier.scores)
    other = "is no result of this program"
    if earlier.record:
        other = "was made of another input, with other settings, by another version, or was stopped"
    words = f"{outcome.job.result!r} exists already, and {other}: choose another folder, or {ALLOW}"
    return replace(outcome, status="refused", message=words)


def _restored(outcome: JobOutcome, work: Work, place: Progress, clock: _Clock) -> Generator[Progress, None, JobOutcome]:
    """Restore an array, write its result, and return the outcome."""
    started, device = time.monotonic(), work.setup.device
    forget_peak(device)
    outlook = look_ahead(work.setup)
    clock.expect(outlook.plan)
    with Restoration(work.setup, outlook.preparation) as run:
        work.refuse(run, outlook.plan)
        place = replace(place, pieces=run.piece_count, unit=run.setup.unit)
        for step in run:
            yield replace(place, piece=run.piece_number, step=step, seconds_left=clock.left())
    result = result_of(run)
    try:
        scores = work.write(result)
    except OSError as error:
        raise NotWrittenError(f"the result of {outcome.job.name!r} could not be written: {error}") from error
    notes = [*result.record.file_remarks, *result.record.remarks, *result.record.passed_through]
    return replace(
        outcome,
        status="done",
        record=result.record.to_json(),
        seconds=time.monotonic() - started,
        memory=peak_memory(device),
        scores=scores,
        message="; ".join(notes),
    )


def _in_words(setup: Setup) -> str:
    lengths = " × ".join(map(str, setup.source.shape))
    return f"{setup.source.axes} {lengths}, {setup.source.dtype}"


@final
class _Clock:
    """Estimates the time left: what was restored tells how long a byte takes; before, the forecast of the first job."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waiting = sum(job.size for job in jobs)
        self._size, self._seconds = 0, 0.0
        self._job, self._started = 0, 0.0
        self._forecast: float | None = None

    def began(self, job: Job) -> None:
        """Take in that a job begins."""
        self._job, self._started = job.size, time.monotonic()
        self._waiting -= job.size

    def expect(self, plan: Forecast) -> None:
        """Take in how long the job will take."""
        self._forecast = plan.seconds / max(self._job, 1)

    def ended(self, outcome: JobOutcome) -> None:
        """Take in how a job has ended."""
        if outcome.seconds is not None:
            self._size += outcome.job.size
            self._seconds += outcome.seconds

    def left(self) -> float | None:
        """Return the seconds left; None as long as nothing is known."""
        rate = self._seconds / self._size if self._size else self._forecast
        if rate is None:
            return None
        return rate * self._waiting + max(0.0, rate * self._job - (time.monotonic() - self._started))

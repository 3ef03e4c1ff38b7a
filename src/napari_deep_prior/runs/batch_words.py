"""Every sentence on a batch, on the command line and in the dock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..methods.trained_network import DOES_NOT_FIT
from . import report
from .batch import JobOutcome, Progress, Status

STATUSES: Mapping[Status, str] = {
    "done": "restored",
    "skipped": "restored earlier",
    "refused": "refused",
    "failed": "failed",
}
"""What has become of files, for people."""

WITHOUT_RESULT = ("refused", "failed")


def progress_in_words(progress: Progress) -> str:
    """Return how far a batch is at one of its jobs, and how long all of it will still take."""
    parts = [progress.job.name]
    if progress.step is not None:
        part = f"{progress.unit} {progress.piece}/{progress.pieces}, " if progress.pieces > 1 else ""
        parts.append(f"{part}step {progress.step.number}/{progress.step.total}")
    if progress.seconds_left is not None:
        parts.append(f"about {report.duration(progress.seconds_left)} left")
    return ", ".join(parts)


def outcome_in_words(outcome: JobOutcome) -> str:
    """Return a sentence on what has become of a job."""
    if outcome.status == "done":
        return f"{outcome.job.name}: restored in {report.duration(outcome.seconds or 0)}"
    if outcome.status == "skipped":
        return f"{outcome.job.name}: skipped, restored earlier"
    return f"{outcome.job.name}: {outcome.status}: {outcome.message}"


def end_in_words(outcomes: Sequence[JobOutcome], count: int) -> list[str]:
    """Return sentences on a batch of ``count`` files that has ended: what is unlike most, how many are restored."""
    kinds = Counter(outcome.image for outcome in outcomes if outcome.image).most_common()
    unlike = [outcome for outcome in outcomes if outcome.image and outcome.image != kinds[0][0]]
    most = bool(kinds) and kinds[0][1] > len(unlike)
    if not unlike or (most and len(unlike) <= report.MOST_NAMED):
        said = [f"{outcome.job.name!r} is {outcome.image}; most images are {kinds[0][0]}" for outcome in unlike]
    else:
        said = [f"the images are of {len(kinds)} different shapes or types: see the table"]
    said.append(f"{counts_in_words(outcomes)} of {files_in_words(count)}")
    if unfit := sum(DOES_NOT_FIT in outcome.message for outcome in outcomes):
        said.append(f"the trained network did not fit {files_in_words(unfit)}: the table says what restored them")
    return said


def counts_in_words(outcomes: Sequence[JobOutcome]) -> str:
    """Return how many jobs have ended in which way."""
    statuses = Counter(outcome.status for outcome in outcomes)
    parts = [f"{statuses[status]} {words}" for status, words in STATUSES.items() if statuses[status]]
    return ", ".join(parts) or "nothing was written"


def files_in_words(count: int) -> str:
    """Return a number of files."""
    return f"{count} file{'s' if count != 1 else ''}"

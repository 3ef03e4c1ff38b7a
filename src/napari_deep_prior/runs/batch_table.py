"""The table of a batch: a CSV file with one row for each input, whole at any time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from ..files.replacing import replace_file
from ..methods import METHODS
from .batch import JobOutcome, Scores

COLUMNS = (
    "file", "result", "status", "hash", "image", "noise", "method", "seconds", "memory_mib", "psnr_before", "psnr",
    "ssim_before", "ssim", "residual", "message",
)  # fmt: skip
"""What the first line of the file says; new columns come last."""

MEASURED = ("seconds", "memory_mib")
"""Columns that only the batch knows that has restored a file."""

COMPARED = ("psnr_before", "psnr", "ssim_before", "ssim")
"""Columns that only a batch with references knows."""


@final
class Table:
    """The table in a file. Rows of other inputs, which an earlier batch has written, stay.

    Raises
    ------
    ValueError
        If the file is there and is no such table.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows = _read(file) if file.exists() else {}

    def add(self, outcome: JobOutcome) -> None:
        """Take in what has become of a job; the file is written if its result is new."""
        row = row_of(outcome)
        before = self._rows.get(row["file"], {})
        if outcome.status == "skipped" and before.get("hash") == row["hash"]:
            kept = MEASURED if outcome.scores is not None else (*MEASURED, *COMPARED)
            row |= {name: before.get(name, "") for name in kept}
        self._rows[row["file"]] = row
        if outcome.status != "skipped":
            self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        replace_file(self._file, self._write_to)

    def _write_to(self, name: str) -> None:
        # Names of files may hold bytes that are no text; they are written as they are.
        with Path(name).open("w", encoding="utf-8", errors="surrogateescape", newline="") as opened:
            writer = csv.DictWriter(opened, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self._rows[key] for key in sorted(self._rows))


def row_of(outcome: JobOutcome) -> dict[str, str]:
    """Return a row of the table, by its columns; what is not known is empty."""
    record = outcome.record
    return {
        "file": outcome.job.name,
        "result": outcome.job.result,
        "status": outcome.status,
        "hash": outcome.identity,
        "image": outcome.image,
        "noise": str((record.get("noise") or {}).get("in_words", "")),
        "method": _method(record),
        "seconds": "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
        "memory_mib": "" if outcome.memory is None else f"{outcome.memory / 2**20:.0f}",
        **_scores(outcome.scores),
        "residual": residuals_in_words(record.get("residuals", [])),
        # A cell of one line is read by every program.
        "message": " ".join(outcome.message.split()),
    }


def residuals_in_words(verdicts: Sequence[str]) -> str:
    """Return what the residuals of all pieces look like: of several pieces, how many look like what."""
    if len(verdicts) == 1:
        return verdicts[0]
    kinds = Counter(verdict.partition(":")[0] for verdict in verdicts if verdict)
    return "; ".join(f"{kind} ({count} of {len(verdicts)} slices)" for kind, count in kinds.most_common())


def _method(record: Mapping[str, Any]) -> str:
    """Return the name of the method that ran."""
    kind = (record.get("method") or {}).get("kind", "")
    return next((name for name, each in METHODS.items() if each.__name__ == kind), kind)


def _scores(scores: Scores | None) -> dict[str, str]:
    if scores is None:
        return {}
    psnrs = {"psnr_before": scores.psnr_before, "psnr": scores.psnr}
    ssims = {"ssim_before": scores.ssim_before, "ssim": scores.ssim}
    return {
        name: format(value, digits)
        for found, digits in ((psnrs, ".2f"), (ssims, ".4f"))
        for name, value in found.items()
        if value is not None
    }


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
            rows = csv.DictReader(opened)
            if {*COLUMNS[:4]} <= set(rows.fieldnames or ()):
                return {row["file"]: row for row in rows if row["file"]}
    except (csv.Error, OSError) as error:
        raise ValueError(f"cannot read the table {str(file)!r}: {error}") from error
    raise ValueError(f"{str(file)!r} is no table of a batch, and would be replaced: move it, or choose another folder")

"""Files in which the networks of trainings are kept until a person saves them: none is lost with its window."""

from __future__ import annotations

import time
from pathlib import Path

from qtpy.QtCore import QStandardPaths

from ..files.model_files import ENDING, LAST_ENDING
from ..files.trainings import TrainingFiles

MOST_KEPT = 5
"""Trainings whose networks are kept: older ones are deleted when another one begins."""


def folder() -> Path:
    """Return the folder with the files, among the data that programs keep for a person."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / "napari-deep-prior" / "networks"


def files_to_keep(task: str) -> TrainingFiles:
    """Return new files for a training, named by its task and the time; the oldest others are deleted.

    Raises
    ------
    OSError
        If there can be no such folder.
    """
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    best = sorted(
        (each for each in place.glob(f"*{ENDING}") if not each.name.endswith(LAST_ENDING)),
        key=lambda each: each.stat().st_mtime,
    )
    for old in best[: max(0, len(best) - MOST_KEPT + 1)]:
        for path in (old, Path(TrainingFiles(str(old)).last)):
            path.unlink(missing_ok=True)
    return TrainingFiles(str(place / f"{task} {time.strftime('%Y-%m-%d %H.%M.%S')}{ENDING}"))

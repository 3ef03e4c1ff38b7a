"""Whether two names are those of one file: no output may replace an input or another output."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

Files = Sequence[tuple[str, str]]
"""What files are, for people, each with its path."""


def refuse_same_files(inputs: Files, outputs: Files) -> None:
    """Raise a ValueError if an output is an input or another output, by whatever name."""
    seen: dict[tuple[object, ...], tuple[str, str]] = {}
    for name, path in inputs:
        seen.setdefault(_identity(path), (name, path))
    of_inputs = set(seen)
    for name, path in outputs:
        key = _identity(path)
        if key in seen:
            first, first_path = seen[key]
            paths = " = ".join(map(repr, dict.fromkeys((first_path, path))))
            lost = "the original would be lost" if key in of_inputs else f"the {name} would replace the other"
            raise ValueError(f"{first} and {name} are the same file {paths}: {lost}; choose another name")
        seen[key] = (name, path)


def _identity(path: str) -> tuple[object, ...]:
    """Return what is the same for all names of a file: of one that is still to be written, its folder and its name.

    Names that differ in case or in the coding of an accent count as one, as they are on many file systems.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        followed = Path(os.path.realpath(path))
        folder = _identity(str(followed.parent)) if followed.parent != followed else ()
        return (*folder, unicodedata.normalize("NFC", followed.name).casefold())
    return (found.st_dev, found.st_ino)

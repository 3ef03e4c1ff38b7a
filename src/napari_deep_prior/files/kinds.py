"""What a file is that an output would replace: its format, and of our own files what they show."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import tifffile

from .tiff_metadata import ome_metadata

SHOWS_KEY = "deep-prior-shows"
"""Key, in an OME-TIFF that we wrote, of what it shows."""

Shown = Literal["result", "residual", "uncertainty"]

_BEGINNINGS: Mapping[bytes, str] = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
"""Format of an image file for the bytes that it begins with."""


def kind_of(file: Path) -> str:
    """Return "residual" or "uncertainty" for ours, else the format: "TIFF", "PNG" or "JPEG"; empty for other files."""
    with file.open("rb") as opened:
        beginning = opened.read(max(map(len, _BEGINNINGS)))
    kind = next((name for start, name in _BEGINNINGS.items() if beginning.startswith(start)), "")
    return (_shown_by(file) or kind) if kind == "TIFF" else kind


def _shown_by(file: Path) -> str:
    """Return what a TIFF shows beside an image: empty if it says nothing, or is too damaged to say it."""
    try:
        with tifffile.TiffFile(file) as tiff:
            _, _, annotations = ome_metadata(tiff.ome_metadata or "<OME/>")
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, SyntaxError):
        return ""
    shown = annotations.get(SHOWS_KEY, "")
    return "" if shown == "result" else shown

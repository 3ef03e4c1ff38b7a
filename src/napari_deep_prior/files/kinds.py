"""What a file is that an output would replace: its format, and of our own files what they show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

SHOWS_KEY = "deep-prior-shows"
"""Key, in an OME-TIFF that we wrote, of what it shows."""

Shown = Literal["result", "residual", "uncertainty", "difference", "code"]

_BEGINNINGS: Mapping[bytes, str] = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
"""Format of an image file for the bytes that it begins with."""

_MOST_BYTES = 2**24
"""At the beginning of a file, where its description is searched: it stands before the pixels."""

_CHECK = re.compile(rf'<M K="{SHOWS_KEY}">(residual|uncertainty|difference|code)</M>'.encode())


def kind_of(file: Path) -> str:
    """Return what a check of ours shows, as "residual", else the format: "TIFF", "PNG", "JPEG"; empty if none."""
    with file.open("rb") as opened:
        # Only searched, not parsed: damaged files have a kind, too.
        content = opened.read(_MOST_BYTES)
    kind = next((name for start, name in _BEGINNINGS.items() if content.startswith(start)), "")
    shown = _CHECK.search(content) if kind == "TIFF" else None
    return shown[1].decode() if shown else kind

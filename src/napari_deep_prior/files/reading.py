"""What libraries say and raise while they read a file, as sentences for people."""

from __future__ import annotations

import json
import logging
import lzma
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import final

import tifffile
from PIL import Image, UnidentifiedImageError
from scipy.io.matlab import MatReadError

UNREADABLE = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError, LookupError, MemoryError,
    NameError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, zlib.error, lzma.LZMAError, TokenError, tifffile.TiffFileError, Image.DecompressionBombError,
    MatReadError,
)  # fmt: skip
"""What the libraries raise for files that are damaged or of another kind: a damaged header can lead them anywhere."""

MEANINGLESS = (AssertionError, AttributeError, LookupError, NameError, TokenError, TypeError, ZeroDivisionError)
"""Errors of the libraries whose text says something about their code, and nothing about the file."""

HARMLESS = (DeprecationWarning, ResourceWarning, SyntaxWarning, Image.DecompressionBombWarning)
"""Warnings that say nothing about the content of a file."""

LOGGERS = ("tifffile", "PIL", "imagecodecs", "zarr")
"""Names of the loggers of the libraries that read files."""

LONGEST = 200
"""Letters of a library's message that are repeated."""


@final
class _Collector(logging.Handler):
    """Keeps messages instead of showing them."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        self._words.append(record.getMessage())


@contextmanager
def reading(file: Path, kind: str) -> Iterator[list[str]]:
    """Read a file inside of this; gives the list to which what the libraries log and warn of is added.

    Parameters
    ----------
    kind : str
        What the file is read as, for the error: "an image".

    Raises
    ------
    ValueError
        If there is no such file, or a library cannot read it.
    """
    # Zarr is a folder.
    if not file.is_file() and not file.is_dir():
        link = ": the link of that name leads to none" if file.is_symlink() else ""
        raise ValueError(f"there is no file {str(file)!r}{link}")
    words: list[str] = []
    with warnings.catch_warnings(record=True) as warned, _collected_logs(words):
        warnings.simplefilter("always")
        try:
            yield words
        except UNREADABLE as error:
            empty = file.is_file() and file.stat().st_size == 0
            what = "it is damaged, the file is empty" if empty else _in_words(error)
            raise ValueError(f"cannot read {str(file)!r} as {kind}: {what}") from error
    words += [str(warning.message) for warning in warned if not issubclass(warning.category, HARMLESS)]


def words_as_remarks(words: list[str]) -> tuple[str, ...]:
    """Return at most one sentence on what libraries said of a file."""
    if not words:
        return ()
    said = "; ".join(dict.fromkeys(map(_short, words)))
    return (f"it is damaged or unusual, so that parts of it may be missing or misread ({said[:LONGEST]})",)


@contextmanager
def _collected_logs(words: list[str]) -> Iterator[None]:
    collector = _Collector(words)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(collector)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(collector)
            logger.propagate = propagate


def _in_words(error: BaseException) -> str:
    """Return what is wrong with a file; a library's own mishap says no more than that it is damaged."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is; it is damaged, or too large for this computer"
    if isinstance(error, UnidentifiedImageError):
        return "it is empty, damaged, or of another kind than its name says"
    text = _short(str(error))
    if isinstance(error, json.JSONDecodeError):
        return f"it is damaged, its metadata are broken off or overwritten ({text})"
    return text if text and not isinstance(error, MEANINGLESS) else f"it is damaged ({text or type(error).__name__})"


def _short(text: str) -> str:
    """Return a message as one line, without the objects, functions and classes that tifffile names."""
    line = re.sub(r"<[Tt]iff[^>]*>\s*", "", " ".join(text.split()))
    return re.sub(r"^raised \w+\((.*)\)$", lambda found: found[1].strip("'\""), line)[:LONGEST].strip()

"""What is said to people: a screen or a pipe that is gone never costs the result, and libraries keep quiet."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, final


@contextmanager
def calm_streams() -> Iterator[None]:
    """Let everything that is printed within the context be printed if it can be, and else be forgotten.

    Warnings and log lines of the libraries are for their developers, and are not shown.
    """
    quiet = logging.NullHandler()
    with (
        contextlib.redirect_stdout(_UnfailingStream(sys.stdout)),
        contextlib.redirect_stderr(_UnfailingStream(sys.stderr)),
        warnings.catch_warnings(),
    ):
        # The filters stay: who asks Python for errors instead of warnings gets them.
        warnings.showwarning = lambda *_, **__: None
        logging.getLogger().addHandler(quiet)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(quiet)
            sys.stdout.flush()
            sys.stderr.flush()


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file to be opened gets the number of the stream, and what libraries print goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


@final
class _UnfailingStream(io.TextIOBase):
    """Writes to another stream until that fails, and to none from then on."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            # A terminal may not know an arrow; a question mark is better than no answer.
            with self._failing_once():
                stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        """Write a text."""
        with self._failing_once():
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        with self._failing_once():
            if self._stream is not None:
                self._stream.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # of Python's own streams it cannot be set either
        """Name of the characters that can be written, by which a bar is drawn."""
        return getattr(self._stream, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Return whether a person reads along."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the number of the stream, by which the width of a terminal is asked for."""
        if self._stream is None:
            raise io.UnsupportedOperation("there is no stream")
        return self._stream.fileno()

    @contextmanager
    def _failing_once(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # no reader, a full disk; closed
            lost, self._stream = self._stream, None
            # What still waits in it would fail again when the interpreter ends, and change the exit code.
            with contextlib.suppress(OSError, ValueError):
                if lost is not None:
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, lost.fileno())
                    os.close(nowhere)

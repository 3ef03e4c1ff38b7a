"""SIGTERM, with which clusters end a job whose time is over: it ends a run as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_by_sigterm() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at SIGTERM, and note it in the list; not where the signal is ignored already."""
    received: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    # Python takes signals in its first thread only.
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield received
        return

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)

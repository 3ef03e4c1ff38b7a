"""Functions that are called in a thread, which ends before the program does."""

from __future__ import annotations

import atexit
import functools
from collections.abc import Callable
from typing import Any

from napari.qt.threading import FunctionWorker


def in_background(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a worker that calls a function in a thread when it is started."""
    _wait_at_exit()
    return FunctionWorker(function, *arguments)


@functools.cache
def _wait_at_exit() -> None:
    """Have workers quit, and wait for them, before Python ends.

    napari does so when the event loop ends. Where the loop was never started, in a script or a notebook, it does not:
    PyQt then deletes the signals of workers that are still at work, and these fail.
    """
    atexit.register(FunctionWorker.await_workers)

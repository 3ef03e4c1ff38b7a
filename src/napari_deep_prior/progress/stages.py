"""Stages: what a run does where there are no steps, told to whoever watches it, who may end the run there.

Long computations call :func:`checkpoint` at least every 0.3 s. Nobody watches on the command line, where Ctrl-C ends
anything: there a checkpoint does nothing.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar
from weakref import WeakSet

Watcher = Callable[[str], None]
"""Is called at every checkpoint with the name of the stage, "" between stages; ends the run by raising ``Stopped``."""

LAST_WAIT = 5.0
"""Seconds that the end of the program waits for functions that were left alone: some abort when they are cut off."""

PATIENCE = 0.1
"""Seconds between two checkpoints while a function is under way that has none."""

Result = TypeVar("Result")

_threads: WeakSet[threading.Thread] = WeakSet()
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_stage: ContextVar[str] = ContextVar("stage", default="")


class Stopped(Exception):  # noqa: N818  (it is no error)
    """Whoever watches a run has ended it."""


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` called at the checkpoints of this thread within the context."""
    before = _watcher.get()
    _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.set(before)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Name what is done within the context, for people; the name around another one counts."""
    before = _stage.get()
    _stage.set(before or name)
    try:
        checkpoint()
        yield
    finally:
        _stage.set(before)


def checkpoint() -> None:
    """Say that the work goes on.

    Raises
    ------
    Stopped
        If it is not to go on.
    """
    watcher = _watcher.get()
    if watcher is not None:
        watcher(_stage.get())


def is_watched() -> bool:
    """Return whether anybody watches the run of this thread."""
    return _watcher.get() is not None


def run_stage(name: str, function: Callable[[], Result]) -> Result:
    """Return the result of a function that has no checkpoints, as the stage of that name.

    Where somebody watches, it runs in a thread of its own. If the run is ended meanwhile, nobody waits for that thread:
    its result is lost.

    Raises
    ------
    Stopped
        If the run was ended meanwhile.
    """
    with stage(name):
        return _watched_call(function) if is_watched() else function()


def _watched_call(function: Callable[[], Result]) -> Result:
    """Call a function in a thread of its own, where nobody watches, with checkpoints in this one."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  (it is raised again where the function was called)
            errors.append(error)

    # A daemon: where a window is closed, the program does not wait for it either.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    _threads.add(thread)
    while thread.is_alive():
        checkpoint()
        thread.join(PATIENCE)
    checkpoint()
    if errors:
        raise errors[0]
    return results[0]


@atexit.register
def _wait_for_the_last() -> None:
    end = time.monotonic() + LAST_WAIT
    for thread in list(_threads):
        thread.join(max(0.0, end - time.monotonic()))

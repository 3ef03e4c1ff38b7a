"""The command ``deep-prior``, also as ``python -m napari_deep_prior``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .cli.streams import calm_streams, open_closed_streams

FAILED, INTERRUPTED = 2, 130
"""Exit codes of a start that failed; those of a run are in :mod:`.cli.main`."""

STOPPED = "deep-prior: stopped; nothing was written\n"


def main() -> int:
    """Run the command line and return its exit code; loading PyTorch takes seconds, and Ctrl-C is heard there too."""
    open_closed_streams()
    with calm_streams():
        try:
            with _ending_at_ctrl_c():
                run = _command_line()
            return run()
        except KeyboardInterrupt:
            sys.stderr.write(STOPPED)
            return INTERRUPTED
        except _NotLoadedError as error:
            sys.stderr.write(f"deep-prior: {error}\n")
            return FAILED


class _NotLoadedError(Exception):
    """A library that the program needs could not be loaded."""


def _command_line() -> Callable[[], int]:
    try:
        from .cli.main import main as run
    # What a library raises whose memory does not suffice, whose files are damaged, or that is not there.
    except (ImportError, OSError, MemoryError, RuntimeError, SystemError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise _NotLoadedError(
            f"the libraries could not be loaded ({reason}): give it more memory (ulimit -v), or install it anew"
        ) from error
    return run


@contextmanager
def _ending_at_ctrl_c() -> Iterator[None]:
    """End the process at Ctrl-C: libraries that are being loaded can turn an exception into another one."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # Ctrl-C is ignored, as in the background of a shell
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    # The streams of Python cannot be written to in the middle of a write.
    with contextlib.suppress(OSError):
        os.write(2, STOPPED.encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())

"""The command ``deep-prior``, also as ``python -m napari_deep_prior``."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .cli.streams import calm_streams, open_closed_streams

FAILED, INTERRUPTED = 2, 130
"""Exit codes of a start that failed; those of a run are in :mod:`.cli.main`."""

LEAST_ADDRESS_SPACE = 800 * 2**20
"""Bytes with which the libraries can be loaded: measured on Linux, with the build of PyTorch for the CPU."""

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
    # Libraries in C++ end the process where they get no memory, and nothing could be said any more.
    if _address_space() < LEAST_ADDRESS_SPACE:
        raise _NotLoadedError(
            f"the libraries need an address space of more than {LEAST_ADDRESS_SPACE >> 20} MiB, and this process may "
            f"have {_address_space() / 2**20:.0f} MiB: raise the limit (ulimit -v)"
        )
    try:
        from .cli.main import main as run
    # What a library raises whose memory does not suffice, whose files are damaged, or that is not there.
    except (ImportError, OSError, MemoryError, RuntimeError, SystemError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise _NotLoadedError(
            f"the libraries could not be loaded ({reason}): give it more memory (ulimit -v), or install it anew"
        ) from error
    return run


def _address_space() -> float:
    """Return the bytes that this process may address."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


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

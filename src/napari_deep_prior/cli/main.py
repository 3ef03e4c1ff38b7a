"""The entry of the command line: which command was given, and what its failures say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from ..runs.errors import RestorationError
from ..runs.notes import VERSION
from ..tasks import TASKS
from . import restore
from .deliver import say
from .options import layout

DONE, FAILED, INTERRUPTED = 0, 2, 130
"""Exit codes: all went well; a sentence on the error stream says what did not; Ctrl-C (128 + SIGINT)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(given).parse_args(given)
    if isinstance(sys.stdout, TextIOWrapper):
        # A pipe on Windows may not know an arrow; a question mark is better than no answer.
        sys.stdout.reconfigure(errors="replace")
    command: Callable[[argparse.Namespace], bool] = options.run
    try:
        return DONE if command(options) else INTERRUPTED
    except (ValueError, OSError, RestorationError) as error:
        say(f"deep-prior: {error}")
        return FAILED
    except MemoryError as error:
        say(f"deep-prior: not enough memory for an image of this size: crop it, or close other programs. {error}")
        return FAILED
    except KeyboardInterrupt as stop:
        say(f"deep-prior: {stop.args[0] if stop.args else 'stopped; nothing was written'}")
        return INTERRUPTED


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command that was given has its options, which take long to build."""
    parser = argparse.ArgumentParser(
        prog="deep-prior",
        description="Restore microscopy images with no training data: everything is estimated from the one image.",
        epilog="Example: deep-prior denoise noisy.tif clean.ome.tif --effort fast. "
        "'deep-prior TASK --help' lists the options of a task. Ctrl-C writes the best image so far and exits with "
        "130; an error is one sentence and exit code 2.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="TASK")
    for name, kind in TASKS.items():
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        usage = f"deep-prior {name} [options] IN OUT"
        command = commands.add_parser(name, help=summary, description=summary, usage=usage, formatter_class=layout)
        command.set_defaults(run=restore.run)
        if name in given:
            restore.add_options(command, kind)
    return parser

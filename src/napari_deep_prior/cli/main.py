"""The entry of the command line: which command was given, and what its failures say."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, final

from ..runs.errors import FAILURES, failure_in_words
from ..runs.identity import VERSION
from ..tasks import TASKS
from . import batch, compare, encode, restore, train
from .deliver import say
from .exit_codes import DONE, FAILED, INCOMPLETE, INTERRUPTED, TERMINATED
from .options import layout
from .streams import calm_streams
from .termination import interrupted_by_sigterm

NEGATIVE = r"-(\d+\.?\d*|\.\d+)[eE][+-]?\d+|-inf(inity)?|-nan"
"""A negative number that argparse does not know."""

__all__ = ["DONE", "FAILED", "INCOMPLETE", "INTERRUPTED", "TERMINATED", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = with_negative_numbers(sys.argv[1:] if arguments is None else arguments)
    with calm_streams(), interrupted_by_sigterm() as terminated:
        code = _run(_parser(given).parse_args(given))
        return TERMINATED if terminated and code == INTERRUPTED else code


def with_negative_numbers(given: Sequence[str]) -> list[str]:
    """Return arguments in which a negative number with an exponent belongs to the option before it.

    argparse of Python 3.13 and before takes -1e3 and -inf for options.
    """
    joined: list[str] = []
    for each in given:
        if joined and re.fullmatch(NEGATIVE, each) and re.fullmatch(r"--[a-z][a-z0-9-]*", joined[-1]):
            joined[-1] += f"={each}"
        else:
            joined.append(each)
    return joined


def _run(options: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except FAILURES as error:
        say(f"deep-prior: {failure_in_words(error)}")
    except KeyboardInterrupt as stop:
        say(f"deep-prior: {stop.args[0] if stop.args else 'stopped; nothing was written'}")
        return INTERRUPTED
    return FAILED


@final
class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Say it and exit."""
        self.exit(FAILED, f"deep-prior: {message} (see {self.prog} --help)\n")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command that was given has its options, which take long to build."""
    parser = _Parser(
        prog="deep-prior",
        description="Restore microscopy images with no training data: everything is estimated from the one image.",
        epilog="Example: deep-prior denoise noisy.tif clean.ome.tif --effort fast. "
        "'deep-prior TASK --help' lists the options of a task. Ctrl-C writes the best image so far, of a stack "
        "only what was restored, and exits with 130; so does SIGTERM, with 143. An error is one sentence and exit "
        "code 2.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="TASK")
    for name, kind in TASKS.items():
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        usage = f"deep-prior {name} [options] IN OUT"
        command = commands.add_parser(name, help=summary, description=summary, usage=usage, formatter_class=layout)
        command.set_defaults(run=restore.run)
        if name in given:
            restore.add_files(command)
            restore.add_options(command, kind)
    for module in (compare, encode):
        details = f"{module.SUMMARY} {module.DETAILS}"
        command = commands.add_parser(
            module.COMMAND, help=module.SUMMARY, description=details, usage=module.USAGE, formatter_class=layout
        )
        command.set_defaults(run=module.run)
        if module.COMMAND in given:
            module.add_options(command)
    training = commands.add_parser(train.COMMAND, help=train.SUMMARY, description=train.SUMMARY, epilog=train.CODES)
    if train.COMMAND in given:
        train.add_tasks(training, given)
    several = commands.add_parser(batch.COMMAND, help=batch.SUMMARY, description=batch.SUMMARY, epilog=batch.CODES)
    if batch.COMMAND in given:
        batch.add_tasks(several, given)
    return parser

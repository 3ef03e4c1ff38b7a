"""Options for channels and for images that are large: in the help on all settings, not among the everyday ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, final

from ..runs.setup import Setup, with_executor
from .deliver import say
from .options import advanced_help, listing

TITLE = "channels, large images, and more than one computer"


def add_large(parser: argparse.ArgumentParser) -> None:
    """Add the options; the help does not show them."""
    for name, options in _OPTIONS.items():
        parser.add_argument(name, **options | {"help": argparse.SUPPRESS})


def is_elsewhere(options: argparse.Namespace) -> bool:
    """Return whether other processes are to restore the pieces."""
    return any(each is not None for each in (options.workers, options.scheduler, options.compute))


def elsewhere(setup: Setup, options: argparse.Namespace) -> Setup:
    """Return a run whose pieces are restored by whom the options name.

    Raises
    ------
    ValueError
        If they cannot be begun, or several are named.
    """
    setup = with_executor(setup, workers=options.workers, scheduler=options.scheduler, compute=options.compute)
    if setup.executor is not None:
        say(f"restored by {setup.executor.in_words}")
    return setup


def large_help() -> str:
    """Return the help on the options."""
    parser = listing()
    group = parser.add_argument_group(TITLE)
    for name, options in _OPTIONS.items():
        group.add_argument(name, **options)
    return parser.format_help()


_OPTIONS: dict[str, dict[str, Any]] = {
    "--image-channels": {
        "metavar": "LIST",
        "help": "restore only these channels, by number (counted from 0) or name, such as 0,2 or DAPI,GFP: the result "
        "has no others",
    },
    "--separate-channels": {
        "action": "store_true",
        "default": None,
        "help": "restore each channel by itself, as if it were an image of its own; default: all channels of a slice "
        "together",
    },
    "--no-separate-channels": {
        "dest": "separate_channels",
        "action": "store_false",
        "default": None,
        "help": "together also where the settings of --settings say otherwise",
    },
    "--tile": {
        "metavar": "PIXELS",
        "type": int,
        "help": "cut planes into tiles with sides of so many pixels; default: only what does not fit into the memory",
    },
    "--memory": {
        "metavar": "AMOUNT",
        "help": "the most that a run may take besides image and result, such as 4GiB; default: what is free",
    },
    "--workers": {
        "metavar": "N",
        "type": int,
        "help": "processes of this computer that restore slices or tiles at the same time; they share its cores",
    },
    "--scheduler": {
        "metavar": "ADDRESS",
        "help": "of a dask scheduler, such as tcp://host:8786: its workers restore slices or tiles",
    },
    "--compute": {
        "metavar": "FILE",
        "help": "a .yml with the settings of SLURM jobs that restore slices or tiles (dask-jobqueue)",
    },
}


@final
class AdvancedHelp(argparse.Action):
    """Prints the help on all settings of the task in ``const``, and exits."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print the help and exit."""
        print(f"{advanced_help(self.const)}\n{large_help()}")
        parser.exit()

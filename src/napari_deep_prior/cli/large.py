"""Options for images that are large: in the help on all settings, not among the everyday ones."""

from __future__ import annotations

import argparse
from typing import Any

from .options import listing

TITLE = "large images"


def add_large(parser: argparse.ArgumentParser) -> None:
    """Add the options; the help does not show them."""
    for name, options in _OPTIONS.items():
        parser.add_argument(name, **options | {"help": argparse.SUPPRESS})


def large_help() -> str:
    """Return the help on the options."""
    parser = listing()
    group = parser.add_argument_group(TITLE)
    for name, options in _OPTIONS.items():
        group.add_argument(name, **options)
    return parser.format_help()


_OPTIONS: dict[str, dict[str, Any]] = {
    "--tile": {
        "metavar": "PIXELS",
        "type": int,
        "help": "cut planes into tiles with sides of so many pixels; default: only what does not fit into the memory",
    },
    "--memory": {
        "metavar": "AMOUNT",
        "help": "the most that a run may take besides image and result, such as 4GiB; default: what is free",
    },
}

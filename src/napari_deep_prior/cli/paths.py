"""One look at all files of a command before the first byte is read: nothing is lost that was not given up."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..files.images import TIFF_ENDINGS, refuse_output
from ..files.kinds import kind_of
from ..files.model_files import refuse_model
from ..files.recipes import refuse_recipe
from ..files.replacing import refuse_place
from ..files.same_files import Files, refuse_same_files
from ..files.zarr_reader import is_zarr_name
from ..tasks import TASKS
from .inputs import given_text

CHECKS = ("residual", "uncertainty")
"""Outputs beside the result, by the names of their options."""

_FRACTIONS = (*CHECKS, "difference", "code")
"""Outputs that only a TIFF can hold, and that only replace their own kind."""

_TABLE = "csv"
"""The output that is no image, by the name of its option, and the ending of its name."""

SAVED = "saved settings"
"""What the file of --save-settings is called."""

SAVED_MODEL = "saved model"
"""What the file of --save-model is called."""

_FORMATS = dict.fromkeys(TIFF_ENDINGS, "TIFF") | {".png": "PNG"}


def refuse_paths(options: argparse.Namespace) -> None:
    """Check all files of a command that restores an image (see :func:`refuse_files`)."""
    saved = [] if options.save_settings is None else [(SAVED, options.save_settings)]
    saved += [] if options.save_model is None else [(SAVED_MODEL, options.save_model)]
    refuse_files(list(_inputs(options)), [*outputs_of(options), *saved], overwrite=options.overwrite)


def refuse_files(inputs: Files, outputs: Files, *, overwrite: bool) -> None:
    """Check all files of a command.

    Raises
    ------
    ValueError
        If an output cannot be written, would replace something else than an older output of its kind, or is the same
        file as an input or another output, by whatever name.
    """
    # What lies in a folder that is a result already is looked at once the run is known.
    files = [(name, path) for name, path in outputs if not (name == "output" and is_zarr_name(path))]
    for name, path in files:
        _refuse_output(name, path, overwrite=overwrite)
    refuse_same_files(inputs, outputs)
    _refuse_inside(inputs, outputs)
    for name, path in files:
        if name not in (SAVED, SAVED_MODEL):
            _refuse_other_kind(name, path)


def refuse_all_paths(every: Sequence[argparse.Namespace], more: Files) -> None:
    """Raise a ValueError if an output of one of several commands is an input or another output of any of them.

    Parameters
    ----------
    more : sequence of (str, str)
        Outputs besides those of the commands: what each file is, and its path.
    """
    inputs = [each for options in every for each in _inputs(options)]
    refuse_same_files(inputs, [*(each for options in every for each in outputs_of(options)), *more])


def _refuse_output(name: str, path: str, *, overwrite: bool) -> None:
    """Raise a ValueError if an output cannot be written under its name."""
    ending = Path(path).suffix.lower()
    if name == SAVED_MODEL:
        refuse_model(path, overwrite=overwrite)
        return
    if name == SAVED:
        refuse_recipe(path, overwrite=overwrite)
        return
    if name == _TABLE:
        if ending != f".{_TABLE}":
            raise ValueError(f"--{name} is {path!r}: give it a name that ends in .{_TABLE}")
        refuse_place(Path(path), overwrite=overwrite)
        return
    if name in _FRACTIONS and ending not in TIFF_ENDINGS:
        label = "OUT" if name == "code" else f"--{name}"
        raise ValueError(
            f"{label} is {path!r}; its values are fractions, which need a TIFF: give it a name that ends in .tif"
        )
    refuse_output(path, overwrite=overwrite)


def _refuse_inside(inputs: Files, outputs: Files) -> None:
    """Raise a ValueError if an output lies in a folder that is an input, or holds one."""
    for (name, path), (given, source) in itertools.product(outputs, inputs):
        inner, outer = Path(os.path.realpath(path)), Path(os.path.realpath(source))
        if outer.is_dir() and outer in inner.parents:
            raise ValueError(f"the {name} {path!r} lies inside of the {given} {source!r}: choose another place")
        if is_zarr_name(path) and inner in outer.parents:
            raise ValueError(f"the {given} {source!r} lies inside of the {name} {path!r}: choose another place")


def outputs_of(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield name and path of every file that is to be written."""
    for name in ("output", *CHECKS):
        path = getattr(options, name)
        if path is not None:
            yield name, path


def _inputs(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield name and path of every file that is to be read; a kernel in words is taken for one, which does no harm."""
    yield "input", options.input
    if options.reference is not None:
        yield "reference", options.reference
    if options.settings is not None:
        yield "settings", options.settings
    for name in TASKS[options.command].takes:
        given = given_text(name, options)
        for path in [given] if isinstance(given, str) else given or []:
            yield name, path


def _refuse_other_kind(name: str, path: str) -> None:
    """Raise a ValueError if an output would replace a file that is recognised as something else."""
    kind = kind_of(Path(path)) if Path(path).exists() else ""
    replaced = name if name in _FRACTIONS else _FORMATS.get(Path(path).suffix.lower(), "table")
    if kind not in ("", replaced):
        own = f"an older {name}" if name in _FRACTIONS else f"a {replaced}" + " image" * (name != _TABLE)
        other = f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
        raise ValueError(f"{path!r} is {other}; the {name} only replaces {own}: choose another name")

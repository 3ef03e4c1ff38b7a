"""What is given besides the image: options and file readers, by the kind of a row of ``INPUTS``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from ..arrays.axes import Array
from ..files import images
from ..files.channels import with_channels, with_channels_of
from ..files.jpeg import read_tables
from ..files.kernels import parse_kernel
from ..files.model_files import read_model
from ..files.other_inputs import guide_in, mask_in
from ..tasks import Task
from ..tasks.inputs import INPUTS, Input, Kind
from .deliver import say

ESTIMATE = "estimate"
"""The value of an option for a kernel that asks for the blur to be estimated from the image."""

Options = argparse.Namespace
Group = argparse._ArgumentGroup  # noqa: SLF001  (argparse has no public name for it)


@final
@dataclass(frozen=True)
class _Reader:
    """How inputs of a kind are given on the command line.

    Parameters
    ----------
    add : function
        Adds the options of the input of a name to a group.
    read : function
        Returns what was given for the input of a name; None or an empty list if nothing was.
    """

    add: Callable[[Group, str, Input], None]
    read: Callable[[str, Options, FileReader], Any]


@final
class FileReader:
    """Reads image files, says what is to be known of each of them, and keeps it for the record.

    Parameters
    ----------
    tell : function
        How it is said.
    """

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self.remarks: list[str] = []
        self._tell = tell
        self._same_channels: Callable[[images.ImageFile], images.ImageFile] | None = None

    def image(
        self, path: str, *, axes: str | None, turned: bool, lazily: bool = False, channels: str | None = None
    ) -> images.ImageFile:
        """Return the image to restore (see :func:`.images.read`), of which only some channels may be asked for."""
        file = images.read(path, axes=axes, turned=turned, lazily=lazily)
        if channels is None:
            return self._noted(path, file)
        try:
            chosen = with_channels(file, channels)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        self._same_channels = partial(with_channels_of, file, channels)
        return self._noted(path, chosen)

    def other(self, path: str) -> images.ImageFile:
        """Return an image that is given besides it, whose axes are those of the image whatever its file says.

        Where some channels of the image were asked for, they are those of an image of its shape as well.
        """
        file = images.read_as_stored(path)
        return self._noted(path, file if self._same_channels is None else self._same_channels(file))

    def _noted(self, path: str, file: images.ImageFile) -> images.ImageFile:
        remarks = [f"{path}: {remark}" for remark in file.remarks]
        for remark in remarks:
            self._tell(remark)
        self.remarks += remarks
        return file


def add_inputs(group: Group, task: type[Task]) -> None:
    """Add the options of all inputs that a task takes."""
    for name, row in INPUTS.items():
        if name in task.takes:
            _READERS[row.kind].add(group, name, row)


def read_inputs(task: Task, options: Options, files: FileReader) -> dict[str, Any]:
    """Return what was given, by the name of the input.

    Raises
    ------
    ValueError
        If a file cannot be read, or the options contradict each other.
    """
    return {name: _READERS[row.kind].read(name, options, files) for name, row in INPUTS.items() if name in task.takes}


def given_text(name: str, options: Options) -> Any:
    """Return the value of the option of an input as it was typed, None if it was not."""
    return getattr(options, place_of(name), None)


def read_mask(path: str, files: FileReader) -> Array:
    """Return where a mask is not 0, bool; of one saved as a colour image any colour counts, opacity does not."""
    return mask_in(files.other(path))


def place_of(name: str) -> str:
    """Return the attribute of the parsed options that belongs to an input; no other option has its name."""
    return f"input.{name}"


def _add_file(group: Group, name: str, row: Input) -> None:
    group.add_argument(f"--{name}", dest=place_of(name), metavar=row.metavar, help=row.help)


def _add_files(group: Group, name: str, row: Input) -> None:
    group.add_argument(
        f"--{name}", dest=place_of(name), metavar=row.metavar, help=row.help, action="append", default=[]
    )


def _add_mask(group: Group, name: str, row: Input) -> None:
    _add_file(group, name, row)
    inverted = f"--invert-{name}"
    group.add_argument(
        inverted, dest=place_of(inverted), action="store_true", help=f"fill where the {name} is 0 instead"
    )


def _read_mask(name: str, options: Options, files: FileReader) -> Array | None:
    inverted = f"--invert-{name}"
    path, invert = given_text(name, options), given_text(inverted, options)
    if path is None:
        if invert:
            raise ValueError(f"{inverted} was given without --{name}: give the {name}, or leave out {inverted}")
        return None
    marked = read_mask(path, files)
    return ~marked if invert else marked


def _read_images(name: str, options: Options, files: FileReader) -> list[Array]:
    return [guide_in(files.other(path)) for path in given_text(name, options)]


def _read_kernel(name: str, options: Options, _files: FileReader) -> Any:
    text = given_text(name, options)
    return None if text in (None, ESTIMATE) else parse_kernel(text, dimensions=3 if options.volume else 2)


def _read_jpeg(name: str, options: Options, _files: FileReader) -> Any:
    path = given_text(name, options)
    tables = read_tables(path or options.input)
    if path is not None and tables is None:
        raise ValueError(f"{path!r} is no JPEG: leave out --{name} to have the rounding estimated from the image")
    return tables


def _read_model(name: str, options: Options, _files: FileReader) -> Any:
    path = given_text(name, options)
    return None if path is None else read_model(path)


_READERS: Mapping[Kind, _Reader] = {
    "mask": _Reader(_add_mask, _read_mask),
    "images": _Reader(_add_files, _read_images),
    "kernel": _Reader(_add_file, _read_kernel),
    "tables": _Reader(_add_file, _read_jpeg),
    "model": _Reader(_add_file, _read_model),
}

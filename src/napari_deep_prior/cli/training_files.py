"""The files of a training: the images that are given, the networks that are written."""

from __future__ import annotations

import argparse
import glob
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from ..arrays.axes import Array
from ..files.folders import images_in
from ..files.model_files import ENDING, LAST_ENDING, read_model, read_state, refuse_model, write_model
from ..runs.train import Checkpoint, Training
from ..runs.training_images import TrainingImage
from .inputs import FileReader

SAVE_EVERY = 60.0
"""Seconds after which the networks are written anew while a training goes on: a killed one loses no more."""


@final
@dataclass
class Outputs:
    """The files that a training writes: its best network, and beside it the last one.

    Raises
    ------
    ValueError
        If one of them cannot be written.
    """

    best: str
    overwrite: bool
    _written: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        for path in (self.best, self.last):
            refuse_model(path, overwrite=self.overwrite)

    @property
    def last(self) -> str:
        """Name of the file of the last network."""
        path = Path(self.best)
        return str(path.with_name(path.name[: -len(ENDING)] + LAST_ENDING))

    def write(self, training: Training) -> None:
        """Write both networks."""
        write_model(self.best, training.model)
        checkpoint = training.checkpoint
        write_model(self.last, checkpoint.model, checkpoint.state)
        self._written = time.monotonic()

    def write_now_and_then(self, training: Training) -> None:
        """Write both networks if that was long ago."""
        if time.monotonic() - self._written > SAVE_EVERY:
            self.write(training)


def read_checkpoint(path: str) -> Checkpoint:
    """Return what a training goes on from.

    Raises
    ------
    ValueError
        If the file is none of a training.
    """
    return Checkpoint(model=read_model(path), state=read_state(path))


def read_images(options: argparse.Namespace, files: FileReader) -> list[TrainingImage]:
    """Return all images of the folders that were given, and the clean ones beside them.

    Raises
    ------
    ValueError
        If there are none, one of them cannot be read, or a clean one is missing.
    """
    found = []
    for path, name in _paths(options):
        image = files.image(str(path), axes=options.axes, turned=True)
        clean = None if options.clean_folder is None else _clean(Path(options.clean_folder), path, files)
        found.append(TrainingImage(name=name, pixels=image.pixels, axes=image.axes, clean=clean))
    return found


def _paths(options: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Yield every file once, and what it is called."""
    known = set()
    for given in options.folders:
        folder = Path(given)
        if folder.is_dir() and folder.suffix.lower() != ".zarr":
            inside = images_in(folder, options.pattern, results=Path(options.out))
            every = [(folder / file, (folder / file).as_posix()) for file in inside]
        else:
            every = [(folder, folder.as_posix())]
        for path, name in every:
            if path.resolve() not in known:
                known.add(path.resolve())
                yield path, name


def _clean(folder: Path, noisy: Path, files: FileReader) -> Array:
    """Return the clean image of a noisy one: of its name, with whatever ending."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r} of clean images")
    exact = folder / noisy.name
    found = [exact] if exact.exists() else sorted(folder.glob(f"{glob.escape(noisy.stem)}.*"))
    if not found:
        raise ValueError(
            f"{str(noisy)!r} has no clean image of its name in {str(folder)!r}: add one, or leave the noisy one out "
            "with --pattern"
        )
    return np.asarray(files.other(str(found[0])).pixels)

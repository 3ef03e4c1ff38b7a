"""The files of a training: the images that are given, the networks that are written."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from ..files.model_files import name_of_last, refuse_model
from ..files.training_folders import clean_file, training_files
from ..files.trainings import write_training
from ..runs.train import Training
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
        return name_of_last(self.best)

    def write(self, training: Training) -> None:
        """Write both networks."""
        write_training(self.best, training)
        self._written = time.monotonic()

    def write_now_and_then(self, training: Training) -> None:
        """Write both networks if that was long ago."""
        if time.monotonic() - self._written > SAVE_EVERY:
            self.write(training)


def read_images(options: argparse.Namespace, files: FileReader) -> list[TrainingImage]:
    """Return all images of the folders that were given, and the clean ones beside them.

    Raises
    ------
    ValueError
        If there are none, one of them cannot be read, or a clean one is missing.
    """
    found = []
    for path, name in training_files(options.folders, options.pattern, results=Path(options.out)):
        image = files.image(str(path), axes=options.axes, turned=True)
        clean = None
        if options.clean_folder is not None:
            clean = np.asarray(files.other(str(clean_file(Path(options.clean_folder), path))).pixels)
        found.append(TrainingImage(name=name, pixels=image.pixels, axes=image.axes, clean=clean))
    return found

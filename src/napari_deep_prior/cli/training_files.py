"""The files of a training: the images that are given, the networks that are written."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..files.model_files import refuse_model
from ..files.training_folders import clean_file, training_files
from ..files.trainings import TrainingFiles
from ..runs.training_images import TrainingImage
from .inputs import FileReader


def outputs_of(options: argparse.Namespace) -> TrainingFiles:
    """Return the files that a training writes.

    Raises
    ------
    ValueError
        If one of them cannot be written.
    """
    files = TrainingFiles(options.out)
    for path in (files.best, files.last):
        refuse_model(path, overwrite=options.overwrite)
    return files


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

"""What a training is made of, as the Train dock asks for it: images of a folder or layers, read when it begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
from napari.layers import Image

from ..arrays.axes import Array
from ..files import images
from ..files.training_folders import clean_file, training_files
from ..progress.stages import stage
from ..runs.train import Checkpoint, Training, train
from ..runs.training_images import TrainingImage
from ..tasks import Task
from ..training.training_settings import TrainingSettings
from .layers import axes_of, pixels_of


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Images that are trained on, not read yet.

    Parameters
    ----------
    read : callable
        Returns them; called in the thread of the training.
    count : int
        How many there are.
    pixels : int or None
        Of all their planes; None if they must be read to know.
    """

    read: Callable[[], list[TrainingImage]]
    count: int
    pixels: int | None = None


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRequest:
    """What is trained, on what, and where.

    Parameters
    ----------
    images : Images
        What is trained on.
    task, settings, device : Task, TrainingSettings, str
        See :func:`.train`.
    kernel : ndarray, optional
        The blur.
    resume : Checkpoint, optional
        What the training goes on from.
    """

    images: Images
    task: Task
    settings: TrainingSettings
    device: str
    kernel: Array | None = None
    resume: Checkpoint | None = None

    def begin(self) -> Training:
        """Return the training; raises what :func:`.train` raises."""
        with stage("Reading the images"):
            found = self.images.read()
        with stage("Preparing the training"):
            return train(found, self.task, self.settings, kernel=self.kernel, device=self.device, resume=self.resume)


def images_of_folder(folder: Path, pattern: str | None, clean: Path | None) -> Images:
    """Return the images of a folder, and clean ones of their names in another one.

    Raises
    ------
    ValueError
        If there are no images, or a clean one is missing.
    """
    files = [path for path, _ in training_files([str(folder)], pattern, results=folder / "none")]
    pairs = [(path, None if clean is None else clean_file(clean, path)) for path in files]
    return Images(read=partial(_read_files, pairs), count=len(pairs))


def images_of_layers(layers: Sequence[Image], clean: Sequence[Image]) -> Images:
    """Return those of layers, and clean ones in the same order.

    Raises
    ------
    ValueError
        If none is ticked, or not as many clean ones.
    """
    if not layers:
        raise ValueError("no layer is ticked: tick one or more image layers to train on")
    if clean and len(clean) != len(layers):
        raise ValueError(
            f"{len(layers)} layers are ticked to train on, and {len(clean)} clean ones: tick as many of them, in the "
            "same order, or none"
        )
    pixels = sum(_pixel_count(layer) for layer in layers)
    return Images(read=partial(_read_layers, list(layers), list(clean)), count=len(layers), pixels=pixels)


def _pixel_count(layer: Image) -> int:
    """Return the pixels of all planes of a layer; its channels are of the same ones."""
    return math.prod(
        length for length, axis in zip(pixels_of(layer).shape, axes_of(layer), strict=True) if axis not in "CS"
    )


def _read_files(pairs: Sequence[tuple[Path, Path | None]]) -> list[TrainingImage]:
    found = []
    for path, clean in pairs:
        with stage(f"Reading {path.name}"):
            image = images.read(path)
            truth = None if clean is None else np.asarray(images.read_as_stored(clean).pixels)
            found.append(TrainingImage(name=path.name, pixels=image.pixels, axes=image.axes, clean=truth))
    return found


def _read_layers(layers: Sequence[Image], clean: Sequence[Image]) -> list[TrainingImage]:
    truths: list[Array | None] = [np.asarray(pixels_of(each)) for each in clean]
    truths = truths or [None] * len(layers)
    return [
        TrainingImage(name=layer.name, pixels=np.asarray(pixels_of(layer)), axes=axes_of(layer), clean=truth)
        for layer, truth in zip(layers, truths, strict=True)
    ]

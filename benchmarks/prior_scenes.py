"""The problems on which networks are compared as priors: four tasks on three images, with their truth."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import final

import numpy as np
import torch
from pairs import load
from skimage.data import brick, camera
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from napari_deep_prior import Denoise, Inpaint, SuperResolve
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.estimation.channels import GivenNoise, estimate_windows
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.operators import Downsample, Operator
from napari_deep_prior.problem import Problem
from napari_deep_prior.tasks.inputs import Inputs
from napari_deep_prior.tasks.task import Measured

TASKS = {"denoise": Denoise(), "half missing": Inpaint(), "holes": Inpaint(), "×2": SuperResolve()}

IMAGES = {
    "cells": ("generated cells", (80, 80)),
    "photograph": ("set12_09_sigma25.tif", (70, 330)),
    "confocal": ("confocal_fish_noisy.tif", (190, 290)),
}
"""Noisy image, of which the truth is known, and the first row and column of the square that is taken of it."""

INSTEAD = {"photograph": (camera, (60, 200)), "confocal": (brick, (0, 0))}
"""Of scikit-image, with noise added, where there is no folder of images."""

SIGMA = 25.0
"""Standard deviation of the noise that is added to them, in grey levels."""

HOLE = 8
"""Part of the side that each of four holes is wide: an eighth, 12 pixels of 96."""


@final
class Scene:
    """A square of an image as a problem, and how far an image of it is from its truth.

    Parameters
    ----------
    data : Path
        Folder with a folder ``denoise/`` of pairs.
    image, task : str
        Names, of ``IMAGES`` and ``TASKS``.
    size : int
        Pixels along a side, an even number.
    """

    def __init__(self, data: Path, image: str, task: str, size: int) -> None:
        self.task = TASKS[task]
        noisy, truth = _pair(data, image)
        row, column = IMAGES[image][1] if _is_there(data, image) else INSTEAD[image][1]
        square = (slice(row, row + size), slice(column, column + size))
        self.truth = truth[square]
        self.span = metrics.data_range(self.truth)
        self.asked = _missing(task, size)
        whole, part = (noisy, noisy[square]) if task == "denoise" else (truth, self.truth.astype(np.float64))
        if task == "×2":
            whole, part = _reduced(truth), _reduced(self.truth)
        elif task != "denoise":
            part = np.where(self.asked, np.nan, part)
        self.measured = part
        # The noise of the whole image: a small square of it hardly tells texture from noise.
        noise, _ = estimate_windows(windows_of(whole, "YX"), GivenNoise())
        (piece,) = plan(part.shape, "YX")
        values = canonical(part, "YX", device=torch.device("cpu"), missing="fill")
        measured = Measured(*values, piece)
        prepared = self.task.prepare(measured, noise, Inputs())
        posed = self.task.problem(measured, prepared, Inputs())
        self.problem, self.frame = posed.problem, posed.frame

    def psnr(self, tensor: Tensor) -> float:
        """Return the PSNR (dB) of a canonical image, in grey levels, of the pixels that were asked for."""
        return self.psnr_of(self.frame.to_image(tensor))

    def psnr_of(self, image: Array) -> float:
        """Return the PSNR (dB) of an image, in grey levels, of the pixels that were asked for."""
        return metrics.psnr(image[self.asked], self.truth[self.asked], span=self.span)

    def watched(self) -> Watched:
        """Return the problem with an operator that remembers the running averages of a fit."""
        return Watched(self.problem)


@functools.lru_cache(maxsize=1)
def scene_of(data: Path, image: str, task: str, size: int) -> Scene:
    """Return a scene, which all networks share: its noise is estimated once."""
    return Scene(data, image, task, size)


@final
class Watched:
    """A problem, and the last image of which the held-out error was asked: the running average of the outputs."""

    def __init__(self, problem: Problem) -> None:
        self._operator = _WatchedOperator(problem.operator)
        self.problem = dataclasses.replace(problem, operator=self._operator)

    @property
    def average(self) -> Tensor:
        """The running average of the last step."""
        assert self._operator.last is not None
        return self._operator.last


@final
class _WatchedOperator(Operator):
    """An operator that remembers its last image of which no gradient was wanted."""

    def __init__(self, operator: Operator) -> None:
        self.operator, self.factors = operator, operator.factors
        self.last: Tensor | None = None

    def __call__(self, image: Tensor) -> Tensor:
        if not image.requires_grad:
            self.last = image
        return self.operator(image)

    def interpolate(self, measured: Tensor) -> Tensor:
        return self.operator.interpolate(measured)

    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.operator.image_shape(measured_shape)

    def refuse_shape(self, image_shape: tuple[int, ...]) -> None:
        self.operator.refuse_shape(image_shape)

    def blur_image(self) -> Array | None:
        return self.operator.blur_image()


def without_a_network(scene: Scene) -> float:
    """Return the PSNR (dB) of the noisy image, of a biharmonic filling, or of bicubic interpolation."""
    if isinstance(scene.task, SuperResolve):
        return scene.psnr(scene.problem.operator.interpolate(scene.problem.measured))
    if isinstance(scene.task, Inpaint):
        filled = inpaint_biharmonic(np.where(scene.asked, 0, scene.measured), scene.asked)
        return scene.psnr_of(filled)
    return scene.psnr_of(scene.measured)


def _missing(task: str, size: int) -> Array:
    """Return the pixels that were asked for: those that are missing, or all."""
    if task == "half missing":
        return np.random.default_rng(0).random((size, size)) < 0.5
    if task != "holes":
        return np.ones((size, size), bool)
    missing = np.zeros((size, size), bool)
    side = size // HOLE
    for row, column in itertools.product((size // 4, 3 * size // 4), repeat=2):
        missing[row - side // 2 : row - side // 2 + side, column - side // 2 : column - side // 2 + side] = True
    return missing


def _reduced(image: Array) -> Array:
    tensor = torch.from_numpy(image.astype(np.float64))[None, None]
    return np.asarray(Downsample((2.0, 2.0), Bicubic())(tensor)[0, 0])


def _pair(data: Path, image: str) -> tuple[Array, Array]:
    if _is_there(data, image):
        return load(data, IMAGES[image][0])
    truth = INSTEAD[image][0]()
    return truth + np.random.default_rng(0).normal(0, SIGMA, truth.shape), truth


def _is_there(data: Path, image: str) -> bool:
    return image not in INSTEAD or (data / "denoise" / IMAGES[image][0]).is_file()

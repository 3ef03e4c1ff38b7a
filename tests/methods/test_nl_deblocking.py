"""A deblocked image is closer to the original than its JPEG, and compressing it gives nearly the same JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import Frame, canonical
from napari_deep_prior.arrays.metrics import psnr, ssim
from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.methods import NLDeblocking
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.physics.quantised_misfit import QuantisedMisfit
from napari_deep_prior.problem import Problem

QUICK = NLDeblocking(passes=4, group_size=25, search_radius=8)
TINY = NLDeblocking(passes=2, group_size=6, search_radius=2)

PICTURES = {
    "camera": data.camera()[150:246, 180:276],
    "coins": data.coins()[32:128, 64:160],
    "cells": np.clip(cells((96, 96)) / cells((96, 96)).max() * 220 + 10, 0, 255).astype(np.uint8),
    "astronaut": data.astronaut()[20:116, 180:276],
}
SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}


def compressed(picture: Array, quality: int, subsampling: int = 2) -> Array:
    file = io.BytesIO()
    options = {"subsampling": subsampling} if picture.ndim == 3 else {}
    Image.fromarray(picture).save(file, "JPEG", quality=quality, **options)
    with Image.open(file) as image:
        return np.asarray(image)


def posed(measured: Array, quality: int, subsampling: int = 2) -> tuple[Problem, Frame]:
    tensor, weight, frame = canonical(measured, "YXS"[: measured.ndim], device=torch.device("cpu"))
    tables = tables_of_quality(quality, colour=measured.ndim == 3, subsampling=SUBSAMPLINGS[subsampling])
    misfit = QuantisedMisfit(tables, frame.units, tensor)
    return Problem(measured=tensor, weight=weight, operator=Identity(), misfit=misfit), frame


def restored(measured: Array, quality: int, method: NLDeblocking = QUICK, subsampling: int = 2) -> Array:
    problem, frame = posed(measured, quality, subsampling)
    *_, step = method.fit(problem)
    return np.clip(np.rint(frame.to_image(step.image)), 0, 255).astype(np.uint8)


# How good it is


@pytest.mark.parametrize(
    ("name", "quality", "least"), [("camera", 10, 0.7), ("coins", 20, 0.4), ("cells", 40, 0.7), ("astronaut", 20, 0.5)]
)
def test_the_image_is_closer_to_the_original_than_the_jpeg_is(name: str, quality: int, least: float) -> None:
    picture = PICTURES[name]
    before = compressed(picture, quality)
    after = restored(before, quality)
    channel = None if picture.ndim == 2 else -1
    assert psnr(after, picture) > psnr(before, picture) + least
    assert ssim(after, picture, channel_axis=channel) > ssim(before, picture, channel_axis=channel)


@pytest.mark.parametrize("subsampling", [0, 1])
def test_colours_are_closer_also_with_other_subsampling(subsampling: int) -> None:
    picture = PICTURES["astronaut"]
    before = compressed(picture, 20, subsampling)
    assert psnr(restored(before, 20, QUICK, subsampling), picture) > psnr(before, picture) + 0.4


def test_the_blocks_are_gone() -> None:
    before = compressed(PICTURES["cells"], 10)
    after = restored(before, 10)

    def steps_at_edges(image: Array) -> float:
        """Return how much larger the differences between blocks are than those within."""
        differences = np.abs(np.diff(image.astype(float), axis=1)).mean(axis=0)
        edges = np.arange(7, image.shape[1] - 1, 8)
        return float(differences[edges].mean() / np.delete(differences, edges).mean())

    assert steps_at_edges(before) > 1.5
    assert steps_at_edges(after) < 1.1


def test_what_was_hardly_compressed_hardly_changes() -> None:
    picture = PICTURES["camera"]
    before = compressed(picture, 95)
    after = restored(before, 95)
    assert psnr(after, before) > 40
    assert psnr(after, picture) > psnr(before, picture)


def test_the_image_would_become_the_same_file_again() -> None:
    problem, _ = posed(compressed(PICTURES["astronaut"], 20), 20)
    misfit = problem.misfit
    *_, step = TINY.fit(problem)
    differences = misfit.cosine((step.image - problem.measured) * misfit.factor)
    # Except for the rounding of the decoded grey levels, and their clipping at black and white.
    outside = torch.cat([(steps.abs() > 0.5).flatten() for steps in differences])
    assert float(outside.float().mean()) < 0.002


# Every kind of image


@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (16, 24), (45, 33)])
@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_images_of_any_size_from_a_patch_on(name: str, shape: tuple[int, int]) -> None:
    measured = compressed(np.ascontiguousarray(PICTURES[name][: shape[0], : shape[1]]), 15)
    result = restored(measured, 15, TINY)
    assert result.shape == measured.shape
    assert np.abs(result.astype(float) - measured).mean() < 15


@pytest.mark.parametrize(("name", "top", "least"), [("coins", 20, 0.15), ("camera", 40, 0.4)])
def test_blocks_that_reach_beyond_the_edge_are_restored_too(name: str, top: int, least: float) -> None:
    picture = np.ascontiguousarray(PICTURES[name][top : top + 12, :75])
    before = compressed(picture, 10)
    assert psnr(restored(before, 10), picture) > psnr(before, picture) + least


@pytest.mark.parametrize("quality", [10, 30, 100])
def test_flat_images_with_an_edge_keep_it(quality: int) -> None:
    picture = np.full((40, 48), 90, np.uint8)
    picture[:, 20:] = 160
    measured = compressed(picture, quality)
    after = restored(measured, quality, TINY)
    # Nothing shows how far the means of flat blocks are off.
    assert psnr(after, picture) >= psnr(measured, picture) - 1


def test_the_intensities_of_the_image_change_nothing() -> None:
    dark = (PICTURES["camera"][:48, :48] // 2).astype(np.uint8)
    wide = dark.copy()
    wide[-1, -1] = 250
    one, other = (restored(compressed(picture, 20), 20, TINY)[:24, :24].astype(float) for picture in (dark, wide))
    assert np.abs(one - other).max() <= 2


# Steps


# What it refuses


def test_an_image_that_is_no_jpeg_is_refused_with_the_remedy() -> None:
    problem, _ = posed(compressed(PICTURES["camera"], 20), 20)
    other = Problem(measured=problem.measured, weight=problem.weight, operator=Identity(), misfit=GaussianMisfit())
    with pytest.raises(ValueError, match=r"no JPEG, or its quantisation tables are not known: choose the deep"):
        next(QUICK.fit(other))


def test_an_image_smaller_than_a_patch_is_refused() -> None:
    problem, _ = posed(compressed(np.ascontiguousarray(PICTURES["camera"][:7, :20]), 20), 20)
    with pytest.raises(ValueError, match="only 7 pixels wide, and patches need 8: choose the deep"):
        next(QUICK.fit(problem))


def test_missing_pixels_are_refused() -> None:
    problem, _ = posed(compressed(PICTURES["camera"], 20), 20)
    weight = problem.weight.clone()
    weight[..., 3, 4] = 0
    holed = Problem(measured=problem.measured, weight=weight, operator=Identity(), misfit=problem.misfit)
    with pytest.raises(ValueError, match="pixels are missing, and the blocks of a JPEG need all of them"):
        next(QUICK.fit(holed))

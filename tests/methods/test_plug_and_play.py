"""Missing pixels are filled better than smoothly where there is texture, whatever the image is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.restoration import inpaint_biharmonic

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import PlugAndPlay
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.training.held_out import hold_out_like_missing

FAST = PlugAndPlay(passes=8)
QUICK = PlugAndPlay(passes=3, group_size=12, search_radius=4)
TINY = PlugAndPlay(passes=2, group_size=6, search_radius=2)

SIDE = 64


def scattered(side: int = SIDE, share: float = 0.5, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((side, side)) < share


def scratches() -> Array:
    """Return two scratches of two pixels, one along the rows and one at an angle."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[20:22] = True
    for row in range(SIDE):
        mask[row, (row // 2 + 12) % SIDE : (row // 2 + 12) % SIDE + 2] = True
    return mask


def blocks() -> Array:
    """Return five holes of the size of a patch."""
    mask = np.zeros((SIDE, SIDE), bool)
    for row, column in ((8, 10), (14, 44), (30, 26), (44, 50), (50, 12)):
        mask[row : row + 6, column : column + 6] = True
    return mask


MASKS = {"scattered": scattered(), "scratches": scratches(), "blocks": blocks()}
IMAGES = {
    "brick": data.brick()[:SIDE, :SIDE],
    "camera": data.camera()[150 : 150 + SIDE, 180 : 180 + SIDE],
    "cells": cells((SIDE, SIDE)).astype(np.float32),
}


def problem(image: Array, mask: Array, axes: str = "YX") -> Problem:
    """Return the problem of an image whose masked pixels are missing."""
    holed = np.where(np.broadcast_to(mask, image.shape), np.nan, image.astype(np.float32))
    measured, weight, _ = canonical(holed, axes, device=torch.device("cpu"), missing="fill")
    return Problem(measured=measured, weight=weight, operator=Identity(), misfit=GaussianMisfit(0.05))


def filled(image: Array, mask: Array, method: PlugAndPlay = QUICK, *, axes: str = "YX") -> Array:
    """Return the image as the method fills it, in its own units."""
    holed = np.where(np.broadcast_to(mask, image.shape), np.nan, image.astype(np.float32))
    _, _, frame = canonical(holed, axes, device=torch.device("cpu"), missing="fill")
    *_, step = method.fit(problem(image, mask, axes))
    return frame.to_image(step.image)


def smoothly(image: Array, mask: Array) -> Array:
    return np.asarray(inpaint_biharmonic(image.astype(np.float64), mask))


def error(image: Array, truth: Array, where: Array) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((image.astype(np.float64) - truth.astype(np.float64))[where] ** 2)))


def gain(image: Array, mask: Array) -> float:
    """Return by how many decibels a filling is better than the smooth one."""
    ours = filled(image, mask, FAST)
    return 20 * float(np.log10(error(smoothly(image, mask), image, mask) / error(ours, image, mask)))


# How good it is


@pytest.mark.parametrize(
    ("image", "mask", "least"),
    [
        ("brick", "scattered", 2.0),
        ("brick", "scratches", 2.0),
        ("brick", "blocks", 3.0),
        ("camera", "blocks", 0.5),
    ],
)
def test_texture_is_filled_better_than_smoothly(image: str, mask: str, least: float) -> None:
    assert gain(IMAGES[image], MASKS[mask]) > least


@pytest.mark.parametrize("mask", ["scattered", "blocks"])
def test_what_is_smooth_is_filled_as_well_as_smoothly(mask: str) -> None:
    assert gain(IMAGES["cells"], MASKS[mask]) > -0.1


def test_noise_is_not_filled_in(rng: np.random.Generator) -> None:
    photons = cells((SIDE, SIDE))
    noisy, truth, mask = Camera().expose(photons, rng), Camera().expected(photons), scattered(share=0.3)
    image = filled(noisy, mask, FAST)
    assert error(image, truth, mask) < 0.9 * error(smoothly(noisy, mask), truth, mask)
    assert error(image, truth, mask) < 0.8 * error(noisy, truth, ~mask)


# Every kind of image


def test_channels_are_filled_by_a_mask_each(rng: np.random.Generator) -> None:
    image = np.stack([IMAGES["brick"], IMAGES["camera"]])
    mask = np.stack([scattered(seed=1), scattered(seed=2)])
    result = filled(image, mask, axes="CYX")
    for number in (0, 1):
        flat = np.full_like(image[number], image[number].mean())
        assert error(result[number], image[number], mask[number]) < 0.5 * error(flat, image[number], mask[number])


def test_a_channel_with_nothing_masked_hardly_changes() -> None:
    image = np.stack([IMAGES["brick"], IMAGES["camera"]])
    mask = np.stack([np.zeros((SIDE, SIDE), bool), blocks()])
    result = filled(image, mask, axes="CYX")
    assert error(result[0], image[0], blocks()) < 0.05 * np.ptp(image[0])
    assert error(result[1], image[1], blocks()) < 0.5 * np.std(image[1])


@pytest.fixture
def stack() -> Array:
    """Three different slices of 48 × 48 pixels."""
    return np.stack([data.camera()[150 + 10 * each : 198 + 10 * each, 180:228] for each in range(3)])


@pytest.mark.parametrize("whole", [False, True])
def test_a_volume_is_filled_by_a_mask_of_a_plane_or_of_all(stack: Array, whole: bool) -> None:
    mask = np.stack([scattered(48, 0.3, seed) for seed in range(3)]) if whole else scattered(48, 0.3)
    result = filled(stack, mask, axes="ZYX")
    missing = np.broadcast_to(mask, stack.shape)
    assert error(result, stack, missing) < 0.5 * error(np.full_like(stack, stack.mean()), stack, missing)


@pytest.mark.parametrize("share", [0.98, 0.998])
def test_a_few_known_pixels_are_enough_for_numbers(share: float) -> None:
    image, mask = IMAGES["camera"], scattered(share=share)
    result = filled(image, mask)
    assert np.isfinite(result).all()
    spread = np.ptp(image[~mask].astype(float))
    assert result.min() > image[~mask].min() - spread
    assert result.max() < image[~mask].max() + spread
    assert error(result, image, mask) < 1.3 * error(np.full_like(image, image[~mask].mean()), image, mask)


def flat_with_a_disc() -> Array:
    row, column = np.mgrid[:48, :48]
    return np.where(np.hypot(row - 24, column - 24) < 14, 200, 0).astype(np.uint8)


FLAT = {
    "a disc": (flat_with_a_disc(), "YX"),
    "a slope": (np.add.outer(np.arange(48.0), np.arange(48.0)), "YX"),
    "a single bright pixel": (np.eye(1, 48 * 48, 48 * 40 + 40).reshape(48, 48), "YX"),
    "a constant channel": (np.stack([data.camera()[150:198, 180:228], np.full((48, 48), 7, np.uint8)]), "CYX"),
    "no light around": (np.pad(np.random.default_rng(0).poisson(100.0, (16, 16)), 16).astype(np.uint16), "YX"),
}
"""Images in which patches are equal: their equations have no solution unless some noise is assumed."""


@pytest.mark.parametrize("hole", [np.s_[20:24], np.s_[4:10, 5:11]])
@pytest.mark.parametrize(("image", "axes"), FLAT.values(), ids=FLAT.keys())
def test_flat_images_are_filled(image: Array, axes: str, hole: object) -> None:
    mask = np.zeros((48, 48), bool)
    mask[hole] = True
    result = filled(image, mask, TINY, axes=axes)
    assert np.isfinite(result).all()
    # Better than the mean of what is known.
    flat = np.broadcast_to(image[..., ~mask].mean(axis=-1)[..., None, None], image.shape)
    missing = np.broadcast_to(mask, image.shape)
    assert error(result, image, missing) <= error(flat, image, missing)


# Steps


def test_later_passes_are_better_than_the_first() -> None:
    image, mask = IMAGES["brick"], MASKS["scattered"]
    posed, truth = problem(image, mask), problem(image, np.zeros_like(mask)).measured
    first, *_, last = (float((step.image - truth).square()[posed.weight == 0].mean()) for step in QUICK.fit(posed))
    assert last < 0.9 * first


@pytest.mark.parametrize("mask", MASKS)
def test_steps_are_counted_and_end_where_the_best_pass_was(mask: str) -> None:
    steps = list(QUICK.fit(problem(IMAGES["brick"], MASKS[mask])))
    chosen = int(steps[-1].chosen)
    assert [step.number for step in steps] == list(range(1, QUICK.passes + chosen + 1))
    assert {step.total for step in steps} == {2 * QUICK.passes}
    assert 1 <= chosen <= QUICK.passes
    errors = [float(step.criterion) for step in steps[: QUICK.passes]]
    # That of the best pass so far.
    assert errors == sorted(errors, reverse=True)


def test_in_the_end_held_out_pixels_are_used_too() -> None:
    posed = problem(IMAGES["brick"], MASKS["scattered"])
    held_out = hold_out_like_missing(posed.weight, torch.Generator().manual_seed(QUICK.seed)) > 0
    steps = list(QUICK.fit(posed))
    before, after = (
        float((step.image - posed.measured)[held_out].square().mean()) for step in (steps[QUICK.passes - 1], steps[-1])
    )
    assert after < 0.5 * before


def test_with_nothing_missing_the_image_hardly_changes() -> None:
    nothing = problem(IMAGES["brick"], np.zeros((SIDE, SIDE), bool))
    *_, step = QUICK.fit(nothing)
    assert float((step.image - nothing.measured).abs().max()) < 0.02


def test_images_smaller_than_a_patch_are_refused(rng: np.random.Generator) -> None:
    small = problem(rng.random((7, 9)), np.eye(7, 9, dtype=bool))
    with pytest.raises(ValueError, match=r"only 7 pixels wide, and patches need 8: choose the deep"):
        list(QUICK.fit(small))

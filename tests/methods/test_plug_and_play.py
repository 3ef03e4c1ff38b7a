"""What is missing is filled: better than smoothly where there is texture, and whatever the image is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from skimage.restoration import inpaint_biharmonic

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import MissingPixelsError, NothingToRestoreError
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import DeepImagePrior, NLRidge, PlugAndPlay
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.runs.presets import preset, suited
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.tasks import Denoise, Inpaint
from napari_deep_prior.training.held_out import HELD_OUT_SHARE, hold_out_like_missing

FAST = preset(Inpaint(), "fast")
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


def filled(image: Array, mask: Array | None, method: PlugAndPlay = QUICK, **options: object) -> Array:
    return restore(image, Inpaint(), method, mask=mask, device="cpu", **options).finish()


def smoothly(image: Array, mask: Array) -> Array:
    return np.asarray(inpaint_biharmonic(image.astype(np.float64), mask))


def error(image: Array, truth: Array, where: Array) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((image.astype(np.float64) - truth.astype(np.float64))[where] ** 2)))


def gain(image: Array, mask: Array) -> float:
    """Return by how many decibels a filling is better than the smooth one."""
    ours = filled(image, mask, FAST, dtype="float32")
    return 20 * float(np.log10(error(smoothly(image, mask), image, mask) / error(ours, image, mask)))


# How good it is


@pytest.mark.parametrize(
    ("image", "mask", "least"),
    [
        ("brick", "scattered", 2.0),
        ("brick", "scratches", 2.0),
        ("brick", "blocks", 3.0),
        ("camera", "scattered", 0.5),
        ("camera", "blocks", 0.5),
    ],
)
def test_texture_is_filled_better_than_smoothly(image: str, mask: str, least: float) -> None:
    assert gain(IMAGES[image], MASKS[mask]) > least


@pytest.mark.parametrize("mask", MASKS)
def test_what_is_smooth_is_filled_as_well_as_smoothly(mask: str) -> None:
    assert gain(IMAGES["cells"], MASKS[mask]) > -0.1


def test_noise_is_not_filled_in(rng: np.random.Generator) -> None:
    photons = cells((SIDE, SIDE))
    noisy, truth, mask = Camera().expose(photons, rng), Camera().expected(photons), scattered(share=0.3)
    image = filled(noisy, mask, FAST)
    assert error(image, truth, mask) < 0.9 * error(smoothly(noisy, mask), truth, mask)
    assert error(image, truth, mask) < 0.8 * error(noisy, truth, ~mask)


# Every kind of image


def test_a_colour_image_is_filled(rng: np.random.Generator) -> None:
    image, mask = data.astronaut()[30:78, 180:228], scattered(48, 0.3)
    result = filled(image, mask)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[~mask], image[~mask])
    mean = np.broadcast_to(image[~mask].mean(axis=0), image.shape)
    assert error(result, image, mask) < 0.5 * error(mean, image, mask)


def test_channels_are_filled_by_a_mask_each(rng: np.random.Generator) -> None:
    image = np.stack([IMAGES["brick"], IMAGES["camera"]])
    mask = np.stack([scattered(seed=1), scattered(seed=2)])
    result = filled(image, mask, axes="CYX")
    np.testing.assert_array_equal(result[~mask], image[~mask])
    for number in (0, 1):
        flat = np.full_like(image[number], image[number].mean())
        assert error(result[number], image[number], mask[number]) < 0.5 * error(flat, image[number], mask[number])


def test_a_channel_with_nothing_masked_comes_back_as_it_was() -> None:
    image = np.stack([IMAGES["brick"], IMAGES["camera"]])
    mask = np.stack([np.zeros((SIDE, SIDE), bool), blocks()])
    result = filled(image, mask, axes="CYX")
    np.testing.assert_array_equal(result[0], image[0])
    assert (result[1] != image[1])[blocks()].mean() > 0.5


@pytest.fixture
def stack() -> Array:
    """Three different slices of 48 × 48 pixels."""
    return np.stack([data.camera()[150 + 10 * each : 198 + 10 * each, 180:228] for each in range(3)])


def test_a_plane_mask_fills_every_slice_of_a_stack_as_if_it_were_alone(stack: Array) -> None:
    mask = scattered(48, 0.3)
    result = filled(stack, mask, axes="ZYX")
    np.testing.assert_array_equal(result[:, ~mask], stack[:, ~mask])
    # The noise is told from the first slice, for all of them; what is filled does not depend on it.
    for before, after in zip(stack, result, strict=True):
        np.testing.assert_array_equal(after, filled(before, mask))


@pytest.mark.parametrize("whole", [False, True])
def test_a_volume_is_filled_by_a_mask_of_a_plane_or_of_all(stack: Array, whole: bool) -> None:
    mask = np.stack([scattered(48, 0.3, seed) for seed in range(3)]) if whole else scattered(48, 0.3)
    run = restore(stack, Inpaint(), QUICK, mask=mask, axes="ZYX", volume=True, device="cpu")
    result = run.finish()
    missing = np.broadcast_to(mask, stack.shape)
    assert run.slice_count == 1
    np.testing.assert_array_equal(result[~missing], stack[~missing])
    assert error(result, stack, missing) < 0.5 * error(np.full_like(stack, stack.mean()), stack, missing)


@pytest.mark.parametrize("share", [0.98, 0.998])
def test_a_few_known_pixels_are_enough_for_numbers(share: float) -> None:
    image, mask = IMAGES["camera"], scattered(share=share)
    result = filled(image, mask, dtype="float32")
    assert np.isfinite(result).all()
    search_radius = np.ptp(image[~mask].astype(float))
    assert result.min() > image[~mask].min() - search_radius
    assert result.max() < image[~mask].max() + search_radius
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
"""Images in which patches are exactly alike: their equations have no solution without some noise to reckon with."""


@pytest.mark.parametrize("hole", [np.s_[20:24], np.s_[4:10, 5:11], np.s_[22:26, 30:40]])
@pytest.mark.parametrize(("image", "axes"), FLAT.values(), ids=FLAT.keys())
def test_flat_images_are_filled(image: Array, axes: str, hole: object) -> None:
    mask = np.zeros((48, 48), bool)
    mask[hole] = True
    result = filled(image, mask, TINY, axes=axes)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[..., ~mask], image[..., ~mask])
    # Better than the mean of what is known.
    flat = np.broadcast_to(image[..., ~mask].mean(axis=-1)[..., None, None], image.shape)
    missing = np.broadcast_to(mask, image.shape)
    assert error(result, image, missing) <= error(flat, image, missing)


@pytest.mark.parametrize("shape", [(8, 8), (8, 21), (9, 8), (13, 11)])
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_the_smallest_images_are_filled(rng: np.random.Generator, shape: tuple[int, int], share: float) -> None:
    image = rng.integers(0, 200, shape).astype(np.uint8)
    mask = rng.random(shape) < share
    mask[2, 3] = True
    result = filled(image, mask)
    np.testing.assert_array_equal(result[~mask], image[~mask])


# Steps


def problem(image: Array, mask: Array) -> Problem:
    measured = torch.from_numpy((image / image.max() * 0.9 + 0.05).astype(np.float32))[None, None]
    weight = torch.from_numpy(~mask).to(torch.float32)[None, None]
    return Problem(
        measured=torch.where(weight > 0, measured, 0.5), weight=weight, operator=Identity(), misfit=GaussianMisfit()
    )


def test_the_first_step_is_a_filled_image() -> None:
    image, mask = IMAGES["brick"].copy(), MASKS["scattered"]
    truth = image.copy()
    image[mask] = 255
    run = restore(image, Inpaint(), FAST, mask=mask, device="cpu")
    next(run)
    np.testing.assert_array_equal(run.image[~mask], truth[~mask])
    assert error(run.image, truth, mask) < 0.1 * error(image, truth, mask)
    stopped = run.image
    run.close()
    np.testing.assert_array_equal(run.image, stopped)


def test_the_last_step_is_the_answer() -> None:
    image, mask = IMAGES["brick"], MASKS["scattered"]
    run = restore(image, Inpaint(), QUICK, mask=mask, device="cpu", dtype="float32")
    images = [run.latest_slice[1] for _ in run]
    np.testing.assert_array_equal(run.image[mask], images[-1][mask])
    assert (images[0] != images[-1])[mask].any()
    assert error(images[-1], image, mask) < error(images[0], image, mask)


@pytest.mark.parametrize("mask", MASKS)
def test_steps_are_counted_and_end_where_the_best_pass_was(mask: str) -> None:
    steps = list(QUICK.fit(problem(IMAGES["brick"], MASKS[mask])))
    chosen = int(steps[-1].chosen)
    assert [step.number for step in steps] == list(range(1, QUICK.passes + chosen + 1))
    assert {step.total for step in steps} == {2 * QUICK.passes}
    assert 1 <= chosen <= QUICK.passes
    errors = [float(step.criterion) for step in steps[: QUICK.passes]]
    # The best so far: never worse than before.
    assert errors == sorted(errors, reverse=True)


def test_pixels_that_judge_are_filled_from_all_pixels_in_the_end() -> None:
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


# Pixels that judge


def block() -> Array:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[30:38, 40:48] = True
    return mask


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_single_pixels_judge_where_single_pixels_are_missing(generator: torch.Generator) -> None:
    known = torch.from_numpy(~scattered(128)).to(torch.float32)[None, None]
    held_out = hold_out_like_missing(known, generator)
    assert not (held_out > known).any()
    assert 0.8 * HELD_OUT_SHARE < float(held_out.sum() / known.sum()) < 1.2 * HELD_OUT_SHARE


def test_holes_judge_where_holes_are_missing(generator: torch.Generator) -> None:
    known = torch.from_numpy(~block()).to(torch.float32)[None, None]
    held_out = hold_out_like_missing(known, generator)[0, 0]
    assert not (held_out > known[0, 0]).any()
    rows, columns = held_out.any(dim=1), held_out.any(dim=0)
    # A block elsewhere, over the border if it so happens, less what it shares with the hole itself.
    assert int(rows.sum()) <= 8
    assert int(columns.sum()) <= 8
    assert 32 <= int(held_out.sum()) <= 64


def test_holes_judge_at_the_same_place_in_all_planes_of_a_volume(generator: torch.Generator) -> None:
    known = torch.from_numpy(~block()).to(torch.float32)[None, None, None].repeat(1, 2, 3, 1, 1)
    held_out = hold_out_like_missing(known, generator)
    assert float(held_out.sum()) > 0
    assert torch.equal(held_out, held_out[:, :1, :1].expand_as(held_out))


def test_some_pixels_judge_although_nothing_is_missing(generator: torch.Generator) -> None:
    assert 0 < float(hold_out_like_missing(torch.ones(1, 1, 64, 64), generator).mean()) < 2 * HELD_OUT_SHARE


# Limits, and what cannot be filled


@pytest.mark.parametrize("shape", [(30, 7), (2, 3)])
def test_images_smaller_than_a_patch_are_filled_by_the_deep_image_prior(
    rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    image, mask = rng.integers(0, 200, shape).astype(np.uint8), np.zeros(shape, bool)
    mask[1, 1] = True
    run = restore(image, Inpaint(), QUICK, mask=mask, device="cpu")
    next(run)
    run.close()
    said = f"the image is only {min(shape)} pixels wide, and patches need 8: the deep image prior was used instead"
    assert run.record["instead"] == said
    assert run.record["method"]["kind"] == DeepImagePrior.__name__
    np.testing.assert_array_equal(run.image[~mask], image[~mask])


def test_the_method_itself_refuses_them_with_the_remedy(rng: np.random.Generator) -> None:
    small = problem(rng.random((7, 9)), np.eye(7, 9, dtype=bool))
    with pytest.raises(ValueError, match=r"only 7 pixels wide, and patches need 8: choose a preset with the deep"):
        list(QUICK.fit(small))


NOTHING, EVERYTHING = np.zeros((16, 16), bool), np.ones((16, 16), bool)
PART = np.eye(16, dtype=bool)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (NOTHING, "^the mask is empty: paint what is to be filled"),
        (EVERYTHING, "^the mask covers everything: nothing is known"),
        (PART[:9], r"^the mask has shape \(9, 16\); the image's is \(16, 16\)"),
        (None, "^there is no mask: give one that is not 0 where pixels are to be filled$"),
    ],
)
def test_a_mask_that_is_none_is_refused_before_anything_starts(
    rng: np.random.Generator, mask: Array | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        restore(rng.integers(0, 9, (16, 16)).astype(np.uint8), Inpaint(), QUICK, mask=mask, device="cpu")


@pytest.mark.parametrize("method", [NLRidge(), QUICK])
def test_a_task_that_fills_nothing_takes_no_mask(rng: np.random.Generator, method: PlugAndPlay) -> None:
    with pytest.raises(
        ValueError, match=r"^mask was given, but 'denoise' does not take it: leave it out, or choose 'inpaint'$"
    ):
        restore(rng.random((16, 16)), Denoise(), method, mask=PART, device="cpu")


def test_without_a_mask_missing_pixels_are_filled() -> None:
    image = IMAGES["brick"].astype(np.float32)
    truth, mask = image.copy(), MASKS["scattered"]
    image[mask] = np.nan
    result = filled(image, None)
    np.testing.assert_array_equal(result[~mask], truth[~mask])
    np.testing.assert_array_equal(result, filled(truth, mask))


def test_an_image_with_nothing_missing_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(NothingToRestoreError, match="no pixel is masked or missing: there is nothing to fill"):
        filled(rng.random((16, 16)), None)


def test_an_image_with_nothing_known_is_refused(rng: np.random.Generator) -> None:
    image = np.where(PART, rng.random((16, 16)), np.nan)
    with pytest.raises(NothingToRestoreError, match="every pixel is masked or missing: there is nothing to fill from"):
        filled(image, PART)


class Lazy:
    """An array whose pixels are not looked at before a run."""

    def __init__(self, pixels: Array) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype

    def __getitem__(self, index: object) -> Array:
        return self.pixels[index]


@pytest.mark.parametrize("wrap", [np.asarray, Lazy])
def test_missing_pixels_that_are_not_masked_can_be_refused(
    rng: np.random.Generator, wrap: Callable[[Array], Array]
) -> None:
    image = rng.random((16, 16))
    strict = Inpaint(missing="refuse")
    result = restore(wrap(image), strict, TINY, mask=PART, device="cpu").finish()
    np.testing.assert_array_equal(result[~PART], image[~PART])
    image[3, 5:8] = np.nan
    with pytest.raises(MissingPixelsError, match="3 of 256 pixels are NaN or infinite: set 'missing' to 'fill'"):
        restore(wrap(image), strict, TINY, mask=PART, device="cpu").finish()


def holes(name: str) -> np.ndarray:
    mask = np.zeros((80, 90), bool)
    if name == "paper":
        return np.random.default_rng(0).random(mask.shape) < 0.5
    if name == "paper-sparse":
        return np.random.default_rng(0).random(mask.shape) < 0.98
    if name == "paper-large":
        mask[20:60, 20:60] = True
    else:
        mask[30:33] = mask[:, 40:44] = True
    return mask


@pytest.mark.parametrize("name", ["paper", "paper-text", "paper-large", "paper-sparse"])
def test_the_papers_network_is_chosen_by_the_size_of_the_holes(pose: Any, name: str) -> None:
    image = np.random.default_rng(0).random((80, 90))
    problem = pose(np.where(holes(name), np.nan, image), missing="fill")
    method, remark = suited(Inpaint(), dataclasses.replace(preset(Inpaint(), "paper"), seed=3), problem)
    assert method == dataclasses.replace(preset(Inpaint(), name), seed=3)
    assert remark == ("" if name == "paper" else f"the network was chosen by the size of the holes: {name}")

"""Filling missing pixels: masks, refusals, and which method fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skimage import data

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import MissingPixelsError, NothingToRestoreError
from napari_deep_prior.methods import DeepImagePrior, NLRidge, PlugAndPlay
from napari_deep_prior.runs.efforts import PUBLISHED_FOR_HOLES
from napari_deep_prior.runs.recommend import Wish, recommend
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise, Inpaint

QUICK = PlugAndPlay(passes=3, group_size=12, search_radius=4)
TINY = PlugAndPlay(passes=2, group_size=6, search_radius=2)
NOTHING, EVERYTHING = np.zeros((16, 16), bool), np.ones((16, 16), bool)
PART = np.eye(16, dtype=bool)


def filled(image: Array, mask: Array | None, **options: object) -> Array:
    return restore(image, Inpaint(), QUICK, mask=mask, device="cpu", **options).finish()


@pytest.fixture
def stack() -> Array:
    """Three different slices of 48 × 48 pixels."""
    return np.stack([data.camera()[150 + 10 * each : 198 + 10 * each, 180:228] for each in range(3)])


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
    image = data.brick()[:48, :48].astype(np.float32)
    truth, mask = image.copy(), np.random.default_rng(0).random((48, 48)) < 0.5
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
    if name == "scattered pixels":
        return np.random.default_rng(0).random(mask.shape) < 0.5
    if name == "few known pixels":
        return np.random.default_rng(0).random(mask.shape) < 0.98
    if name == "a large hole":
        mask[20:60, 20:60] = True
    else:
        mask[30:33] = mask[:, 40:44] = True
    return mask


@pytest.mark.parametrize("name", ["scattered pixels", "text and scratches", "a large hole", "few known pixels"])
def test_the_published_network_is_chosen_by_the_size_of_the_holes(pose: Any, name: str) -> None:
    image = np.random.default_rng(0).random((80, 90))
    problem = pose(np.where(holes(name), np.nan, image), missing="fill")
    choice = recommend(Inpaint(), problem, Wish(method="deep-image-prior", effort="published"))
    assert choice.method == PUBLISHED_FOR_HOLES[name]
    assert choice.instead == ("" if name == "scattered pixels" else f"the network was chosen for {name}")


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
    assert run.record.instead == said
    assert isinstance(run.record.method, DeepImagePrior)
    np.testing.assert_array_equal(run.image[~mask], image[~mask])


def test_a_plane_mask_fills_every_slice_of_a_stack(stack: Array) -> None:
    mask = np.random.default_rng(0).random((48, 48)) < 0.3
    result = filled(stack, mask, axes="ZYX")
    np.testing.assert_array_equal(result[:, ~mask], stack[:, ~mask])
    # Each slice has random numbers of its own: the first one those of a single image.
    np.testing.assert_array_equal(result[0], filled(stack[0], mask))
    for before, after in zip(stack, result, strict=True):
        errors = [float(np.abs(image - before)[mask].mean()) for image in (after.astype(float), before[~mask].mean())]
        assert errors[0] < 0.5 * errors[1]

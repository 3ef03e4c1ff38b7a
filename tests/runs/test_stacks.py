"""Stacks: what is restored in which order, and what is read when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from napari_deep_prior.arrays.frame import MissingPixelsError
from napari_deep_prior.estimation.sampling import MOST_WINDOWS
from napari_deep_prior.methods import DeepImagePrior, Method
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import set_up
from napari_deep_prior.tasks import Denoise, Inpaint

from .toys import Counting, dimming

Make = Callable[..., DeepImagePrior]


@pytest.fixture
def stack(rng: np.random.Generator) -> np.ndarray:
    """Three frames of 13 × 11 pixels."""
    return rng.integers(0, 1000, (3, 13, 11)).astype(np.uint16)


NOISY = Denoise(neighbours=0, gain=1.0, offset=0.0, sigma=250.0)
"""All of the stack is noise."""


def as_piece(number: int, image: np.ndarray, method: Method) -> np.ndarray:
    """Return an image that was restored as if it were piece ``number`` of a stack."""
    wish = Wish(method="deep-image-prior", effort="", settings=method)
    setup = set_up(image, NOISY, wish, {}, RunOptions(device="cpu"))
    pieces = [dataclasses.replace(piece, number=number) for piece in setup.pieces]
    return Restoration(dataclasses.replace(setup, pieces=pieces)).finish()


def test_a_slice_is_restored_as_if_it_were_alone_with_the_seed_of_its_number(stack: np.ndarray, tiny: Make) -> None:
    # The noise is given: estimated, it would be that of the whole stack.
    whole = restore(stack, NOISY, tiny(), axes="TYX", device="cpu").finish()
    for number, (frame, restored) in enumerate(zip(stack, whole, strict=True)):
        np.testing.assert_array_equal(restored, as_piece(number, frame, tiny()))
    np.testing.assert_array_equal(whole[0], restore(stack[0], NOISY, tiny(), device="cpu").finish())
    assert (whole[1] != restore(stack[1], NOISY, tiny(), device="cpu").finish()).any()


def test_slices_that_were_not_reached_equal_the_input(stack: np.ndarray, tiny: Make) -> None:
    run = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu")
    assert run.piece_count == 3
    for step in run:
        if run.piece_number == 2 and step.number == 2:
            break
    image = run.image
    assert (image[0] != stack[0]).any()
    assert (image[1] != stack[1]).any()
    np.testing.assert_array_equal(image[2], stack[2])
    assert len(run.record.chosen_steps) == 2
    run.close()
    np.testing.assert_array_equal(run.image, image)
    assert len(run.record.chosen_steps) == 2


def test_a_constant_slice_passes_through(stack: np.ndarray, tiny: Make) -> None:
    stack[1] = 77
    run = restore(stack, Denoise(), tiny(stop="none"), axes="TYX", device="cpu")
    numbers = {run.piece_number for _ in run}
    assert numbers == {1, 3}
    np.testing.assert_array_equal(run.image[1], stack[1])
    assert (run.image[2] != stack[2]).any()
    assert run.record.chosen_steps == [3, None, 3]


def test_a_stack_of_constant_slices_passes_through_without_a_step(tiny: Make) -> None:
    stack = np.arange(2, dtype=np.uint8)[:, None, None].repeat(5, 1).repeat(5, 2)
    run = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu")
    assert list(run) == []
    np.testing.assert_array_equal(run.image, stack)


@pytest.mark.parametrize("axes", ["YTX", "YXT"])
def test_the_stack_axis_may_be_anywhere(stack: np.ndarray, tiny: Make, axes: str) -> None:
    place = axes.index("T")
    moved = restore(np.moveaxis(stack, 0, place), Denoise(), tiny(), axes=axes, device="cpu").finish()
    wanted = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").finish()
    np.testing.assert_array_equal(np.moveaxis(moved, place, 0), wanted)


def test_a_volume_is_restored_at_once(stack: np.ndarray, tiny: Make) -> None:
    run = restore(stack, Denoise(), tiny(), axes="ZYX", volume=True, device="cpu")
    assert run.piece_count == 1
    assert next(run).image.shape == (1, 1, 3, 13, 11)
    assert run.image.shape == stack.shape


def test_channels_of_a_slice_are_restored_together(rng: np.random.Generator, tiny: Make) -> None:
    image = rng.random((2, 3, 9, 8)).astype(np.float32)
    run = restore(image, Denoise(), tiny(), axes="TCYX", device="cpu")
    assert run.piece_count == 2
    assert next(run).image.shape == (1, 3, 9, 8)
    assert run.finish().shape == image.shape


# Slices that cannot be restored

BAD = {
    "constant channels that differ": (np.stack([np.zeros((9, 8)), np.ones((9, 8))]), "TCYX"),
    "all NaN": (np.full((2, 9, 8), np.nan), "TCYX"),
    "constant but for a NaN": (np.where(np.arange(144).reshape(2, 9, 8) == 5, np.nan, 3.0), "TCYX"),
    "black RGBA frame": (np.concatenate([np.zeros((9, 8, 3)), np.ones((9, 8, 1))], axis=2), "TYXS"),
}


@pytest.mark.parametrize(("bad", "axes"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("place", [0, 1])
def test_a_slice_with_nothing_to_restore_does_not_end_the_run(
    rng: np.random.Generator, bad: np.ndarray, axes: str, place: int
) -> None:
    stack = rng.random((2, *bad.shape)).astype(np.float32)
    stack[place] = bad
    run = restore(stack, Denoise(missing="fill"), dimming(), axes=axes, device="cpu")
    image = run.finish()
    np.testing.assert_array_equal(image[place], stack[place])
    assert (image[1 - place] != stack[1 - place]).any()
    assert run.record.chosen_steps[place] is None
    (note,) = run.record.passed_through
    assert note.startswith(f"slice {place + 1}: ")
    assert note.endswith("nothing to restore")


def holed(stack: np.ndarray, number: int) -> np.ndarray:
    image = stack.astype(np.float32)
    image[number, 4, 5:8] = np.nan
    return image


def test_missing_pixels_that_a_lazy_array_shows_late_pass_through(stack: np.ndarray) -> None:
    image = holed(stack, 1)
    run = restore(Counting(image), Denoise(), dimming(), axes="PYX", device="cpu")
    restored = run.finish()
    np.testing.assert_array_equal(restored[1], image[1])
    assert (restored[2] != image[2]).any()
    assert run.record.chosen_steps == [2, None, 2]
    assert run.record.passed_through[0].startswith("slice 2: 3 of 143 pixels are NaN or infinite")


def test_missing_pixels_in_the_first_slice_of_a_lazy_array_are_refused(stack: np.ndarray) -> None:
    run = restore(Counting(holed(stack, 0)), Denoise(), dimming(), axes="PYX", device="cpu")
    with pytest.raises(MissingPixelsError, match="3 of 143"):
        run.finish()


def test_missing_pixels_of_an_array_in_memory_are_counted_at_once(stack: np.ndarray) -> None:
    image = holed(stack, 2)
    image[0, 0, 0] = np.inf
    with pytest.raises(MissingPixelsError, match="4 of 429"):
        restore(image, Denoise(), dimming(), axes="TYX", device="cpu")


# What is read when


def test_an_array_on_disk_is_read_slice_by_slice(stack: np.ndarray) -> None:
    lazy = Counting(stack)
    run = restore(lazy, Denoise(), dimming(), axes="PYX", device="cpu")
    assert lazy.count == 0
    next(run)
    # The first slice, and windows of all of them for the noise, which here are whole slices.
    shared = stack.size
    next(run)
    assert run.growing[run.show_latest()].shape == (13, 11)
    assert lazy.count == shared + stack[0].size
    next(run)
    # The third slice is not read again before it is asked for.
    run.close()
    assert lazy.count == shared + 2 * stack[0].size
    np.testing.assert_array_equal(run.image[2], stack[2])


def test_of_a_long_stack_only_some_slices_are_read_twice() -> None:
    lazy = Counting(np.random.default_rng(0).poisson(100, (100, 12, 12)).astype(np.uint16))
    assert restore(lazy, Denoise(), dimming(), axes="PYX", device="cpu").finish().shape == lazy.shape
    assert lazy.count == (100 + MOST_WINDOWS) * 12 * 12


def test_a_dask_array_stays_lazy_until_a_slice_is_needed(stack: np.ndarray) -> None:
    dask = pytest.importorskip("dask")
    array = pytest.importorskip("dask.array")
    loaded = []

    def load(number: int) -> np.ndarray:
        loaded.append(number)
        return stack[number]

    frames = [array.from_delayed(dask.delayed(load)(number), stack.shape[1:], stack.dtype) for number in range(3)]
    run = restore(array.stack(frames), Denoise(), dimming(), axes="PYX", device="cpu")
    assert run.piece_count == 3
    assert loaded == []
    next(run)
    # Every slice once for the noise; and then each as it is restored.
    assert loaded == [0, 0, 1, 2]
    np.testing.assert_array_equal(run.finish(), restore(stack, Denoise(), dimming(), axes="PYX", device="cpu").finish())
    assert loaded == [0, 0, 1, 2, 1, 2]


def test_the_noise_of_a_time_lapse_is_estimated_once_from_some_of_its_frames(rng: np.random.Generator) -> None:
    lazy = Counting(rng.poisson(100, (40, 24, 24)).astype(np.uint16))
    run = restore(lazy, Denoise(neighbours=0), dimming(), axes="TYX", device="cpu")
    next(run)
    assert lazy.count == (1 + MOST_WINDOWS) * 24 * 24
    noise = run.record.noise
    assert noise is not None
    next(run)
    next(run)
    assert run.piece_number == 2
    assert lazy.count == (2 + MOST_WINDOWS) * 24 * 24
    assert run.record.noise == noise


def test_planes_that_disagree_about_the_noise_are_named(rng: np.random.Generator) -> None:
    planes = rng.normal(100, 3, (4, 32, 32))
    planes[0] = rng.normal(100, 12, (32, 32))
    run = restore(planes, Denoise(), dimming(), axes="ZYX", device="cpu")
    run.finish()
    assert run.record.noise.channels[0].variance(100) == pytest.approx(9, rel=0.5)
    (remark,) = [remark for remark in run.record.remarks if "disagree" in remark]
    assert remark.startswith("the slices disagree about the noise: at Z 1 it is ")


def test_the_noise_of_a_time_lapse_is_not_estimated_from_masked_pixels(rng: np.random.Generator) -> None:
    frames = rng.poisson(100, (4, 64, 64)).astype(np.uint16)
    mask = np.zeros((64, 64), bool)
    mask[:, 20:26] = True
    found = []
    for values in (100, 65535, rng.integers(0, 2000, (4, 64 * 6))):
        frames[:, mask] = values
        run = restore(frames, Inpaint(), dimming(), mask=mask, axes="TYX", device="cpu")
        next(run)
        found.append(run.record.noise)
    assert found[0].channels[0].reliable
    assert found == [found[0]] * 3

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from napari_deep_prior.arrays.frame import MissingPixelsError
from napari_deep_prior.arrays.pieces import MOST_FRAMES, sample, slice_axes, slices
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.tasks import Denoise

Make = Callable[..., DeepImagePrior]


@pytest.mark.parametrize("volume", [False, True])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 5), "YX"), ((3, 4, 5), "ZYX"), ((2, 3, 4, 5), "TCYX"), ((4, 5, 2, 3), "YXTZ"), ((2, 2, 4, 5, 3), "TZYXS")],
)
def test_slices_cover_every_pixel_once(shape: tuple[int, ...], axes: str, volume: bool) -> None:
    visits = np.zeros(shape, int)
    lengths = dict(zip(axes, shape, strict=True))
    for index in slices(shape, axes, volume=volume):
        visits[index] += 1
        letters = slice_axes(axes, volume=volume)
        assert visits[index].shape == tuple(lengths[letter] for letter in letters)
    assert (visits == 1).all()


def test_slices_come_in_order_and_only_along_stack_axes() -> None:
    everything = slice(None)
    assert slices((2, 3, 4, 5), "TCYX", volume=False) == [(number, *(everything,) * 3) for number in (0, 1)]
    assert slices((2, 4, 5), "ZYX", volume=True) == [(everything,) * 3]
    assert slice_axes("TZCYX", volume=True) == "ZCYX"


@pytest.fixture
def stack(rng: np.random.Generator) -> np.ndarray:
    """Three frames of 13 × 11 pixels."""
    return rng.integers(0, 1000, (3, 13, 11)).astype(np.uint16)


def test_each_slice_is_restored_as_if_it_were_alone(stack: np.ndarray, tiny: Make) -> None:
    # Too small to tell their noise, which would be told once for the whole stack.
    stack = stack[:, :9, :8]
    whole = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").finish()
    for frame, restored in zip(stack, whole, strict=True):
        np.testing.assert_array_equal(restored, restore(frame, Denoise(), tiny(), device="cpu").finish())


def test_slices_that_were_not_reached_equal_the_input(stack: np.ndarray, tiny: Make) -> None:
    run = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu")
    assert run.slice_count == 3
    for step in run:
        if run.slice_number == 2 and step.number == 2:
            break
    image = run.image
    assert (image[0] != stack[0]).any()
    assert (image[1] != stack[1]).any()
    np.testing.assert_array_equal(image[2], stack[2])
    assert run.record["slices restored"] == "2 of 3"
    run.close()
    np.testing.assert_array_equal(run.image, image)
    assert run.record["slices restored"] == "2 of 3"


def test_a_constant_slice_passes_through(stack: np.ndarray, tiny: Make) -> None:
    stack[1] = 77
    run = restore(stack, Denoise(), tiny(stop="none"), axes="TYX", device="cpu")
    numbers = {run.slice_number for _ in run}
    assert numbers == {1, 3}
    np.testing.assert_array_equal(run.image[1], stack[1])
    assert (run.image[2] != stack[2]).any()
    assert run.record["chosen step"] == [3, None, 3]


def test_a_stack_of_constant_slices_passes_through_without_a_step(tiny: Make) -> None:
    stack = np.arange(2, dtype=np.uint8)[:, None, None].repeat(5, 1).repeat(5, 2)
    run = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu")
    assert list(run) == []
    np.testing.assert_array_equal(run.image, stack)


@pytest.mark.parametrize("axes", ["TYX", "YTX", "YXT"])
def test_the_stack_axis_may_be_anywhere(stack: np.ndarray, tiny: Make, axes: str) -> None:
    place = axes.index("T")
    moved = restore(np.moveaxis(stack, 0, place), Denoise(), tiny(), axes=axes, device="cpu").finish()
    wanted = restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").finish()
    np.testing.assert_array_equal(np.moveaxis(moved, place, 0), wanted)


def test_a_volume_is_restored_at_once(stack: np.ndarray, tiny: Make) -> None:
    run = restore(stack, Denoise(), tiny(), axes="ZYX", volume=True, device="cpu")
    assert run.slice_count == 1
    assert next(run).image.shape == (1, 1, 3, 13, 11)
    assert run.image.shape == stack.shape


def test_channels_of_a_slice_are_restored_together(rng: np.random.Generator, tiny: Make) -> None:
    image = rng.random((2, 3, 9, 8)).astype(np.float32)
    run = restore(image, Denoise(), tiny(), axes="TCYX", device="cpu")
    assert run.slice_count == 2
    assert next(run).image.shape == (1, 3, 9, 8)
    assert run.finish().shape == image.shape


class Counting:
    """An array that counts the pixels that are read of it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read = 0

    def __getitem__(self, index: object) -> np.ndarray:
        part = self.pixels[index]
        self.read += part.size
        return part


def test_an_array_on_disk_is_read_slice_by_slice(stack: np.ndarray, tiny: Make) -> None:
    lazy = Counting(stack)
    run = restore(lazy, Denoise(), tiny(steps=2), axes="PYX", device="cpu")
    assert lazy.read == 0
    next(run)
    next(run)
    assert run.latest_slice[1].shape == (13, 11)
    assert lazy.read == math.prod(stack.shape[1:])


def test_a_dask_array_stays_lazy_until_a_slice_is_needed(stack: np.ndarray, tiny: Make) -> None:
    dask = pytest.importorskip("dask")
    array = pytest.importorskip("dask.array")
    loaded = []

    def load(number: int) -> np.ndarray:
        loaded.append(number)
        return stack[number]

    frames = [array.from_delayed(dask.delayed(load)(number), stack.shape[1:], stack.dtype) for number in range(3)]
    run = restore(array.stack(frames), Denoise(), tiny(), axes="PYX", device="cpu")
    assert run.slice_count == 3
    assert loaded == []
    next(run)
    assert loaded == [0]
    np.testing.assert_array_equal(run.finish(), restore(stack, Denoise(), tiny(), axes="PYX", device="cpu").finish())
    # Every frame once.
    assert loaded == [0, 1, 2]


BAD = {
    "constant channels that differ": (np.stack([np.zeros((9, 8)), np.ones((9, 8))]), "TCYX"),
    "all NaN": (np.full((2, 9, 8), np.nan), "TCYX"),
    "constant but for a NaN": (np.where(np.arange(144).reshape(2, 9, 8) == 5, np.nan, 3.0), "TCYX"),
    "black RGBA frame": (np.concatenate([np.zeros((9, 8, 3)), np.ones((9, 8, 1))], axis=2), "TYXS"),
}


@pytest.mark.parametrize(("bad", "axes"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_slice_with_nothing_to_restore_does_not_end_the_run(
    rng: np.random.Generator, tiny: Make, bad: np.ndarray, axes: str, place: int
) -> None:
    stack = rng.random((3, *bad.shape)).astype(np.float32)
    stack[place] = bad
    run = restore(stack, Denoise(missing="fill"), tiny(stop="none"), axes=axes, device="cpu")
    image = run.finish()
    np.testing.assert_array_equal(image[place], stack[place])
    for other in {0, 1, 2} - {place}:
        assert (image[other] != stack[other]).any()
    assert run.record["chosen step"][place] is None
    (note,) = run.record["passed through"]
    assert note.startswith(f"slice {place + 1}: ")
    assert note.endswith("nothing to restore")


def holed(stack: np.ndarray, number: int) -> np.ndarray:
    image = stack.astype(np.float32)
    image[number, 4, 5:8] = np.nan
    return image


def test_missing_pixels_that_a_lazy_array_shows_late_pass_through(stack: np.ndarray, tiny: Make) -> None:
    image = holed(stack, 1)
    run = restore(Counting(image), Denoise(), tiny(stop="none"), axes="PYX", device="cpu")
    restored = run.finish()
    np.testing.assert_array_equal(restored[1], image[1])
    assert (restored[2] != image[2]).any()
    assert run.record["chosen step"] == [3, None, 3]
    assert run.record["passed through"][0].startswith("slice 2: 3 of 143 pixels are NaN or infinite")


def test_missing_pixels_in_the_first_slice_of_a_lazy_array_are_refused(stack: np.ndarray, tiny: Make) -> None:
    run = restore(Counting(holed(stack, 0)), Denoise(), tiny(), axes="PYX", device="cpu")
    with pytest.raises(MissingPixelsError, match="3 of 143"):
        run.finish()


def test_missing_pixels_of_an_array_in_memory_are_counted_at_once(stack: np.ndarray, tiny: Make) -> None:
    image = holed(stack, 2)
    image[0, 0, 0] = np.inf
    with pytest.raises(MissingPixelsError, match="4 of 429"):
        restore(image, Denoise(), tiny(), axes="TYX", device="cpu")


def test_a_finished_run_has_read_every_pixel_once(stack: np.ndarray, tiny: Make) -> None:
    lazy = Counting(stack)
    run = restore(lazy, Denoise(), tiny(), axes="PYX", device="cpu")
    for step in run:
        if run.slice_number == 2 and step.number == 2:
            break
    # The third slice is not read before it is asked for.
    run.close()
    assert lazy.read == 2 * stack[0].size
    np.testing.assert_array_equal(run.image[2], stack[2])
    lazy.read = 0
    assert restore(lazy, Denoise(), tiny(), axes="PYX", device="cpu").finish().shape == stack.shape
    assert lazy.read == stack.size


def test_the_noise_of_a_time_lapse_is_told_from_its_middle_frames(rng: np.random.Generator, tiny: Make) -> None:
    lazy = Counting(rng.poisson(100, (40, 24, 24)).astype(np.uint16))
    run = restore(lazy, Denoise(), tiny(), axes="TYX", device="cpu")
    next(run)
    assert lazy.read == (1 + MOST_FRAMES) * 24 * 24
    assert run.noise is not None
    for _ in range(4):
        next(run)
    assert run.slice_number == 2
    # One camera for all frames: told once.
    assert lazy.read == (2 + MOST_FRAMES) * 24 * 24


def test_a_sample_holds_the_middle_of_time_and_of_all_other_stack_axes() -> None:
    image = np.arange(20 * 2 * 3 * 4 * 5).reshape(20, 2, 3, 4, 5)
    np.testing.assert_array_equal(sample(image, "TCZYX"), image[6:14, :, 1:2])
    np.testing.assert_array_equal(sample(image, "TCZYX", frames=3), image[8:11, :, 1:2])
    np.testing.assert_array_equal(sample(image[:5], "TCZYX"), image[:5, :, 1:2])
    np.testing.assert_array_equal(sample(image[:, 0, 0], "TYX", frames=1), image[9:10, 0, 0])
    np.testing.assert_array_equal(sample(image[0], "CPYX"), image[0][:, 1:2])


def test_a_sample_of_a_lazy_array_reads_nothing_else() -> None:
    lazy = Counting(np.zeros((40, 3, 4, 5)))
    assert sample(lazy, "TZYX").shape == (MOST_FRAMES, 1, 4, 5)
    assert lazy.read == MOST_FRAMES * 4 * 5

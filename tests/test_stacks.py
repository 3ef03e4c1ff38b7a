from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.restoration import restore
from napari_deep_prior.stacks import slice_axes, slices
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
    run = restore(lazy, Denoise(), tiny(steps=2), axes="TYX", device="cpu")
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
    run = restore(array.stack(frames), Denoise(), tiny(), axes="TYX", device="cpu")
    assert run.slice_count == 3
    assert loaded == []
    next(run)
    assert loaded == [0]
    np.testing.assert_array_equal(run.finish(), restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").finish())

"""Where slices come from and go to: known pixels to the bit, other sizes, nothing read before it is needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.pieces import slice_axes, slices
from napari_deep_prior.methods import PlugAndPlay
from napari_deep_prior.physics.kernels import Area, Bicubic
from napari_deep_prior.physics.operators import Downsample, Identity, Operator
from napari_deep_prior.runs.output import Canvas
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.tasks import Inpaint, SuperResolve

QUICK = PlugAndPlay(passes=2, group_size=10, reach=3)


class Counting:
    """An array that notes the indices at which it is read."""

    def __init__(self, pixels: Array) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read: list[Any] = []

    def __getitem__(self, index: Any) -> Array:
        self.read.append(index)
        return self.pixels[index]


def canvas(
    source: Array | Counting,
    axes: str,
    *,
    operator: Operator | None = None,
    volume: bool = False,
    mask: Array | None = None,
    keep_known: bool = False,
    dtype: str | None = None,
) -> Canvas:
    return Canvas(
        source,
        slice_axes(axes, volume=volume),
        slices(source.shape, axes, volume=volume),
        axes=axes,
        dtype=np.dtype(dtype or source.dtype),
        operator=operator or Identity(),
        mask=mask,
        keep_known=keep_known,
    )


def halving(axes: str) -> Downsample:
    """Return the operator of an image that has twice as many pixels along two axes, and as many along Z."""
    return Downsample(tuple(1.0 if letter == "Z" else 2.0 for letter in axes), Area())


# Known pixels


def values(dtype: str, rng: np.random.Generator) -> Array:
    """Return pixels that no float32 between 0 and 1 gives back exactly."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (rng.normal(size=(24, 21)) * 1e3 + math.pi).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, (24, 21), endpoint=True).astype(kind)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64", ">u2"])
def test_known_pixels_come_back_to_the_bit(rng: np.random.Generator, dtype: str) -> None:
    image, mask = values(dtype, rng), rng.random((24, 21)) < 0.3
    result = restore(image, Inpaint(), QUICK, mask=mask, device="cpu").finish()
    assert result.dtype == image.dtype
    assert result[~mask].tobytes() == image[~mask].tobytes()
    assert (result[mask] != image[mask]).mean() > 0.8
    if image.dtype.kind == "f":
        assert np.isfinite(result).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_finite_is_filled_beside_what_is_masked(rng: np.random.Generator, dtype: str) -> None:
    image, mask = values(dtype, rng), rng.random((24, 21)) < 0.2
    image[3:5, 2:9], image[9, 9], image[10, 10] = np.nan, np.inf, -np.inf
    known = np.isfinite(image) & ~mask
    result = restore(image, Inpaint(), QUICK, mask=mask, device="cpu").finish()
    assert result[known].tobytes() == image[known].tobytes()
    assert np.isfinite(result).all()
    without_mask = restore(image, Inpaint(), QUICK, device="cpu").finish()
    finite = np.isfinite(image)
    assert without_mask[finite].tobytes() == image[finite].tobytes()
    assert np.isfinite(without_mask).all()


def test_known_pixels_come_back_in_single_precision_if_that_was_asked_for(rng: np.random.Generator) -> None:
    image, mask = values("uint16", rng), rng.random((24, 21)) < 0.3
    result = restore(image, Inpaint(), QUICK, mask=mask, device="cpu", dtype="float32").finish()
    np.testing.assert_array_equal(result[~mask], image[~mask].astype(np.float32))


def test_known_pixels_are_what_the_method_makes_of_them_on_request(rng: np.random.Generator) -> None:
    image, mask = values("float32", rng), rng.random((24, 21)) < 0.3
    result = restore(image, Inpaint(keep_known=False), QUICK, mask=mask, device="cpu").finish()
    assert (result[~mask] != image[~mask]).mean() > 0.8


def test_known_pixels_are_kept_from_the_first_step_on(rng: np.random.Generator) -> None:
    image, mask = values("uint16", rng), rng.random((24, 21)) < 0.3
    run = restore(image, Inpaint(), QUICK, mask=mask, device="cpu")
    for _ in run:
        np.testing.assert_array_equal(run.image[~mask], image[~mask])
    run.close()
    np.testing.assert_array_equal(run.image[~mask], image[~mask])


def test_opacity_comes_back_untouched_also_under_the_mask(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (24, 21, 4), dtype=np.uint8)
    mask = rng.random((24, 21)) < 0.3
    result = restore(image, Inpaint(), QUICK, mask=mask, axes="YXS", device="cpu").finish()
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert (result[mask][:, :3] != image[mask][:, :3]).mean() > 0.8


def test_masked_pixels_are_missing_whatever_their_value(rng: np.random.Generator) -> None:
    image, mask = values("uint16", rng), rng.random((24, 21)) < 0.3
    results = []
    for value in (0, 65535):
        image[mask] = value
        results.append(restore(image, Inpaint(), QUICK, mask=mask, device="cpu").finish())
    np.testing.assert_array_equal(results[0], results[1])


def test_what_is_measured_is_nan_under_the_mask_and_exact_elsewhere() -> None:
    source = np.arange(12, dtype=np.uint32).reshape(3, 4) + 2**31
    mask = np.eye(3, 4, dtype=bool)
    measured = canvas(source, "YX", mask=mask).measured((slice(None), slice(None)))
    assert np.isnan(measured[mask]).all()
    np.testing.assert_array_equal(measured[~mask], source[~mask])
    assert canvas(source, "YX").measured((slice(None), slice(None))).dtype == np.uint32


# Results of another size


@pytest.mark.parametrize(
    ("axes", "shape", "volume", "result"),
    [
        ("YX", (5, 6), False, (10, 12)),
        ("TYX", (3, 5, 6), False, (3, 10, 12)),
        ("YXT", (5, 6, 3), False, (10, 12, 3)),
        ("ZYX", (3, 5, 6), False, (3, 10, 12)),
        ("ZYX", (3, 5, 6), True, (3, 10, 12)),
        ("TCYX", (2, 4, 5, 6), False, (2, 4, 10, 12)),
        ("CZYX", (2, 3, 5, 6), True, (2, 3, 10, 12)),
        ("YXS", (5, 6, 3), False, (10, 12, 3)),
    ],
)
def test_the_operator_tells_the_size_of_the_result(
    axes: str, shape: tuple[int, ...], volume: bool, result: tuple[int, ...]
) -> None:
    spatial = "".join(letter for letter in slice_axes(axes, volume=volume) if letter not in "CS")
    drawn = canvas(np.zeros(shape, np.uint8), axes, operator=halving(spatial), volume=volume)
    assert drawn.shape == result
    assert drawn.image(0, None).shape == result


def test_factors_that_are_not_whole_round_the_size_down() -> None:
    drawn = canvas(np.zeros((5, 7)), "YX", operator=Downsample((1.5, 2.5), Bicubic()))
    assert drawn.shape == (7, 17)


@pytest.mark.parametrize("axes", ["TYX", "YXT"])
def test_slices_not_reached_are_interpolated_to_the_size_of_the_result(rng: np.random.Generator, axes: str) -> None:
    place = axes.index("T")
    source = np.moveaxis(rng.integers(50, 200, (3, 6, 7)).astype(np.uint8), 0, place)
    operator = halving("YX")
    drawn = canvas(source, axes, operator=operator)
    values = np.full((12, 14), 7, np.uint8)
    drawn.put(drawn.indices[0], values)
    image = np.moveaxis(drawn.image(1, (drawn.indices[1], values + 1)), place, 0)
    assert image.dtype == np.uint8
    assert (image[0] == 7).all()
    assert (image[1] == 8).all()
    last = np.moveaxis(source, place, 0)[2].astype(np.float32)
    wanted = operator.interpolate(torch.from_numpy(last)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(image[2], wanted, atol=0.51)


def test_a_stack_is_enlarged_slice_by_slice_and_the_rest_interpolated(rng: np.random.Generator) -> None:
    stack = rng.integers(50, 200, (3, 12, 11)).astype(np.uint16)
    run = restore(stack, SuperResolve(), QUICK, axes="PYX", device="cpu")
    before = run.image
    assert before.shape == (3, 24, 22)
    for _ in run:
        if run.slice_number == 2:
            break
    run.close()
    assert run.image.shape == (3, 24, 22)
    assert (run.image[0] != before[0]).any()
    assert (run.image[1] != before[1]).any()
    np.testing.assert_array_equal(run.image[2], before[2])
    assert run.record["slices restored"] == "2 of 3"


def test_a_constant_slice_passes_through_at_the_size_of_the_result(rng: np.random.Generator) -> None:
    stack = rng.integers(50, 200, (3, 12, 11)).astype(np.uint16)
    stack[1] = 77
    image = restore(stack, SuperResolve(), QUICK, axes="PYX", device="cpu").finish()
    assert image.shape == (3, 24, 22)
    assert (image[1] == 77).all()


# Stacks, and what is read of them


@pytest.fixture
def stack(rng: np.random.Generator) -> Array:
    """Three slices of 16 × 13 pixels."""
    return rng.integers(0, 1000, (3, 16, 13)).astype(np.uint16)


def holes(rng: np.random.Generator) -> Array:
    return rng.random((16, 13)) < 0.3


def test_slices_not_reached_equal_the_input(rng: np.random.Generator, stack: Array) -> None:
    mask = holes(rng)
    run = restore(stack, Inpaint(), QUICK, mask=mask, axes="PYX", device="cpu")
    np.testing.assert_array_equal(run.image, stack)
    for _ in run:
        if run.slice_number == 2:
            break
    run.close()
    assert (run.image[0][mask] != stack[0][mask]).any()
    assert (run.image[1][mask] != stack[1][mask]).any()
    np.testing.assert_array_equal(run.image[2], stack[2])


def test_slices_with_nothing_masked_and_slices_without_anything_known_pass_through(
    rng: np.random.Generator, stack: Array
) -> None:
    mask = np.zeros(stack.shape, bool)
    mask[0] = holes(rng)
    mask[2] = True
    run = restore(stack, Inpaint(), QUICK, mask=mask, axes="PYX", device="cpu")
    image = run.finish()
    assert (image[0] != stack[0]).any()
    np.testing.assert_array_equal(image[1:], stack[1:])
    assert run.record["chosen step"][1:] == [None, None]
    nothing, everything = run.record["passed through"]
    assert nothing == "slice 2: no pixel is masked or missing: there is nothing to fill"
    assert everything == "slice 3: every pixel is masked or missing: there is nothing to fill from"


def test_a_lazy_array_is_read_slice_by_slice(rng: np.random.Generator, stack: Array) -> None:
    lazy = Counting(stack)
    run = restore(lazy, Inpaint(), QUICK, mask=holes(rng), axes="PYX", device="cpu")
    assert lazy.read == []
    next(run)
    assert {index[0] for index in lazy.read} == {0}
    for _ in run:
        if run.slice_number == 2:
            break
    run.close()
    assert {index[0] for index in lazy.read} == {0, 1}


def test_a_lazy_array_is_read_once_for_the_fit_and_once_for_the_known_pixels(
    rng: np.random.Generator, stack: Array
) -> None:
    lazy = Counting(stack)
    mask = holes(rng)
    image = restore(lazy, Inpaint(), QUICK, mask=mask, axes="PYX", device="cpu").finish()
    assert [index[0] for index in lazy.read] == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(image[:, ~mask], stack[:, ~mask])


def test_a_canvas_reads_nothing_before_it_is_asked(stack: Array) -> None:
    lazy = Counting(stack)
    drawn = canvas(lazy, "TYX", keep_known=True)
    drawn.put(drawn.indices[1], np.zeros((16, 13), np.uint16))
    assert lazy.read == []
    drawn.image(2, None)
    assert lazy.read == [drawn.indices[2]]


def test_the_image_is_a_copy(stack: Array) -> None:
    drawn = canvas(stack, "TYX")
    drawn.put(drawn.indices[0], np.zeros((16, 13), np.uint16))
    drawn.image(1, None)[:] = 9
    assert (drawn.image(1, None)[0] == 0).all()
    np.testing.assert_array_equal(drawn.image(1, None)[1:], stack[1:])


def test_the_noise_of_a_time_lapse_is_not_told_from_masked_pixels(rng: np.random.Generator) -> None:
    frames = rng.poisson(100, (4, 64, 64)).astype(np.uint16)
    mask = np.zeros((64, 64), bool)
    mask[:, 20:26] = True
    told = []
    for values in (100, 65535, rng.integers(0, 2000, (4, 64 * 6))):
        frames[:, mask] = values
        run = restore(frames, Inpaint(), QUICK, mask=mask, axes="TYX", device="cpu")
        next(run)
        told.append(run.noise)
    assert told[0].channels[0].reliable
    assert told == [told[0]] * 3

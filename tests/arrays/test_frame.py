from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from napari_deep_prior.arrays.axes import channel_position, sample_count
from napari_deep_prior.arrays.frame import RANGE, MissingPixelsError, NothingToRestoreError, canonical, to_dtype

CPU = torch.device("cpu")
EXACT_TYPES = ("uint8", "int8", "uint16", "int16", ">u2")
OTHER_TYPES = ("uint32", "int32", "float16", "float32", "float64")

AXES = some.sampled_from(["YX", "YXC", "YXS", "ZYX", "ZYXC", "ZYXS"]).flatmap(some.permutations).map("".join)
"""The axes of one slice, in any order."""

LENGTHS = some.tuples(*[some.integers(1, 7)] * 4)
"""Lengths of at least as many axes."""


def there_and_back(image: np.ndarray, axes: str) -> np.ndarray:
    measured, _, frame = canonical(image, axes, device=CPU)
    return to_dtype(frame.to_image(measured), image.dtype)


def some_image(shape: tuple[int, ...], dtype: str, seed: int = 1) -> np.ndarray:
    """Return random values that go from one end of the type's range to the other."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        # Eighths, which half precision has exactly.
        return (generator.integers(-800, 800, shape) / 8).astype(dtype)
    limits = np.iinfo(dtype)
    image = generator.integers(limits.min, limits.max, shape, endpoint=True, dtype=np.int64)
    image.flat[0], image.flat[1] = limits.min, limits.max
    return image.astype(dtype)


def slice_of(axes: str, lengths: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Return an image with these axes, of which at least the first channel is not constant."""
    shape = tuple(length + (letter == "X") for letter, length in zip(axes, lengths, strict=False))
    image = some_image(shape, dtype, seed)
    channel = channel_position(axes)
    first = image if channel is None else np.moveaxis(image, channel, 0)[0]
    ends = np.unique(image)[[0, -1]]
    first[(0,) * first.ndim], first[(-1,) * first.ndim] = ends
    return image


@given(axes=AXES, lengths=LENGTHS, dtype=some.sampled_from(EXACT_TYPES + OTHER_TYPES), seed=some.integers(0, 99))
def test_every_image_comes_back_with_its_axes_and_type(
    axes: str, lengths: tuple[int, ...], dtype: str, seed: int
) -> None:
    image = slice_of(axes, lengths, dtype, seed)
    back = there_and_back(image, axes)
    assert back.dtype == image.dtype
    if dtype in EXACT_TYPES:
        np.testing.assert_array_equal(back, image)
    else:
        # In float64: the largest 32-bit integers must not wrap around to the smallest.
        wanted = image.astype(np.float64)
        np.testing.assert_allclose(back.astype(np.float64), wanted, rtol=0, atol=2e-7 * np.ptp(wanted))


@given(axes=AXES, lengths=LENGTHS, seed=some.integers(0, 99))
def test_the_canonical_tensor_has_its_channels_first_and_fills_its_range(
    axes: str, lengths: tuple[int, ...], seed: int
) -> None:
    image = slice_of(axes, lengths, "uint16", seed)
    measured, weight, _ = canonical(image, axes, device=CPU)
    channel = channel_position(axes)
    spatial = [length for position, length in enumerate(image.shape) if position != channel]
    channels = 1 if channel is None else image.shape[channel]
    assert list(measured.shape) == [1, sample_count(channels) if "S" in axes else channels, *spatial]
    assert measured.dtype == torch.float32
    assert float(measured.min()) == pytest.approx(RANGE[0])
    assert float(measured.max()) == pytest.approx(RANGE[1])
    assert torch.equal(weight, torch.ones_like(measured))


@pytest.mark.parametrize("samples", [2, 4])
def test_opacity_comes_back_bit_for_bit_and_is_not_restored(samples: int) -> None:
    image = some_image((7, 11, samples), "uint8")
    measured, _, frame = canonical(image, "YXS", device=CPU)
    assert measured.shape == (1, samples - 1, 7, 11)
    # Whatever a method does to the colours, the opacity stays.
    changed = to_dtype(frame.to_image(measured * 0.5), image.dtype)
    np.testing.assert_array_equal(changed[..., -1], image[..., -1])
    assert (changed[..., :-1] != image[..., :-1]).any()


def test_each_channel_is_scaled_on_its_own_and_colours_together() -> None:
    image = some_image((2, 7, 11), "uint8").astype(np.uint16)
    image[1] *= 100
    channels, _, _ = canonical(image, "CYX", device=CPU)
    assert channels[0].amax(dim=(1, 2)).tolist() == pytest.approx([RANGE[1]] * 2)
    grey = np.repeat(some_image((7, 11, 1), "uint8"), 3, axis=2)
    grey[..., 2] //= 2
    colours, _, _ = canonical(grey, "YXS", device=CPU)
    assert float(colours[0, 2].max()) < 0.6
    assert torch.equal(colours[0, 0], colours[0, 1])


def test_a_constant_channel_beside_others_comes_back_exactly() -> None:
    image = some_image((3, 7, 11), "uint16")
    image[1] = 1234
    np.testing.assert_array_equal(there_and_back(image, "CYX"), image)


@pytest.mark.parametrize("dtype", ["uint32", "int32", "float64"])
def test_a_small_range_far_from_zero_comes_back(dtype: str) -> None:
    image = (2_000_000_000 + np.random.default_rng(0).integers(0, 1000, (9, 8))).astype(dtype)
    measured, _, frame = canonical(image, "YX", device=CPU)
    np.testing.assert_array_equal(np.rint(to_dtype(frame.to_image(measured), image.dtype)), image)


def test_changing_the_returned_image_leaves_the_tensor_as_it_is() -> None:
    measured, _, frame = canonical(some_image((5, 7), "uint8"), "YX", device=CPU)
    before = measured.clone()
    frame.to_image(measured)[:] = 0
    assert torch.equal(measured, before)


# Missing pixels


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused_with_their_number(value: float) -> None:
    image = some_image((7, 11), "float32")
    image[2, 3:6] = value
    with pytest.raises(MissingPixelsError, match=r"3 of 77 pixels are NaN or infinite.*'fill'"):
        canonical(image, "YX", device=CPU)


def test_missing_pixels_get_no_weight_when_they_are_to_be_filled() -> None:
    image = some_image((7, 11), "float32")
    image[2, 3:6] = np.nan
    image[6, 0] = np.inf
    measured, weight, frame = canonical(image, "YX", device=CPU, missing="fill")
    np.testing.assert_array_equal(weight[0, 0].numpy() == 0, ~np.isfinite(image))
    assert torch.isfinite(measured).all()
    there = np.isfinite(image)
    np.testing.assert_allclose(frame.to_image(measured)[there], image[there], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("image", "axes", "reason"),
    [
        (np.full((5, 5), 42, np.uint8), "YX", "constant .every pixel is 42"),
        (np.stack([np.zeros((5, 5)), np.ones((5, 5))]), "CYX", "every pixel is 0, 1"),
        (np.full((5, 5), np.nan), "YX", "every pixel is NaN"),
        (np.where(np.arange(25).reshape(5, 5) == 7, np.nan, 3.0), "YX", "every pixel is 3"),
        (np.dstack([np.zeros((5, 5, 3)), np.arange(25).reshape(5, 5, 1)]), "YXS", "every pixel is 0"),
    ],
    ids=["constant", "constant channels that differ", "all NaN", "constant but for a NaN", "black with opacity"],
)
def test_an_image_with_nothing_to_restore_has_an_error_of_its_own(image: np.ndarray, axes: str, reason: str) -> None:
    with pytest.raises(NothingToRestoreError, match=f"{reason}.*nothing to restore"):
        canonical(image, axes, device=CPU, missing="fill")


# Types


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32"])
def test_values_outside_an_integer_type_are_clipped_not_wrapped(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = np.array([-1e12, limits.min, 0.4, 0.6, limits.max, 1e12])
    assert to_dtype(values, np.dtype(dtype)).tolist() == [limits.min, limits.min, 0, 1, limits.max, limits.max]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_outside_a_float_type_are_clipped_not_infinite(dtype: str) -> None:
    values = np.array([-1.7e308, -1.0, 0.5, 1.7e308])
    clipped = to_dtype(values, np.dtype(dtype))
    assert clipped.dtype == dtype
    assert np.isfinite(clipped).all()
    assert clipped[1:3].tolist() == [-1, 0.5]


def test_values_of_the_right_type_are_left_as_they_are() -> None:
    large = np.array([2**62 + 1, -3], np.int64)
    assert to_dtype(large, np.dtype(np.int64)) is large

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays.axes import (
    RANGE,
    MissingPixelsError,
    NothingToRestoreError,
    canonical,
    parse_axes,
    stack_axes,
    to_dtype,
)

CPU = torch.device("cpu")
EXACT_TYPES = ("uint8", "int8", "uint16", "int16", ">u2")
LAYOUTS = {
    "YX": (7, 11),
    "XY": (7, 11),
    "CYX": (3, 7, 11),
    "YXC": (7, 11, 5),
    "YCX": (7, 2, 11),
    "ZYX": (5, 7, 11),
    "XYZ": (5, 7, 11),
    "ZCYX": (3, 2, 7, 11),
    "CZYX": (2, 3, 7, 11),
    "YXS": (7, 11, 3),
    "SYX": (3, 7, 11),
    "ZYXS": (5, 7, 11, 3),
}


def there_and_back(image: np.ndarray, axes: str) -> np.ndarray:
    measured, _, frame = canonical(image, axes, device=CPU)
    return to_dtype(frame.to_image(measured), image.dtype)


def some_image(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(1)
    if np.dtype(dtype).kind == "f":
        # Eighths, so that half precision has all of them.
        return (generator.integers(-800, 800, shape) / 8).astype(dtype)
    limits = np.iinfo(dtype)
    image = generator.integers(limits.min, limits.max, shape, endpoint=True, dtype=np.int64)
    image.flat[0], image.flat[1] = limits.min, limits.max
    return image.astype(dtype)


@pytest.mark.parametrize("axes", LAYOUTS)
@pytest.mark.parametrize("dtype", EXACT_TYPES)
def test_every_layout_and_short_type_comes_back_exactly(axes: str, dtype: str) -> None:
    image = some_image(LAYOUTS[axes], dtype)
    back = there_and_back(image, axes)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("axes", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint32", "int32", "float16", "float32", "float64"])
def test_other_types_come_back_within_single_precision(axes: str, dtype: str) -> None:
    image = some_image(LAYOUTS[axes], dtype)
    back = there_and_back(image, axes)
    assert back.dtype == image.dtype
    # In float64: the largest 32-bit integers must not wrap around to the smallest.
    wanted = image.astype(np.float64)
    np.testing.assert_allclose(back.astype(np.float64), wanted, rtol=0, atol=2e-7 * np.ptp(wanted))


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 3), (1, 17), (13, 31), (8, 9)])
def test_any_size_comes_back_exactly(shape: tuple[int, int]) -> None:
    image = some_image(shape, "uint16")
    np.testing.assert_array_equal(there_and_back(image, "YX"), image)


def test_opacity_comes_back_bit_for_bit_and_is_not_restored() -> None:
    image = some_image((7, 11, 4), "uint8")
    measured, _, frame = canonical(image, "YXS", device=CPU)
    assert measured.shape == (1, 3, 7, 11)
    # Whatever a method makes of the colours, the opacity stays.
    changed = to_dtype(frame.to_image(measured * 0.5), image.dtype)
    np.testing.assert_array_equal(changed[..., 3], image[..., 3])
    assert (changed[..., :3] != image[..., :3]).any()
    np.testing.assert_array_equal(there_and_back(image, "YXS"), image)


@pytest.mark.parametrize("axes", LAYOUTS)
def test_the_canonical_tensor_has_its_channels_first_and_its_range_filled(axes: str) -> None:
    image = some_image(LAYOUTS[axes], "uint16")
    measured, weight, _ = canonical(image, axes, device=CPU)
    channel = next((axes.index(letter) for letter in "CS" if letter in axes), None)
    spatial = tuple(length for position, length in enumerate(image.shape) if position != channel)
    assert measured.shape == (1, 1 if channel is None else image.shape[channel], *spatial)
    assert measured.dtype == torch.float32
    assert float(measured.min()) == pytest.approx(RANGE[0])
    assert float(measured.max()) == pytest.approx(RANGE[1])
    assert torch.equal(weight, torch.ones_like(measured))


def test_channels_are_scaled_each_on_its_own_and_colours_together() -> None:
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


def test_an_image_without_any_finite_pixel_is_refused_even_when_filling() -> None:
    with pytest.raises(ValueError, match="every pixel is NaN"):
        canonical(np.full((3, 3), np.nan), "YX", device=CPU, missing="fill")


def test_a_constant_image_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match=r"constant.*42.*nothing to restore"):
        canonical(np.full((5, 5), 42, np.uint8), "YX", device=CPU)


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("ZYX", (5, 7), "names 3 axes, but the image has 2, of lengths 5 × 7"),
        ("", (5, 7), "names 0 axes"),
        ("YY", (5, 7), "different letters"),
        ("Y1", (5, 7), "different letters"),
        ("ZY", (5, 7), "has no X"),
        ("ZT", (5, 7), "no Y and no X"),
        ("CYXS", (2, 5, 7, 3), "channels.*colour"),
        (None, (5,), "at least the two axes"),
        (None, (), "at least the two axes"),
        (None, (2,) * 6, "name them"),
        ("YX", (5,), "at least the two axes"),
    ],
)
def test_wrong_axes_get_a_sentence(axes: str | None, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_axes(axes, shape)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((5, 7), "YX"),
        ((5, 7, 9), "ZYX"),
        ((2, 5, 7, 9), "TZYX"),
        ((2, 2, 5, 7, 9), "TCZYX"),
        ((5, 7, 3), "YXS"),
        ((5, 7, 4), "YXS"),
        ((5, 7, 2), "ZYX"),
        ((9, 5, 7, 3), "ZYXS"),
        ((9, 4, 4, 3), "TZYX"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape: tuple[int, ...], axes: str) -> None:
    assert parse_axes(None, shape) == axes


def test_axes_may_be_written_in_lower_case() -> None:
    assert parse_axes(" zyx ", (2, 5, 7)) == "ZYX"


def test_stack_axes_are_all_but_the_plane_or_volume_and_the_channels() -> None:
    assert stack_axes("TCZYX", volume=False) == "TZ"
    assert stack_axes("TCZYX", volume=True) == "T"
    assert stack_axes("YXS", volume=False) == ""


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32"])
def test_values_outside_an_integer_type_are_limited_not_wrapped(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = np.array([-1e12, limits.min, 0.4, 0.6, limits.max, 1e12])
    assert to_dtype(values, np.dtype(dtype)).tolist() == [limits.min, limits.min, 0, 1, limits.max, limits.max]


def test_reading_an_image_back_leaves_the_tensor_as_it_is() -> None:
    measured, _, frame = canonical(some_image((5, 7), "uint8"), "YX", device=CPU)
    before = measured.clone()
    frame.to_image(measured)[:] = 0
    assert torch.equal(measured, before)


@pytest.mark.parametrize("dtype", ["uint32", "int32", "float64"])
def test_a_small_range_far_from_zero_comes_back(dtype: str) -> None:
    image = (2_000_000_000 + np.random.default_rng(0).integers(0, 1000, (9, 8))).astype(dtype)
    measured, _, frame = canonical(image, "YX", device=CPU)
    np.testing.assert_array_equal(np.rint(to_dtype(frame.to_image(measured), image.dtype)), image)


@pytest.mark.parametrize("shape", [(2, 2, 8, 8, 8, 3), (2, 8, 8, 8, 3), (2, 8, 8, 4)])
def test_the_guess_of_many_axes_is_one_that_is_allowed_or_none(shape: tuple[int, ...]) -> None:
    if len(shape) == 6:
        with pytest.raises(ValueError, match="has 6 axes; name them"):
            parse_axes(None, shape)
    else:
        assert parse_axes(parse_axes(None, shape), shape) == "TZYXS"[-len(shape) :]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_outside_a_float_type_are_limited_not_infinite(dtype: str) -> None:
    values = np.array([-1.7e308, -1.0, 0.5, 1.7e308])
    limited = to_dtype(values, np.dtype(dtype))
    assert limited.dtype == dtype
    assert np.isfinite(limited).all()
    assert limited[1:3].tolist() == [-1, 0.5]


def test_values_of_the_right_type_are_left_as_they_are() -> None:
    large = np.array([2**62 + 1, -3], np.int64)
    assert to_dtype(large, np.dtype(np.int64)) is large


def test_the_opacity_of_grey_is_no_colour() -> None:
    image = some_image((7, 11, 2), "uint8")
    measured, _, frame = canonical(image, "YXS", device=CPU)
    assert measured.shape == (1, 1, 7, 11)
    np.testing.assert_array_equal(to_dtype(frame.to_image(measured * 0.5), image.dtype)[..., 1], image[..., 1])
    np.testing.assert_array_equal(there_and_back(image, "YXS"), image)


@pytest.mark.parametrize(
    ("image", "axes", "reason"),
    [
        (np.stack([np.zeros((5, 5)), np.ones((5, 5))]), "CYX", "every pixel is 0, 1"),
        (np.full((5, 5), np.nan), "YX", "every pixel is NaN"),
        (np.where(np.arange(25).reshape(5, 5) == 7, np.nan, 3.0), "YX", "every pixel is 3"),
        (np.dstack([np.zeros((5, 5, 3)), np.arange(25).reshape(5, 5, 1)]), "YXS", "every pixel is 0"),
    ],
    ids=["constant channels that differ", "all NaN", "constant but for a NaN", "black with opacity"],
)
def test_an_image_with_nothing_to_restore_has_an_error_of_its_own(image: np.ndarray, axes: str, reason: str) -> None:
    with pytest.raises(NothingToRestoreError, match=f"{reason}.*nothing to restore"):
        canonical(image, axes, device=CPU, missing="fill")

"""Masks reach all axes of an image, and what cannot be filled is said in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.masks import spread_mask

SPREAD = [
    ("YX", (4, 5), "YX"),
    ("ZYX", (3, 4, 5), "ZYX"),
    ("ZYX", (3, 4, 5), "YX"),
    ("TZYX", (2, 3, 4, 5), "ZYX"),
    ("TZYX", (2, 3, 4, 5), "YX"),
    ("CYX", (2, 4, 5), "CYX"),
    ("CYX", (2, 4, 5), "YX"),
    ("YXC", (4, 5, 2), "YX"),
    ("TCYX", (3, 2, 4, 5), "TYX"),
    ("TCYX", (3, 2, 4, 5), "YX"),
    ("TZCYX", (2, 3, 6, 4, 5), "TZYX"),
    ("TZCYX", (2, 3, 6, 4, 5), "ZYX"),
    ("YXS", (4, 5, 3), "YXS"),
    ("YXS", (4, 5, 3), "YX"),
    ("XTY", (5, 2, 4), "XY"),
    ("PYX", (2, 4, 5), "YX"),
]
"""Axes and shape of an image, axes of a mask."""


@pytest.mark.parametrize(("axes", "shape", "of_mask"), SPREAD)
def test_a_mask_is_the_same_along_the_axes_that_it_has_not(
    rng: np.random.Generator, axes: str, shape: tuple[int, ...], of_mask: str
) -> None:
    places = [axes.index(letter) for letter in of_mask]
    mask = rng.random([shape[place] for place in places]) < 0.4
    spread = spread_mask(mask, shape, axes)
    assert spread.dtype == bool
    assert spread.shape == shape
    for position in np.ndindex(shape):
        assert spread[position] == mask[tuple(position[place] for place in places)]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_everything_that_is_not_0_is_missing(dtype: type) -> None:
    mask = np.array([[0, 1, 0], [1, 0, 0]]).astype(dtype)
    if dtype is not bool:
        mask[1, 2] = 7
    np.testing.assert_array_equal(spread_mask(mask, (2, 3), "YX"), mask != 0)


def test_a_mask_that_is_spread_takes_no_memory_of_its_own() -> None:
    mask = np.eye(4, dtype=bool)
    spread = spread_mask(mask, (10**9, 4, 4), "TYX")
    assert spread.shape == (10**9, 4, 4)
    assert spread[10**9 - 1, 2, 2]


@pytest.mark.parametrize(
    ("axes", "shape", "of_mask"),
    [
        ("YX", (4, 5), (5, 4)),
        ("YX", (4, 5), (4,)),
        ("YX", (4, 5), (1, 4, 5)),
        ("ZYX", (3, 4, 5), (2, 4, 5)),
        ("TCYX", (3, 2, 4, 5), (2, 4, 5)),
        ("YXS", (4, 5, 3), (4, 5, 4)),
    ],
)
def test_a_mask_of_another_shape_is_refused_with_the_shapes_that_fit(
    axes: str, shape: tuple[int, ...], of_mask: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="the mask has shape") as caught:
        spread_mask(np.ones(of_mask, bool), shape, axes)
    said = str(caught.value)
    assert str(of_mask) in said
    assert f"{shape} (axes {axes})" in said
    assert said.endswith("of its planes, (4, 5)")


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the mask is empty: paint what is to be filled.*not 0$"):
        spread_mask(np.zeros((4, 5), np.uint8), (4, 5), "YX")


@pytest.mark.parametrize(("axes", "shape", "of_mask"), [("YX", (4, 5), (4, 5)), ("ZYX", (3, 4, 5), (4, 5))])
def test_a_mask_that_covers_everything_is_refused(axes: str, shape: tuple[int, ...], of_mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^the mask covers everything: nothing is known"):
        spread_mask(np.ones(of_mask), shape, axes)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("axes", "shape"), [("CYX", (2, 4, 5)), ("YXC", (4, 5, 2)), ("TCYX", (3, 2, 4, 5)), ("YXS", (4, 5, 3))]
)
def test_a_mask_that_covers_a_channel_is_refused_with_its_number(
    axes: str, shape: tuple[int, ...], number: int
) -> None:
    mask = np.zeros(shape, bool)
    channel = next(axes.index(letter) for letter in "CS" if letter in axes)
    np.moveaxis(mask, channel, 0)[number] = True
    with pytest.raises(ValueError, match=f"^the mask covers channel {number} entirely: uncover some of it"):
        spread_mask(mask, shape, axes)
    np.moveaxis(mask, channel, 0)[number, ..., 0] = False
    np.testing.assert_array_equal(spread_mask(mask, shape, axes), mask)


def test_a_whole_frame_may_be_masked() -> None:
    mask = np.zeros((3, 4, 5), bool)
    mask[1] = True
    np.testing.assert_array_equal(spread_mask(mask, (3, 4, 5), "TYX"), mask)


@pytest.mark.parametrize(("axes", "shape"), [("YXS", (4, 5, 4)), ("YXS", (4, 5, 2)), ("TSYX", (3, 4, 4, 5))])
def test_opacity_is_never_missing(axes: str, shape: tuple[int, ...]) -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2] = True
    spread = np.moveaxis(spread_mask(mask, shape, axes), axes.index("S"), 0)
    assert not spread[-1].any()
    for sample in spread[:-1]:
        np.testing.assert_array_equal(sample, np.broadcast_to(mask, sample.shape))

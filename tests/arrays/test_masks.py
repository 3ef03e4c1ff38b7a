from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from napari_deep_prior.arrays.axes import inner_axes
from napari_deep_prior.arrays.masks import spread_mask

AXES = (
    some.permutations("TZYX")
    .map("".join)
    .flatmap(
        lambda axes: some.sampled_from([axes, axes.replace("T", "C"), axes.replace("T", ""), axes.replace("Z", "S")])
    )
)
"""Axes of an image, in any order."""


@given(axes=AXES, lengths=some.permutations([2, 4, 5, 6]), kind=some.integers(0, 3), seed=some.integers(0, 99))
def test_a_mask_is_repeated_along_the_axes_that_it_does_not_have(
    axes: str, lengths: list[int], kind: int, seed: int
) -> None:
    # Different lengths, so that its shape says which axes the mask has; three colours, so that none is opacity.
    shape = tuple(3 if letter == "S" else length for letter, length in zip(axes, lengths, strict=False))
    letters = (axes, *inner_axes(axes))[kind]
    mask = np.random.default_rng(seed).random([shape[axes.index(letter)] for letter in letters]) < 0.4
    spread = spread_mask(mask, shape, axes)
    assert spread.dtype == bool
    assert spread.shape == shape
    # The axes that the mask has come first.
    moved = np.moveaxis(spread, [axes.index(letter) for letter in letters], range(len(letters)))
    assert (moved == mask.reshape(mask.shape + (1,) * (spread.ndim - mask.ndim))).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_every_value_but_0_marks_a_missing_pixel(dtype: type) -> None:
    mask = np.array([[0, 1, 0], [1, 0, 0]]).astype(dtype)
    if dtype is not bool:
        mask[1, 2] = 7
    np.testing.assert_array_equal(spread_mask(mask, (2, 3), "YX"), mask != 0)


def test_a_mask_is_repeated_without_being_copied() -> None:
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
def test_a_mask_of_another_shape_is_refused_with_the_shapes_that_are_possible(
    axes: str, shape: tuple[int, ...], of_mask: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="the mask has shape") as caught:
        spread_mask(np.ones(of_mask, bool), shape, axes)
    said = str(caught.value)
    assert str(of_mask) in said
    assert f"{shape} (axes {axes})" in said
    assert said.endswith("of its planes, (4, 5)")


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the mask is empty: paint what is to be filled, with a value .*0$"):
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


def test_a_mask_of_a_stack_is_not_copied() -> None:
    mask = np.zeros((32, 128, 128), bool)
    mask[:, 3:9] = True
    tracemalloc.start()
    spread = spread_mask(mask, mask.shape, "ZYX")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(spread, mask)
    assert peak < 0.1 * mask.nbytes

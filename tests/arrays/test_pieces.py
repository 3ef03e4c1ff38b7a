"""The plan of pieces: whatever is read, every pixel of the result is written once, and from the right place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep_prior.arrays.pieces import enlarged_shape, piece_axes, plan

FACTORS = (1, 1.5, 2, 2.5, 3, 1.1)
STEP = {1: 1, 1.5: 2, 2: 1, 2.5: 2, 3: 1, 1.1: 10}
"""Fewest pixels of the array that end between two pixels of the result."""


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Return the arguments of a plan that is possible."""
    axes = "".join(draw(st.permutations(["Y", "X", *draw(st.sets(st.sampled_from("TZP"), max_size=2))])))
    channel = draw(st.sampled_from(["", "C", "S"]))
    at = draw(st.integers(0, len(axes)))
    axes = axes[:at] + channel + axes[at:]
    volume = "Z" in axes and draw(st.booleans())
    shape = tuple(draw(st.integers(1, 9 if letter in "YX" else 3)) for letter in axes)
    letters = [letter for letter in axes if letter in ("ZYX" if volume else "YX")]
    factors = {letter: draw(st.sampled_from(FACTORS)) for letter in letters}
    step = {letter: STEP[factors[letter]] for letter in letters}
    tiled = draw(st.sets(st.sampled_from(letters)))
    tile = {letter: step[letter] * draw(st.integers(1, 6)) for letter in tiled}
    common = int(np.lcm.reduce([1, *[step[letter] for letter in tiled]]))
    halo = common * draw(st.integers(0, 3))
    return {"shape": shape, "axes": axes, "volume": volume, "factors": factors, "tile": tile, "halo": halo}


@given(plans())
def test_every_pixel_of_the_result_is_written_once(options: dict[str, Any]) -> None:
    shape, axes = options["shape"], options["axes"]
    visits = np.zeros(enlarged_shape(shape, axes, options["factors"]), int)
    pieces = plan(**options)
    for number, piece in enumerate(pieces):
        assert piece.number == number
        visits[piece.write] += 1
    assert (visits == 1).all()


@given(plans())
def test_what_is_cut_out_of_the_restored_part_fits_where_it_is_written(options: dict[str, Any]) -> None:
    shape, axes, factors = options["shape"], options["axes"], options["factors"]
    letters = piece_axes(axes, volume=options["volume"])
    array, result = np.zeros(shape), np.zeros(enlarged_shape(shape, axes, factors))
    for piece in plan(**options):
        read = array[piece.read]
        assert read.ndim == len(letters)
        restored = np.zeros(enlarged_shape(read.shape, letters, factors))
        assert restored[piece.inner].shape == result[piece.write].shape


@given(plans())
def test_what_is_cut_out_lies_at_the_same_place_as_in_the_whole_result(options: dict[str, Any]) -> None:
    # Where the factors are whole, pixels of the enlarged part are those of the enlarged whole.
    factors = {letter: int(factor) for letter, factor in options["factors"].items()}
    options = options | {"factors": factors}
    shape, axes = options["shape"], options["axes"]
    array = np.arange(np.prod(shape)).reshape(shape)

    def enlarged(part: np.ndarray, letters: str) -> np.ndarray:
        for axis, letter in enumerate(letters):
            part = part.repeat(factors.get(letter, 1), axis)
        return part

    result = np.full(enlarged_shape(shape, axes, factors), -1)
    for piece in plan(**options):
        restored = enlarged(array[piece.read], piece_axes(axes, volume=options["volume"]))
        result[piece.write] = restored[piece.inner]
    np.testing.assert_array_equal(result, enlarged(array, axes))


@given(plans())
def test_a_tile_is_read_with_its_halo_as_far_as_there_are_pixels(options: dict[str, Any]) -> None:
    shape, axes, tile, halo = options["shape"], options["axes"], options["tile"], options["halo"]
    for piece in plan(**options | {"factors": {}}):
        for letter, length, read, write in zip(axes, shape, piece.read, piece.write, strict=True):
            if isinstance(read, int):
                assert read == write
            elif tile.get(letter, length) >= length:
                assert (read.start, read.stop) == (0, length)
            else:
                assert write.stop - write.start <= tile[letter]
                assert (read.start, read.stop) == (max(0, write.start - halo), min(length, write.stop + halo))


def test_slices_come_in_order_and_only_along_stack_axes() -> None:
    reads = [piece.read for piece in plan((2, 3, 4, 5), "TCYX")]
    assert reads == [(number, slice(0, 3), slice(0, 4), slice(0, 5)) for number in (0, 1)]
    (volume,) = plan((2, 4, 5), "ZYX", volume=True)
    assert volume.read == volume.write == volume.inner == (slice(0, 2), slice(0, 4), slice(0, 5))
    assert piece_axes("TZCYX", volume=True) == "ZCYX"
    assert piece_axes("TZCYX", volume=False) == "CYX"


def test_tiles_of_one_slice_follow_each_other_wherever_the_axis_of_the_stack_is() -> None:
    frames = [piece.read[2] for piece in plan((4, 6, 2), "YXT", tile={"Y": 2, "X": 3})]
    assert frames == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ("TYX", {"tile": {"T": 1}}, "an image with axes TYX cannot be cut into tiles along T: give Y, X, or Z of a"),
        ("ZYX", {"tile": {"Z": 2}}, "cannot be cut into tiles along Z"),
        ("CYX", {"tile": {"C": 1}}, "cannot be cut into tiles along C"),
        ("YXS", {"tile": {"S": 1}}, "cannot be cut into tiles along S"),
        ("YX", {"tile": {"Z": 2}}, "cannot be cut into tiles along Z"),
        ("YX", {"tile": {"Y": 0}}, "a tile of 0 pixels with a halo of 0 is not possible: give at least 1 and 0"),
        ("YX", {"tile": {"Y": 4}, "halo": -1}, "a tile of 4 pixels with a halo of -1 is not possible"),
        (
            "YX",
            {"tile": {"X": 5}, "factors": {"X": 1.5}},
            "a tile of 5 pixels ends within a pixel of the result, which has 1.5 in one: give a multiple of 2$",
        ),
        ("YX", {"tile": {"X": 4}, "halo": 3, "factors": {"X": 1.5}}, "a halo of 3 pixels ends within .* multiple of 2"),
        ("YX", {"tile": {"X": 4}, "factors": {"X": 1.1}}, "give a multiple of 10$"),
    ],
)
def test_tiles_that_are_not_possible_are_refused(axes: str, options: dict[str, Any], message: str) -> None:
    shape = tuple(range(6, 6 + len(axes)))
    with pytest.raises(ValueError, match=message):
        plan(shape, axes, **options)


def test_a_result_has_as_many_whole_pixels_as_the_array_has_room_for() -> None:
    assert enlarged_shape((5, 7), "YX", {"Y": 1.5, "X": 2.5}) == (7, 17)
    # 10 times 0.3 / 0.1 is a little less than 30 in floating point.
    assert enlarged_shape((30, 10), "YX", {"Y": 1.1, "X": 0.3 / 0.1}) == (33, 30)
    assert enlarged_shape((2, 3, 4), "TYX", {"Y": 2, "X": 2}) == (2, 6, 8)

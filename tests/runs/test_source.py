"""The array that is restored: what of it is read when, what is measured, what passes through untouched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.frame import MissingPixelsError, NothingToRestoreError
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.physics.kernels import Area
from napari_deep_prior.physics.operators import Downsample, Identity
from napari_deep_prior.runs.source import SourceArray

from .toys import Counting

CPU = torch.device("cpu")
UINT8 = np.dtype(np.uint8)


def source(
    array: Array | Counting, axes: str = "YX", *, volume: bool = False, mask: Array | None = None
) -> SourceArray:
    return SourceArray(array, axes, volume=volume, mask=mask)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), bool), "pixels of type bool: real numbers are needed; convert it first"),
        (np.zeros((4, 4), complex), "pixels of type complex128"),
        (np.zeros((4, 4), object), "pixels of type object"),
        (np.zeros((0, 4)), r"the image is empty: its shape is \(0, 4\)"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source(array)


def test_only_the_piece_that_is_asked_for_is_read() -> None:
    lazy = Counting(np.arange(60).reshape(3, 4, 5))
    pieces = plan(lazy.shape, "TYX")
    array = source(lazy, "TYX")
    assert lazy.indices == []
    np.testing.assert_array_equal(array.block(pieces[1]), lazy.pixels[1])
    assert array.lengths() == (1, (4, 5))
    array.refuse_values(missing="refuse")
    assert lazy.indices == [pieces[1].read]


@pytest.mark.parametrize(
    ("shape", "axes", "volume", "channels", "spatial"),
    [
        ((7, 8), "YX", False, 1, (7, 8)),
        ((2, 3, 7, 8), "TCYX", False, 3, (7, 8)),
        ((7, 8, 4), "YXS", False, 3, (7, 8)),
        ((5, 7, 8), "ZYX", True, 1, (5, 7, 8)),
        ((5, 7, 8), "ZYX", False, 1, (7, 8)),
    ],
)
def test_the_size_of_a_piece_is_known_before_one_is_read(
    shape: tuple[int, ...], axes: str, volume: bool, channels: int, spatial: tuple[int, ...]
) -> None:
    lazy = Counting(np.zeros(shape))
    assert source(lazy, axes, volume=volume).lengths() == (channels, spatial)
    assert lazy.indices == []


def test_a_piece_is_nan_under_the_mask_and_exact_elsewhere() -> None:
    array = np.arange(12, dtype=np.uint32).reshape(3, 4) + 2**31
    mask = np.eye(3, 4, dtype=bool)
    (piece,) = plan(array.shape, "YX")
    block, measured = source(array, mask=mask).measured(piece, device=CPU, missing="refuse")
    assert np.isnan(block[mask]).all()
    np.testing.assert_array_equal(block[~mask], array[~mask])
    np.testing.assert_array_equal(measured.weight[0, 0].numpy(), ~mask)
    assert measured.piece is piece
    unmasked, _ = source(array).measured(piece, device=CPU, missing="refuse")
    assert unmasked.dtype == np.uint32


def test_a_piece_of_a_stack_gets_its_part_of_the_mask() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    mask = np.zeros(array.shape, bool)
    mask[1, 2, 3] = True
    weights = [
        source(array, "TYX", mask=mask).measured(piece, device=CPU, missing="refuse")[1].weight
        for piece in plan(array.shape, "TYX")
    ]
    assert (weights[0] > 0).all()
    assert (weights[1] == 0).nonzero().tolist() == [[0, 0, 2, 3]]


def test_what_is_masked_may_be_missing_and_what_is_not_masked_may_not() -> None:
    array = np.arange(12.0).reshape(3, 4)
    array[0, 0] = array[1, 1] = np.nan
    (piece,) = plan(array.shape, "YX")
    mask = np.eye(3, 4, dtype=bool)
    source(array, mask=mask).measured(piece, device=CPU, missing="refuse")
    mask[1, 1] = False
    with pytest.raises(MissingPixelsError, match="1 of 12"):
        source(array, mask=mask).measured(piece, device=CPU, missing="refuse")
    _, measured = source(array, mask=mask).measured(piece, device=CPU, missing="fill")
    assert int((measured.weight == 0).sum()) == 3


def test_a_piece_without_anything_known_or_without_anything_to_fill_has_nothing_to_restore() -> None:
    array = np.arange(12.0).reshape(3, 4)
    (piece,) = plan(array.shape, "YX")
    with pytest.raises(NothingToRestoreError, match="every pixel is masked or missing: there is nothing to fill from"):
        source(array, mask=np.ones((3, 4), bool)).measured(piece, device=CPU, missing="fill", fills=True)
    with pytest.raises(NothingToRestoreError, match="no pixel is masked or missing: there is nothing to fill"):
        source(array).measured(piece, device=CPU, missing="fill", fills=True)


@pytest.mark.parametrize(("axes", "place"), [("TYX", 0), ("YXT", 2)])
def test_an_untouched_piece_is_interpolated_where_the_result_is_larger(
    rng: np.random.Generator, axes: str, place: int
) -> None:
    planes = rng.integers(50, 200, (2, 6, 7)).astype(np.uint8)
    array = np.moveaxis(planes, 0, place)
    operator = Downsample((2.0, 2.0), Area())
    piece = plan(array.shape, axes, factors={"Y": 2, "X": 2})[1]
    found = source(array, axes).untouched(piece, operator, UINT8)
    expected = operator.interpolate(torch.from_numpy(planes[1].astype(np.float32))[None, None])[0, 0].numpy()
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected, atol=0.51)
    np.testing.assert_array_equal(source(array, axes).untouched(piece, Identity(), UINT8), planes[1])


def test_an_untouched_tile_comes_with_its_halo() -> None:
    array = np.arange(80).reshape(8, 10)
    result = np.full(array.shape, -1)
    for piece in plan(array.shape, "YX", tile={"Y": 3, "X": 4}, halo=2):
        untouched = source(array).untouched(piece, Identity(), array.dtype)
        np.testing.assert_array_equal(untouched, array[piece.read])
        result[piece.write] = untouched[piece.inner]
    np.testing.assert_array_equal(result, array)


def test_known_pixels_are_those_that_are_neither_masked_nor_missing() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    array[0, 3] = np.inf
    (piece,) = plan(array.shape, "YX")
    mask = np.eye(3, 4, dtype=bool)
    restored = np.full((3, 4), -1, np.float32)
    found = source(array, mask=mask).with_known(piece, restored)
    np.testing.assert_array_equal(found == -1, mask | np.isinf(array))
    assert found[0, 1] == 1


# Windows, from which is estimated what all pieces share


def test_of_an_array_that_is_one_piece_nothing_more_is_read_and_of_a_stack_some_of_all_slices() -> None:
    frames = np.random.default_rng(0).normal(100, 3, (12, 24, 24))
    for axes, volume, places in (("ZYX", True, 12), ("ZYX", False, 12), ("TYX", False, 8)):
        lazy = Counting(frames)
        found = source(lazy, axes, volume=volume)
        piece, *_ = plan(lazy.shape, axes, volume=volume)
        block, _ = found.measured(piece, device=CPU, missing="refuse")
        before = lazy.count
        (windows,) = found.windows(block)
        assert len(windows) == places
        assert (lazy.count == before) is volume
        assert found.known_windows() == []


def test_masked_pixels_are_in_no_window(rng: np.random.Generator) -> None:
    frames = rng.normal(100, 3, (4, 40, 40))
    mask = np.zeros(frames.shape, bool)
    mask[:, :, 10:14] = True
    for axes, volume in (("PYX", False), ("TYX", False), ("ZYX", True)):
        found = source(frames, axes, volume=volume, mask=mask)
        block, _ = found.measured(plan(frames.shape, axes, volume=volume)[0], device=CPU, missing="refuse")
        for window in (*found.windows(block)[0], *found.known_windows()[0]):
            assert np.isnan(window.values[..., 10:14]).all()
            assert np.isfinite(window.values[..., 14:]).all()

"""Where pieces go, and the pixels of a result: known ones to the bit, others of the input's type and of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.methods import PlugAndPlay
from napari_deep_prior.runs.output import ArrayOutput
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Inpaint, SuperResolve

from .toys import Counting, dimming

QUICK = PlugAndPlay(passes=2, group_size=10, search_radius=3)


# An array in memory


def test_an_array_grows_by_the_pieces_that_are_written() -> None:
    output = ArrayOutput((2, 3, 4), np.dtype(np.uint8))
    first, second = plan((2, 3, 4), "TYX")
    growing = output.image()
    assert not growing.any()
    output.write(second, np.full((3, 4), 7, np.uint8))
    assert output.image() is growing
    assert (output.done(first), output.done(second)) == (False, True)
    assert (growing[0] == 0).all()
    assert (growing[1] == 7).all()
    assert output.memory == 24


def test_a_preview_is_shown_and_not_done() -> None:
    output = ArrayOutput((3, 4), np.dtype(np.float32))
    (piece,) = plan((3, 4), "YX")
    output.preview(piece, np.full((3, 4), 7, np.float32))
    assert (output.image() == 7).all()
    assert not output.done(piece)


def test_a_snapshot_is_a_copy() -> None:
    output = ArrayOutput((3, 4), np.dtype(np.float32))
    output.snapshot()[:] = 9
    assert not output.image().any()


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


def test_known_pixels_are_those_of_the_method_on_request(rng: np.random.Generator) -> None:
    image, mask = values("float32", rng), rng.random((24, 21)) < 0.3
    result = restore(image, Inpaint(keep_known=False), QUICK, mask=mask, device="cpu").finish()
    assert (result[~mask] != image[~mask]).mean() > 0.8


def test_known_pixels_are_kept_from_the_first_step_on(rng: np.random.Generator) -> None:
    image, mask = values("uint16", rng), rng.random((24, 21)) < 0.3
    run = restore(image, Inpaint(), dimming(), mask=mask, device="cpu")
    for _ in run:
        run.show_latest()
        for shown in (run.image, run.growing):
            np.testing.assert_array_equal(shown[~mask], image[~mask])
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


# Results of another size


@pytest.mark.parametrize(
    ("axes", "shape", "volume", "result"),
    [
        ("YX", (5, 6), False, (10, 12)),
        ("YXT", (5, 6, 3), False, (10, 12, 3)),
        ("ZYX", (3, 5, 6), False, (3, 10, 12)),
        ("ZYX", (3, 5, 6), True, (3, 10, 12)),
        ("TCYX", (2, 4, 5, 6), False, (2, 4, 10, 12)),
        ("YXS", (5, 6, 3), False, (10, 12, 3)),
    ],
)
def test_the_size_of_the_result_is_known_at_once(
    axes: str, shape: tuple[int, ...], volume: bool, result: tuple[int, ...]
) -> None:
    run = restore(np.zeros(shape, np.uint8), SuperResolve(), dimming(), axes=axes, volume=volume, device="cpu")
    assert run.shape == run.image.shape == result
    assert run.factors == {"Y": 2, "X": 2} | ({"Z": 1} if volume else {})


def test_a_stack_is_enlarged_slice_by_slice_and_the_rest_interpolated(rng: np.random.Generator) -> None:
    stack = rng.integers(50, 200, (3, 12, 11)).astype(np.uint16)
    run = restore(stack, SuperResolve(), QUICK, axes="PYX", device="cpu")
    before = run.image
    assert before.shape == (3, 24, 22)
    for _ in run:
        if run.piece_number == 2:
            break
    run.close()
    assert run.image.shape == (3, 24, 22)
    assert (run.image[0] != before[0]).any()
    assert (run.image[1] != before[1]).any()
    np.testing.assert_array_equal(run.image[2], before[2])
    assert len(run.record.chosen_steps) == 2


def test_a_constant_slice_passes_through_at_the_size_of_the_result(rng: np.random.Generator) -> None:
    stack = rng.integers(50, 200, (3, 12, 11)).astype(np.uint16)
    stack[1] = 77
    image = restore(stack, SuperResolve(), QUICK, axes="PYX", device="cpu").finish()
    assert image.shape == (3, 24, 22)
    assert (image[1] == 77).all()


# Stacks with holes, and what is read of them


@pytest.fixture
def stack(rng: np.random.Generator) -> Array:
    """Three slices of 16 × 13 pixels."""
    return rng.integers(0, 1000, (3, 16, 13)).astype(np.uint16)


@pytest.fixture
def holes(rng: np.random.Generator) -> Array:
    return rng.random((16, 13)) < 0.3


def test_slices_with_nothing_masked_and_slices_without_anything_known_pass_through(stack: Array, holes: Array) -> None:
    mask = np.zeros(stack.shape, bool)
    mask[0], mask[2] = holes, True
    run = restore(stack, Inpaint(), QUICK, mask=mask, axes="PYX", device="cpu")
    image = run.finish()
    assert (image[0] != stack[0]).any()
    np.testing.assert_array_equal(image[1:], stack[1:])
    assert run.record.chosen_steps[1:] == [None, None]
    nothing, everything = run.record.passed_through
    assert nothing == "slice 2: no pixel is masked or missing: there is nothing to fill"
    assert everything == "slice 3: every pixel is masked or missing: there is nothing to fill from"


def test_a_lazy_array_is_read_once_for_the_fit_and_once_for_the_known_pixels(stack: Array, holes: Array) -> None:
    lazy = Counting(stack)
    run = restore(lazy, Inpaint(), dimming(), mask=holes, axes="PYX", device="cpu")
    assert lazy.indices == []
    next(run)
    # Besides, windows of all slices are read once: they share their noise.
    assert [index[0] for index in lazy.indices] == [0, 0, 1, 2]
    image = run.finish()
    assert [index[0] for index in lazy.indices][4:] == [0, 1, 1, 2, 2]
    np.testing.assert_array_equal(image[:, ~holes], stack[:, ~holes])

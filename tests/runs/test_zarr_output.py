"""A result on disk: what was written stays, a run that was killed goes on, and nothing of others is touched."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.methods import Method
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.setup import RunOptions, set_up
from napari_deep_prior.runs.zarr_output import MARKERS, ZarrOutput
from napari_deep_prior.tasks import Denoise

from .toys import Counting, dimming

zarr = pytest.importorskip("zarr")

SHAPE = (3, 9, 11)


@pytest.fixture
def stack(rng: np.random.Generator) -> Array:
    """Three slices of 9 × 11 pixels."""
    return rng.integers(1, 1000, SHAPE).astype(np.uint16)


def opened(path: Path, identity: str = "run 1", shape: tuple[int, ...] = SHAPE, dtype: str = "uint16") -> ZarrOutput:
    return ZarrOutput(path, shape, np.dtype(dtype), chunks=(1, *shape[1:]), identity=identity)


def run_into(output: ZarrOutput, image: Array | Counting, method: Method | None = None) -> Restoration:
    wish = Wish(method="deep-image-prior", effort="", settings=method or dimming())
    setup = set_up(image, Denoise(), wish, {}, RunOptions(axes="PYX", device="cpu"))
    return Restoration(dataclasses.replace(setup, output=output))


def markers(path: Path) -> list[str]:
    return sorted(file.name for file in (path / MARKERS).iterdir())


def test_pieces_are_on_the_disk_as_soon_as_they_are_finished(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    run = run_into(opened(path), stack)
    wanted = restore(stack, Denoise(), dimming(), axes="PYX", device="cpu").finish()
    assert next(step for step in run if run.piece_number == 2).number == 1
    on_disk = zarr.open_array(str(path), mode="r")
    np.testing.assert_array_equal(on_disk[0], wanted[0])
    assert not on_disk[1:].any()
    assert markers(path) == ["0.json"]
    np.testing.assert_array_equal(run.finish(), wanted)
    np.testing.assert_array_equal(on_disk[:], wanted)
    assert (on_disk.shape, on_disk.dtype, on_disk.chunks) == (SHAPE, np.uint16, (1, 9, 11))


def test_an_image_that_is_looked_at_does_not_change_what_is_on_the_disk(tmp_path: Path, stack: Array) -> None:
    output = opened(tmp_path / "out.zarr")
    run = run_into(output, stack)
    next(run)
    run.show_latest()
    assert (run.image[0] != stack[0]).any()
    np.testing.assert_array_equal(run.image[1:], stack[1:])
    assert not output.image()[:].any()


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    run = run_into(opened(path), stack)
    for _ in run:
        if run.piece_number == 2:
            break
    # Half of the second slice's steps: it is done again.
    run.close()
    assert markers(path) == ["0.json"]
    lazy = Counting(stack)
    again = run_into(opened(path), lazy)
    assert {again.piece_number for _ in again} == {2, 3}
    wanted = restore(stack, Denoise(), dimming(), axes="PYX", device="cpu").finish()
    np.testing.assert_array_equal(again.image, wanted)
    assert again.record.chosen_steps == [None, 2, 2]
    assert again.record.passed_through == ["slice 1: an earlier run has restored it"]
    # The first slice is read once more, and windows of all of them: they share their noise.
    assert [index[0] for index in lazy.indices] == [0, 0, 1, 2, 1, 2]


def test_slices_after_a_restart_have_the_noise_of_the_first_one(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = rng.normal(100, 3, (2, 32, 32))
    stack[1] = rng.normal(100, 9, (32, 32))
    path = tmp_path / "out.zarr"
    whole = run_into(opened(path, shape=stack.shape, dtype="float64"), stack)
    whole.finish()
    (path / MARKERS / "1.json").unlink()
    again = run_into(opened(path, shape=stack.shape, dtype="float64"), stack)
    again.finish()
    assert again.record.noise == whole.record.noise


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    result = run_into(opened(path), stack).finish()
    again = run_into(opened(path), stack, dimming(RuntimeError("it was restored again")))
    assert list(again) == []
    np.testing.assert_array_equal(again.image, result)


def test_a_piece_without_its_marker_is_done_again(tmp_path: Path, stack: Array) -> None:
    # The run was killed between the writing of a piece and that of its marker, or while the marker was written.
    path = tmp_path / "out.zarr"
    output = opened(path)
    pieces = plan(SHAPE, "PYX")
    output.write(pieces[0], stack[0])
    output.image()[pieces[1].write] = stack[1]
    (path / MARKERS / "1.tmp").write_text('{"iden', encoding="utf-8")
    again = opened(path)
    assert [again.done(piece) for piece in pieces] == [True, False, False]
    again.write(pieces[1], stack[1])
    assert markers(path) == ["0.json", "1.json"]


def test_a_piece_of_nothing_but_zeros_is_done_although_zarr_writes_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    piece = plan(SHAPE, "PYX")[0]
    opened(path).write(piece, np.zeros(SHAPE[1:], np.uint16))
    assert opened(path).done(piece)


def test_a_run_of_another_identity_is_refused(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    opened(path).write(plan(SHAPE, "PYX")[2], stack[2])
    with pytest.raises(ValueError, match=r"out.zarr' holds pieces of another run \(run 1; this one is run 2\): choose"):
        opened(path, "run 2")
    marker = json.loads((path / MARKERS / "2.json").read_text(encoding="utf-8"))
    assert marker == {"identity": "run 1"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it", encoding="utf-8")
    with pytest.raises(ValueError, match="is not empty, and not a result of this program: choose another"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_array_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "measured.zarr"
    zarr.create_array(str(path), shape=SHAPE, dtype="uint16", chunks=SHAPE)[:] = 7
    with pytest.raises(ValueError, match="not a result of this program"):
        opened(path)
    assert (zarr.open_array(str(path), mode="r")[:] == 7).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 9, 12)}, r"holds a uint16 array of shape \(3, 9, 11\); uint16 of \(3, 9, 12\) is to be written"),
        ({"dtype": "float32"}, r"holds a uint16 array of shape \(3, 9, 11\); float32 of"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "out.zarr"
    opened(path)
    with pytest.raises(ValueError, match=message):
        opened(path, **change)


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert opened(tmp_path).image().shape == SHAPE
    assert opened(tmp_path).memory == 0

"""A result on disk: what was written stays, a run that was killed goes on, and nothing of others is touched."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.files.images import RECORD, ImageFile, read
from napari_deep_prior.methods import Method
from napari_deep_prior.runs.errors import RestorationError
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import set_up
from napari_deep_prior.runs.zarr_output import ZarrOutput
from napari_deep_prior.runs.zarr_place import MARKERS, PROCESS, RUN, ZarrPlace
from napari_deep_prior.tasks import Denoise, Task

from .toys import Counting, dimming

zarr = pytest.importorskip("zarr")

SHAPE = (3, 9, 11)


@pytest.fixture
def stack(rng: np.random.Generator) -> Array:
    """Three slices of 9 × 11 pixels."""
    return rng.integers(1, 1000, SHAPE).astype(np.uint16)


def opened(
    path: Path,
    identity: str = "run 1",
    shape: tuple[int, ...] = SHAPE,
    dtype: str = "uint16",
    *,
    overwrite: bool = False,
    axes: str = "ZYX",
) -> ZarrOutput:
    place = ZarrPlace(path=path, identity=identity, overwrite=overwrite)
    return ZarrOutput(shape, np.dtype(dtype), place, ImageFile(pixels=None, axes=axes))


def run_into(
    output: ZarrOutput, image: Array | Counting, method: Method | None = None, task: Task | None = None
) -> Restoration:
    wish = Wish(method="deep-image-prior", effort="", settings=method or dimming())
    setup = set_up(image, task or Denoise(), wish, {}, RunOptions(axes="ZYX", device="cpu"))
    return Restoration(dataclasses.replace(setup, output=output))


def markers(path: Path) -> list[str]:
    return sorted(file.name for file in (path / MARKERS).iterdir() if file.name not in (RUN, PROCESS))


def test_pieces_are_on_the_disk_as_soon_as_they_are_finished(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    run = run_into(opened(path), stack)
    wanted = restore(stack, Denoise(), dimming(), axes="ZYX", device="cpu").finish()
    assert next(step for step in run if run.piece_number == 2).number == 1
    on_disk = zarr.open_array(str(path / "0"), mode="r")
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
    assert not zarr.open_array(str(tmp_path / "out.zarr" / "0"), mode="r")[:].any()


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
    whole = restore(stack, Denoise(), dimming(), axes="ZYX", device="cpu")
    np.testing.assert_array_equal(again.image, whole.finish())
    # What the first run has noted of its slice lies beside the marker.
    for record in (again.record, whole.record):
        assert record.chosen_steps == [2, 2, 2]
    assert (again.record.noise, again.record.remarks) == (whole.record.noise, whole.record.remarks)
    # The first slice is read once more, and windows of all of them: they share their noise.
    assert [index[0] for index in lazy.indices] == [0, 0, 1, 2, 1, 2]


def test_a_marker_without_a_note_says_only_that_a_slice_is_finished(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    run = run_into(opened(path), stack)
    for _ in run:
        if run.piece_number == 2:
            break
    run.close()
    marker = path / MARKERS / "0.json"
    marker.write_text(json.dumps({"identity": "run 1"}), encoding="utf-8")
    again = run_into(opened(path), stack)
    again.finish()
    assert again.record.chosen_steps == [None, 2, 2]
    assert again.record.passed_through == ["slice 1: an earlier run has restored it"]


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
    pieces = plan(SHAPE, "ZYX")
    output.write(pieces[0], stack[0])
    output.image()[pieces[1].write] = stack[1]
    (path / MARKERS / "1.tmp").write_text('{"iden', encoding="utf-8")
    output.close()
    again = opened(path)
    assert [again.done(piece) for piece in pieces] == [True, False, False]
    again.write(pieces[1], stack[1])
    assert markers(path) == ["0.json", "1.json"]


def test_a_piece_of_nothing_but_zeros_is_done_although_zarr_writes_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    piece = plan(SHAPE, "ZYX")[0]
    opened(path).write(piece, np.zeros(SHAPE[1:], np.uint16))
    assert opened(path).done(piece)


def test_a_run_of_another_identity_is_refused(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    opened(path).write(plan(SHAPE, "ZYX")[2], stack[2])
    with pytest.raises(ValueError, match=r"out.zarr' holds the result, or .*\(run 1; this one is run 2\): choose"):
        opened(path, "run 2")
    marker = json.loads((path / MARKERS / "2.json").read_text(encoding="utf-8"))
    assert marker == {"identity": "run 1"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it", encoding="utf-8")
    with pytest.raises(ValueError, match="is not empty, and not a result of this program: choose another"):
        opened(tmp_path, overwrite=True)
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
    opened(path).write(plan(SHAPE, "ZYX")[0], np.zeros(SHAPE[1:], np.uint16))
    with pytest.raises(ValueError, match=message):
        opened(path, **change).become(np.dtype(change.get("dtype", "uint16")))


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert opened(tmp_path).snapshot().shape == SHAPE
    assert opened(tmp_path).memory == 0


def finished(path: Path, stack: Array, record: dict[str, object] | None = None, **options: object) -> None:
    output = opened(path, shape=stack.shape, **options)
    for piece in plan(stack.shape, options.get("axes", "ZYX")):
        output.write(piece, stack[piece.write])
    output.finish(record or {})


def test_a_finished_result_is_an_ome_zarr_with_its_record_and_no_markers(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    finished(path, stack, {"task": "Denoise"})
    assert sorted(file.name for file in path.iterdir()) == ["0", "zarr.json"]
    image = read(path)
    assert (image.axes, image.remarks) == ("ZYX", ())
    assert image.record == {"task": "Denoise", "identity": "run 1"}
    np.testing.assert_array_equal(image.pixels, stack)
    assert zarr.open_array(str(path / "0"), mode="r").metadata.dimension_names == ("z", "y", "x")


def test_axes_are_written_in_the_order_of_ome_and_read_in_that_of_the_input(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    stack = rng.integers(0, 99, (4, 3, 2, 5, 6)).astype(np.uint16)
    path = tmp_path / "out.zarr"
    finished(path, stack, axes="TZCYX")
    image = read(path)
    assert image.axes == "TCZYX"
    np.testing.assert_array_equal(image.pixels, stack.transpose(0, 2, 1, 3, 4))
    output = opened(tmp_path / "turned.zarr", shape=(5, 6, 3), axes="XYT")
    for piece in plan((5, 6, 3), "XYT"):
        output.write(piece, np.full((5, 6), piece.number, np.uint16))
    np.testing.assert_array_equal(output.snapshot()[1, 2], [0, 1, 2])
    np.testing.assert_array_equal(output.image()[1:3, 2, 1:3], [[1, 2]] * 2)


def test_colours_become_channels(tmp_path: Path, rng: np.random.Generator) -> None:
    colour = rng.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    finished(tmp_path / "out.zarr", colour, axes="YXS", dtype="uint8")
    image = read(tmp_path / "out.zarr")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.pixels, np.moveaxis(colour, -1, 0))
    attributes = json.loads((tmp_path / "out.zarr" / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    assert [channel["color"] for channel in attributes["ome"]["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]


def test_axes_without_a_place_in_ome_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"has the axes T, C, Z, Y, X, and no P: name the axes .* or write an .ome.tif"
    ):
        opened(tmp_path / "out.zarr", axes="PYX")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_before_a_run_begins(tmp_path: Path, stack: Array) -> None:
    run = run_into(opened(tmp_path / "out.zarr"), stack)
    assert list(tmp_path.iterdir()) == []
    run.finish()
    assert (tmp_path / "out.zarr").is_dir()


def test_a_result_takes_the_type_that_its_values_need_before_it_is_written(tmp_path: Path) -> None:
    output = opened(tmp_path / "out.zarr")
    output.become(np.dtype(np.float32))
    assert output.snapshot().dtype == np.float32
    with pytest.raises(ValueError, match=r"float32 would round away what is restored, and float64 is needed"):
        output.become(np.dtype(np.float64))


def test_a_finished_result_is_known_and_not_made_again(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    finished(path, stack)
    again = opened(path)
    assert again.is_complete
    assert all(again.done(piece) for piece in plan(SHAPE, "ZYX"))
    again.finish({"task": "another"})
    assert "task" not in read(path).record


def test_a_finished_result_of_another_identity_is_replaced_only_if_that_is_allowed(
    tmp_path: Path, stack: Array
) -> None:
    path = tmp_path / "out.zarr"
    finished(path, stack)
    with pytest.raises(ValueError, match="or replace it with --overwrite"):
        opened(path, "run 2")
    np.testing.assert_array_equal(read(path).pixels, stack)
    output = opened(path, "run 2", overwrite=True)
    assert not output.is_complete
    np.testing.assert_array_equal(read(path).pixels, stack)
    output.write(plan(SHAPE, "ZYX")[1], stack[0])
    assert markers(path) == ["1.json"]
    np.testing.assert_array_equal(output.snapshot(), [np.zeros_like(stack[0]), stack[0], np.zeros_like(stack[0])])


def test_two_runs_do_not_write_into_one_folder_at_once(tmp_path: Path, stack: Array) -> None:
    path, piece = tmp_path / "out.zarr", plan(SHAPE, "ZYX")[0]
    first, second = opened(path), opened(path)
    first.write(piece, stack[0])
    with pytest.raises(ValueError, match=rf"run \(process {os.getpid()}\) writes into .*out.zarr': wait until it has"):
        second.write(piece, stack[0])
    first.close()
    second.write(piece, stack[0])
    assert second.pieces_done == 1


def test_the_lock_of_a_process_that_is_gone_does_not_count(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    (path / MARKERS).mkdir(parents=True)
    (path / MARKERS / PROCESS).write_text('{"process": 999999999, "started": 0}', encoding="utf-8")
    opened(path).write(plan(SHAPE, "ZYX")[0], stack[0])
    assert markers(path) == ["0.json"]


def test_a_full_disk_is_a_sentence_and_costs_no_finished_piece(tmp_path: Path, stack: Array) -> None:
    path = tmp_path / "out.zarr"
    output = opened(path)
    first, second, _ = plan(SHAPE, "ZYX")
    output.write(first, stack[0])
    # A folder in the place of the chunk, which no file can replace: the system refuses it as it does on a full disk.
    (path / "0" / "c" / "1" / "0" / "0" / "blocked").mkdir(parents=True)
    with pytest.raises(RestorationError, match=r"could not be written to .* The 1 pieces that are finished stay"):
        output.write(second, stack[1])
    assert markers(path) == ["0.json"]


def test_a_result_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    output = opened(tmp_path / "out.zarr", shape=(10**6, 10**5, 10**5))
    with pytest.raises(ValueError, match=r"needs up to 24835\d+\.\d GiB on the disk of .* are free: make room"):
        output.refuse_full_disk(10**6)


def test_a_place_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot write .*: there is no folder"):
        opened(tmp_path / "none" / "out.zarr")
    (tmp_path / "file.zarr").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="is a file, and a folder is to be written"):
        opened(tmp_path / "file.zarr", overwrite=True)


def test_a_large_plane_has_smaller_ones_that_lie_on_it(tmp_path: Path, rng: np.random.Generator) -> None:
    plane = rng.integers(0, 999, (2, 601, 40)).astype(np.uint16)
    path = tmp_path / "out.zarr"
    finished(path, plane)
    group = zarr.open_group(str(path), mode="r")
    assert [group[name].shape for name in ("0", "1", "2")] == [(2, 601, 40), (2, 300, 20), (2, 150, 10)]
    wanted = plane[:, :600].reshape(2, 300, 2, 20, 2).mean(axis=(2, 4))
    assert abs(group["1"][:] - wanted).max() <= 0.5
    (multiscale,) = group.attrs["ome"]["multiscales"]
    steps = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    assert [each[0]["scale"] for each in steps] == [[1, 1, 1], [1, 2, 2], [1, 4, 4]]
    assert [each[1]["translation"] for each in steps[1:]] == [[0, 0.5, 0.5], [0, 1.5, 1.5]]
    assert RECORD in group.attrs


MEASURE = """
from pathlib import Path
import numpy as np
import torch
from napari_deep_prior.files.images import read
from napari_deep_prior.runs.peak_memory import peak_memory
from tests.runs.test_zarr_output import opened, run_into
from tests.runs.toys import Look

for count in (16, 112):
    image = read(Path(f"{count}.zarr"), axes="ZYX", lazily=True)
    output = opened(Path(f"out-{count}.zarr"), shape=image.pixels.shape)
    for _ in (run := run_into(output, image.pixels, task=Look())):
        pass
    run.close()
    output.finish({})
    print(peak_memory(torch.device("cpu")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its peak counts otherwise")
def test_memory_does_not_grow_with_the_planes(tmp_path: Path, rng: np.random.Generator) -> None:
    plane = rng.poisson(50, (384, 384)).astype(np.uint16)
    for count in (16, 112):
        array = zarr.create_array(str(tmp_path / f"{count}.zarr"), shape=(count, *plane.shape), chunks=(1, 384, 384),
            dtype=np.uint16)  # fmt: skip
        for number in range(count):
            array[number] = np.roll(plane, number, 0)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        # The C library gives the memory of a plane back as soon as it is free: otherwise its leftovers grow by chance.
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split())
    # 96 planes more would take 27 MiB as whole numbers, in and out alike, and four times that as tensors.
    assert many - few < 13 * 2**20, f"{few} bytes for 16 planes, {many} for 112"

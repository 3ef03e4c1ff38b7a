"""Results that are written piece by piece: lazily read, resumed after a kill, never mixed, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep_prior.cli.main import DONE, INTERRUPTED, main
from napari_deep_prior.files import images
from napari_deep_prior.files.lazy_pixels import LazyPixels
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.zarr_place import MARKERS

from .conftest import FEW, Capture, Refused

zarr = pytest.importorskip("zarr")

COMMAND = ["denoise", "in.zarr", "out.zarr", "--axes", "ZYX", "--neighbours", "0", *FEW]
COUNT = 5


@pytest.fixture
def stack(folder: Path, noisy: np.ndarray) -> np.ndarray:
    """Five planes, also in in.zarr of the current folder."""
    planes = np.stack([np.roll(noisy[:24, :20], number, 0) for number in range(COUNT)])
    zarr.create_array("in.zarr", data=planes, chunks=(1, *planes.shape[1:]))
    return planes


def test_a_zarr_is_restored_as_the_same_image_in_memory(stack: np.ndarray, capsys: Capture) -> None:
    assert main(COMMAND) == DONE
    assert "out.zarr: 5 of 5 slices restored" in capsys.readouterr().err
    result = images.read("out.zarr")
    assert (result.axes, result.pixels.dtype) == ("ZYX", stack.dtype)
    images.write("in.tif", images.ImageFile(pixels=stack, axes="ZYX"))
    assert main(["denoise", "in.tif", "out.tif", *COMMAND[3:]]) == DONE
    np.testing.assert_array_equal(result.pixels, images.read("out.tif").pixels)
    assert (result.pixels != stack).any(axis=(1, 2)).all()
    assert result.record["task"]["kind"] == "Denoise"
    assert len(result.record["chosen_steps"]) == COUNT


def test_a_result_keeps_sizes_and_channels_and_can_be_restored_again(stack: np.ndarray) -> None:
    channels = ({"Name": "DAPI"}, {"Name": "GFP"})
    spacing, units = {"Z": 2.0, "Y": 0.5, "X": 0.25}, dict.fromkeys("ZYX", "µm")
    pixels = np.stack([stack, stack[::-1]], axis=1)
    images.write(
        "in.ome.tif",
        images.ImageFile(pixels=pixels, axes="ZCYX", spacing=spacing, units=units, channels=channels),
        overwrite=True,
    )
    assert main(["denoise", "in.ome.tif", "first.zarr", "--neighbours", "0", *FEW]) == DONE
    assert main(["super-resolve", "first.zarr", "second.zarr", "--factor", "2", *FEW]) == DONE
    first, second = images.read("first.zarr"), images.read("second.zarr")
    assert (first.axes, first.spacing, first.units) == ("CZYX", spacing, units)
    assert [channel["Name"] for channel in first.channels] == ["DAPI", "GFP"]
    assert second.pixels.shape == (2, COUNT, 48, 40)
    assert second.spacing == {"Z": 2.0, "Y": 0.25, "X": 0.125}


def test_a_finished_result_is_not_made_again_and_another_one_refused(
    stack: np.ndarray, refused: Refused, capsys: Capture
) -> None:
    assert main(COMMAND) == DONE
    capsys.readouterr()
    assert main(COMMAND) == DONE
    said = capsys.readouterr().err
    assert "a run of the same input, settings and version has finished this result" in said
    assert "slice" not in said
    for other in (["--seed", "3"], ["--axes", "TYX"]):
        assert "or replace it with --overwrite" in refused(*COMMAND, *other)
    zarr.open_array("in.zarr", mode="a")[0, 0, 0] += 1
    assert "its input, settings or version were others" in refused(*COMMAND)
    assert main([*COMMAND, "--overwrite"]) == DONE


def test_what_does_not_fit_is_one_sentence(stack: np.ndarray, refused: Refused) -> None:
    more = COMMAND[3:]
    assert "the output 'in.zarr/out.zarr' lies inside of the input" in refused(
        "denoise", "in.zarr", "in.zarr/out.zarr", *more
    )
    assert "lies inside of the output" in refused("denoise", "big.zarr/in.zarr", "big.zarr", *more)
    assert "are the same file 'in.zarr'" in refused("denoise", "in.zarr", "in.zarr", *more)
    assert "not a result of this program: choose another" in refused("denoise", "truth.tif", "in.zarr", "--overwrite")
    assert "'ZY' names 2 axes, but the image has 3" in refused(*COMMAND, "--axes", "ZY")
    assert "has no --residual" in refused(*COMMAND, "--residual", "r.tif")
    assert "compare the result with 'deep-prior compare'" in refused(*COMMAND, "--reference", "truth.tif")
    assert "there is no folder" in refused("denoise", "in.zarr", "none/out.zarr", *more)
    (Path("in.zarr") / "c" / "3" / "0" / "0").write_bytes(b"damaged")
    assert "cannot read 'in.zarr' as an image" in refused(*COMMAND)


def test_a_stopped_run_keeps_its_finished_slices_and_goes_on(
    stack: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert stopped_after(10, COMMAND, monkeypatch) == INTERRUPTED
    assert "stopped; 2 of 5 slices are written, and the same command goes on" in capsys.readouterr().err
    assert main(COMMAND) == DONE
    said = capsys.readouterr().err
    assert "out.zarr: 2 of 5 slices were restored by an earlier run" in said
    assert "slice 1/" not in said
    assert main(["denoise", "in.zarr", "whole.zarr", *COMMAND[3:]]) == DONE
    np.testing.assert_array_equal(images.read("out.zarr").pixels, images.read("whole.zarr").pixels)


def test_planes_of_a_tiff_are_read_where_they_are_asked_for(stack: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    read = LazyPixels.__getitem__

    def noting(pixels: LazyPixels, index: object) -> np.ndarray:
        nonlocal largest
        part = read(pixels, index)
        largest = max(largest, part.size)
        return part

    monkeypatch.setattr(LazyPixels, "__getitem__", noting)
    tifffile.imwrite("in.tif", stack, metadata={"axes": "ZYX"}, photometric="minisblack")
    for name in ("in.tif", "in.zarr"):
        largest = 0
        assert main(["denoise", name, f"of-{name}.zarr", *COMMAND[3:]]) == DONE
        assert largest == stack[0].size
    np.testing.assert_array_equal(images.read("of-in.tif.zarr").pixels, images.read("of-in.zarr.zarr").pixels)


def stopped_after(steps: int, command: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the exit code of a command that Ctrl-C ends after some steps."""
    step, count = Restoration.__next__, 0

    def stopping(run: Restoration) -> object:
        nonlocal count
        count += 1
        if count == steps:
            raise KeyboardInterrupt
        return step(run)

    with monkeypatch.context() as patch:
        patch.setattr(Restoration, "__next__", stopping)
        return main(command)


def test_tiles_are_written_resumed_and_joined_like_slices(
    folder: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    planes = rng.integers(100, 1000, (2, 100, 70)).astype(np.uint16)
    zarr.create_array("in.zarr", data=planes, chunks=(1, 32, 32))
    command = [*COMMAND, "--tile", "64"]
    # Four tiles a slice: in the middle of the second slice, the first is joined.
    assert stopped_after(23, command, monkeypatch) == INTERRUPTED
    assert "stopped; 5 of 8 tiles are written, and the same command goes on" in capsys.readouterr().err
    assert {path.stem for path in (Path("out.zarr") / MARKERS).glob("*.npz")} == {"4"}
    assert zarr.open_group("out.zarr")["0"].chunks == (1, 64, 64)
    assert main(command) == DONE
    said = capsys.readouterr().err
    assert "5 of 8 tiles were restored by an earlier run" in said
    assert "8 of 8 tiles restored" in said
    assert main(["denoise", "in.zarr", "whole.zarr", *command[3:]]) == DONE
    images.write("in.tif", images.ImageFile(pixels=planes, axes="ZYX"))
    assert main(["denoise", "in.tif", "out.tif", *command[3:]]) == DONE
    result = images.read("out.zarr")
    whole = images.read("whole.zarr")
    np.testing.assert_array_equal(result.pixels, whole.pixels)
    assert result.record == whole.record
    np.testing.assert_array_equal(result.pixels, images.read("out.tif").pixels)
    assert result.record["tile"] == 64


def test_a_run_goes_on_with_its_tiles_whatever_memory_there_is_now(
    folder: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    zarr.create_array("in.zarr", data=rng.random((300, 200)).astype(np.float32), chunks=(100, 100))
    command = ["denoise", "in.zarr", "out.zarr", *FEW]
    assert stopped_after(3, [*command, "--memory", "111MiB"], monkeypatch) == INTERRUPTED
    assert stopped_after(8, [*command, "--memory", "106MiB"], monkeypatch) == INTERRUPTED
    written = zarr.open_group("out.zarr")["0"].chunks
    assert main(command) == DONE
    assert zarr.open_group("out.zarr")["0"].chunks == written
    assert images.read("out.zarr").record["tile"] is not None
    assert "its input, settings or version were others" in refused(*command, "--tile", "64")
    assert "is too little for a tile" in refused("denoise", "in.zarr", "other.zarr", *FEW, "--memory", "1MiB")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed with a signal")
def test_a_killed_run_goes_on_and_the_result_is_that_of_a_whole_one(stack: np.ndarray) -> None:
    # Long enough to be killed in the middle of a slice.
    command = [*COMMAND, "--steps", "30"]
    markers = Path("out.zarr") / MARKERS
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for finished in (1, 3):
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_deep_prior", *command], env=environment, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while len(list(markers.glob("[0-9]*.json"))) < finished and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert finished <= len(list(markers.glob("[0-9]*.json"))) < COUNT
    assert main(command) == DONE
    assert not markers.exists()
    assert main(["denoise", "in.zarr", "whole.zarr", *command[3:]]) == DONE
    result, whole = images.read("out.zarr"), images.read("whole.zarr")
    np.testing.assert_array_equal(result.pixels, whole.pixels)
    assert result.record == whole.record

"""A folder of images by the command line: as the command of each image, and nothing is lost or done twice."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.cli.main import DONE, FAILED, INCOMPLETE, INTERRUPTED, main
from napari_deep_prior.files import images
from napari_deep_prior.files.folders import TABLE
from napari_deep_prior.files.replacing import alone_in
from napari_deep_prior.runs.restoration import Restoration

from .conftest import FEW, QUICK, Capture

FAST = ["--effort", "fast", "--device", "cpu"]
WINDOWS = sys.platform == "win32"


@pytest.fixture
def raw(folder: Path, noisy: np.ndarray) -> Path:
    """Has a.tif, b.tif and c.ome.tif, each of 16 × 15 pixels, in the current folder."""
    raw = folder / "raw"
    raw.mkdir()
    for number, name in enumerate(("a.tif", "b.tif")):
        tifffile.imwrite(raw / name, noisy[number : number + 16, :15])
    spacing, units = {"Y": 0.2, "X": 0.2}, {"Y": "µm", "X": "µm"}
    image = images.ImageFile(pixels=noisy[9:25, :15], axes="YX", spacing=spacing, units=units)
    images.write(raw / "c.ome.tif", image)
    return raw


def batch(*arguments: str, task: str = "denoise") -> int:
    return main(["batch", task, "raw", "out", *arguments])


def rows(file: str = f"out/{TABLE}") -> dict[str, dict[str, str]]:
    with Path(file).open(encoding="utf-8", newline="") as opened:
        return {row["file"]: row for row in csv.DictReader(opened)}


def column(name: str) -> dict[str, str]:
    return {file: row[name] for file, row in rows().items()}


def results(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir() if path.name != TABLE)


def test_a_file_is_restored_as_by_the_command_of_its_task(raw: Path, capsys: Capture) -> None:
    assert batch(*FEW, "--seed", "3", "--dtype", "float32") == DONE
    assert results() == ["a.tif", "b.tif", "c.ome.tif"]
    assert main(["denoise", "raw/c.ome.tif", "alone.tif", *FEW, "--seed", "3", "--dtype", "float32"]) == DONE
    together, alone = images.read("out/c.ome.tif"), images.read("alone.tif")
    np.testing.assert_array_equal(together.pixels, alone.pixels)
    assert (together.spacing, together.units) == (alone.spacing, alone.units)
    # For the table the residual is looked at in any case.
    assert together.record | {"residuals": []} == alone.record
    said = capsys.readouterr().err
    assert re.search(r"\r3/3 c\.ome\.tif: restored in \d+ s\n", said)
    assert "3 restored of 3 files" in said
    row = rows()["c.ome.tif"]
    assert row["hash"] == alone.record["identity"]
    assert (row["status"], row["method"], row["image"]) == ("done", "deep-image-prior", "YX 16 × 15, uint16")
    assert row["noise"] == alone.record["noise"]["in_words"]
    assert row["residual"] == together.record["residuals"][0]
    assert float(row["seconds"]) >= 0
    assert float(row["memory_mib"]) > 50


def test_broken_and_strange_files_are_reported_at_the_end_and_stop_no_other(raw: Path, capsys: Capture) -> None:
    (raw / "a.tif").write_bytes(b"II*\0garbage")
    tifffile.imwrite(raw / "constant.tif", np.full((16, 15), 7, np.uint16))
    tifffile.imwrite(raw / "large.tif", images.read(raw / "b.tif").pixels[:12].astype(np.float32))
    Image.fromarray(np.random.default_rng(0).integers(0, 99, (12, 12, 3), np.uint8)).save(raw / "photo.png")
    (raw / "notes.txt").write_text("no image")
    (raw / "._b.tif").write_bytes(b"of another system")
    (raw / "folder.tif").mkdir()
    assert batch(*FAST) == INCOMPLETE
    assert column("status") == {
        "a.tif": "failed", "b.tif": "done", "c.ome.tif": "done", "constant.tif": "failed", "large.tif": "done",
        "photo.png": "done",
    }  # fmt: skip
    assert results() == ["b.tif", "c.ome.tif", "large.tif", "photo.tif"]
    said = capsys.readouterr().err.splitlines()
    assert said[-3] == "4 restored, 2 failed of 6 files"
    assert said[-2].startswith("deep-prior: a.tif: failed: cannot read 'raw/a.tif' as an image: it is damaged")
    assert said[-1].startswith("deep-prior: constant.tif: failed: the image is constant (every pixel is 7)")
    assert "'large.tif' is YX 12 × 15, float32; most images are YX 16 × 15, uint16" in said
    assert "every pixel is 7" in rows()["constant.tif"]["message"]
    # What was wrong is put right, and only that is done.
    for name in ("a.tif", "constant.tif"):
        shutil.copy(raw / "b.tif", raw / name)
    assert batch(*FAST) == DONE
    assert [column("status")[name] for name in ("a.tif", "b.tif", "constant.tif")] == ["done", "skipped", "done"]


def test_what_is_finished_is_skipped_and_other_results_are_refused(raw: Path, capsys: Capture) -> None:
    assert main(["denoise", "raw/a.tif", "alone.tif", *FAST]) == DONE
    Path("out").mkdir()
    Path("alone.tif").rename("out/a.tif")
    assert batch(*FAST) == DONE
    # A result of the same settings by the command of one image counts, too.
    assert column("status") == {"a.tif": "skipped", "b.tif": "done", "c.ome.tif": "done"}
    before, table = Path("out/b.tif").read_bytes(), rows()
    assert batch(*FAST, "--overwrite") == DONE
    assert column("status") == dict.fromkeys(table, "skipped")
    assert rows()["b.tif"] == table["b.tif"] | {"status": "skipped"}
    assert Path("out/b.tif").read_bytes() == before
    tifffile.imwrite(raw / "a.tif", images.read(raw / "b.tif").pixels)
    assert batch(*FAST) == INCOMPLETE
    assert column("status") == {"a.tif": "refused", "b.tif": "skipped", "c.ome.tif": "skipped"}
    assert batch(*FAST, "--sigma", "40") == INCOMPLETE
    assert column("status") == dict.fromkeys(table, "refused")
    assert "'out/b.tif' exists already, and was made of another input, with other settings" in capsys.readouterr().err
    assert Path("out/b.tif").read_bytes() == before
    assert batch(*FAST, "--sigma", "40", "--overwrite", "--pattern", "b*") == DONE
    assert images.read("out/b.tif").record["task"]["sigma"] == 40
    assert column("status") == {"a.tif": "refused", "b.tif": "done", "c.ome.tif": "refused"}


def test_a_result_that_was_stopped_is_not_taken_for_a_finished_one(
    raw: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        interrupt_at(patched, 2)
        assert main(["denoise", "raw/a.tif", "stopped.tif", *FEW]) == INTERRUPTED
    Path("out").mkdir()
    Path("stopped.tif").rename("out/a.tif")
    tifffile.imwrite("out/b.tif", np.eye(4, dtype=np.uint8))
    Path("out/c.ome.tif").write_text("no image")
    assert batch(*FEW) == INCOMPLETE
    assert set(column("status").values()) == {"refused"}
    assert "or was stopped: choose" in rows()["a.tif"]["message"]
    assert "is no result of this program: choose" in rows()["b.tif"]["message"]
    assert "is no result of this program: choose" in rows()["c.ome.tif"]["message"]


def interrupt_at(patched: pytest.MonkeyPatch, number: int) -> None:
    """Let Ctrl-C happen when runs are asked for a step after a number of them."""
    step, made = Restoration.__next__, []

    def stopped(run: Restoration) -> object:
        if len(made) == number:
            raise KeyboardInterrupt
        made.append(run)
        return step(run)

    patched.setattr(Restoration, "__next__", stopped)


def test_ctrl_c_keeps_what_is_finished_and_writes_nothing_else(
    raw: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        # Four steps and the end of the first file, and two steps of the second one.
        interrupt_at(patched, 7)
        assert batch(*FEW, "--stop", "none") == INTERRUPTED
    assert "deep-prior: stopped; 1 restored, 'b.tif' is not finished" in capsys.readouterr().err
    assert results() == ["a.tif"]
    assert column("status") == {"a.tif": "done"}
    assert batch(*FEW, "--stop", "none") == DONE
    assert column("status") == {"a.tif": "skipped", "b.tif": "done", "c.ome.tif": "done"}


def zarr_in(folder: Path, planes: np.ndarray) -> None:
    """Write a stack as ``s.zarr`` into a folder."""
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(folder / "s.zarr"), data=planes, chunks=(1, *planes.shape[1:]))


def test_a_zarr_is_restored_into_a_zarr_as_by_its_command_and_goes_on_where_it_was_stopped(
    raw: Path, noisy: np.ndarray, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    planes = np.stack([np.roll(noisy[:16, :15], number, 0) for number in range(3)])
    zarr_in(raw, planes)
    how = [*FEW, "--stop", "none", "--axes", "ZYX", "--neighbours", "0"]
    with monkeypatch.context() as patched:
        # Four steps and the end of the first slice, and two steps of the second one.
        interrupt_at(patched, 6)
        assert batch(*how, "--pattern", "*.zarr") == INTERRUPTED
    assert "deep-prior: stopped; nothing was written, 's.zarr' is not finished" in capsys.readouterr().err
    assert [path.name for path in Path("out/s.zarr").glob("*/[0-9].json")] == ["0.json"]
    begun = Path("out/s.zarr/deep-prior-pieces/0.json").stat().st_mtime_ns
    with monkeypatch.context() as patched:
        interrupt_at(patched, 6)
        assert batch(*how, "--pattern", "*.zarr") == INTERRUPTED
    assert Path("out/s.zarr/deep-prior-pieces/0.json").stat().st_mtime_ns == begun
    assert batch(*how, "--pattern", "*.zarr") == DONE
    assert main(["denoise", "raw/s.zarr", "alone.zarr", *how]) == DONE
    together, alone = images.read("out/s.zarr"), images.read("alone.zarr")
    np.testing.assert_array_equal(together.pixels, alone.pixels)
    assert together.record == alone.record
    assert batch(*how, "--pattern", "*.zarr") == DONE
    assert column("status") == {"s.zarr": "skipped"}
    assert rows()["s.zarr"]["hash"] == alone.record["identity"]


def test_another_zarr_is_refused_and_the_rest_restored_all_into_zarr_if_that_is_asked_for(
    raw: Path, noisy: np.ndarray, capsys: Capture
) -> None:
    zarr_in(raw, noisy[None, :16, :15])
    axes = ["--axes", "ZYX"]
    assert batch(*FEW, *axes, "--pattern", "*.zarr") == DONE
    assert batch(*FEW, "--seed", "5", "--zarr", "--pattern", "[bc]*.tif") == DONE
    assert results() == ["b.ome.zarr", "c.ome.zarr", "s.zarr"]
    assert images.read("out/c.ome.zarr").spacing == {"Y": 0.2, "X": 0.2}
    assert batch(*FEW, *axes, "--seed", "6", "--pattern", "*.zarr") == INCOMPLETE
    assert column("status") == {"b.tif": "done", "c.ome.tif": "done", "s.zarr": "refused"}
    assert "'out/s.zarr' holds the result, or pieces of one, of another run" in capsys.readouterr().err
    assert batch(*FEW, *axes, "--seed", "6", "--pattern", "*.zarr", "--overwrite") == DONE
    assert column("status")["s.zarr"] == "done"
    assert batch(*FEW, *axes, "--seed", "6", "--pattern", "*.zarr", "--residual", "residuals") == INCOMPLETE
    assert rows()["s.zarr"]["message"].startswith("a result that is written piece by piece has no --residual")


@pytest.mark.skipif(WINDOWS, reason="there are no signals to kill with")
def test_a_batch_that_was_killed_goes_on_where_it_was(raw: Path) -> None:
    options = [*QUICK, "--stop", "none", "--steps", "8", "--seed", "5"]
    with subprocess.Popen(
        [sys.executable, "-m", "napari_deep_prior", "batch", "denoise", "raw", "out", *options],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        said = b""
        while b", b.tif" not in said:
            more = os.read(process.stderr.fileno(), 4096)
            assert more, said.decode()
            said += more
        process.kill()
    finished = [name for name in results() if not name.startswith(".")]
    assert "a.tif" in finished
    assert "c.ome.tif" not in finished
    assert set(column("status")) <= set(finished)
    assert batch(*options) == DONE
    assert column("status") == {
        name: "skipped" if name in finished else "done" for name in ("a.tif", "b.tif", "c.ome.tif")
    }
    assert results() == ["a.tif", "b.tif", "c.ome.tif"]
    assert main(["batch", "denoise", "raw", "whole", *options]) == DONE
    for name in results("whole"):
        one, other = images.read(f"out/{name}"), images.read(f"whole/{name}")
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.record == other.record


@pytest.mark.skipif(WINDOWS, reason="the size of files cannot be limited there")
def test_a_full_disk_ends_a_batch_with_a_sentence_and_leaves_no_part_of_a_file(raw: Path, capsys: Capture) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    tifffile.imwrite(raw / "b.tif", np.random.default_rng(0).normal(100, 9, (40, 40)).astype(np.float32))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))
        assert batch(*FEW) == FAILED
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err.strip().splitlines()
    assert re.fullmatch(r"deep-prior: the result of 'b\.tif' could not be written: .*File too large.*", said[-1])
    assert results() == ["a.tif"]
    assert column("status") == {"a.tif": "done"}


def refusals(raw: Path) -> dict[str, tuple[list[str], str]]:
    """Return command lines by what is wrong with them, and what is said."""
    return {
        "no folder": (["none", "out"], "there is no folder 'none'"),
        "no images": (["empty", "out"], "there are no images in the folder 'empty'"),
        "no match": (["raw", "out", "--pattern", "*.lsm"], "there are no files that match '*.lsm' in the folder 'raw'"),
        "same folder": (["raw", "raw"], "the results would replace the images of 'raw': choose another folder"),
        "same folder by another name": (["raw", "./empty/../raw"], "the results would replace the images of 'raw'"),
        "a file": (["raw", "in.ome.tif"], "OUT is 'in.ome.tif'; it must be a folder"),
        "inside a file": (["raw", "in.ome.tif/out"], "cannot make the folder 'in.ome.tif/out': Not a directory"),
        "collision": (["twins", "out"], "'a.png' and 'a.tif' would have one result, 'a.tif': rename one of them"),
        "an input is a result": (["twins/deep", "twins", "--pattern", "a.tif"], "input and output are the same file"),
        "no method": (["raw", "out", "--method", "magic"], "'denoise' cannot be done by 'magic'"),
        "no setting": (["raw", "out", "--method", "nl-ridge", "--steps", "3"], "has no setting --steps"),
        "no device": (["raw", "out", "--device", "abacus"], "device 'abacus' is unknown"),
        "nothing": (["raw", "out", "--pattern", ""], "--pattern is empty: give a value, or leave it out"),
        "two truths": (
            ["raw", "out", "--reference", "truth.tif", "--reference-folder", "raw"],
            "--reference and --reference-folder exclude each other",
        ),
        "no truth": (["raw", "out", "--reference-folder", "none"], "there is no file or folder 'none'"),
        "one residual": (["raw", "out", "--residual", "r.tif"], "--residual is 'r.tif'; it must be a folder"),
        "residuals over results": (["raw", "out", "--residual", "out"], "output and residual are the same file"),
        "residuals over images": (["raw", "out", "--residual", "raw"], "input and residual are the same file"),
        "a foreign table": (["raw", "foreign"], f"'foreign/{TABLE}' is no table of a batch, and would be replaced"),
        "settings over an image": (["raw", "out", "--save-settings", "raw/a.tif"], "input and saved settings are the"),
        "settings of another kind": (["raw", "out", "--save-settings", "run.txt"], "the name must end in .json"),
        "settings over a table": (["raw", "out", "--save-settings", f"out/{TABLE}"], "table and saved settings are"),
        "no model": (["raw", "out", "--model", "truth.tif"], "cannot read 'truth.tif' as a model"),
        "settings that are none": (["raw", "out", "--settings", "truth.tif"], "there are no settings of Deep Prior"),
    }


@pytest.mark.skipif(WINDOWS, reason="the system's words are others there")
@pytest.mark.parametrize("case", refusals(Path()))
def test_what_is_wrong_with_the_whole_batch_is_refused_before_the_first_image(
    raw: Path, capsys: Capture, case: str
) -> None:
    for name in ("empty", "foreign", "twins/deep"):
        Path(name).mkdir(parents=True)
    Path(f"foreign/{TABLE}").write_text("mine")
    shutil.copy(raw / "a.tif", "twins/a.tif")
    Image.fromarray(np.eye(9, dtype=np.uint8)).save("twins/a.png")
    Path("twins/deep/a.tif").symlink_to("../a.tif")
    arguments, sentence = refusals(raw)[case]
    assert sentence in refused(capsys, "batch", "denoise", *arguments)


def refused(capsys: Capture, *arguments: str) -> str:
    """Run a command, which must fail with one sentence and leave all files as they are; return the sentence."""
    before = contents()
    assert main([*arguments, *([] if "--device" in arguments else ["--device", "cpu"])]) == FAILED
    assert contents() == before
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("deep-prior: ")
    return said[-1]


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_the_truth_of_each_file_is_compared(raw: Path, capsys: Capture) -> None:
    Path("truth").mkdir()
    for name in ("a.tif", "c.ome.tif"):
        shutil.copy(raw / name, f"truth/{name}")
    assert batch(*FAST, "--reference-folder", "truth") == DONE
    assert "truth: no reference for 1 of 3 files" in capsys.readouterr().err
    assert main(["denoise", "raw/a.tif", "alone.tif", *FAST, "--reference", "truth/a.tif"]) == DONE
    (before, after, ssim_before, ssim) = re.findall(r"(inf|\d+\.\d+)(?= → | dB| \(data)", capsys.readouterr().out)
    row = rows()["a.tif"]
    found = (row["psnr_before"], row["psnr"], row["ssim_before"], row["ssim"])
    assert found == (before, after, ssim_before, ssim)
    assert rows()["b.tif"]["psnr"] == ""
    # Finished results are compared with another truth.
    assert batch(*FAST, "--reference", "raw/b.tif") == DONE
    assert set(column("status").values()) == {"skipped"}
    assert rows()["b.tif"]["psnr_before"] == "inf"
    assert rows()["a.tif"]["psnr"] != row["psnr"]


def test_inputs_and_checks_may_be_folders_with_a_file_for_each_image(raw: Path) -> None:
    Path("masks").mkdir()
    for number, name in enumerate(("a.tif", "b.tif")):
        mask = np.zeros((16, 15), np.uint8)
        mask[4 + number, 5] = 1
        tifffile.imwrite(f"masks/{name}", mask)
    Image.fromarray(np.zeros((16, 15), np.uint8)).save(raw / "d.png")
    assert batch(*FAST, "--mask", "masks", "--pattern", "[abd].*", task="inpaint") == INCOMPLETE
    assert column("status") == {"a.tif": "done", "b.tif": "done", "d.png": "failed"}
    assert "there is no file 'masks/d.png'" in rows()["d.png"]["message"]
    for number, name in enumerate(("a.tif", "b.tif")):
        changed = images.read(raw / name).pixels != images.read(f"out/{name}").pixels
        assert [*zip(*np.nonzero(changed), strict=True)] in ([], [(4 + number, 5)])
    identities = column("hash")
    assert batch(*FAST, "--mask", "masks/a.tif", "--pattern", "[ab].*", task="inpaint") == INCOMPLETE
    assert column("status") == {"a.tif": "skipped", "b.tif": "refused", "d.png": "failed"}
    assert column("hash")["b.tif"] != identities["b.tif"]


def test_a_result_without_its_residual_is_made_anew(raw: Path) -> None:
    one = [*FAST, "--pattern", "a*"]
    assert batch(*one) == DONE
    for status in ("done", "skipped"):
        assert batch(*one, "--residual", "checks/residuals") == DONE
        assert column("status") == {"a.tif": status}
        assert results("checks/residuals") == results() == ["a.tif"]


def test_folders_of_folders_keep_their_names_and_results_are_no_images(raw: Path) -> None:
    (raw / "deep").mkdir()
    (raw / "c.ome.tif").rename(raw / "deep" / "a.tif")
    (raw / "b.tif").unlink()
    for _ in range(2):
        assert main(["batch", "denoise", "raw", "raw/out", "--pattern", "**/*.tif", *FAST]) == DONE
    assert set(rows(f"raw/out/{TABLE}")) == {"a.tif", "deep/a.tif"}
    assert {row["status"] for row in rows(f"raw/out/{TABLE}").values()} == {"skipped"}
    assert images.read("raw/out/deep/a.tif").spacing


@pytest.mark.skipif(WINDOWS, reason="folders cannot be locked there")
def test_two_batches_into_one_folder_are_refused(raw: Path, capsys: Capture) -> None:
    Path("out").mkdir()
    with alone_in(Path("out")):
        assert "another batch writes into 'out': wait" in refused(capsys, "batch", "denoise", "raw", "out", *FAST)


def test_settings_of_a_batch_are_written_and_used_again(raw: Path, capsys: Capture) -> None:
    two = ["--pattern", "[ab].tif", "--device", "cpu"]
    changed = ["--sigma", "40", "--effort", "fast", "--save-settings", "out/run.json", *two]
    assert batch(*changed) == DONE
    shutil.copy("out/run.json", "run.json")
    # The same batch is begun again, with its options or with its settings.
    for same in (changed, ["--settings", "run.json", *two]):
        assert batch(*same) == DONE
        assert set(column("status").values()) == {"skipped"}
    other = ["batch", "denoise", "raw", "out", *two, "--save-settings", "run.json"]
    assert "'run.json' has other settings: choose another name" in refused(capsys, *other)
    # A result has the same settings as the file.
    assert main(["denoise", "raw/a.tif", "alone.tif", "--settings", "out/b.tif", "--device", "cpu"]) == DONE
    np.testing.assert_array_equal(images.read("alone.tif").pixels, images.read("out/a.tif").pixels)
    assert images.read("alone.tif").record["identity"] == rows()["a.tif"]["hash"]
    command = ["denoise", "raw/a.tif", "x.tif", "--settings", "run.json"]
    assert "settings of 'denoise', and 'inpaint' is to be done" in refused(capsys, "inpaint", *command[1:])
    saved = ["--save-settings", "run.json"]
    assert "settings and saved settings are the same file" in refused(capsys, *command, *saved, "--overwrite")
    assert "'run.json' exists already" in refused(capsys, *command[:3], *saved)


def test_a_batch_without_a_task_or_of_no_task_is_refused(capsys: Capture) -> None:
    for arguments, sentence in ((["batch"], "required: TASK"), (["batch", "paint", "raw", "out"], "invalid choice")):
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        assert ending.value.code == FAILED
        assert sentence in capsys.readouterr().err


def test_the_help_says_what_exit_codes_mean(capsys: Capture) -> None:
    for arguments in (["batch", "--help"], ["batch", "denoise", "--help"]):
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        assert ending.value.code == DONE
        said = " ".join(capsys.readouterr().out.split())
        for code in (DONE, INCOMPLETE, FAILED, INTERRUPTED):
            assert re.search(rf"[:;] {code} ", said)
    assert "--pattern" in said
    assert "--help-advanced" in said

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.cli import DONE, FAILED, INTERRUPTED, _add_common, _method, _parser, main
from napari_deep_prior.files import images as io
from napari_deep_prior.runs.devices import DEVICES, available_devices
from napari_deep_prior.runs.presets import PRESETS
from napari_deep_prior.runs.restoration import VERSION, restore
from napari_deep_prior.settings import flat_fields, replace_flat
from napari_deep_prior.tasks import TASKS, from_record

QUICK = ["--preset", "deep-image-prior", "--channels", "8,8", "--skip", "2,2", "--code-channels", "4"]
QUICK += ["--precision", "float32", "--device", "cpu"]
FEW = [*QUICK, "--steps", "4"]

Run = Callable[..., subprocess.CompletedProcess[str]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, noisy: np.ndarray, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has in.ome.tif, 21 × 17 pixels of 0.2 µm, and truth.tif; is the current folder."""
    monkeypatch.chdir(tmp_path)
    spacing = {"Y": 0.2, "X": 0.2}
    io.write(
        "in.ome.tif", io.ImageFile(pixels=noisy[:21, :17], axes="YX", spacing=spacing, units=dict.fromkeys("YX", "µm"))
    )
    tifffile.imwrite("truth.tif", truth[:21, :17])
    return tmp_path


def denoise(*arguments: str) -> int:
    return main(["denoise", *arguments])


def refused(capsys: Capture, *arguments: str) -> str:
    """Run the command, which must fail without writing out.tif, and return its sentence."""
    assert denoise(*arguments) == FAILED
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("deep-prior: ")
    assert not Path("out.tif").exists()
    return said


def test_a_run_writes_the_image_with_its_pixel_size_and_record(folder: Path, capsys: Capture) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--seed", "3") == DONE
    before, after = io.read("in.ome.tif"), io.read("out.tif")
    assert (after.axes, after.pixels.dtype, after.pixels.shape) == ("YX", before.pixels.dtype, before.pixels.shape)
    assert after.spacing == pytest.approx(before.spacing)
    assert after.units == before.units
    assert after.record["version"] == VERSION
    said = capsys.readouterr().err
    assert "YX 21 × 17, uint16, pixel size" in said
    assert "restoring" in said
    assert f"chosen step {after.record['chosen step']}" in said


def test_the_command_gives_the_image_that_python_gives(folder: Path) -> None:
    denoise("in.ome.tif", "out.tif", *FEW, "--seed", "3")
    written = io.read("out.tif")
    task, method = from_record(written.record)
    assert method.seed == 3
    again = restore(io.read("in.ome.tif").pixels, task, method, device="cpu").finish()
    np.testing.assert_array_equal(written.pixels, again)


def test_results_of_single_precision_and_pngs_can_be_written(folder: Path) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--dtype", "float32") == DONE
    assert io.read("out.tif").pixels.dtype == np.float32
    assert denoise("in.ome.tif", "out.png", *FEW) == DONE
    assert denoise("out.png", "again.tif", *FEW) == DONE
    assert io.read("again.tif").pixels.dtype == np.uint16


def test_an_existing_result_is_replaced_on_request(folder: Path) -> None:
    Path("out.tif").write_bytes(b"old")
    assert denoise("in.ome.tif", "out.tif", *FEW, "--overwrite") == DONE
    assert io.read("out.tif").pixels.shape == (21, 17)


@pytest.mark.parametrize(
    ("axes", "volume", "restored"), [("ZYX", [], "2 of 2"), ("ZYX", ["--volume"], "1 of 1"), ("CYX", [], "1 of 1")]
)
def test_stacks_volumes_and_channels_are_told_by_their_axes(
    folder: Path, noisy: np.ndarray, axes: str, volume: list[str], restored: str
) -> None:
    tifffile.imwrite("stack.tif", np.stack([noisy[:9, :8], noisy[9:18, :8]]), photometric="minisblack")
    assert denoise("stack.tif", "out.tif", *FEW, "--axes", axes, *volume) == DONE
    after = io.read("out.tif")
    assert (after.axes, after.pixels.shape) == (axes, (2, 9, 8))
    assert after.record["slices restored"] == restored


def test_the_reference_is_compared_with_before_and_after(folder: Path, capsys: Capture) -> None:
    assert (
        denoise("in.ome.tif", "out.tif", *FEW, "--steps", "150", "--averaging", "0.9", "--reference", "truth.tif")
        == DONE
    )
    line = capsys.readouterr().out
    found = re.fullmatch(r"PSNR ([\d.]+) → ([\d.]+) dB, SSIM ([\d.]+) → ([\d.]+) \(data range [\d.e+]+\)\n", line)
    assert found, line
    psnr_before, psnr_after, ssim_before, ssim_after = map(float, found.groups())
    assert psnr_after > psnr_before
    assert ssim_after > ssim_before


def test_a_reference_too_small_for_ssim_is_compared_by_psnr_alone(folder: Path, capsys: Capture) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (5, 7)).astype(np.uint8)
    tifffile.imwrite("small.tif", pixels)
    tifffile.imwrite("small_truth.tif", pixels + 1)
    assert denoise("small.tif", "out.tif", *FEW, "--reference", "small_truth.tif") == DONE
    assert re.fullmatch(r"PSNR 48\.13 → [\d.]+ dB \(data range 255\)\n", capsys.readouterr().out)


# What is wrong is told in one sentence before anything is computed.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.tif", "out.tif"], "there is no file 'missing.tif'"),
        (["text.tif", "out.tif"], "cannot read 'text.tif' as an image"),
        (["in.ome.tif", "in.ome.tif"], "exists already"),
        (["in.ome.tif", "in.ome.tif", "--overwrite"], "input and output are the same file"),
        (["in.ome.tif", "truth.tif"], "'truth.tif' exists already: choose another name, or allow it with --overwrite"),
        (["in.ome.tif", "nowhere/out.tif"], "there is no folder"),
        (["in.ome.tif", "/proc/out.tif"], "cannot write into the folder|there is no folder"),
        (["in.ome.tif", "out.gif"], "must end in .tif"),
        (["in.ome.tif", "out.tif", "--axes", "ZYX"], "names 3 axes, but the image has 2"),
        (["in.ome.tif", "out.tif", "--axes", "YQ"], "has no X"),
        (["in.ome.tif", "out.tif", "--preset", "dream"], "no preset 'dream'; choose one of .*balanced.*paper"),
        (["in.ome.tif", "out.tif", "--device", "tpu"], "device 'tpu' is unknown: use one of auto, cuda, mps, cpu"),
        (["in.ome.tif", "out.tif", "--steps", "0"], "steps is 0; it must lie between 1 and 1e"),
        (["in.ome.tif", "out.tif", "--preset", "paper", "--channels", "8,8"], "one number per scale"),
        (["in.ome.tif", "out.tif", "--rate", "nan"], "rate is nan"),
        (["in.ome.tif", "out.tif", "--reference", "missing.tif"], "there is no file 'missing.tif'"),
        (["in.ome.tif", "out.tif", "--reference", "other.tif"], "has shape .5, 7.; the result has .21, 17."),
        (["in.ome.tif", "out.tif", "--reference", "constant.tif"], "is constant or not finite"),
        (["constant.tif", "out.tif", *FEW], "the image is constant .every pixel is 7.: there is nothing to restore"),
        (["holes.tif", "out.tif"], "3 of 35 pixels are NaN or infinite: set 'missing' to 'fill'"),
        (["truth_table.tif", "out.tif"], "pixels of type bool"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(folder: Path, capsys: Capture, arguments: list[str], sentence: str) -> None:
    Path("text.tif").write_text("no image")
    tifffile.imwrite("other.tif", np.arange(35, dtype=np.uint8).reshape(5, 7))
    tifffile.imwrite("constant.tif", np.full((21, 17), 7, np.uint16))
    holes = np.arange(35, dtype=np.float32).reshape(5, 7)
    holes[2, :2], holes[3, 3] = np.nan, np.inf
    tifffile.imwrite("holes.tif", holes)
    tifffile.imwrite("truth_table.tif", holes > 5)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert re.search(sentence, refused(capsys, *arguments))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("device", [name for name in DEVICES[1:] if name not in available_devices()])
def test_a_gpu_that_is_not_there_is_refused_with_the_reason(folder: Path, capsys: Capture, device: str) -> None:
    said = refused(capsys, "in.ome.tif", "out.tif", "--device", device)
    assert f"device '{device}' is not available. No GPU: " in said or "this machine has" in said
    assert "Use 'auto' or one of" in said


def test_an_image_too_large_for_the_memory_is_refused_with_the_remedy(folder: Path, capsys: Capture) -> None:
    tifffile.imwrite("large.tif", np.add.outer(np.arange(4096), np.arange(4096)).astype(np.uint16), compression="zlib")
    said = refused(capsys, "large.tif", "out.tif", *QUICK, "--channels", "1024,1024", "--skip", "0,0")
    assert re.search(r"not enough memory on cpu: this run needs about [\d.]+ GiB, [\d.]+ GiB are free. Crop", said)


def test_missing_pixels_are_filled_on_request(folder: Path) -> None:
    holes = np.random.default_rng(0).random((9, 8)).astype(np.float32)
    holes[2, 3:5] = np.nan
    tifffile.imwrite("holes.tif", holes)
    assert denoise("holes.tif", "out.tif", *FEW, "--missing", "fill") == DONE
    assert np.isfinite(io.read("out.tif").pixels).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: TASK"),
        (["dream"], "invalid choice: 'dream'"),
        (["denoise"], "required: IN, OUT"),
        (["denoise", "a.tif", "b.tif", "--dream"], "unrecognized arguments: --dream"),
        (["denoise", "a.tif", "b.tif", "--steps", "many"], "invalid int value: 'many'"),
        (["denoise", "a.tif", "b.tif", "--dtype", "int8"], "invalid choice: 'int8'"),
        (["denoise", "a.tif", "b.tif", "--stop", "now"], "invalid choice: 'now'"),
        (["denoise", "a.tif", "b.tif", "--channels", "8;8"], "write, for example, 16, 32, 64"),
    ],
)
def test_a_wrong_command_line_is_explained(capsys: Capture, arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == FAILED
    assert sentence in capsys.readouterr().err


# Options


@pytest.mark.parametrize("arguments", [["--help"], *([task, "--help"] for task in TASKS)])
def test_help_is_shown(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "usage: deep-prior" in capsys.readouterr().out


def test_the_version_is_shown(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"deep-prior {VERSION}\n"


EVERY_FIELD = [
    pytest.param(task, name, field, id=f"{task}-{name}-{field.name}")
    for task in TASKS
    for name in PRESETS[task]
    for field in (*flat_fields(TASKS[task]()), *flat_fields(PRESETS[task][name]))
]


def another_value(field: object) -> str:
    """Return as text a value that the field may have and has not by default."""
    if field.choices:
        return next(choice for choice in field.choices if choice != field.default)
    if field.kind is tuple:
        return ",".join(str(int(number) + 1) for number in field.default)
    if field.default is None:
        return "3" if field.kind is int else "1.5"
    if field.kind is int:
        return str(field.default + 1)
    half = field.default / 2 or 0.5
    return str(half if half >= field.about.low else 2 * field.default)


@pytest.mark.parametrize(("task", "name", "field"), EVERY_FIELD)
def test_every_setting_is_an_option_that_reaches_task_or_method(task: str, name: str, field: object) -> None:
    option = f"--{field.name.replace('_', '-')}"
    switch = [f"--no-{option[2:]}" if field.default else option]
    given = switch if field.kind is bool else [option, another_value(field)]
    options = vars(_parser().parse_args([task, "in.tif", "out.tif", "--preset", name, *given]))
    before = (TASKS[task](), PRESETS[task][name])
    after = (replace_flat(TASKS[task](), options), _method(task, name, options))
    changed = [
        entry.name
        for part, other in zip(before, after, strict=True)
        for entry, default in zip(flat_fields(other), flat_fields(part), strict=True)
        if entry.default != default.default
    ]
    assert changed == [field.name]


@pytest.mark.parametrize("task", TASKS)
def test_no_setting_has_the_name_of_another_option(task: str) -> None:
    plain = argparse.ArgumentParser()
    _add_common(plain, task)
    taken = {*vars(plain.parse_args(["in.tif", "out.tif"])), "task", "help", "version"}
    settings = {field.name for part in (TASKS[task](), *PRESETS[task].values()) for field in flat_fields(part)}
    assert settings.isdisjoint(taken)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_not_given_is_left_to_the_preset(task: str) -> None:
    given = vars(_parser().parse_args([task, "in.tif", "out.tif"]))
    for name in PRESETS[task]:
        assert replace_flat(PRESETS[task][name], given) == PRESETS[task][name]
    assert given["preset"] is None


def test_a_preset_can_be_chosen_and_changed(folder: Path) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--preset", "paper") == DONE
    method = io.read("out.tif").record["method"]
    assert (method["stop"], method["jitter_source"], method["steps"]) == ("none", "fresh", 4)
    assert method["network"]["channels"] == [8, 8]


def test_a_setting_that_a_preset_does_not_have_is_refused(folder: Path, capsys: Capture) -> None:
    assert denoise("in.ome.tif", "out.tif", "--preset", "fast", "--steps", "4") == FAILED
    said = capsys.readouterr().err
    assert "the preset 'fast' has no setting --steps; balanced, best, deep-image-prior, paper has" in said
    assert not Path("out.tif").exists()


# A process of its own


def test_the_module_is_a_command(folder: Path, run_python: Run) -> None:
    done = run_python(
        "-m", "napari_deep_prior.cli", "denoise", "in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif"
    )
    assert done.returncode == DONE, done.stderr
    assert "→" in done.stdout
    assert "Traceback" not in done.stderr
    assert io.read("out.tif").pixels.shape == (21, 17)


def test_a_failing_command_exits_with_two_and_no_traceback(folder: Path, run_python: Run) -> None:
    done = run_python("-m", "napari_deep_prior.cli", "denoise", "missing.tif", "out.tif")
    assert done.returncode == FAILED
    assert done.stderr == "deep-prior: there is no file 'missing.tif'\n"
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space can be limited on Linux only")
def test_the_end_of_memory_exits_with_two_and_no_traceback(folder: Path, run_python: Run) -> None:
    code = """
import resource, sys
import psutil, torch
from napari_deep_prior.cli import main
limit = psutil.Process().memory_info().vms + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""
    pixels = np.random.default_rng(0).integers(0, 99, (512, 512)).astype(np.uint8)
    tifffile.imwrite("large.tif", pixels)
    done = run_python("-c", code, "denoise", "large.tif", "out.tif", "--device", "cpu", "--precision", "float32")
    assert done.returncode == FAILED
    assert "deep-prior: not enough memory on cpu" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_writes_the_best_so_far_and_exits_with_130(folder: Path) -> None:
    arguments = ["denoise", "in.ome.tif", "out.tif", *QUICK, "--steps", "1000000", "--stop", "none"]
    process_environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # Tests that run in the background of a shell inherit that Ctrl-C is ignored, and would hand it on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_deep_prior.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=process_environment,
    )
    with process:
        said = b""
        while not re.search(rb" [1-9]\d*/1000000 ", said):
            more = os.read(process.stderr.fileno(), 4096)
            assert more, said.decode()
            said += more
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert b"Traceback" not in said + rest
    written = io.read("out.tif")
    chosen = written.record["chosen step"]
    assert 1 <= chosen < 1_000_000
    assert f"chosen step {chosen}".encode() in rest
    assert json.dumps(written.record["task"]) == json.dumps(TASKS["denoise"]().to_json())
    # It is the image of that step, to the bit: of the same number of threads, among which sums are shared out.
    again = [*arguments[:2], "again.tif", *arguments[3:], "--steps", str(chosen)]
    command = [sys.executable, "-m", "napari_deep_prior.cli", *again]
    assert subprocess.run(command, env=process_environment, capture_output=True, check=False).returncode == DONE
    np.testing.assert_array_equal(written.pixels, io.read("again.tif").pixels)


def save(pixels: np.ndarray) -> None:
    tifffile.imwrite("odd.tif", pixels, photometric="minisblack")


@pytest.mark.parametrize(
    ("shape", "dtype", "arguments", "sentence"),
    [
        ((9, 8), "float32", ["out.png"], "a PNG cannot hold a float32 image"),
        ((9, 8), "uint8", ["out.png", "--dtype", "float32"], "a PNG cannot hold a float32 image"),
        ((2, 9, 8), "uint8", ["out.png", "--axes", "ZYX"], "a PNG cannot hold a uint8 image with axes ZYX"),
        ((9, 8), "int64", ["out.tif"], "an OME-TIFF cannot hold pixels of type int64: write float32"),
        ((2, 2, 2, 2, 9, 8), "uint8", ["out.tif", "--axes", "RTZCYX"], "no place for the axes R"),
    ],
)
def test_an_output_that_cannot_hold_the_result_is_refused_before_the_first_step(
    folder: Path, capsys: Capture, shape: tuple[int, ...], dtype: str, arguments: list[str], sentence: str
) -> None:
    save(np.random.default_rng(0).integers(0, 99, shape).astype(dtype))
    assert denoise("odd.tif", *arguments, *FEW) == FAILED
    said = capsys.readouterr().err
    assert sentence in said
    assert "restoring" not in said
    assert "slice 1" not in said


def test_a_type_that_no_file_holds_can_be_written_as_single_precision(folder: Path) -> None:
    save(np.arange(72, dtype=np.int64).reshape(9, 8))
    assert denoise("odd.tif", "out.tif", *FEW, "--dtype", "float32") == DONE
    assert io.read("out.tif").pixels.dtype == np.float32


def test_a_constant_8_bit_reference_is_refused(folder: Path, capsys: Capture) -> None:
    save(np.full((21, 17), 7, np.uint8))
    assert "is constant or not finite" in refused(capsys, "in.ome.tif", "out.tif", *FEW, "--reference", "odd.tif")


def test_a_volume_without_depth_is_refused(folder: Path, capsys: Capture) -> None:
    save(np.random.default_rng(0).integers(0, 99, (2, 9, 8)).astype(np.uint8))
    said = refused(capsys, "odd.tif", "out.tif", "--volume", "--axes", "TYX", *FEW)
    assert "--volume needs depth, and the axes TYX have no Z" in said


def test_what_was_passed_through_is_told(folder: Path, capsys: Capture) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (3, 9, 8)).astype(np.uint8)
    frames[1] = 7
    save(frames)
    assert denoise("odd.tif", "out.tif", "--axes", "TYX", *FEW) == DONE
    assert "passed through unchanged: slice 2: the image is constant (every pixel is 7)" in capsys.readouterr().err


def test_the_comparison_can_be_printed_on_any_terminal(folder: Path) -> None:
    arguments = ["denoise", "in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif"]
    done = subprocess.run(
        [sys.executable, "-m", "napari_deep_prior.cli", *arguments],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == DONE, done.stderr
    assert b"PSNR" in done.stdout


def test_a_file_that_claims_to_be_larger_than_the_memory_gets_a_sentence(folder: Path, capsys: Capture) -> None:
    tifffile.imwrite("huge.tif", np.zeros((8, 8), np.uint8), byteorder="<")
    data = bytearray(Path("huge.tif").read_bytes())
    with tifffile.TiffFile("huge.tif") as tiff:
        places = [tiff.pages[0].tags[name].offset for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
    for place in places:
        data[place + 2 : place + 4] = struct.pack("<H", 4)
        data[place + 8 : place + 12] = struct.pack("<I", 4_000_000)
    Path("huge.tif").write_bytes(data)
    assert "not enough memory for an image of this size: crop it" in refused(capsys, "huge.tif", "out.tif", *FEW)


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_says_that_nothing_was_written(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_deep_prior.cli.restore", interrupt)
    assert denoise("in.ome.tif", "out.tif", *FEW) == INTERRUPTED
    assert capsys.readouterr().err.endswith("deep-prior: stopped; nothing was written\n")
    assert not Path("out.tif").exists()


def test_ctrl_c_while_the_result_is_written_leaves_the_old_file_and_says_so(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.tif").write_bytes(b"old")
    monkeypatch.setattr(tifffile, "imwrite", interrupt)
    assert denoise("in.ome.tif", "out.tif", *FEW, "--overwrite") == INTERRUPTED
    assert "stopped while the result was written: 'out.tif' is complete, or as it was before" in capsys.readouterr().err
    assert Path("out.tif").read_bytes() == b"old"


def test_ctrl_c_after_the_result_was_written_says_so(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_deep_prior.cli.compare", interrupt)
    assert denoise("in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif") == INTERRUPTED
    assert "stopped after the result was written to 'out.tif'" in capsys.readouterr().err
    assert io.read("out.tif").pixels.shape == (21, 17)


def test_the_noise_can_be_given(folder: Path) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--gain", "4", "--offset", "100", "--sigma", "6") == DONE
    record = io.read("out.tif").record
    assert (record["task"]["gain"], record["task"]["offset"], record["task"]["sigma"]) == (4, 100, 6)
    (camera,) = record["noise"]["channels"]
    assert (camera["gain"], camera["offset"], camera["read_noise"], camera["reliable"]) == (4, 100, 6, True)


@pytest.mark.parametrize("arguments", [["-m", "napari_deep_prior"], ["-m", "napari_deep_prior.cli"]])
def test_the_package_is_a_command_too(run_python: Run, arguments: list[str]) -> None:
    done = run_python(*arguments, "--version")
    assert (done.returncode, done.stdout) == (DONE, f"deep-prior {VERSION}\n")


def test_ctrl_c_while_pytorch_is_loaded_is_no_traceback(run_python: Run) -> None:
    code = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from napari_deep_prior.__main__ import main
sys.exit(main())
"""
    done = run_python("-c", code, "denoise", "in.tif", "out.tif")
    assert (done.returncode, done.stderr) == (INTERRUPTED, "deep-prior: stopped; nothing was written\n")


# Masks

FILL = ["--preset", "fast", "--passes", "2", "--group-size", "8", "--search-radius", "3", "--device", "cpu"]


def inpaint(*arguments: str) -> int:
    return main(["inpaint", *arguments])


@pytest.fixture
def mask(folder: Path) -> np.ndarray:
    """Two scratches over in.ome.tif, also in mask.tif."""
    marked = np.zeros((21, 17), bool)
    marked[7:9], marked[:, 4] = True, True
    tifffile.imwrite("mask.tif", marked.astype(np.uint8))
    return marked


def test_what_a_mask_marks_is_filled_and_all_else_stays_to_the_bit(mask: np.ndarray) -> None:
    assert inpaint("in.ome.tif", "out.tif", "--mask", "mask.tif", *FILL, "--seed", "3") == DONE
    before, after = io.read("in.ome.tif"), io.read("out.tif")
    assert (after.axes, after.pixels.dtype, after.spacing) == ("YX", before.pixels.dtype, before.spacing)
    np.testing.assert_array_equal(after.pixels[~mask], before.pixels[~mask])
    assert (after.pixels != before.pixels)[mask].mean() > 0.8
    task, method = from_record(after.record)
    assert (task, method.seed) == (TASKS["inpaint"](), 3)
    again = restore(before.pixels, task, method, mask=mask, device="cpu").finish()
    np.testing.assert_array_equal(after.pixels, again)


def test_a_mask_can_be_inverted(mask: np.ndarray) -> None:
    tifffile.imwrite("keep.tif", np.where(mask, 0, 255).astype(np.uint8))
    assert inpaint("in.ome.tif", "out.tif", "--mask", "mask.tif", *FILL) == DONE
    assert inpaint("in.ome.tif", "again.tif", "--mask", "keep.tif", "--invert-mask", *FILL) == DONE
    np.testing.assert_array_equal(io.read("again.tif").pixels, io.read("out.tif").pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_mask_may_be_a_picture_of_any_kind(mask: np.ndarray, mode: str) -> None:
    grey = Image.fromarray(np.where(mask, 60, 0).astype(np.uint8))
    red = Image.merge("RGB", [grey, *[Image.new("L", grey.size)] * 2])
    opaque = Image.new("L", grey.size, 255)
    pictures = {
        "1": grey.point(lambda value: 255 * (value > 0), "1"),
        "LA": Image.merge("LA", [grey, opaque]),
        "P": red.convert("P"),
        "RGB": red,
        "RGBA": Image.merge("RGBA", [*red.split(), opaque]),
        "I;16": Image.fromarray(np.where(mask, 1, 0).astype(np.uint16)),
    }
    pictures.get(mode, grey).save("mask.png")
    with Image.open("mask.png") as saved:
        assert saved.mode == mode
    assert inpaint("in.ome.tif", "out.tif", "--mask", "mask.tif", *FILL) == DONE
    assert inpaint("in.ome.tif", "again.tif", "--mask", "mask.png", *FILL) == DONE
    np.testing.assert_array_equal(io.read("again.tif").pixels, io.read("out.tif").pixels)


def test_a_mask_of_a_plane_or_of_all_planes_fills_a_stack(folder: Path, noisy: np.ndarray) -> None:
    stack = np.stack([noisy[:12, :13], noisy[12:24, :13]])
    mask = np.zeros(stack.shape, np.uint8)
    mask[:, 5] = 1
    tifffile.imwrite("stack.tif", stack, photometric="minisblack")
    tifffile.imwrite("plane.tif", mask[0])
    tifffile.imwrite("planes.tif", mask, photometric="minisblack")
    assert inpaint("stack.tif", "out.tif", "--axes", "ZYX", "--mask", "plane.tif", *FILL) == DONE
    assert inpaint("stack.tif", "again.tif", "--axes", "ZYX", "--mask", "planes.tif", *FILL) == DONE
    result = io.read("out.tif")
    assert result.record["slices restored"] == "2 of 2"
    np.testing.assert_array_equal(result.pixels, io.read("again.tif").pixels)
    np.testing.assert_array_equal(result.pixels[mask == 0], stack[mask == 0])
    assert (result.pixels != stack)[mask > 0].mean() > 0.8


def test_without_a_mask_missing_pixels_are_filled(folder: Path, noisy: np.ndarray) -> None:
    holes = noisy[:12, :13].astype(np.float32)
    holes[2:5, 3:5] = np.nan
    tifffile.imwrite("holes.tif", holes)
    assert inpaint("holes.tif", "out.tif", *FILL) == DONE
    result = io.read("out.tif").pixels
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[np.isfinite(holes)], holes[np.isfinite(holes)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mask", "small.tif"], r"the mask has shape (5, 7); the image's is (21, 17) (axes YX): give a mask of that"),
        (["--mask", "empty.tif"], "the mask is empty: paint what is to be filled"),
        (["--mask", "full.tif"], "the mask covers everything: nothing is known"),
        (["--mask", "empty.tif", "--invert-mask"], "the mask covers everything: nothing is known"),
        (["--mask", "full.tif", "--invert-mask"], "the mask is empty: paint what is to be filled"),
        (["--mask", "missing.tif"], "there is no file 'missing.tif'"),
        (["--mask", "text.tif"], "cannot read 'text.tif' as an image"),
        ([], "there is no mask: give one that is not 0 where pixels are to be filled"),
    ],
)
def test_a_mask_that_cannot_be_used_gets_one_sentence_and_nothing_is_written(
    folder: Path, capsys: Capture, arguments: list[str], sentence: str
) -> None:
    Path("text.tif").write_text("no image")
    tifffile.imwrite("small.tif", np.eye(5, 7, dtype=np.uint8))
    tifffile.imwrite("empty.tif", np.zeros((21, 17), np.uint8))
    tifffile.imwrite("full.tif", np.full((21, 17), 255, np.uint8))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert inpaint("in.ome.tif", "out.tif", *FILL, *arguments) == FAILED
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"deep-prior: {sentence}")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_only_tasks_that_fill_have_a_mask(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        denoise("in.tif", "out.tif", "--mask", "mask.tif")
    assert "unrecognized arguments: --mask" in capsys.readouterr().err

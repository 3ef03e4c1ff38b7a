"""From a file to its restored version, by the command line."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.cli.main import DONE, FAILED, INTERRUPTED, main
from napari_deep_prior.files import images
from napari_deep_prior.runs import restore
from napari_deep_prior.runs.devices import DEVICES, available_devices
from napari_deep_prior.runs.errors import RestorationError
from napari_deep_prior.runs.identity import VERSION
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.runs.restoration import Restoration

from .conftest import FEW, QUICK, Capture, Refused

FAST = ["--effort", "fast", "--device", "cpu"]


def denoise(*arguments: str) -> int:
    return main(["denoise", *arguments])


def save(pixels: np.ndarray, name: str = "odd.tif") -> None:
    tifffile.imwrite(name, pixels, photometric="minisblack")


def test_a_run_writes_the_image_with_its_pixel_size_and_record(folder: Path, capsys: Capture) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--seed", "3") == DONE
    before, after = images.read("in.ome.tif"), images.read("out.tif")
    assert (after.axes, after.pixels.dtype, after.pixels.shape) == ("YX", before.pixels.dtype, before.pixels.shape)
    assert after.spacing == pytest.approx(before.spacing)
    assert after.units == before.units
    assert after.record["version"] == VERSION
    said = capsys.readouterr().err
    assert "YX 21 × 17, uint16, pixel size" in said
    assert "restoring" in said
    (chosen,) = after.record["chosen_steps"]
    ending = "" if chosen == 4 else f"; the best image is that of step {chosen}"
    assert f"out.tif: finished{ending}" in said.splitlines()


def test_the_command_gives_the_image_that_python_gives(folder: Path) -> None:
    denoise("in.ome.tif", "out.tif", *FEW, "--seed", "3")
    written = images.read("out.tif")
    recipe = Recipe.from_json(written.record)
    assert (recipe.method.seed, recipe.asked_method, recipe.effort) == (3, "deep-image-prior", "balanced")
    again = restore(images.read("in.ome.tif").pixels, recipe.task, recipe.method, device="cpu").finish()
    np.testing.assert_array_equal(written.pixels, again)


@pytest.mark.parametrize(
    ("name", "command", "plan", "kind"),
    [
        ("in.ome.tif", ["denoise", *FAST], "Non-local ridge regression: similar patches are denoised", "NLRidge"),
        ("in.ome.tif", ["denoise", *FEW], "Deep image prior; about ", "DeepImagePrior"),
        ("in.jpg", ["remove-artifacts", *FAST], "Non-local deblocking: similar patches, within", "NLDeblocking"),
        ("in.png", ["remove-artifacts", *FAST], "Non-local deblocking: similar patches, within", "NLDeblocking"),
        ("narrow.tif", ["super-resolve", *FAST], "Deep image prior: ", "DeepImagePrior"),
    ],
)
def test_what_will_run_is_said_before_the_first_step_and_is_what_runs(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, command: list[str], plan: str, kind: str
) -> None:
    pixels = images.read("in.ome.tif").pixels
    tifffile.imwrite("narrow.tif", pixels[:3, :3])
    Image.fromarray((pixels / pixels.max() * 255).astype(np.uint8)).save("in.jpg", quality=15)
    Image.open("in.jpg").save("in.png")
    stopping_at(2, monkeypatch)
    assert main([command[0], name, "out.tif", *command[1:]]) == INTERRUPTED
    lines = capsys.readouterr().err.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(plan)]
    assert re.search(r"; about \d[\d.]* (s|min|h), [\d.]+ (MiB|GiB) of memory$", lines[at])
    assert not any("restoring" in line for line in lines[:at])
    assert images.read("out.tif").record["method"]["kind"] == kind


def stopping_at(number: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] = KeyboardInterrupt) -> None:
    """Let an error happen when a run is asked for the step after a number of them."""
    step = Restoration.__next__
    made = []

    def stopped(run: Restoration) -> object:
        if len(made) == number:
            raise error("the device is gone") if error is not KeyboardInterrupt else error
        made.append(run)
        return step(run)

    monkeypatch.setattr(Restoration, "__next__", stopped)


def test_results_of_single_precision_and_pngs_can_be_written(folder: Path) -> None:
    assert denoise("in.ome.tif", "out.tif", *FAST, "--dtype", "float32") == DONE
    assert images.read("out.tif").pixels.dtype == np.float32
    assert denoise("in.ome.tif", "out.png", *FAST) == DONE
    assert images.read("out.png").pixels.dtype == np.uint16
    save(np.arange(72, dtype=np.int64).reshape(9, 8))
    assert denoise("odd.tif", "single.tif", *FEW, "--dtype", "float32") == DONE
    assert images.read("single.tif").pixels.dtype == np.float32


def test_what_the_run_thinks_of_the_noise_is_said_before_the_first_step(folder: Path, capsys: Capture) -> None:
    for name, options in (("in.ome.tif", []), ("truth.tif", []), ("in.ome.tif", ["--sigma", "150"])):
        assert denoise(name, "out.tif", *FAST, "--overwrite", *options) == DONE
        lines = capsys.readouterr().err.splitlines()
        noise = images.read("out.tif").record["noise"]["in_words"]
        (at,) = [number for number, line in enumerate(lines) if line == f"Noise: {noise}."]
        assert not any("restoring" in line for line in lines[:at])
        doubted = [line for line in lines[at:] if line.startswith("the noise that was given is hardly true: ")]
        assert len(doubted) == len(options) // 2


@pytest.mark.parametrize("options", [["--sigma", "1e6"], ["--offset", "60000"], ["--gain", "1e6"]])
def test_noise_that_cannot_be_is_refused(refused: Refused, options: list[str]) -> None:
    sentence = refused("denoise", "in.ome.tif", "out.tif", *FAST, *options)
    assert "leave it out to be estimated" in sentence
    assert "e+" in sentence or "60000" in sentence


def test_photon_counts_become_single_precision_and_the_run_says_so_once(folder: Path, capsys: Capture) -> None:
    counts = np.random.default_rng(0).poisson(0.3, (24, 24)).astype(np.uint8)
    save(counts, "counts.tif")
    assert denoise("counts.tif", "out.tif", *FAST) == DONE
    said = capsys.readouterr().err
    assert said.count("the result is float32: uint8 would round away the light") == 1
    after = images.read("out.tif")
    assert after.pixels.dtype == np.float32
    assert after.record["dtype"] == "float32"
    assert after.pixels.sum() == pytest.approx(counts.sum(), rel=0.1)


def test_light_that_is_too_faint_for_the_type_is_named_before_the_run_and_after_it(
    folder: Path, capsys: Capture
) -> None:
    rows, columns = np.mgrid[:32, :32]
    light = 20_000 + 15_000 * np.sin(rows / 12) * np.cos(columns / 15)
    generator = np.random.default_rng(0)
    stack = generator.poisson([light] * 3).astype(np.uint16)
    stack[1] = 0
    stack[1].flat[generator.choice(light.size, 60, replace=False)] = 1
    save(stack)
    assert denoise("odd.tif", "out.tif", *FAST, "--axes", "ZYX") == DONE
    before, _, after = capsys.readouterr().err.partition("slice 1/3")
    assert before.count("the light at Z 2 is too faint for uint16: rounding may make a mean of 0.0") == 1
    assert after.count("the light of slice 2 is too faint for uint16: rounding has made a mean of 0.0") == 1
    assert "may make" not in after
    (remark,) = [remark for remark in images.read("out.tif").record["remarks"] if "too faint" in remark]
    assert remark in after


def test_photon_counts_are_not_written_to_a_png(refused: Refused) -> None:
    Image.fromarray(np.random.default_rng(0).poisson(0.3, (24, 24)).astype(np.uint8)).save("counts.png")
    assert "a PNG cannot hold a float32 image" in refused("denoise", "counts.png", "out.png", *FAST)


def test_an_existing_result_is_replaced_on_request(folder: Path) -> None:
    Path("out.tif").write_bytes(b"old")
    assert denoise("in.ome.tif", "out.tif", *FAST, "--overwrite") == DONE
    assert images.read("out.tif").pixels.shape == (21, 17)


@pytest.mark.parametrize(("axes", "volume", "pieces"), [("ZYX", [], 2), ("ZYX", ["--volume"], 1), ("CYX", [], 1)])
def test_axes_decide_what_is_a_stack_a_volume_or_channels(
    folder: Path, noisy: np.ndarray, axes: str, volume: list[str], pieces: int
) -> None:
    save(np.stack([noisy[:9, :8], noisy[9:18, :8]]))
    assert denoise("odd.tif", "out.tif", *FEW, "--axes", axes, *volume) == DONE
    after = images.read("out.tif")
    assert (after.axes, after.pixels.shape) == (axes, (2, 9, 8))
    assert (len(after.record["chosen_steps"]), after.record["piece_count"]) == (pieces, pieces)
    assert after.record["volume"] == bool(volume)


def test_what_was_passed_through_is_said(folder: Path, capsys: Capture) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (3, 9, 8)).astype(np.uint8)
    frames[0] = 7
    save(frames)
    assert denoise("odd.tif", "out.tif", "--axes", "TYX", *FEW) == DONE
    said = capsys.readouterr().err
    assert "out.tif: 2 of 3 slices restored" in said
    assert "passed through unchanged: slice 1: the image is constant (every pixel is 7)" in said


def test_the_reference_is_compared_with_before_and_after(folder: Path, capsys: Capture) -> None:
    assert denoise("in.ome.tif", "out.tif", *FAST, "--reference", "truth.tif") == DONE
    line = capsys.readouterr().out
    found = re.fullmatch(r"PSNR ([\d.]+) → ([\d.]+) dB, SSIM ([\d.]+) → ([\d.]+) \(data range [\d.e+]+\)\n", line)
    assert found, line
    psnr_before, psnr_after, ssim_before, ssim_after = map(float, found.groups())
    assert psnr_after > psnr_before
    assert ssim_after > ssim_before


def test_a_reference_too_small_for_ssim_is_compared_by_psnr_alone(folder: Path, capsys: Capture) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (5, 7)).astype(np.uint8)
    save(pixels)
    save(pixels + 1, "odd_truth.tif")
    assert denoise("odd.tif", "out.tif", *FEW, "--reference", "odd_truth.tif") == DONE
    assert re.fullmatch(r"PSNR 48\.13 → [\d.]+ dB \(data range 255\)\n", capsys.readouterr().out)


def test_an_image_with_missing_pixels_is_compared_only_when_they_are_filled(folder: Path, capsys: Capture) -> None:
    pixels = np.random.default_rng(0).random((12, 13)).astype(np.float32)
    save(pixels, "odd_truth.tif")
    pixels[3, 4] = np.nan
    save(pixels)
    assert denoise("odd.tif", "out.tif", *FEW, "--missing", "fill", "--reference", "odd_truth.tif") == DONE
    assert re.fullmatch(r"PSNR [\d.]+ dB, SSIM [-\d.]+ \(data range [\d.]+\)\n", capsys.readouterr().out)


def test_residual_and_uncertainty_are_written_on_request(folder: Path, capsys: Capture) -> None:
    checks = ["--residual", "residual.tif", "--uncertainty", "uncertainty.tif"]
    assert denoise("in.ome.tif", "out.tif", *FEW, "--members", "2", *checks) == DONE
    for name in checks[1::2]:
        written = images.read(name)
        assert (written.axes, written.pixels.dtype, written.pixels.shape) == ("YX", np.float32, (21, 17))
        assert written.spacing == pytest.approx({"Y": 0.2, "X": 0.2})
        assert np.ptp(written.pixels) > 0
    said = capsys.readouterr().err
    assert re.search(r"^(structure was|more than|some noise|the residual).*neighbours correlate", said, re.MULTILINE)


def test_the_noise_can_be_given(folder: Path) -> None:
    assert denoise("in.ome.tif", "out.tif", *FEW, "--gain", "4", "--offset", "100", "--sigma", "6") == DONE
    record = images.read("out.tif").record
    assert (record["task"]["gain"], record["task"]["offset"], record["task"]["sigma"]) == (4, 100, 6)
    (camera,) = record["noise"]["channels"]
    assert (camera["gain"], camera["offset"], camera["read_noise"], camera["reliable"]) == (4, 100, 6, True)


def test_missing_pixels_are_filled_on_request(folder: Path) -> None:
    holes = np.random.default_rng(0).random((9, 8)).astype(np.float32)
    holes[2, 3:5] = np.nan
    save(holes)
    assert denoise("odd.tif", "out.tif", *FEW, "--missing", "fill") == DONE
    assert np.isfinite(images.read("out.tif").pixels).all()


# What is wrong is said in one sentence before anything is computed


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
        (["in.ome.tif", "out.tif", "--residual", "truth.tif"], "'truth.tif' exists already"),
        (["in.ome.tif", "out.tif", "--axes", "ZYX"], "names 3 axes, but the image has 2"),
        (["in.ome.tif", "out.tif", "--axes", "YQ"], "has no X"),
        (["in.ome.tif", "out.tif", "--volume"], "--volume needs depth, and the axes YX have no Z"),
        (["in.ome.tif", "out.tif", "--spacing", "1"], "--spacing is '1'; it must be the size of a pixel along Y, X"),
        (["in.ome.tif", "out.tif", "--device", "tpu"], "device 'tpu' is unknown: use one of auto, cuda, mps, cpu"),
        (["in.ome.tif", "out.tif", "--steps", "0"], "steps is 0; it must lie between 1 and 1e"),
        (["in.ome.tif", "out.tif", "--reference", "missing.tif"], "there is no file 'missing.tif'"),
        (["in.ome.tif", "out.tif", "--reference", "small.tif"], "has shape .5, 7.; the result has .21, 17."),
        (
            ["in.ome.tif", "out.tif", "--reference", "constant.tif"],
            "reference .constant.tif. is constant .every pixel is 7.: nothing can be compared",
        ),
        (["in.ome.tif", "out.tif", "--uncertainty", "deviation.tif"], "no uncertainty to write: .* --members, and two"),
        (["constant.tif", "out.tif", *FEW], "the image is constant .every pixel is 7.: there is nothing to restore"),
        (["holes.tif", "out.tif"], "3 of 35 pixels are NaN or infinite: set 'missing' to 'fill'"),
        (["truth_table.tif", "out.tif"], "pixels of type bool"),
        (["holes.tif", "out.png", "--missing", "fill"], "a PNG cannot hold a float32 image"),
        (["small.tif", "out.png", "--dtype", "float32"], "a PNG cannot hold a float32 image"),
        (["stack.tif", "out.png", "--axes", "ZYX"], "a PNG cannot hold a uint8 image with axes ZYX"),
        (["stack.tif", "out.tif", "--volume", "--axes", "TYX"], "--volume needs depth, and the axes TYX have no Z"),
        (["long.tif", "out.tif"], "an OME-TIFF cannot hold pixels of type int64: write float32"),
        (["many.tif", "out.tif", "--axes", "RAHPTZCYX", *FEW], "holds at most 6 axes besides rows"),
    ],
)
def test_bad_input_gets_one_sentence(refused: Refused, arguments: list[str], sentence: str) -> None:
    Path("text.tif").write_text("no image")
    small = np.arange(35, dtype=np.uint8).reshape(5, 7)
    holes = small.astype(np.float32)
    holes[2, :2], holes[3, 3] = np.nan, np.inf
    odd = {"small": small, "holes": holes, "truth_table": holes > 5, "long": small.astype(np.int64)}
    odd |= {"constant": np.full((21, 17), 7, np.uint16), "stack": np.stack([small, small.T.reshape(5, 7)])}
    odd |= {"many": np.arange(1152, dtype=np.uint16).reshape(2, 2, 2, 2, 1, 1, 1, 9, 8)}
    for name, pixels in odd.items():
        save(pixels, f"{name}.tif")
    assert re.search(sentence, refused("denoise", *arguments))


@pytest.mark.parametrize("device", [name for name in DEVICES[1:] if name not in available_devices()])
def test_a_gpu_that_is_not_there_is_refused_with_the_reason(refused: Refused, device: str) -> None:
    said = refused("denoise", "in.ome.tif", "out.tif", "--device", device)
    assert f"device '{device}' is not available. No GPU: " in said or "this machine has" in said
    assert "Use 'auto' or one of" in said


def test_an_image_too_large_for_the_memory_is_refused_with_the_remedy(refused: Refused) -> None:
    tifffile.imwrite("large.tif", np.add.outer(np.arange(4096), np.arange(4096)).astype(np.uint16), compression="zlib")
    wide = [*QUICK, "--channels", "1024,1024", "--skip", "0,0"]
    said = refused("denoise", "large.tif", "out.tif", *wide, "--memory", "200MiB")
    assert re.search(r"this run needs about [\d.]+ GiB and may take 0\.2 GiB, which is too little for a tile", said)


def test_a_file_that_claims_to_be_larger_than_it_can_be_gets_a_sentence(refused: Refused) -> None:
    tifffile.imwrite("huge.tif", np.zeros((8, 8), np.uint8), byteorder="<")
    data = bytearray(Path("huge.tif").read_bytes())
    with tifffile.TiffFile("huge.tif") as tiff:
        places = [tiff.pages[0].tags[name].offset for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
    for place in places:
        data[place + 2 : place + 4] = struct.pack("<H", 4)
        data[place + 8 : place + 12] = struct.pack("<I", 4_000_000)
    Path("huge.tif").write_bytes(data)
    assert "is more than a file of its size can hold" in refused("denoise", "huge.tif", "out.tif", *FEW)


# Ctrl-C, and failures under way


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_says_that_nothing_was_written(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_at(0, monkeypatch)
    assert denoise("in.ome.tif", "out.tif", *FEW) == INTERRUPTED
    assert capsys.readouterr().err.endswith("deep-prior: stopped; nothing was written\n")
    assert not Path("out.tif").exists()


@pytest.mark.parametrize(("kind", "state"), [("same", "left out"), ("float32", "empty (NaN)")])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RestorationError])
def test_a_stack_that_was_not_finished_is_written_without_the_slices_that_were_not_reached(
    folder: Path,
    noisy: np.ndarray,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    state: str,
    error: type[BaseException],
) -> None:
    stack = np.stack([noisy[:20, :20], noisy[20:40, :20], noisy[20:40, 20:40]])
    planes = {f"{time} 0 0": {"ExposureTime": f"{time + 1}"} for time in range(3)}
    images.write("odd.tif", images.ImageFile(pixels=stack, axes="TYX", planes=planes))
    images.write("all.tif", images.ImageFile(pixels=stack, axes="TYX"))
    stopping_at(6, monkeypatch, error)
    further = ["--residual", "removed.tif", "--reference", "all.tif", "--dtype", kind]
    assert denoise("odd.tif", "out.tif", *FEW, *further) == (INTERRUPTED if error is KeyboardInterrupt else FAILED)
    said = capsys.readouterr()
    assert "out.tif: 2 of 3 slices restored" in said.err
    remark = f"the last slice of 3 was not reached: it is {state}"
    assert said.err.count(remark) == 1
    assert "nothing was compared with the reference: not all slices are restored" in said.err
    assert not said.out
    written, removed = images.read("out.tif"), images.read("removed.tif").pixels
    assert written.record["remarks"][0] == remark
    assert (written.pixels[:2] != stack[:2]).any(axis=(1, 2)).all()
    count = 2 if kind == "same" else 3
    assert written.pixels.shape == removed.shape == (count, 20, 20)
    assert np.isnan(written.pixels[2:]).all()
    assert np.isnan(removed[2:]).all()
    assert list(written.planes.values()) == list(planes.values())[:count]


def test_a_stack_of_which_nothing_was_restored_is_not_written(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (2, 9, 8)).astype(np.uint8)
    frames[0] = 7
    save(frames)

    def stopped(run: Restoration) -> object:
        # Where Ctrl-C is pressed before the first step, after a slice that passes through.
        run._pass(0, ValueError("it is constant"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Restoration, "__next__", stopped)
    assert denoise("odd.tif", "out.tif", "--axes", "TYX", *FEW) == INTERRUPTED
    assert capsys.readouterr().err.endswith("deep-prior: stopped; nothing was written\n")
    assert not Path("out.tif").exists()


def test_a_failure_keeps_the_image_and_is_said(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping_at(3, monkeypatch, RestorationError)
    assert denoise("in.ome.tif", "out.tif", *FEW) == FAILED
    said = capsys.readouterr().err
    assert "out.tif: stopped at step 3 of at most 4" in said
    assert said.endswith("deep-prior: the device is gone\n")
    assert images.read("out.tif").pixels.shape == (21, 17)


def test_a_failure_before_the_first_step_writes_nothing(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_at(0, monkeypatch, RestorationError)
    assert denoise("in.ome.tif", "out.tif", *FEW) == FAILED
    assert capsys.readouterr().err.endswith("deep-prior: the device is gone\n")
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
    monkeypatch.setattr("napari_deep_prior.runs.comparison.Comparison.with_result", interrupt)
    assert denoise("in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif") == INTERRUPTED
    assert "stopped after the result was written to 'out.tif'" in capsys.readouterr().err
    assert images.read("out.tif").pixels.shape == (21, 17)

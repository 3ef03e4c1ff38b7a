"""Removing compression artefacts from end to end: in Python, and by the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from napari_deep_prior import DeepImagePrior, Denoise, NLDeblocking, RemoveArtifacts, restore
from napari_deep_prior.arrays.metrics import psnr, ssim
from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.files import images as io
from napari_deep_prior.files.jpeg import read_tables
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.runs.efforts import TABLE
from napari_deep_prior.runs.record import Record
from napari_deep_prior.runs.report import name_of_result
from napari_deep_prior.runs.restoration import Restoration

from ..records import settings_of

Capture = pytest.CaptureFixture[str]

QUICK = NLDeblocking(passes=2, group_size=10, search_radius=4)
FEW = ["--passes", "2", "--group-size", "10", "--search-radius", "4"]

MAN = data.camera()[100:196, 190:286]
"""96 × 96 pixels of a man with a camera."""
WOMAN = data.astronaut()[80:144, 190:254]
"""64 × 64 pixels of an astronaut, in colour."""

STANDS_IN = "the image is no JPEG, or its quantisation tables are not known: the deep image prior was used instead"
BY_FILE = "the file says how coarsely it was rounded"
BY_IMAGE = "how coarsely it was rounded was found in the image"
NO_TRACE = "neither a file nor the image shows how it was compressed"


def decoded(image: np.ndarray, quality: int = 10, **options: Any) -> np.ndarray:
    """Return an image as it comes back from a JPEG, the file of which is gone."""
    file = BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=quality, **options)
    return np.asarray(Image.open(file))


def run_on(image: np.ndarray, task: RemoveArtifacts | None = None, method: Any = QUICK, **options: Any) -> Restoration:
    return restore(image, task or RemoveArtifacts(), method, device="cpu", **options)


def first_step(image: np.ndarray, task: RemoveArtifacts | None = None, **options: Any) -> Record:
    """Return the record of a run that is stopped after its first step."""
    run = run_on(image, task, **options)
    next(run)
    run.close()
    return run.record


@pytest.fixture
def quick_prior(tiny: Callable[..., DeepImagePrior], monkeypatch: pytest.MonkeyPatch) -> DeepImagePrior:
    """Lets a deep image prior of milliseconds stand in for the methods that cannot solve a problem."""
    quick = tiny()
    monkeypatch.setitem(TABLE["remove-artifacts"], "deep-image-prior", {"balanced": quick})
    return quick


# Better than the JPEG


@pytest.mark.parametrize(
    ("truth", "quality", "decibels", "similarity"),
    [(MAN, 10, 0.8, 0.03), (MAN, 40, 0.8, 0.015), (WOMAN, 10, 0.6, 0.03), (WOMAN, 40, 0.5, 0.01)],
    ids=["man-10", "man-40", "woman-10", "woman-40"],
)
def test_the_result_is_nearer_to_the_truth_than_the_jpeg(
    truth: np.ndarray, quality: int, decibels: float, similarity: float
) -> None:
    jpeg = decoded(truth, quality)
    channel = None if truth.ndim == 2 else 2
    result = run_on(jpeg, method="auto", effort="fast").finish()
    assert psnr(result, truth, span=255) > psnr(jpeg, truth, span=255) + decibels
    before, after = (ssim(image, truth, span=255, channel_axis=channel) for image in (jpeg, result))
    assert after > before + similarity


# Where the tables come from


@pytest.mark.parametrize("image", [MAN[:32, :40], WOMAN[:40, :32]], ids=["grey", "colour"])
def test_tables_of_the_file_of_the_image_and_of_its_quality_give_the_same_result(image: np.ndarray) -> None:
    jpeg = decoded(image, 20)
    tables = tables_of_quality(20, colour=image.ndim == 3)
    runs = [
        run_on(jpeg, jpeg=tables),
        run_on(jpeg),
        run_on(jpeg, RemoveArtifacts(quality=20)),
    ]
    results = [run.finish() for run in runs]
    for result in results:
        assert (result.shape, result.dtype) == (image.shape, np.uint8)
        np.testing.assert_array_equal(result, results[0])
    assert not np.array_equal(results[0], jpeg)
    assert [run.record.remarks for run in runs] == [[BY_FILE], [BY_IMAGE], ["taken for a JPEG of quality 20"]]


def test_a_given_quality_counts_more_than_the_tables_of_the_file() -> None:
    jpeg = decoded(MAN[:32, :32], 20)
    tables = tables_of_quality(20, colour=False)
    coarser = run_on(jpeg, RemoveArtifacts(quality=5), jpeg=tables)
    assert not np.array_equal(coarser.finish(), run_on(jpeg, jpeg=tables).finish())
    assert coarser.record.remarks == ["taken for a JPEG of quality 5"]


@pytest.mark.parametrize("opacity", ["RGBA", "LA"])
def test_opacity_is_given_back_untouched(opacity: str) -> None:
    jpeg = decoded(WOMAN[:32, :32] if opacity == "RGBA" else MAN[:32, :32])
    alpha = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32, 1)
    run = run_on(np.concatenate([jpeg.reshape(32, 32, -1), alpha], axis=2), axes="YXS")
    result = run.finish()
    assert run.record.remarks == [BY_IMAGE]
    np.testing.assert_array_equal(result[..., -1:], alpha)
    np.testing.assert_array_equal(result[..., :-1].squeeze(), run_on(jpeg).finish())


# When nothing shows how it was compressed


def test_for_an_image_that_was_never_compressed_the_deep_image_prior_stands_in_and_it_is_said() -> None:
    record = first_step(MAN[:24, :26])
    assert record.instead == STANDS_IN
    assert record.remarks == [STANDS_IN, NO_TRACE]
    assert isinstance(record.method, DeepImagePrior)
    assert record.noise.misfit != "quantised"


@pytest.mark.parametrize(
    ("image", "axes"),
    [
        (decoded(MAN[:32, :32]).astype(np.float32) / 255 - 4, "YX"),
        (decoded(MAN[:32, :32]).astype(np.uint16) * 16, "YX"),
        (np.stack([decoded(MAN[:32, :32]), decoded(MAN[32:64, :32])]), "CYX"),
    ],
    ids=["negative", "sixteen bits", "two channels"],
)
def test_what_is_no_decoded_jpeg_shows_no_trace(image: np.ndarray, axes: str) -> None:
    assert first_step(image, axes=axes).remarks == [STANDS_IN, NO_TRACE]


def test_with_missing_pixels_the_rounding_shows_nothing() -> None:
    holes = decoded(MAN[:32, :32]).astype(np.float32)
    holes[3, 4:6] = np.nan
    with pytest.raises(ValueError, match="2 of 1024 pixels are NaN or infinite: set 'missing' to 'fill'"):
        run_on(holes)
    record = first_step(holes, RemoveArtifacts(missing="fill", quality=10))
    missing = "pixels are missing, and the blocks of a JPEG need all of them"
    assert record.remarks == [STANDS_IN, missing]


# Stacks


def test_every_frame_of_a_stack_is_restored_by_the_quality_found_in_it() -> None:
    frames = np.stack([decoded(MAN[:32, :40], 10), decoded(MAN[32:64, :40], 30)])
    run = run_on(frames, axes="TYX")
    result = run.finish()
    assert (result.shape, result.dtype) == (frames.shape, np.uint8)
    assert len(run.record.chosen_steps) == 2
    assert run.record.remarks == [BY_IMAGE]
    for frame, image in zip(frames, result, strict=True):
        np.testing.assert_array_equal(image, run_on(frame).finish())


def test_frames_after_one_without_traces_are_restored_as_if_it_were_not_there(quick_prior: DeepImagePrior) -> None:
    noise = np.random.default_rng(0).poisson(100, (32, 40)).astype(np.uint8)
    frames = np.stack([np.full((32, 40), 7, np.uint8), noise, decoded(MAN[32:64, :40])])
    run = run_on(frames, axes="TYX")
    steps = [(run.piece_number, step.number, step.total) for step in run]
    # It is the method for JPEGs that begins on the last frame, and not the one that stood in for it.
    assert steps[0] == (2, 1, quick_prior.steps)
    assert steps[-QUICK.passes] == (3, 1, QUICK.passes)
    assert run.record.passed_through == [
        "slice 1: the image is constant (every pixel is 7): there is nothing to restore"
    ]
    assert run.record.remarks == [STANDS_IN, NO_TRACE, BY_IMAGE]
    assert run.record.method == QUICK


# What is wrong is said


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (decoded(MAN[:32, :32]) / 255, {}, r"intensities go from .* to .*; those of a JPEG are grey levels from 0 to"),
        (decoded(MAN[:32, :32]) - 200.0, {}, r"intensities go from -.*; those of a JPEG are grey levels from 0 to 255"),
        (decoded(MAN[:32, :32]) * 16.0, {}, r"intensities go from .* to [\d.e+]+; those of a JPEG are grey levels"),
        (np.stack([MAN, MAN.T]), {"axes": "CYX"}, r"the image has 2 channels and the JPEG 3: give the image as it was"),
        (np.stack([MAN] * 3), {"axes": "ZYX", "volume": True}, r"JPEG compresses planes, .*: restore plane by plane"),
        (np.full((16, 16), 9, np.uint8), {}, r"the image is constant \(every pixel is 9\): there is nothing to resto"),
        (MAN, {"mask": MAN > 9}, r"mask was given, but 'remove-artifacts' does not take it"),
    ],
)
def test_what_does_not_fit_is_refused(image: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(run_on(image, RemoveArtifacts(quality=10), **options))


@pytest.mark.parametrize("quality", [0, 101, 40.5])
def test_a_quality_beyond_its_limits_is_refused(quality: float) -> None:
    with pytest.raises(ValueError, match=rf"quality is {quality}; it must"):
        RemoveArtifacts(quality=quality)  # type: ignore[arg-type]


def test_tables_are_for_this_task_alone() -> None:
    with pytest.raises(ValueError, match=r"jpeg was given, but 'denoise' does not take it: .*or choose 'remove-art"):
        restore(MAN, Denoise(), jpeg=tables_of_quality(10, colour=False), device="cpu")


def test_tables_of_another_kind_of_image_are_refused() -> None:
    with pytest.raises(ValueError, match="the image has 1 channels and the JPEG 3: give the image as it was decoded"):
        next(run_on(decoded(MAN[:32, :32]), jpeg=tables_of_quality(10, colour=True)))


# The record


def test_the_record_is_enough_to_do_it_again() -> None:
    jpeg = decoded(MAN[:32, :40])
    run = run_on(jpeg, RemoveArtifacts(quality=10))
    result = run.finish()
    record = json.loads(json.dumps(run.record.to_json()))
    task, method = settings_of(record)
    assert (task, method) == (RemoveArtifacts(quality=10), QUICK)
    np.testing.assert_array_equal(run_on(jpeg, task, method).finish(), result)
    assert record["noise"]["misfit"] == "quantised"
    assert record["noise"]["in_words"] == "what a JPEG's rounding took"
    assert (record["blur"], record["kernel"], record["dtype"]) == (None, None, "uint8")


def test_the_result_is_named_after_what_was_done() -> None:
    assert name_of_result("cells", RemoveArtifacts()) == "cells without artefacts"


# The command line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has in.jpg, 37 × 43 pixels of quality 15, colour.jpg, and truth.png of the first; is the current folder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(MAN[:37, :43]).save("truth.png")
    Image.fromarray(MAN[:37, :43]).save("in.jpg", quality=15)
    Image.fromarray(WOMAN[:33, :35]).save("colour.jpg", quality=15, subsampling="4:2:2")
    return tmp_path


def remove(*arguments: str) -> int:
    return main(["remove-artifacts", *arguments, "--device", "cpu"])


def refused(capsys: Capture, *arguments: str) -> str:
    """Run the command, which must fail without writing out.tif, and return its sentence."""
    assert remove(*arguments) == FAILED
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("deep-prior: ")
    assert not Path("out.tif").exists()
    return said


@pytest.mark.parametrize(("name", "axes"), [("in.jpg", "YX"), ("colour.jpg", "YXS")])
def test_a_jpeg_file_has_its_tables(folder: Path, capsys: Capture, name: str, axes: str) -> None:
    assert remove(name, "out.tif", *FEW) == DONE
    assert BY_FILE in capsys.readouterr().err.splitlines()
    written = io.read("out.tif")
    jpeg = np.asarray(Image.open(name))
    assert (written.axes, written.pixels.dtype, written.pixels.shape) == (axes, np.uint8, jpeg.shape)
    assert written.record["remarks"] == [BY_FILE]
    assert settings_of(written.record) == (RemoveArtifacts(), QUICK)
    np.testing.assert_array_equal(written.pixels, run_on(jpeg, jpeg=read_tables(name)).finish())


def test_a_jpeg_by_another_name_and_one_saved_anew_as_png_give_the_same(folder: Path) -> None:
    jpeg = np.asarray(Image.open("in.jpg"))
    Image.fromarray(jpeg).save("decoded.png")
    Path("in.jpg").rename("wrong.png")
    assert remove("wrong.png", "out.tif", *FEW) == DONE
    assert remove("decoded.png", "found.tif", *FEW) == DONE
    assert remove("decoded.png", "given.tif", *FEW, "--quality", "15") == DONE
    results = [io.read(name) for name in ("out.tif", "found.tif", "given.tif")]
    remarks = [result.record["remarks"] for result in results]
    assert remarks == [[BY_FILE], [BY_IMAGE], ["taken for a JPEG of quality 15"]]
    assert results[2].record["task"]["quality"] == 15
    for result in results[1:]:
        np.testing.assert_array_equal(result.pixels, results[0].pixels)


def test_the_reference_shows_that_it_became_better_and_a_png_is_written(folder: Path, capsys: Capture) -> None:
    assert remove("in.jpg", "out.png", "--effort", "fast", "--reference", "truth.png") == DONE
    line = capsys.readouterr().out
    found = re.fullmatch(r"PSNR ([\d.]+) → ([\d.]+) dB, SSIM ([\d.]+) → ([\d.]+) \(data range \d+\)\n", line)
    assert found, line
    psnr_before, psnr_after, ssim_before, ssim_after = map(float, found.groups())
    assert psnr_after > psnr_before + 0.4
    assert ssim_after > ssim_before + 0.01
    assert np.asarray(Image.open("out.png")).dtype == np.uint8


def test_a_stack_of_decoded_jpegs_is_restored_frame_by_frame(folder: Path) -> None:
    frames = np.stack([decoded(MAN[:32, :40]), decoded(MAN[32:64, :40])])
    tifffile.imwrite("stack.tif", frames, photometric="minisblack")
    assert remove("stack.tif", "out.tif", *FEW, "--axes", "TYX") == DONE
    written = io.read("out.tif")
    assert (written.axes, written.pixels.dtype) == ("TYX", np.uint8)
    assert len(written.record["chosen_steps"]) == 2
    np.testing.assert_array_equal(written.pixels, run_on(frames, axes="TYX").finish())


def test_an_image_that_was_never_compressed_is_left_to_the_deep_image_prior(folder: Path, capsys: Capture) -> None:
    quick = ["--method", "deep-image-prior", "--steps", "3", "--channels", "8,8", "--skip", "2,2"]
    assert remove("truth.png", "out.tif", *quick, "--dtype", "float32") == DONE
    assert NO_TRACE in capsys.readouterr().err.splitlines()
    assert io.read("out.tif").pixels.dtype == np.float32


def test_a_result_is_replaced_on_request_only(folder: Path, capsys: Capture) -> None:
    Path("there.tif").write_bytes(b"old")
    said = refused(capsys, "in.jpg", "there.tif", *FEW)
    assert "'there.tif' exists already: choose another name, or allow it with --overwrite" in said
    assert Path("there.tif").read_bytes() == b"old"
    assert remove("in.jpg", "there.tif", *FEW, "--overwrite") == DONE
    assert io.read("there.tif").pixels.shape == (37, 43)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["in.jpg", "in.jpg", "--overwrite"], "cannot write 'in.jpg': the name must end in .tif"),
        (["in.jpg", "out.jpg"], "cannot write 'out.jpg': the name must end in .tif"),
        (["missing.jpg", "out.tif"], "there is no file 'missing.jpg'"),
        (["cut.jpg", "out.tif"], "cannot read 'cut.jpg' as an image"),
        (["inks.jpg", "out.tif"], "'inks.jpg' as a JPEG: it has CMYK values, .*: save it anew"),
        (["in.jpg", "out.tif", "--quality", "0"], "quality is 0; it must lie between 1 and 100"),
        (["in.jpg", "out.tif", "--volume"], "--volume needs depth, and the axes YX have no Z"),
        (["stack.tif", "out.tif", "--axes", "ZYX", "--volume"], "JPEG compresses planes, .*: restore plane by plane"),
        (["stack.tif", "out.tif", "--axes", "CYX", "--quality", "10"], "has 2 channels and the JPEG 3"),
        (["unit.tif", "out.tif", "--quality", "10"], "intensities go from .* to 1; those of a JPEG are grey levels"),
        (["holes.tif", "out.tif"], "1 of 1024 pixels are NaN or infinite"),
    ],
)
def test_bad_input_gets_one_sentence(folder: Path, capsys: Capture, arguments: list[str], sentence: str) -> None:
    Path("cut.jpg").write_bytes(Path("in.jpg").read_bytes()[:300])
    Image.fromarray(WOMAN).convert("CMYK").save("inks.jpg")
    jpeg = decoded(MAN[:32, :32])
    tifffile.imwrite("stack.tif", np.stack([jpeg, jpeg.T]), photometric="minisblack")
    unit = jpeg.astype(np.float32) / jpeg.max()
    tifffile.imwrite("unit.tif", unit)
    unit[3, 4] = np.nan
    tifffile.imwrite("holes.tif", unit)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert re.search(sentence, refused(capsys, *arguments))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("picture", [MAN, data.astronaut()[16:112, 160:256]], ids=["grey", "colour"])
def test_an_image_whose_levels_were_cut_off_shows_what_its_file_would_have_shown(picture: np.ndarray) -> None:
    # Black and white, and a little too much of both.
    truth = np.clip(1.6 * picture.astype(float) - 70, 0, 255).astype(np.uint8)
    jpeg = decoded(truth, 10)
    known, blind = (run_on(jpeg, jpeg=tables) for tables in (tables_of_quality(10, colour=truth.ndim == 3), None))
    np.testing.assert_array_equal(known.finish(), blind.finish())
    assert blind.record.remarks == [BY_IMAGE]

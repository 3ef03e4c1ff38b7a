"""deep-prior compare: a table on the output, files on request, one sentence for what cannot be compared."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.arrays.metrics import hfen, mse, psnr, ssim
from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.files import images

from .conftest import Capture, Refused


@pytest.fixture
def measured(folder: Path) -> np.ndarray:
    return images.read("in.ome.tif").pixels


@pytest.fixture
def true(truth: np.ndarray) -> np.ndarray:
    """What is in truth.tif."""
    return truth[:21, :17]


def table(capsys: Capture, *arguments: str) -> list[list[str]]:
    """Return the rows that the command prints, as words."""
    assert main(["compare", *arguments]) == DONE
    said = capsys.readouterr().out
    return [line.split() for line in said.split("\n\n")[1].splitlines()[1:]]


def test_the_table_has_the_four_measures_of_every_result(
    measured: np.ndarray, true: np.ndarray, capsys: Capture
) -> None:
    images.write("half.tif", images.ImageFile(pixels=measured.astype(np.float32) / 2, axes="YX"))
    rows = table(capsys, "in.ome.tif", "truth.tif", "half.tif", "truth.tif")
    assert [row[0] for row in rows] == ["in.ome.tif", "half.tif", "truth.tif"]
    wanted = [measure(measured, true) for measure in (mse, psnr, ssim, hfen)]
    assert [float(text) for text in rows[0][1:]] == pytest.approx(wanted, rel=2e-3)
    assert rows[2][1:] == ["0.000", "inf", "1.0000", "0.000"]


def test_what_a_number_is_stands_beside_it(folder: Path, capsys: Capture) -> None:
    tifffile.imwrite("mask.tif", np.eye(21, 17, dtype=np.uint8))
    arguments = ["--mask", "mask.tif", "--fit-intensity", "--data-range", "1000"]
    assert main(["compare", "in.ome.tif", "truth.tif", *arguments]) == DONE
    said = capsys.readouterr().out
    assert "Compared with truth.tif, inside mask.tif.\nData range 1000: as it was given.\nGain and offset of" in said
    assert "HFEN (LoG 15 × 15, σ 1.5)" in said
    assert "normalised 2-norm" in said


def test_a_small_image_is_compared_as_its_interpolations(folder: Path, measured: np.ndarray, capsys: Capture) -> None:
    images.write("truth_4.tif", images.ImageFile(pixels=measured[:20, :16], axes="YX"))
    images.write("small.tif", images.ImageFile(pixels=measured[:20:4, :16:4], axes="YX"))
    assert [row[1] for row in table(capsys, "small.tif", "truth_4.tif")] == ["(nearest)", "(bilinear)", "(bicubic)"]


def test_planes_are_rows_on_request_and_the_table_is_written_as_csv(folder: Path, capsys: Capture) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (2, 12, 13)).astype(np.uint8)
    images.write("a.tif", images.ImageFile(pixels=frames, axes="TYX"))
    images.write("b.tif", images.ImageFile(pixels=frames + 1, axes="TYX"))
    rows = table(capsys, "a.tif", "b.tif", "--per-plane", "--csv", "t.csv")
    assert [row[1:3] for row in rows] == [["all", "1.000"], ["T", "0"], ["T", "1"]]
    with Path("t.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["T"] for line in lines] == ["all", "0", "1"]
    assert float(lines[0]["mse"]) == 1
    assert main(["compare", "a.tif", "b.tif", "--csv", "t.csv"]) == FAILED
    assert "'t.csv' exists already" in capsys.readouterr().err
    assert main(["compare", "a.tif", "b.tif", "--csv", "t.csv", "--overwrite"]) == DONE
    assert len(Path("t.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_the_difference_is_written_with_the_pixel_size_of_the_reference(
    measured: np.ndarray, true: np.ndarray, capsys: Capture
) -> None:
    command = ["compare", "truth.tif", "in.ome.tif", "--difference", "difference.tif"]
    assert main(command) == DONE
    written = images.read("difference.tif")
    np.testing.assert_allclose(written.pixels, true.astype(np.float32) - measured, rtol=1e-5)
    assert written.spacing == pytest.approx({"Y": 0.2, "X": 0.2})
    assert main([*command, "--overwrite"]) == DONE
    assert main([*command[:-1], "truth.tif", "--overwrite"]) == FAILED
    assert main(["compare", "truth.tif", "in.ome.tif", "--difference", "in.ome.tif", "--overwrite"]) == FAILED
    assert "reference and difference are the same file 'in.ome.tif'" in capsys.readouterr().err


def test_files_with_their_axes_in_another_order_are_compared(folder: Path, capsys: Capture) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (12, 13, 3), np.uint8)
    Image.fromarray(colours).save("colours.png")
    tifffile.imwrite("planar.tif", np.moveaxis(colours, -1, 0), photometric="rgb", planarconfig="separate")
    assert table(capsys, "planar.tif", "colours.png") == [["planar.tif", "0.000", "inf", "1.0000", "0.000"]]


def test_axes_of_length_one_need_not_be_in_both_files(measured: np.ndarray, capsys: Capture) -> None:
    images.write("plane.tif", images.ImageFile(pixels=measured, axes="YX"))
    images.write("single.tif", images.ImageFile(pixels=measured[None, None], axes="TZYX"))
    for result, reference in (("plane.tif", "single.tif"), ("single.tif", "plane.tif")):
        assert table(capsys, result, reference)[0][:3] == [result, "0.000", "inf"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["in.ome.tif", "missing.tif"], "there is no file 'missing.tif'"),
        (["in.ome.tif", "odd.tif"], "'in.ome.tif' has shape (21, 17); the reference 'odd.tif' has (5, 7) (axes YX)"),
        (["in.ome.tif", "stack.tif"], "'in.ome.tif' has the axes YX (21 × 17), and the reference TYX (2 × 21 × 17)"),
        (["in.ome.tif", "constant.tif"], "the reference 'constant.tif' is constant (every pixel is 7)"),
        (["in.ome.tif", "holes.tif"], "the reference 'holes.tif' has values that are NaN, infinite or above 3.4"),
        (["holes.tif", "in.ome.tif"], "'holes.tif' has values that are NaN"),
        (["in.ome.tif", "truth.tif", "--mask", "empty.tif"], "the mask 'empty.tif' has no pixel"),
        (["in.ome.tif", "truth.tif", "--mask", "odd.tif"], "the mask has shape (5, 7); the image's is (21, 17)"),
        (["in.ome.tif", "truth.tif", "--data-range", "0"], "the data range is 0; it must be a number above 0"),
        (["in.ome.tif", "truth.tif", "--axes", "ZYX"], "names 3 axes, but the image has 2"),
        (["in.ome.tif", "truth.tif", "--csv", "t.txt"], "--csv is 't.txt': give it a name that ends in .csv"),
        (["in.ome.tif", "truth.tif", "--csv", ""], "--csv is empty"),
        (["in.ome.tif", "truth.tif", "--difference", "d.png"], "--difference is 'd.png'; its values are fractions"),
        (["in.ome.tif", "truth.tif", "odd.tif", "--difference", "d.tif"], "one image, and 2 results were given"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_sentence(
    folder: Path, measured: np.ndarray, refused: Refused, arguments: list[str], sentence: str
) -> None:
    holes = np.where(np.eye(21, 17) > 0, np.nan, measured).astype(np.float32)
    odd = {"odd": np.arange(35, dtype=np.uint8).reshape(5, 7), "constant": np.full((21, 17), 7, np.uint8)}
    for name, pixels in (odd | {"holes": holes, "empty": np.zeros((21, 17), np.uint8)}).items():
        images.write(f"{name}.tif", images.ImageFile(pixels=pixels, axes="YX"))
    images.write("stack.tif", images.ImageFile(pixels=np.stack([measured] * 2), axes="TYX"))
    assert sentence in refused("compare", *arguments)

"""What is to be known of the files is said before the run, and stands in the record; what they say is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.cli.main import DONE, main
from napari_deep_prior.files import images

from .conftest import FEW, Capture, Refused

NAMED = "it does not say what its axes are: they were taken for TZYX; name them with --axes if not"


def test_a_guess_of_the_axes_is_said_before_the_run_and_in_the_record(folder: Path, capsys: Capture) -> None:
    tifffile.imwrite("many.tif", np.arange(288, dtype=np.uint16).reshape(2, 2, 9, 8), photometric="minisblack")
    assert main(["denoise", "many.tif", "out.tif", *FEW]) == DONE
    assert capsys.readouterr().err.splitlines()[0] == f"many.tif: {NAMED}"
    assert images.read("out.tif").record["file_remarks"] == [f"many.tif: {NAMED}"]
    assert images.read("out.tif").axes == "TZYX"


def test_what_was_converted_in_image_mask_and_reference_is_said(
    folder: Path, noisy: np.ndarray, capsys: Capture
) -> None:
    grey = noisy[:21, :17].astype(np.uint8)
    tifffile.imwrite("white.tif", grey, photometric="miniswhite")
    marked = np.zeros((21, 17), np.uint8)
    marked[5] = 1
    mask = Image.fromarray(marked)
    mask.putpalette([0, 0, 0, 255, 0, 0])
    mask.save("mask.png")
    arguments = ["inpaint", "white.tif", "out.tif", "--mask", "mask.png", "--reference", "white.tif", *FEW]
    assert main(arguments) == DONE
    said = capsys.readouterr().err.splitlines()
    inverted = "white.tif: 0 is white in it: its values were inverted, so that larger is brighter"
    assert said[:2] == [inverted, "mask.png: palette colours were converted to RGB"]
    assert said.count(inverted) == 2
    np.testing.assert_array_equal(images.read("out.tif").pixels[marked == 0], (255 - grey)[marked == 0])


def test_a_photograph_with_jpeg_blocks_stays_as_it_is_stored(folder: Path, capsys: Capture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = np.random.default_rng(0).integers(0, 255, (16, 24, 3)).astype(np.uint8)
    Image.fromarray(photo).save("in.jpg", exif=exif, quality=30)
    arguments = ["--method", "nl-deblocking", "--passes", "1", "--device", "cpu"]
    assert main(["remove-artifacts", "in.jpg", "out.tif", *arguments]) == DONE
    assert images.read("out.tif").pixels.shape == photo.shape
    assert "in.jpg: it is stored turned" in capsys.readouterr().err


def test_channels_times_and_resolution_pass_from_file_to_file(folder: Path, capsys: Capture) -> None:
    pixels = np.random.default_rng(0).integers(0, 2000, (2, 2, 12, 13)).astype(np.uint16)
    channels = {"Name": ["DAPI", "GFP"], "Color": [65535, -16776961]}
    metadata = {"axes": "TCYX", "TimeIncrement": 2.5, "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "Channel": channels}
    tifffile.imwrite("rich.ome.tif", pixels, metadata=metadata)
    assert main(["denoise", "rich.ome.tif", "out.ome.tif", "--spacing", "0.3,0.4", *FEW]) == DONE
    before, after = images.read("rich.ome.tif"), images.read("out.ome.tif")
    assert after.spacing == {"T": 2.5, "Y": 0.3, "X": 0.4}
    assert (after.channels, after.units["T"]) == (before.channels, "s")
    assert "pixel size Y 0.3 µm, X 0.4 µm, time step 2.5 s" in capsys.readouterr().err
    Image.fromarray(pixels[0, 0]).save("in.png", dpi=(300, 300))
    assert main(["denoise", "in.png", "out.png", *FEW]) == DONE
    with Image.open("out.png") as written:
        assert [float(part) for part in written.info["dpi"]] == pytest.approx([300, 300], rel=1e-3)
    assert images.read("out.png").record["task"]["kind"] == "Denoise"


def test_a_damaged_file_gets_one_sentence_without_words_of_libraries(refused: Refused) -> None:
    tifffile.imwrite("cut.tif", np.zeros((9, 8), np.uint8), description="ImageJ=1.54f\nimages=abc\n", metadata=None)
    assert refused("denoise", "cut.tif", "out.tif").startswith("deep-prior: cannot read 'cut.tif' as an image: ")

"""deep-prior encode: an image in, its code and the colours of it out, where the image lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.cli.main import DONE, main
from napari_deep_prior.files import images
from napari_deep_prior.files.images import ImageFile
from napari_deep_prior.files.model_files import write_model
from napari_deep_prior.plugin.files import reader
from napari_deep_prior.runs import encode as module

from ..models import trained_model
from .conftest import Capture, Refused


@pytest.fixture
def image(folder: Path) -> str:
    """Return the name of an image with voxels of 2 × 0.5 × 0.25 µm."""
    pixels = np.stack([cells((40, 46), seed=seed) for seed in range(2)]).astype(np.float32)
    spacing, units = {"Z": 2.0, "Y": 0.5, "X": 0.25}, dict.fromkeys("ZYX", "µm")
    images.write("cells.tif", ImageFile(pixels=pixels, axes="ZYX", spacing=spacing, units=units))
    write_model("net.safetensors", trained_model(enlarges=False))
    return "cells.tif"


def test_the_code_and_its_colours_are_written_where_the_image_lies(image: str, capsys: Capture) -> None:
    assert main(["encode", image, "code.ome.tif", "--model", "net.safetensors", "--device", "cpu"]) == DONE
    said = capsys.readouterr().err
    assert "channels of 10 × 12 pixels, each 4 pixels of the image wide" in said
    code, colours = images.read("code.ome.tif"), images.read("code.rgb.tif")
    assert (code.axes, code.pixels.shape[::2], code.pixels.dtype) == ("ZCYX", (2, 10), np.float32)
    assert (colours.axes, colours.pixels.shape, colours.pixels.dtype) == ("ZYXS", (2, 10, 12, 3), np.uint8)
    for file in (code, colours):
        assert {letter: file.spacing[letter] for letter in "ZYX"} == {"Z": 2.0, "Y": 2.0, "X": 1.0}
        assert file.units["X"] == "µm"
    # The middle of the first pixel of the code is that of the first 4 × 4 pixels of the image.
    _, layer, _ = reader("code.ome.tif")("code.ome.tif")[0]
    np.testing.assert_allclose(layer["translate"], [0, 0, 0.75, 0.375])
    np.testing.assert_allclose(layer["scale"], [2, 1, 2, 1])
    _, layer, _ = reader("code.rgb.tif")("code.rgb.tif")[0]
    np.testing.assert_allclose(layer["translate"], [0, 0.75, 0.375])
    with tifffile.TiffFile("code.ome.tif") as file:
        assert "code 1" in file.ome_metadata


def test_a_network_is_trained_on_the_image_itself(image: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(module, "STEPS", 10)
    assert main(["encode", image, "code.tif", "--network", "plain", "--device", "cpu"]) == DONE
    assert "training plain on the image" in capsys.readouterr().err
    assert images.read("code.tif").pixels.shape == (2, 64, 40, 46)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.tif", "code.tif"], "there is no file 'nowhere.tif'"),
        (["cells.tif", "code.png"], "give it a name that ends in .tif"),
        (["cells.tif", "cells.tif", "--overwrite"], "cells.tif"),
        (["x.rgb.tif", "x.tif", "--overwrite"], "x.rgb.tif"),
        (["cells.tif", "code.tif", "--model", "cells.tif"], "as a model"),
        (["cells.tif", "code.tif", "--model", "net.safetensors", "--network", "unet"], "give the one or the other"),
    ],
)
def test_what_cannot_be_used_is_refused(image: str, refused: Refused, arguments: list[str], words: str) -> None:
    Path("x.rgb.tif").write_bytes(Path(image).read_bytes())
    before = Path(image).read_bytes()
    assert words in refused("encode", *arguments)
    assert Path(image).read_bytes() == before
    assert not Path("code.tif").exists()


def test_a_code_only_replaces_an_older_code(image: str, refused: Refused) -> None:
    arguments = ["encode", image, "code.tif", "--model", "net.safetensors", "--device", "cpu"]
    assert main(arguments) == DONE
    assert "exists already" in refused(*arguments)
    assert main([*arguments, "--overwrite"]) == DONE
    Path("code.tif").write_bytes(Path(image).read_bytes())
    assert "only replaces an older code" in refused(*arguments, "--overwrite")

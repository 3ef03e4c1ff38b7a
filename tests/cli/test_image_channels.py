"""--image-channels and --separate-channels: on files, lazily read Zarr, folders and runs that go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import DONE, INCOMPLETE, main
from napari_deep_prior.files import images

from .conftest import Capture, Refused

FAST = ["--effort", "fast", "--device", "cpu", "--neighbours", "0"]
CHANNELS = ({"Name": "DAPI"}, {"Name": "GFP"}, {"Name": "Cy5"})


@pytest.fixture
def stack(folder: Path) -> np.ndarray:
    """Two planes of three channels, in in.tif, in.zarr and truth3.tif (what the noise is added to)."""
    photons = 20 * cells((6, 32, 36)).reshape(2, 3, 32, 36)
    camera = Camera(gain=2.0, offset=100.0, read_noise=5.0)
    pixels = camera.expose(photons, np.random.default_rng(0)).astype(np.uint16)
    images.write("in.tif", images.ImageFile(pixels=pixels, axes="ZCYX", channels=CHANNELS))
    truth = camera.expected(photons).astype(np.float32)
    images.write("truth3.tif", images.ImageFile(pixels=truth, axes="ZCYX", channels=CHANNELS))
    return pixels


@pytest.mark.parametrize("result", ["out.tif", "out.zarr"])
def test_the_result_has_the_chosen_channels_with_their_names(stack: np.ndarray, capsys: Capture, result: str) -> None:
    if result.endswith("zarr"):
        pytest.importorskip("zarr")
    command = ["denoise", "in.tif", result, *FAST]
    assert main([*command, "--image-channels", "cy5,0"]) == DONE
    assert "of its 3 channels, 0 (DAPI), 2 (Cy5) were taken; left out: 1 (GFP)" in capsys.readouterr().err
    found = images.read(result)
    assert (found.axes.replace("C", ""), found.pixels.shape) == ("ZYX", (2, 2, 32, 36))
    assert [each["Name"] for each in found.channels] == ["DAPI", "Cy5"]
    assert any("left out: 1 (GFP)" in each for each in found.record["file_remarks"])
    # Channels of a slice have noise of their own: they are restored as without the one that is left out.
    assert main([*command[:2], "all.tif", *FAST]) == DONE
    whole = images.read("all.tif")
    position = found.axes.index("C")
    found_pixels = np.moveaxis(np.asarray(found.pixels), position, 1)
    whole_pixels = np.moveaxis(whole.pixels, whole.axes.index("C"), 1)
    np.testing.assert_allclose(found_pixels, whole_pixels[:, [0, 2]], atol=2)


def test_a_lazy_zarr_is_restored_and_other_channels_are_another_result(
    stack: np.ndarray, refused: Refused, capsys: Capture
) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_array("in.zarr", data=stack, chunks=(1, 1, 32, 36))
    command = ["denoise", "in.zarr", "out.zarr", "--axes", "ZCYX", *FAST]
    assert main([*command, "--image-channels", "0,2", "--separate-channels"]) == DONE
    assert main(["denoise", "in.tif", "out.tif", *FAST, "--image-channels", "0,2", "--separate-channels"]) == DONE
    found, expected = images.read("out.zarr"), images.read("out.tif")
    moved = [np.moveaxis(np.asarray(each.pixels), each.axes.index("C"), 0) for each in (found, expected)]
    np.testing.assert_allclose(*moved, atol=3)
    assert found.record["separate_channels"]
    assert len(found.record["chosen_steps"]) == 4
    capsys.readouterr()
    for others in (["--image-channels", "0,2"], ["--image-channels", "0,1", "--separate-channels"]):
        assert "of another run: its input, settings or version were others" in refused(*command, *others)


def test_a_reference_has_the_same_channels(stack: np.ndarray, capsys: Capture) -> None:
    command = ["denoise", "in.tif", "out.tif", *FAST, "--image-channels", "GFP", "--reference", "truth3.tif"]
    assert main(command) == DONE
    assert "PSNR" in capsys.readouterr().out


def test_settings_bring_separate_channels_along(stack: np.ndarray) -> None:
    first = ["denoise", "in.tif", "out.tif", *FAST, "--separate-channels", "--save-settings", "run.json"]
    assert main(first) == DONE
    again = ["denoise", "in.tif", "again.tif", "--settings", "run.json", "--device", "cpu"]
    assert main(again) == DONE
    np.testing.assert_array_equal(images.read("out.tif").pixels, images.read("again.tif").pixels)
    assert main([*again[:2], "other.tif", *again[3:], "--no-separate-channels"]) == DONE
    assert not images.read("other.tif").record["separate_channels"]


def test_what_has_no_such_channels_is_refused(stack: np.ndarray, refused: Refused) -> None:
    command = ["denoise", "in.tif", "out.tif", *FAST]
    assert "in.tif: there is no channel '3'" in refused(*command, "--image-channels", "3")
    assert "name one of them twice" in refused(*command, "--image-channels", "0,DAPI")
    assert "--image-channels is empty" in refused(*command, "--image-channels", "")
    said = refused("denoise", "in.ome.tif", "out.tif", *FAST, "--image-channels", "0")
    assert "it has no channels to choose from, its axes are YX" in said


def test_a_folder_is_restored_with_the_same_channels_and_what_lacks_them_is_reported(
    stack: np.ndarray, capsys: Capture
) -> None:
    Path("folder").mkdir()
    images.write("folder/a.tif", images.ImageFile(pixels=stack, axes="ZCYX", channels=CHANNELS))
    images.write("folder/b.tif", images.ImageFile(pixels=stack[:, 0], axes="ZYX"))
    command = ["batch", "denoise", "folder", "results", *FAST, "--image-channels", "DAPI,Cy5"]
    assert main(command) == INCOMPLETE
    assert "b.tif: it has no channels to choose from" in capsys.readouterr().err
    assert [each["Name"] for each in images.read("results/a.tif").channels] == ["DAPI", "Cy5"]
    assert not Path("results/b.tif").exists()

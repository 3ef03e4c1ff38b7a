"""One network for the images of a folder: trained on what shows the most, used where it helps, never on other kinds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import DONE, FAILED, INCOMPLETE, main
from napari_deep_prior.files import images
from napari_deep_prior.files.folders import TABLE
from napari_deep_prior.files.model_files import read_model

CAMERA = Camera(gain=2.0, offset=100.0, read_noise=5.0)
QUICK = ["--method", "self-distillation", "--steps", "30", "--crop", "24", "--channels", "8,8", "--device", "cpu"]
BATCH = ["batch", "denoise", "raw", "out", *QUICK, "--shared-model"]
COUNT = 4


@pytest.fixture
def truths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """Four images in raw, one of them of another size; returns their truths."""
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    truths = []
    for number in range(COUNT):
        photons = 10 * cells((40, 44 + 4 * (number == 3)), seed=number)
        noisy = CAMERA.expose(photons, np.random.default_rng(number)).astype(np.uint16)
        images.write(f"raw/{number}.tif", images.ImageFile(pixels=noisy, axes="YX"))
        truths.append(CAMERA.expected(photons))
    return truths


def table() -> dict[str, dict[str, str]]:
    with (Path("out") / TABLE).open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def remarks(name: str) -> list[str]:
    return list(images.read(f"out/{name}").record["remarks"])


def test_one_network_restores_all_images_and_the_batch_goes_on(
    truths: list[Array], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BATCH, "--save-model", "m.safetensors"]) == DONE
    for number, truth in enumerate(truths):
        noisy, result = (images.read(f"{folder}/{number}.tif").pixels for folder in ("raw", "out"))
        assert psnr(result, truth) > psnr(noisy, truth) + 3
        trained, counts = remarks(f"{number}.tif")[-2:]
        assert trained == "one network was trained for all images, on 0.tif, 1.tif, 2.tif, 3.tif"
        assert counts.startswith("held-out pixels decide between the network of all images and similar patches")
    model = read_model("m.safetensors")
    assert (model.channels, model.training["steps"]) == (1, 30)
    assert images.read("out/0.tif").record["chosen_steps"] == [30]
    wanted = images.read("out/2.tif").pixels
    Path("out/2.tif").unlink()
    capsys.readouterr()
    assert main(BATCH) == DONE
    assert [row["status"] for row in table().values()] == ["skipped", "skipped", "done", "skipped"]
    np.testing.assert_array_equal(images.read("out/2.tif").pixels, wanted)
    # Another image in the folder, of which the network is trained too: these results are of another network.
    images.write("raw/4.tif", images.ImageFile(pixels=images.read("raw/0.tif").pixels[::-1], axes="YX"))
    assert main(BATCH) == INCOMPLETE
    assert [row["status"] for row in table().values()] == ["refused"] * COUNT + ["done"]


def test_images_of_another_kind_are_reported_and_not_mixed_in(truths: list[Array]) -> None:
    images.write("raw/1.tif", images.ImageFile(pixels=np.stack([truths[1], truths[2]]).astype(np.uint16), axes="CYX"),
                 overwrite=True)  # fmt: skip
    eight = (images.read("raw/2.tif").pixels // 4).astype(np.uint8)
    images.write("raw/2.tif", images.ImageFile(pixels=eight, axes="YX"), overwrite=True)
    Path("raw/broken.tif").write_bytes(b"II*\0")
    assert main(BATCH) == INCOMPLETE
    rows = table()
    assert [rows[f"{number}.tif"]["status"] for number in range(COUNT)] == ["done"] * COUNT
    assert rows["broken.tif"]["status"] == "failed"
    for name, own in (("1.tif", "2 channels of uint16"), ("2.tif", "1 channel of uint8")):
        words = f"the network of the other images was not used: this one has {own}, and most have 1 channel of uint16"
        assert words in rows[name]["message"]
        assert not any("all images" in each for each in remarks(name))
    assert any(each == "one network was trained for all images, on 0.tif, 3.tif" for each in remarks("0.tif"))


def test_what_trains_no_such_network_is_refused(truths: list[Array], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "denoise", "raw", "out", "--device", "cpu", "--shared-model"]
    for more in (["--effort", "fast"], [*QUICK, "--members", "2"], ["--method", "deep-image-prior"]):
        assert main([*command, *more]) == FAILED
        assert "one network for all images is trained by self-distillation" in capsys.readouterr().err
    assert not Path("out").exists()


def test_stacks_are_restored_by_the_network_of_the_folder(truths: list[Array]) -> None:
    stack = np.stack([images.read(f"raw/{number}.tif").pixels for number in (0, 1)])
    images.write("raw/3.tif", images.ImageFile(pixels=stack, axes="ZYX"), overwrite=True)
    assert main([*BATCH, "--neighbours", "0"]) == DONE
    assert images.read("out/3.tif").record["chosen_steps"] == [30, 30]
    assert "one network was trained for all images, on 0.tif, 1.tif, 2.tif, 3.tif" in remarks("3.tif")

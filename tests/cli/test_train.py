"""deep-prior train: a folder in, two networks out, one sentence for what cannot be trained on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.cli import train as command
from napari_deep_prior.cli.main import DONE, INTERRUPTED, main
from napari_deep_prior.files import images as images_of_files
from napari_deep_prior.files.model_files import read_model, write_model
from napari_deep_prior.files.trainings import read_checkpoint
from napari_deep_prior.networks import ENLARGING_AUTOENCODER, Autoencoder

from ..models import trained_model
from .conftest import Capture, Refused

ENLARGE = ["train", "super-resolve"]
QUICK = ["--epochs", "8", "--crop", "16", "--examples", "4", "--channels", "8,8", "--device", "cpu"]


@pytest.fixture
def images(tmp_path: Path, folder: Path) -> str:
    """Return the name of a folder with three images of 40 × 44 pixels."""
    Path("own").mkdir()
    for seed in range(3):
        tifffile.imwrite(f"own/{seed}.tif", (cells((40, 44), seed=seed) * 20).astype(np.uint16))
    return "own"


def test_the_best_and_the_last_network_are_written(images: str, capsys: Capture) -> None:
    assert main([*ENLARGE, images, "--out", "m.safetensors", *QUICK, "--factor", "3", "--seed", "4"]) == DONE
    said = capsys.readouterr().err
    assert "trains for 8 epochs, about " in said
    assert "held out: own/" in said
    assert "held out: loss" in said
    assert "m.safetensors: the network of step" in said
    model, last = read_model("m.safetensors"), read_model("m.last.safetensors")
    assert (model.task, model.factors, model.channels) == ("super-resolve", (3.0, 3.0), 1)
    assert model.settings["training"]["seed"] == 4
    assert len(model.training["held_out"]) == 1
    assert (model.training["weights"], last.training["weights"]) == ("best", "last")


def test_a_training_goes_on_with_the_settings_that_it_had(images: str) -> None:
    assert main([*ENLARGE, images, "--out", "m.safetensors", *QUICK, "--factor", "3"]) == DONE
    steps = read_model("m.safetensors").training["steps"]
    arguments = ["--resume", "m.last.safetensors", "--epochs", "2", "--device", "cpu"]
    assert main([*ENLARGE, images, "--out", "n.safetensors", *arguments]) == DONE
    model = read_model("n.safetensors")
    assert model.training["steps"] > steps
    assert model.factors == (3.0, 3.0)
    assert int(read_checkpoint("n.last.safetensors").state["steps"]) == model.training["steps"]


@pytest.mark.parametrize(
    ("task", "given", "network"),
    [
        ("super-resolve", [], ENLARGING_AUTOENCODER),
        ("super-resolve", ["--channels", "4,4"], dataclasses.replace(ENLARGING_AUTOENCODER, channels=(4, 4))),
        ("denoise", [], Autoencoder()),
    ],
)
def test_an_autoencoder_has_the_scales_that_suit_the_task(
    images: str, task: str, given: list[str], network: Autoencoder
) -> None:
    arguments = ["--network", "autoencoder", "--epochs", "1", "--crop", "16", "--device", "cpu", *given]
    arguments += ["--clean", "--sigma", "1"] if task == "denoise" else []
    assert main(["train", task, images, "--out", "m.safetensors", *arguments]) == DONE
    assert read_model("m.safetensors").network == network
    # A training that goes on keeps it.
    arguments = ["--network", "autoencoder", "--resume", "m.last.safetensors", "--epochs", "1", "--device", "cpu"]
    assert main(["train", task, images, "--out", "n.safetensors", *arguments]) == DONE
    assert read_model("n.safetensors").network == network


def test_ctrl_c_keeps_the_networks(images: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(step: object) -> str:
        raise KeyboardInterrupt

    # It is pressed at the first validation.
    monkeypatch.setattr(command, "_in_words", pressed)
    assert main([*ENLARGE, images, "--out", "m.safetensors", *QUICK]) == INTERRUPTED
    assert read_model("m.safetensors").training["steps"] > 0


def test_a_network_that_is_worse_than_none_is_named(images: str, capsys: Capture) -> None:
    once = ["--epochs", "1", "--crop", "32", "--rate", "0.000001"]
    assert main([*ENLARGE, images, "--out", "m.safetensors", *QUICK, *once]) == DONE
    assert "on the held-out images the network is no better than what goes in" in capsys.readouterr().err
    assert main([*ENLARGE, images, "--out", "n.safetensors", *QUICK, "--epochs", "60"]) == DONE
    assert "no better" not in capsys.readouterr().err


def test_the_help_has_the_noise_that_is_drawn_on_clean_images(capsys: Capture) -> None:
    for task, clean in (("denoise", True), ("super-resolve", False)):
        with pytest.raises(SystemExit):
            main(["train", task, "--help"])
        said = capsys.readouterr().out
        assert all(f"--{name} N" in said for name in ("gain", "offset", "sigma"))
        assert ("--clean," in said) is clean


def test_a_stroke_at_the_end_of_the_name_is_no_part_of_it(images: str) -> None:
    assert main([*ENLARGE, images, "--out", "m.safetensors/", *QUICK, "--epochs", "1"]) == DONE
    assert read_checkpoint("m.last.safetensors").model.training["weights"] == "last"


def test_pairs_are_found_by_their_names(images: str, refused: Refused) -> None:
    Path("clean").mkdir()
    for seed in range(2):
        tifffile.imwrite(f"clean/{seed}.tif", tifffile.imread(f"own/{seed}.tif"))
    sentence = refused("train", "denoise", images, "--out", "m.safetensors", "--clean-folder", "clean")
    assert "'own/2.tif' has no clean image of its name in 'clean'" in sentence


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere", "--out", "m.safetensors"], "there is no file 'nowhere'"),
        (["empty", "--out", "m.safetensors"], "there are no images in the folder 'empty'"),
        (["own", "--out", "m.tif"], "the name must end in .safetensors"),
        (["own", "--out", "no/m.safetensors"], "there is no folder"),
        (["own", "--out", "m.safetensors", "--crop", "64"], "fewer than a crop of 64"),
        (["own", "--out", "m.safetensors", "--network", "vgg"], "network is 'vgg'; one of unet"),
        (["own", "--out", "m.safetensors", "--network", "plain", "--width", "8"], "Plain has no --width"),
        (["own", "--out", "m.safetensors", "--minutes", "1", "--epochs", "1"], "give one of them"),
        (["own", "--out", "m.safetensors", "--resume", "own/0.tif"], "own/0.tif"),
        (["own", "--out", "m.safetensors", "--blur", "estimated", "--crop", "16"], "the blur cannot be estimated"),
        (["own", "--out", "m.safetensors", "--factor", "1", "--crop", "16"], "the factors are all 1"),
    ],
)
def test_what_cannot_be_used_is_refused(images: str, refused: Refused, arguments: list[str], text: str) -> None:
    Path("empty").mkdir()
    assert text in refused(*ENLARGE, *arguments)


def test_a_model_without_the_state_of_its_training_cannot_go_on(images: str, refused: Refused) -> None:
    assert main([*ENLARGE, images, "--out", "m.safetensors", *QUICK]) == DONE
    assert "ends in .last.safetensors" in refused(
        *ENLARGE, images, "--out", "n.safetensors", "--resume", "m.safetensors"
    )
    assert "exists already" in refused(*ENLARGE, images, "--out", "m.safetensors", *QUICK)
    wanted = "was trained for 'super-resolve', and not for 'denoise'"
    assert wanted in refused("train", "denoise", images, "--out", "n.safetensors", "--resume", "m.last.safetensors")


@pytest.fixture
def model(folder: Path) -> str:
    """Return the name of a file with a network for denoising."""
    write_model("net.safetensors", trained_model(enlarges=False))
    return "net.safetensors"


def test_a_model_denoises_a_file(model: str, capsys: Capture) -> None:
    arguments = ["--reference", "truth.tif", "--device", "cpu", "--dtype", "float32", "--overwrite"]
    assert main(["denoise", "in.ome.tif", "out.tif", "--model", model, *arguments]) == DONE
    said = capsys.readouterr()
    assert "Trained network: a trained network was given" in said.err
    before, after = map(float, re.findall(r"PSNR (\S+) → (\S+) dB", said.out + said.err)[0])
    assert after > before
    record = images_of_files.read("out.tif").record
    assert record["method"]["kind"] == "TrainedNetwork"


@pytest.mark.parametrize(
    ("task", "damage", "text"),
    [
        ("denoise", lambda content: content[: len(content) // 2], "cannot read 'net.safetensors' as a model"),
        ("denoise", lambda content: b"PNG" + content, "cannot read 'net.safetensors' as a model"),
        (
            "super-resolve",
            lambda content: content,
            "the network was trained to denoise, and the image is to be enlarged",
        ),
    ],
    ids=["truncated", "foreign", "another task"],
)
def test_a_model_that_cannot_be_used_is_refused(
    model: str, refused: Refused, task: str, damage: Callable[[bytes], bytes], text: str
) -> None:
    Path(model).write_bytes(damage(Path(model).read_bytes()))
    assert text in refused(task, "in.ome.tif", "out.tif", "--model", model)
    assert "there is no file 'none'" in refused(task, "in.ome.tif", "out.tif", "--model", "none")

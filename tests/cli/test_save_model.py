"""--save-model: the network of a stack restores other images, and what has no such network says so before the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import DONE, main
from napari_deep_prior.files import images
from napari_deep_prior.files.model_files import read_model
from napari_deep_prior.methods import SelfDistillation

from .conftest import Capture, Refused

QUICK = ["--method", "self-distillation", "--steps", "3", "--crop", "16", "--channels", "8,8", "--device", "cpu"]
SAVE = ["--save-model", "m.safetensors", "--neighbours", "0"]


@pytest.fixture
def stack(folder: Path) -> str:
    """Return the name of a file with three frames of 32 × 36 pixels."""
    photons = 10 * cells((3, 32, 36))
    frames = Camera(gain=2.0, offset=100.0, read_noise=5.0).expose(photons, np.random.default_rng(0))
    images.write("stack.tif", images.ImageFile(pixels=frames.astype(np.uint16), axes="TYX"))
    return "stack.tif"


@pytest.mark.parametrize("result", ["out.tif", "out.zarr"])
def test_the_network_of_a_stack_is_written_and_restores_another_image(stack: str, capsys: Capture, result: str) -> None:
    if result.endswith("zarr"):
        pytest.importorskip("zarr")
    assert main(["denoise", stack, result, *QUICK, *SAVE]) == DONE
    assert "m.safetensors: the network of all slices" in capsys.readouterr().err
    model = read_model("m.safetensors")
    assert (model.task, model.method, model.channels, model.shape) == ("denoise", "self-distillation", 1, (32, 36))
    assert SelfDistillation.from_json(model.settings).steps == 3
    assert model.training == {"slices": [1, 2, 3], "steps": 3}
    assert model.noise[0].gain > 0
    assert main(["denoise", "in.ome.tif", "other.tif", "--model", "m.safetensors", "--device", "cpu"]) == DONE
    assert images.read("other.tif").record["method"]["kind"] == "TrainedNetwork"


def test_a_run_without_a_network_of_all_slices_is_refused(stack: str, refused: Refused) -> None:
    assert "only of a stack that is restored plane by plane" in refused(
        "denoise", "in.ome.tif", "out.tif", *QUICK, *SAVE
    )
    assert "with one member" in refused("denoise", stack, "out.tif", *QUICK, *SAVE, "--members", "2")
    assert "without --no-shared" in refused("denoise", stack, "out.tif", *QUICK, *SAVE, "--no-shared")
    said = refused("denoise", stack, "out.tif", *SAVE, "--method", "nl-ridge")
    assert "there is no network to write: the image is restored by" in said


def test_a_model_replaces_nothing_else(stack: str, refused: Refused) -> None:
    command = ["denoise", stack, "out.tif", *QUICK]
    assert "the name must end in .safetensors" in refused(*command, "--save-model", "m.pt")
    Path("m.safetensors").write_bytes(b"something else")
    assert "exists already" in refused(*command, *SAVE)
    assert "a model only replaces an older model" in refused(*command, *SAVE, "--overwrite")


def test_a_batch_has_no_single_network(stack: str, refused: Refused) -> None:
    Path("own").mkdir()
    Path(stack).rename("own/stack.tif")
    assert "every image of a batch would have a network" in refused("batch", "denoise", "own", "results", *QUICK, *SAVE)

"""Models in files: what is written is read again and predicts the same; what is something else is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from napari_deep_prior.files.model_files import FORMAT, KEY, read_model, refuse_model, write_model
from napari_deep_prior.methods import SelfDistillation
from napari_deep_prior.networks import Autoencoder, UNet
from napari_deep_prior.networks.network import ResidualNetwork
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.runs.identity import VERSION
from napari_deep_prior.training.model import Model
from napari_deep_prior.training.standardised import BY_CONTRAST
from napari_deep_prior.training.trainer import Trainer, TrainingPair, TrainingPlan

from .damage import DAMAGES

SMALL = UNet(channels=(4, 6))


def trained(network: ResidualNetwork = SMALL, shape: tuple[int, ...] = (16, 18)) -> Trainer:
    plan = TrainingPlan(
        network=network, channels=2, shape=shape, precision="float32", device=torch.device("cpu"), averaging=0.9
    )
    trainer = Trainer(plan, torch.Generator().manual_seed(0))
    image = torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        trainer.train(TrainingPair(image, 1 - image, torch.ones_like(image)), rate=0.01)
    return trainer


def model(trainer: Trainer | None = None, **changes: Any) -> Model:
    values: dict[str, Any] = {
        "task": "denoise",
        "method": "self-distillation",
        "settings": SelfDistillation(network=SMALL).to_json(),
        "network": SMALL,
        "weights": (trainer or trained()).weights,
        "channels": 2,
        "shape": (16, 18),
        "intensity": BY_CONTRAST,
        "factors": (2.0, 2.0),
        "noise": (NoiseModel(gain=0.5, read_noise=2.0, reasons=("one", "two")), NoiseModel(saturation=255.0)),
        "training": {"slices": [0, 3], "steps": 300},
    }
    return Model(**values | changes)


def sentence_on(path: Path) -> str:
    """Return the sentence with which a file is refused; empty if it is read."""
    try:
        read_model(str(path))
    except ValueError as error:
        return str(error)
    return ""


def refused(path: Path) -> str:
    sentence = sentence_on(path)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def header_and_rest(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a model file says of its model."""
    header, rest = header_and_rest(path)
    fields = json.loads(header["__metadata__"][KEY])
    change(fields)
    header["__metadata__"][KEY] = json.dumps(fields)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    write_model(str(path), model())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("network", "shape"), [(SMALL, (16, 18)), (SMALL, (4, 16, 18)), (Autoencoder(channels=(4, 6)), (4, 16, 18))]
)
def test_a_model_is_read_as_it_was_written_and_predicts_the_same(
    tmp_path: Path, network: ResidualNetwork, shape: tuple[int, ...]
) -> None:
    trainer, path = trained(network, shape), str(tmp_path / "m.safetensors")
    written = model(trainer, network=network, shape=shape)
    write_model(path, written)
    read = read_model(path)
    for each in dataclasses.fields(Model):
        if each.name not in ("weights", "version"):
            assert getattr(read, each.name) == getattr(written, each.name)
    assert read.version == VERSION
    plan = TrainingPlan(network=network, channels=2, shape=shape, precision="float32", device=torch.device("cpu"))
    other = Trainer(dataclasses.replace(plan, averaging=0.9), torch.Generator().manual_seed(7))
    image = torch.rand(1, 2, *shape)
    assert not torch.equal(other.predict(image), trainer.predict(image))
    other.load(read.weights)
    assert torch.equal(other.predict(image), trainer.predict(image))


def test_the_same_model_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_model(str(tmp_path / f"{name}.safetensors"), model())
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_weights_that_are_written_do_not_change_with_further_training() -> None:
    trainer = trained()
    before = trainer.weights
    image = torch.rand(1, 2, 16, 18)
    trainer.train(TrainingPair(image, 1 - image, torch.ones_like(image)), rate=0.01)
    after = trainer.weights
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(before[name], each) for name, each in model(weights=before).weights.items())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_that_was_cut_off_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert "as a model: it is damaged" in refused(path)


def test_a_damaged_file_is_read_or_refused_with_one_sentence(tmp_path: Path, content: bytes) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "m.safetensors"
    (length,) = struct.unpack("<Q", content[:8])
    refusals = 0
    for number in range(150):
        damaged = DAMAGES[number % len(DAMAGES)](content, rng)
        if number % 2:  # the header is a small part of a file
            place = int(rng.integers(8, 8 + length))
            damaged = content[:place] + bytes([int(rng.integers(256))]) + content[place + 1 :]
        path.write_bytes(damaged)
        sentence = sentence_on(path)
        assert sentence.startswith(f"cannot read {str(path)!r} as a model: ") or not sentence
        refusals += bool(sentence)
    assert refusals > 50


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    assert "there is no file" in refused(path)
    assert "it is a folder" in refused(tmp_path)
    torch.save({"weight": torch.ones(3)}, path)
    assert "not of the kind that Deep Prior writes" in refused(path)
    path.write_bytes(b"")
    assert "it is damaged" in refused(path)
    path.write_bytes(save({"weight": torch.ones(3)}, metadata={"format": "pt"}))
    assert "the weights of another program" in refused(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": FORMAT + 1, "version": "9.0"}, r"its format is 2, written by version 9\.0 .* reads format 1: "),
        ({"channels": 3}, "tensor '.*' has shape .*, and UNet needs"),
        ({"channels": True}, "its header is damaged: 'channels' is True"),
        ({"channels": 0}, "for 0 channels"),
        ({"shape": [4]}, r"for images of shape \(4,\)"),
        ({"shape": ["a", 3]}, "cannot read"),
        ({"network": UNet(channels=(4, 6, 6)).to_json()}, "is only in one of them"),
        ({"network": {"kind": "Transformer"}}, "no network 'Transformer'"),
        ({"network": 3}, "it is damaged"),
        ({"network": {"kind": "UNet", "wings": 2}}, "no setting wings"),
        ({"noise": [{"gain": -1, "correlation": [], "reasons": []}]}, "gain is -1"),
        ({"noise": [3]}, "it is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    tmp_path: Path, content: bytes, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    changed(path, lambda fields: fields.update(change))
    assert re.search(words, refused(path))


@pytest.mark.parametrize("name", ["task", "network", "format", "shape"])
def test_a_header_that_lacks_something_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    changed(path, lambda fields: fields.pop(name))
    assert "it is damaged" in refused(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weights = trained().weights
    first = min(weights)
    weights[first][0] = float("nan")
    write_model(str(tmp_path / "m.safetensors"), model(weights=weights))
    assert f"its tensor {first!r} has values that are no finite" in refused(tmp_path / "m.safetensors")


def test_a_model_replaces_only_a_model_and_only_where_it_is_allowed(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"the name must end in \.safetensors"):
        refuse_model(str(tmp_path / "m.pt"), overwrite=True)
    path = tmp_path / "m.safetensors"
    refuse_model(str(path), overwrite=False)
    path.write_bytes(content)
    refuse_model(str(path), overwrite=True)
    with pytest.raises(ValueError, match="exists already"):
        refuse_model(str(path), overwrite=False)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="a model only replaces an older model"):
        refuse_model(str(path), overwrite=True)
    assert path.read_bytes() == b"something else"


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Out of range"):
        write_model(str(path), model(training={"loss": float("inf")}))
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["m.safetensors"]

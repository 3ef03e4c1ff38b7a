"""Files of trained networks: safetensors, with all else in its header as JSON. Nothing in them is ever executed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..networks import RESIDUAL_NETWORKS
from ..physics.noise_model import NoiseModel
from ..runs.identity import VERSION
from ..training.model import Model
from .reading import reading
from .replacing import refuse_place, replace_file

ENDING = ".safetensors"

LAST_ENDING = f".last{ENDING}"
"""Of the file with the last weights of a training, from which it can go on."""

KEY = "napari-deep-prior"
"""Of the JSON in the header of the file. It is the only one: the library writes several ones in no fixed order."""

FORMAT = 1
"""Changes with the meaning of what is written: a file of another number is not read."""

STATE = "state of training: "
"""What the names of tensors begin with that are none of the network's: a training goes on from them."""

KINDS: Mapping[str, type | tuple[type, ...]] = {
    "task": str,
    "method": str,
    "settings": dict,
    "channels": int,
    "shape": list,
    "intensity": str,
    "factors": list,
    "noise": list,
    "training": dict,
    "version": str,
}
"""JSON types of the fields of a model that are not its network and weights."""


def read_model(path: str) -> Model:
    """Return the model in a file.

    Raises
    ------
    ValueError
        If there is no such file, it is damaged or of something else, a newer version wrote it, or its weights do not
        fit its network.
    """
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"cannot read {path!r} as a model: it is a folder")
    with reading(file, "a model"):
        try:
            # The weights are read after the header: it may be any file, of any size.
            with safe_open(file, framework="pt") as content:
                fields = _fields_of(content.metadata())
                names = [name for name in sorted(content.keys()) if not name.startswith(STATE)]
                weights = {name: content.get_tensor(name) for name in names}
        except SafetensorError as error:
            raise ValueError(f"it is damaged, or not of the kind that Deep Prior writes, {ENDING} ({error})") from error
        model = Model(weights=weights, **fields)
        model.refuse_weights()
        return model


def read_state(path: str) -> dict[str, Tensor]:
    """Return what a training goes on from, of a file that :func:`read_model` can read.

    Raises
    ------
    ValueError
        If the file has nothing of that kind.
    """
    with safe_open(Path(path), framework="pt") as content:
        names = [name for name in sorted(content.keys()) if name.startswith(STATE)]
        state = {name.removeprefix(STATE): content.get_tensor(name) for name in names}
    if not state:
        raise ValueError(
            f"{path!r} is a model without the state of its training: give the one of its last weights, whose name "
            f"ends in {LAST_ENDING}, or begin anew"
        )
    return state


def name_of_last(path: str) -> str:
    """Return the name of the file of the last weights of a training, beside that of the best ones."""
    return str(Path(path).with_suffix(LAST_ENDING))


def refuse_model(path: str, *, overwrite: bool) -> None:
    """Raise a ValueError, before any work is done, if no model can be written there, or something else would go."""
    file = Path(path)
    if file.suffix.lower() != ENDING:
        raise ValueError(f"cannot write a model to {path!r}: the name must end in {ENDING}")
    refuse_place(file, overwrite=overwrite)
    if file.exists():
        try:
            read_model(path)
        except ValueError as error:
            raise ValueError(f"{error}; a model only replaces an older model: choose another name") from error


def write_model(path: str, model: Model, state: Mapping[str, Tensor] | None = None) -> None:
    """Write a model, whole or not at all.

    Parameters
    ----------
    state : mapping of str to Tensor, optional
        What a training goes on from (see :func:`read_state`).

    Raises
    ------
    OSError
        If the disk is full or fails.
    """
    header = {each.name: getattr(model, each.name) for each in dataclasses.fields(model) if each.name != "weights"}
    header |= {"format": FORMAT, "version": VERSION, "network": model.network.to_json()}
    header["noise"] = [dataclasses.asdict(each) for each in model.noise]
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    weights = {name: each.detach().to("cpu", torch.float32).contiguous() for name, each in model.weights.items()}
    further = {f"{STATE}{name}": each.contiguous() for name, each in (state or {}).items()}
    content = save(weights | further, metadata={KEY: text})
    replace_file(Path(path), lambda name: _write_under(name, content))


def _write_under(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)


def _fields_of(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the fields of a model but for its weights."""
    if not metadata or KEY not in metadata:
        raise ValueError("it holds the weights of another program")
    header = json.loads(metadata[KEY])
    if header["format"] != FORMAT:
        raise ValueError(
            f"its format is {header['format']!r}, written by version {header['version']} of Deep Prior; this version "
            f"({VERSION}) reads format {FORMAT}: install the version that wrote it, or train anew"
        )
    for name, kind in KINDS.items():
        # Python's bool is an int.
        if not isinstance(header[name], kind) or isinstance(header[name], bool):
            raise ValueError(f"its header is damaged: {name!r} is {header[name]!r}")
    fields = {name: header[name] for name in KINDS}
    kinds = {kind.__name__: kind for kind in RESIDUAL_NETWORKS.values()}
    network = kinds.get(header["network"]["kind"])
    if network is None:
        raise ValueError(f"this version has no network {header['network']['kind']!r}")
    fields["network"] = network.from_json(header["network"])
    fields["shape"] = tuple(int(length) for length in fields["shape"])
    fields["factors"] = tuple(float(factor) for factor in fields["factors"])
    fields["noise"] = tuple(map(_noise_of, fields["noise"]))
    return fields


def _noise_of(record: Mapping[str, Any]) -> NoiseModel:
    return NoiseModel(**{**record} | {name: tuple(record[name]) for name in ("correlation", "reasons")})

"""Models: trained networks with what is needed to apply them to another image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from ..networks.network import ResidualNetwork
from ..physics.noise_model import NoiseModel
from .trainer import build_corrector

DIMENSIONS = (2, 3)
"""Spatial axes that an image can have."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A trained network, and what it was trained for.

    Parameters
    ----------
    task : str
        Command of the task that it was trained for, such as "denoise".
    method : str
        Name of the method or training that made it, such as "self-distillation".
    settings : mapping
        Settings of that, as :meth:`.Settings.to_json` gives them.
    network : ResidualNetwork
        Settings of the network; it adds a correction to the image that goes in.
    weights : mapping of str to Tensor
        Its weights, float32, by the names that its module gives them.
    channels : int
        Channels of the image.
    shape : tuple of int
        Spatial shape, two or three axes, for which the network was built: small images get fewer scales.
    intensity : str
        How pixels are standardised before they enter the network, such as ``standardised.BY_LIGHT``.
    factors : tuple of float
        Pixels of the result in one of the input along each spatial axis; empty if the image keeps its size.
    noise : tuple of NoiseModel
        Noise of the channels that it was trained on, in grey levels; empty if nothing is known of it.
    training : mapping
        What else is to be known of its training: JSON types.
    version : str
        Of the program that wrote it; empty if it was read from no file.

    Raises
    ------
    ValueError
        If the shape or the number of channels cannot be that of an image.
    """

    task: str
    method: str
    settings: Mapping[str, Any]
    network: ResidualNetwork
    weights: Mapping[str, Tensor]
    channels: int
    shape: tuple[int, ...]
    intensity: str
    factors: tuple[float, ...] = ()
    noise: tuple[NoiseModel, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"the model is for {self.channels} channels; an image has 1 or more")
        if len(self.shape) not in DIMENSIONS or min(self.shape) < 1:
            raise ValueError(f"the model is for images of shape {self.shape}; two or three lengths are needed")

    @property
    def weight_count(self) -> int:
        """Numbers that were trained."""
        return sum(weight.numel() for weight in self.weights.values())

    def refuse_task(self, *, enlarges: bool) -> None:
        """Raise a ValueError if images are to be enlarged and the network does not, or the other way round."""
        if bool(self.factors) != enlarges:
            wanted = "to be enlarged" if enlarges else "to keep their size"
            raise ValueError(
                f"the network was trained for {self.task!r}, and the images are {wanted}: give another network, or "
                "leave it out"
            )

    def refuse_weights(self) -> None:
        """Raise a ValueError if the weights are not those of the network."""
        module = build_corrector(self.network, channels=self.channels, shape=self.shape, device=torch.device("meta"))
        expected = dict(module.named_parameters())
        kind = type(self.network).__name__
        if strange := sorted(set(self.weights) ^ set(expected)):
            raise ValueError(
                f"it has {len(self.weights)} tensors, and {kind} of its settings has {len(expected)}; "
                f"{strange[0]!r} is only in one of them"
            )
        for name, each in self.weights.items():
            if each.shape != expected[name].shape:
                needed = tuple(expected[name].shape)
                raise ValueError(f"its tensor {name!r} has shape {tuple(each.shape)}, and {kind} needs {needed}")
            if each.dtype != expected[name].dtype or not bool(torch.isfinite(each).all()):
                raise ValueError(f"its tensor {name!r} has values that are no finite {expected[name].dtype} numbers")

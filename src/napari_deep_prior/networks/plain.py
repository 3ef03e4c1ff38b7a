"""A plain chain of convolutions, for what is learned from one image to another and needs only a small neighbourhood."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..settings import Setting, Settings
from .convolution import GENTLE, Convolution


@final
@dataclass(frozen=True, kw_only=True)
class Plain(Settings):
    """3×3 convolutions with rectifiers between them, all at full resolution (Shocher et al. 2018, arXiv 1712.06087).

    Sees as many pixels to every side as it has layers. Planes of a volume go through it one by one.
    """

    channels: Annotated[
        tuple[int, ...],
        Setting("Channels", "feature channels of each layer but the last", 1, 1024),
    ] = (64,) * 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise ValueError("channels is empty: give one number per layer, at least one")

    def build(self, *, inputs: int, outputs: int, shape: tuple[int, ...], device: torch.device) -> nn.Module:
        """Return the network, its weights not yet drawn; it is the same for every ``shape``.

        Parameters
        ----------
        inputs, outputs : int
            Channels that go in and come out.
        """
        with torch.device("meta"):
            network = _Network((inputs, *self.channels, outputs))
        return network if device.type == "meta" else network.to_empty(device=device)


class _Network(nn.Module):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Convolution(seen, made) for seen, made in itertools.pairwise(channels))

    def forward(self, image: Tensor) -> Tensor:
        volume = image.ndim == 5
        features = image.movedim(2, 1).flatten(0, 1) if volume else image
        for number, layer in enumerate(self.layers, start=1):
            features = layer(features)
            if number < len(self.layers):
                features = functional.relu(features, inplace=True)
        # What is added to an image is small: bfloat16 has digits enough for it.
        improved = GENTLE * features.float()
        return improved.unflatten(0, (len(image), -1)).movedim(1, 2) if volume else improved

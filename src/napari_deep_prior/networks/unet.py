"""A small U-Net, for what is learned from one image to another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..settings import Setting, Settings
from .convolution import GENTLE, Convolution

LEAK = 0.1
"""Slope of the activation below zero."""

BLOCK = 2
"""Pixels along a side that become channels at the entrance: all work is done at half resolution."""


@final
@dataclass(frozen=True, kw_only=True)
class UNet(Settings):
    """Encoder and decoder (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28).

    Works at half resolution, where two by two pixels are channels (Shi et al. 2016, doi 10.1109/CVPR.2016.207), without
    normalisation, in planes; in a volume every plane is seen together with its two neighbours.
    """

    channels: Annotated[
        tuple[int, ...],
        Setting("Channels", "feature channels of each scale, finest first; as many scales as numbers", 1, 1024),
    ] = (32, 64, 64, 64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise ValueError("channels is empty: give one number per scale, at least one")

    def build(self, *, inputs: int, outputs: int, shape: tuple[int, ...], device: torch.device) -> nn.Module:
        """Return the network, its weights not yet drawn; ``shape`` only tells planes from volumes.

        Parameters
        ----------
        inputs, outputs : int
            Channels that go in and come out.
        """
        with torch.device("meta"):
            network = _Network(self.channels, inputs, outputs, volume=len(shape) == 3)
        return network if device.type == "meta" else network.to_empty(device=device)


class _Network(nn.Module):
    def __init__(self, channels: tuple[int, ...], inputs: int, outputs: int, *, volume: bool) -> None:
        super().__init__()
        self.volume = volume
        self.multiple = BLOCK * 2 ** (len(channels) - 1)
        seen = inputs * (3 if volume else 1) * BLOCK**2
        steps = list(itertools.pairwise(channels))
        self.enter = _Layer(seen, channels[0])
        self.down = nn.ModuleList(_Layer(fine, coarse) for fine, coarse in steps)
        self.middle = _Layer(channels[-1], channels[-1])
        self.up = nn.ModuleList(
            nn.Sequential(_Layer(fine + coarse, fine), _Layer(fine, fine)) for fine, coarse in reversed(steps)
        )
        self.head = nn.Conv2d(channels[0], outputs * BLOCK**2, 1)

    def forward(self, image: Tensor) -> Tensor:
        planes = _with_neighbours(image) if self.volume else image
        rows, columns = planes.shape[-2:]
        # Any size: up to a multiple of the coarsest scale the border is repeated.
        padding = (0, -columns % self.multiple, 0, -rows % self.multiple)
        padded = functional.pad(planes, padding, mode="replicate") if any(padding) else planes
        features = self.enter(functional.pixel_unshuffle(padded, BLOCK))
        finer = []
        for layer in self.down:
            finer.append(features)
            features = layer(functional.max_pool2d(features, 2))
        features = self.middle(features)
        for skip, layers in zip(reversed(finer), self.up, strict=True):
            enlarged = features.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
            features = layers(torch.cat([enlarged, skip], dim=1))
        # The last layer in full precision: bfloat16 has 8 bits, a camera has up to 16.
        improved: Tensor = GENTLE * functional.pixel_shuffle(self.head(features.float()), BLOCK)[..., :rows, :columns]
        return improved.unflatten(0, (len(image), -1)).movedim(1, 2) if self.volume else improved


def _with_neighbours(volume: Tensor) -> Tensor:
    """Return the planes (N * Z, 3 * C, rows, columns) of volumes (N, C, Z, rows, columns), each with its neighbours."""
    before = torch.cat([volume[:, :, :1], volume[:, :, :-1]], dim=2)
    after = torch.cat([volume[:, :, 1:], volume[:, :, -1:]], dim=2)
    return torch.cat([volume, before, after], dim=1).movedim(2, 1).flatten(0, 1)


class _Layer(nn.Module):
    """Convolution and leaky rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return functional.leaky_relu(self.convolution(image), LEAK, inplace=True)

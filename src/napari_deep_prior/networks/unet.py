"""A small U-Net, for corrections that need a large neighbourhood."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import LEAK, RESIDUAL_SCALE, Convolution, cropped, pad_to_multiple
from .network import CHANNELS, ResidualNetwork
from .resampling import start_equal

BLOCK = 2
"""Pixels along a side that become channels at the entrance: all work is done at half resolution."""

MARGIN_STRIDES = 6
"""Strides to every side that an output pixel depends on, at most: the sum of all 3×3 kernels and one coarsest pixel."""


@final
@dataclass(frozen=True, kw_only=True)
class UNet(ResidualNetwork):
    """Encoder and decoder (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28).

    For self-distillation. Works at half resolution, where two by two pixels are channels (Shi et al. 2016,
    doi 10.1109/CVPR.2016.207), without normalisation. A volume is processed plane by plane, each together with its two
    neighbours.
    """

    channels: Annotated[tuple[int, ...], CHANNELS] = (32, 64, 64, 64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise ValueError("channels is empty: give one number per scale, at least one")

    @property
    def code_layer(self) -> str:
        """The coarsest layer."""
        return "middle"

    @property
    def margin(self) -> int:
        """Pixels to every side of a pixel in a plane that its output depends on, a multiple of ``stride``."""
        return MARGIN_STRIDES * self.stride

    @property
    def stride(self) -> int:
        """Pixels of the plane along one pixel of the coarsest scale."""
        return BLOCK << (len(self.channels) - 1)

    @property
    def widest(self) -> int:
        """Feature channels of the two finest scales together."""
        return sum(self.channels[:2])

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Set the last layer so that it starts with ``values``, (outputs,), and with equal pixels in each block.

        Pixels that differ at random would stay in an enlarged image as a chequerboard.
        """
        with torch.no_grad():
            module.get_parameter("head.bias").copy_((values / RESIDUAL_SCALE).repeat_interleave(BLOCK**2))
        start_equal(module.get_parameter("head.weight"), BLOCK**2)

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _UNetModule(self, inputs, outputs, volume=len(shape) == 3)


@final
class _UNetModule(nn.Module):
    def __init__(self, settings: UNet, inputs: int, outputs: int, *, volume: bool) -> None:
        super().__init__()
        channels = settings.channels
        self.volume, self.stride = volume, settings.stride
        steps = list(itertools.pairwise(channels))
        self.enter = _UNetLayer(inputs * (3 if volume else 1) * BLOCK**2, channels[0])
        self.down = nn.ModuleList(_UNetLayer(fine, coarse) for fine, coarse in steps)
        self.middle = _UNetLayer(channels[-1], channels[-1])
        self.up = nn.ModuleList(
            nn.Sequential(_UNetLayer(fine + coarse, fine), _UNetLayer(fine, fine)) for fine, coarse in reversed(steps)
        )
        self.head = nn.Conv2d(channels[0], outputs * BLOCK**2, 1)

    def forward(self, image: Tensor) -> Tensor:
        planes = _with_neighbours(image) if self.volume else image
        # Any size: the border is repeated up to a whole number of pixels of the coarsest scale.
        padded = pad_to_multiple(planes, (self.stride, self.stride))
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
        output = RESIDUAL_SCALE * cropped(functional.pixel_shuffle(self.head(features.float()), BLOCK), planes)
        return output.unflatten(0, (len(image), -1)).movedim(1, 2) if self.volume else output


def _with_neighbours(volume: Tensor) -> Tensor:
    """Return the planes (N * Z, 3 * C, rows, columns) of volumes (N, C, Z, rows, columns), each with its neighbours."""
    before = torch.cat([volume[:, :, :1], volume[:, :, :-1]], dim=2)
    after = torch.cat([volume[:, :, 1:], volume[:, :, -1:]], dim=2)
    return torch.cat([volume, before, after], dim=1).movedim(2, 1).flatten(0, 1)


@final
class _UNetLayer(nn.Module):
    """Convolution and leaky rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return functional.leaky_relu(self.convolution(image), LEAK, inplace=True)

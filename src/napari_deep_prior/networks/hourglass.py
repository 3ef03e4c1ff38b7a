"""The hourglass with skip connections of the Deep Image Prior, in two and three dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..settings import Setting
from .layers import CONVOLUTIONS, CONVOLVE, Padding, Upsampling, pad_reflection, upsample
from .network import CHANNELS, MOST_SCALES, Network

LEAK = 0.2
"""Slope of the activation below zero (Ulyanov et al. 2018)."""

NORMALISATIONS: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}

LOGIT_MARGIN = 1e-3
"""Distance from 0 and 1 that is kept from the values to start at: the sigmoid reaches neither."""


@final
@dataclass(frozen=True, kw_only=True)
class Hourglass(Network):
    """Encoder and decoder with skip connections (Ulyanov et al. 2018, doi 10.1109/CVPR.2018.00984, "skip").

    For the deep image prior in two and three dimensions. An axis is halved only while it has at least three pixels, so
    thin volumes keep their few planes. It is no residual network: it normalises by the statistics of the whole input,
    so that a crop and the whole image would be treated differently.
    """

    smallest_side = 2

    channels: Annotated[tuple[int, ...], CHANNELS] = (16, 32, 32, 32, 32)
    skip: Annotated[
        tuple[int, ...],
        Setting(
            "Skip channels", "channels of the skip connection of each scale; 0 = none", 0, 1024, longest=MOST_SCALES
        ),
    ] = (4, 4, 4, 4, 4)
    upsampling: Annotated[
        Upsampling,
        Setting("Upsampling", "how the decoder enlarges: bilinear is smoother, nearest is sharper"),
    ] = "bilinear"
    normalise_joined: Annotated[
        bool, Setting("Normalise joined", "normalise after skip and decoder are joined; the paper does, it costs time")
    ] = False
    pointwise: Annotated[
        Literal["all", "coarse", "none"],
        Setting("1×1 layers", "scales whose decoder ends in a 1×1 convolution; coarse: all but the finest"),
    ] = "coarse"
    padding: Annotated[
        Padding, Setting("Padding", "border of the convolutions: zero is faster, reflection is the paper's")
    ] = "zero"
    activation: Annotated[
        Literal["sigmoid", "linear"],
        Setting("Last activation", "sigmoid keeps the image inside the measured range, linear does not limit it"),
    ] = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels or len(self.channels) != len(self.skip):
            raise ValueError(
                f"channels {self.channels} has {len(self.channels)} scales and skip {self.skip} has "
                f"{len(self.skip)}: give both one number per scale, at least one"
            )

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Set the bias of the last layer to what the last activation turns into ``values``, (outputs,)."""
        with torch.no_grad():
            bias = module.get_parameter("head.bias")
            bias.copy_(values.logit(eps=LOGIT_MARGIN) if self.activation == "sigmoid" else values)

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _HourglassModule(self, inputs, outputs, shape)


@final
class _HourglassModule(nn.Module):
    def __init__(self, settings: Hourglass, inputs: int, outputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        dimensions = len(shape)
        self.scales = _HourglassScale(settings, 0, inputs, shape)
        self.head = CONVOLUTIONS[dimensions](settings.channels[0], outputs, 1)
        self.bounded = settings.activation == "sigmoid"

    def forward(self, code: Tensor) -> Tensor:
        # The last layer and the loss in full precision: bfloat16 has 8 bits, a camera has up to 16.
        image: Tensor = self.head(self.scales(code).float())
        return image.sigmoid() if self.bounded else image


@final
class _HourglassScale(nn.Module):
    """One scale and, inside it, all coarser ones."""

    def __init__(self, settings: Hourglass, level: int, inputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, skip = settings.channels[level], settings.skip[level]
        dimensions = len(shape)
        self.upsampling: Upsampling = settings.upsampling
        self.strides = tuple(2 if length > Hourglass.smallest_side else 1 for length in shape)
        coarse = tuple(-(-length // stride) for length, stride in zip(shape, self.strides, strict=True))
        self.skip = _HourglassBlock(settings, dimensions, inputs, skip, 1) if skip else None
        self.down = nn.Sequential(
            _HourglassBlock(settings, dimensions, inputs, channels, 3, self.strides),
            _HourglassBlock(settings, dimensions, channels, channels, 3),
        )
        last = level + 1 == len(settings.channels)
        self.coarser = None if last else _HourglassScale(settings, level + 1, channels, coarse)
        joined = skip + (channels if last else settings.channels[level + 1])
        self.normalise = (
            NORMALISATIONS[dimensions](joined, track_running_stats=False) if settings.normalise_joined else None
        )
        up = [_HourglassBlock(settings, dimensions, joined, channels, 3)]
        if settings.pointwise == "all" or (settings.pointwise == "coarse" and level > 0):
            up.append(_HourglassBlock(settings, dimensions, channels, channels, 1))
        self.up = nn.Sequential(*up)

    def forward(self, image: Tensor) -> Tensor:
        deep = self.down(image)
        if self.coarser is not None:
            deep = self.coarser(deep)
        deep = upsample(deep, self.strides, self.upsampling)
        # An odd length comes back one too long.
        for axis, length in enumerate(image.shape[2:], start=2):
            deep = deep.narrow(axis, 0, length)
        joined = deep if self.skip is None else torch.cat([self.skip(image), deep], dim=1)
        features: Tensor = self.up(joined if self.normalise is None else self.normalise(joined))
        return features


@final
class _HourglassBlock(nn.Module):
    """Convolution, normalisation by the image's own statistics, leaky rectifier.

    Works in the precision of what comes in; the weights stay float32, so that small updates are not lost.
    """

    def __init__(
        self,
        settings: Hourglass,
        dimensions: int,
        inputs: int,
        outputs: int,
        kernel: int,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.strides = strides or (1,) * dimensions
        self.reflected = kernel > 1 and settings.padding == "reflection"
        self.padding = 0 if self.reflected else kernel // 2
        # Without bias: the normalisation that follows would take it away again.
        self.convolution = CONVOLUTIONS[dimensions](inputs, outputs, kernel, bias=False)
        self.normalise = NORMALISATIONS[dimensions](outputs, track_running_stats=False)

    def forward(self, image: Tensor) -> Tensor:
        padded = pad_reflection(image) if self.reflected else image
        weight = self.convolution.weight.to(image.dtype)
        features = CONVOLVE[image.ndim - 2](padded, weight, None, self.strides, self.padding)
        return functional.leaky_relu(self.normalise(features), LEAK, inplace=True)

"""The family of convolutional encoder-decoders, in two and three dimensions: U-Net, autoencoder, dilated network."""

from __future__ import annotations

import itertools
import math
from abc import ABC
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from torch import Tensor, nn

from ..settings import Setting
from .layers import CONVOLUTIONS, RESIDUAL_SCALE, ActivatedConvolution, cropped, halvings, pad_to_multiple, product_of
from .network import CHANNELS, MOST_SCALES, ResidualNetwork
from .resampling import Downsampling, Downscaling, Enlarging, Upscaling

Joining = Literal["concatenation", "addition", "none"]


@dataclass(frozen=True, kw_only=True)
class _EncoderDecoderSettings(ResidualNetwork, ABC):
    """What all encoder-decoders have in common: everything but how the two are joined."""

    has_deep_kernels = True

    channels: Annotated[tuple[int, ...], CHANNELS] = (16, 32, 64)
    bottleneck: Annotated[
        int, Setting("Bottleneck", "feature channels of the coarsest scale, below those of channels", 1, 4096)
    ] = 32
    downsampling: Annotated[
        Downsampling,
        Setting(
            "Downsampling",
            "how the encoder halves: max-pooling, average-pooling, or strided convolution; none: all scales are at "
            "full size and differ only in dilation",
        ),
    ] = "max-pooling"
    upsampling: Annotated[
        Enlarging,
        Setting(
            "Upsampling",
            "how the decoder enlarges: bilinear or nearest (average-unpooling), then a convolution; transposed "
            "convolution; pixel-shuffle of more channels; max-unpooling to where the encoder's max-pooling found them",
        ),
    ] = "bilinear"
    dilation: Annotated[
        tuple[int, ...],
        Setting(
            "Dilation",
            "distance of the pixels under the kernels (atrous): one number for all scales, or one for each and one "
            "for the bottleneck",
            low=1,
            high=1024,
            longest=MOST_SCALES + 1,
        ),
    ] = (1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        scales = len(self.channels)
        if not self.channels:
            raise ValueError("channels is empty: give one number per scale, at least one")
        if len(self.dilation) not in (1, scales + 1):
            raise ValueError(
                f"dilation {self.dilation} has {len(self.dilation)} numbers and channels {self.channels} has {scales} "
                f"scales: give one number for all, or {scales + 1}, one per scale and one for the bottleneck"
            )
        if self.upsampling == "max-unpooling" and self.downsampling != "max-pooling":
            raise ValueError(
                f"upsampling is 'max-unpooling' and downsampling is {self.downsampling!r}: unpooling needs to know "
                "where the maxima were; choose downsampling 'max-pooling' or another upsampling"
            )

    @property
    def code_layer(self) -> str:
        """The bottleneck."""
        return "bottleneck"

    @property
    def margin(self) -> int:
        """Pixels to every side of a pixel in a plane that its output depends on, a multiple of ``stride``."""
        sides = self.pixel_sides
        layers = sum(4 * side * each for side, each in zip(sides, self.dilations, strict=True))
        changes = sum(2 * fine + coarse for fine, coarse in itertools.pairwise(sides))
        return math.ceil((layers + changes) / self.stride + 1) * self.stride

    @property
    def stride(self) -> int:
        """Pixels of the plane along one pixel of the coarsest scale."""
        return self.pixel_sides[-1]

    @property
    def widest(self) -> int:
        """Feature channels that a prediction needs at once at the finest scale, or at all that are at full size."""
        finest, coarser = (*self.channels, self.bottleneck)[:2]
        kept = sum(self.channels) if self.downsampling == "none" else finest
        return kept + finest + max(2 * finest, coarser)

    @property
    def pixel_sides(self) -> list[int]:
        """Side of a pixel of each scale and of the bottleneck, in pixels of the image."""
        return [1 if self.downsampling == "none" else 1 << scale for scale in range(len(self.channels) + 1)]

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each scale and of the bottleneck."""
        return self.dilation if len(self.dilation) > 1 else self.dilation * (len(self.channels) + 1)

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Set the bias of the last layer so that it gives ``values``, (outputs,); enlarge by equal pixels at first."""
        for layer in module.modules():
            if isinstance(layer, Upscaling):
                layer.start_with_equal_pixels()
        with torch.no_grad():
            module.get_parameter("head.bias").copy_(values / RESIDUAL_SCALE)


@final
@dataclass(frozen=True, kw_only=True)
class EncoderDecoder(_EncoderDecoderSettings):
    """Encoder and decoder of two 3×3 convolutions per scale, with every usual way down, up and across.

    The U-Net as published (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28) is channels 64, 128, 256, 512
    with a bottleneck of 1024, max-pooling, transposed convolution and concatenation; here the borders are padded, and
    rectifiers leak. Max-unpooling is that of SegNet (Badrinarayanan et al. 2017, doi 10.1109/TPAMI.2016.2644615),
    pixel-shuffle that of Shi et al. 2016 (doi 10.1109/CVPR.2016.207). Downsampling "none" with dilations 1, 2, 4, 8 is
    a dilated network without pooling (Yu & Koltun 2016, arXiv 1511.07122).

    Without normalisation, so that a network trained on crops can be applied to a whole image. An axis is halved only
    while it has pixels to halve. On NVIDIA GPUs the gradients of max-pooling can add up in another order each time.
    """

    joining: Annotated[
        Joining,
        Setting(
            "Joining",
            "how the decoder takes in the encoder's features: concatenation (U-Net), addition, or none (autoencoder)",
        ),
    ] = "concatenation"

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _EncoderDecoderModule(self, self.joining, inputs, outputs, shape)


@final
@dataclass(frozen=True, kw_only=True)
class Autoencoder(_EncoderDecoderSettings):
    """Encoder and decoder without connections between them: all that the image shows passes the bottleneck.

    An :class:`EncoderDecoder` with joining "none" (Hinton & Salakhutdinov 2006, doi 10.1126/science.1127647; with
    convolutions: Masci et al. 2011, doi 10.1007/978-3-642-21735-7_7). Where it corrects images, only the correction
    passes the bottleneck.
    """

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _EncoderDecoderModule(self, "none", inputs, outputs, shape)


ENLARGING_AUTOENCODER = Autoencoder(channels=(16,), bottleneck=64, downsampling="strided", upsampling="pixel-shuffle")
"""The autoencoder that enlarges: its code has a pixel for two by two of the large image. Halved once it is better than
halved twice, at ×4, too, and than with max-pooling and bilinear upsampling (measured; docs/training.md)."""


@final
class _EncoderDecoderModule(nn.Module):
    def __init__(
        self, settings: _EncoderDecoderSettings, joining: Joining, inputs: int, outputs: int, shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        channels, dilations = settings.channels, settings.dilations
        halved = settings.downsampling != "none"
        factors = halvings(shape, len(channels)) if halved else [(1,) * len(shape)] * len(channels)
        _check_dilations(dilations, shape, factors)
        self.joining = joining
        self.multiples = product_of(factors)
        dimensions = len(shape)
        self.encoder = nn.ModuleList(
            _pair(before, after, dilation, dimensions)
            for (before, after), dilation in zip(itertools.pairwise((inputs, *channels)), dilations, strict=False)
        )
        self.down = nn.ModuleList(
            Downscaling(settings.downsampling, width, each) for width, each in zip(channels, factors, strict=True)
        )
        self.bottleneck = _pair(channels[-1], settings.bottleneck, dilations[-1], dimensions)
        coarser = (*channels[1:], settings.bottleneck)
        self.up = nn.ModuleList(
            Upscaling(settings.upsampling if halved else "nearest", wide, width, each)
            for wide, width, each in zip(coarser, channels, factors, strict=True)
        )
        self.decoder = nn.ModuleList(
            _pair(2 * width if joining == "concatenation" else width, width, dilation, dimensions)
            for width, dilation in zip(channels, dilations, strict=False)
        )
        self.head = CONVOLUTIONS[dimensions](channels[0], outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = pad_to_multiple(image, self.multiples)
        kept: list[tuple[Tensor | None, Tensor | None]] = []
        for layers, reduce in zip(self.encoder, self.down, strict=True):
            fine = layers(features)
            features, places = reduce(fine)
            kept.append((None if self.joining == "none" else fine, places))
        features = self.bottleneck(features)
        for (skip, places), enlarge, layers in zip(
            reversed(kept), reversed(self.up), reversed(self.decoder), strict=True
        ):
            features = layers(_joined(enlarge(features, places), skip, self.joining))
        # The last layer in full precision: bfloat16 has 8 bits, a camera has up to 16.
        output = RESIDUAL_SCALE * self.head(features.float())
        return cropped(output, image)


def _pair(inputs: int, outputs: int, dilation: int, dimensions: int) -> nn.Sequential:
    """Return the two convolutions of a scale."""
    strides = (1,) * dimensions
    return nn.Sequential(
        ActivatedConvolution(inputs, outputs, strides, dilation=dilation),
        ActivatedConvolution(outputs, outputs, strides, dilation=dilation),
    )


def _joined(features: Tensor, skip: Tensor | None, joining: Joining) -> Tensor:
    if skip is None:
        return features
    return torch.cat([features, skip], dim=1) if joining == "concatenation" else features + skip


def _check_dilations(dilations: tuple[int, ...], shape: tuple[int, ...], factors: list[tuple[int, ...]]) -> None:
    """Refuse kernels whose outer pixels would all lie outside of the image at some scale."""
    size = shape
    for dilation, each in zip(dilations, [*factors, (1,) * len(shape)], strict=True):
        if 1 < dilation >= min(size):
            raise ValueError(
                f"dilation {dilation} is larger than the image, which has {' x '.join(map(str, size))} pixels at that "
                f"scale: choose at most {max(1, min(size) - 1)} there, or fewer scales"
            )
        size = tuple(-(-length // factor) for length, factor in zip(size, each, strict=True))

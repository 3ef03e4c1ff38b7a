"""Fully convolutional networks: scores of a coarse scale, enlarged by transposed convolutions."""

from __future__ import annotations

import itertools
import math
from abc import ABC
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from torch import Tensor, nn

from ..settings import Setting
from .layers import (
    CONVOLUTIONS,
    MAX_POOL,
    RESIDUAL_SCALE,
    TRANSPOSED,
    ActivatedConvolution,
    DrawnLayer,
    cropped,
    halvings,
    pad_to_multiple,
    product_of,
)
from .network import ResidualNetwork

BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""Of each block: how many times the channels of the first it has, and its convolutions (VGG-16, Simonyan & Zisserman
2015, arXiv 1409.1556)."""

COARSEST = 1 << len(BLOCKS)
"""Pixels of the image along one pixel of the coarsest scale."""

MARGIN_STRIDES = 6
"""Strides to every side that an output pixel depends on, at most: the sum of all 3×3 kernels, of the interpolation
between scores, and one coarsest pixel."""


@dataclass(frozen=True, kw_only=True)
class _FCNSettings(ResidualNetwork, ABC):
    """What the three networks have in common: everything but the scales whose scores are added."""

    has_deep_kernels = True

    finest_scores: ClassVar[int]
    """Pixels of the image along one pixel of the finest scale that has scores."""

    width: Annotated[
        int,
        Setting(
            "Width", "feature channels of the first of five blocks; the others have 2, 4, 8 and 8 times as many", 1, 128
        ),
    ] = 8
    dense: Annotated[
        int, Setting("Dense channels", "feature channels of the two 1×1 layers after the blocks", 1, 8192)
    ] = 64
    fit_upsampling: Annotated[
        bool,
        Setting(
            "Fit upsampling",
            "fit the transposed convolutions between scores (fcn-32s has none), which start as bilinear interpolation; "
            "off: they stay so, as the last one always does",
        ),
    ] = True

    @property
    def code_layer(self) -> str:
        """The layers of which the coarsest scores are made."""
        return "dense"

    @property
    def margin(self) -> int:
        """Pixels to every side of a pixel in a plane that its output depends on, a multiple of ``stride``."""
        return MARGIN_STRIDES * self.stride

    @property
    def stride(self) -> int:
        """Pixels of the plane along one pixel of the coarsest scale."""
        return COARSEST

    @property
    def widest(self) -> int:
        """Feature channels of the two layers of the first block."""
        return 2 * self.width

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Set what is added to the output to ``values``, (outputs,)."""
        with torch.no_grad():
            module.get_parameter("level").copy_(values / RESIDUAL_SCALE)

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _FCNModule(self, inputs, outputs, shape)


@final
@dataclass(frozen=True, kw_only=True)
class FCN32s(_FCNSettings):
    """Five blocks of 3×3 convolutions and max-pooling, and scores enlarged 32 times (Long, Shelhamer & Darrell 2015).

    doi 10.1109/CVPR.2015.7298965. For the deep image prior in two and three dimensions: what it draws is blurred, since
    the last transposed convolution stays bilinear interpolation, and nothing finer than its scores can come out. As
    published, but for what an image needs in place of classes: one score per channel of the image, 1×1 convolutions in
    place of all dense layers (the paper's first has 7×7), random weights, no dropout, leaky rectifiers, and scores
    repeated beyond the border instead of a border of 100 pixels. The paper has a width of 64 and 4096 dense channels.

    An axis is halved only while it has pixels to halve. On NVIDIA GPUs the gradients of max-pooling can add up in
    another order each time.
    """

    finest_scores = 32


@final
@dataclass(frozen=True, kw_only=True)
class FCN16s(_FCNSettings):
    """:class:`FCN32s` with the scores of the fourth block added at 1/16 of the size."""

    finest_scores = 16


@final
@dataclass(frozen=True, kw_only=True)
class FCN8s(_FCNSettings):
    """:class:`FCN32s` with the scores of the fourth and third block added at 1/16 and 1/8 of the size."""

    finest_scores = 8


@final
class _FCNModule(nn.Module):
    def __init__(self, settings: _FCNSettings, inputs: int, outputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        strides = (1,) * len(shape)
        factors = halvings(shape, len(BLOCKS))
        self.multiples = product_of(factors)
        self.pools = factors
        widths = [times * settings.width for times, _layers in BLOCKS]
        self.blocks = nn.ModuleList(
            _block((before, *(width,) * layers), strides)
            for before, width, (_times, layers) in zip([inputs, *widths], widths, BLOCKS, strict=False)
        )
        self.dense = nn.Sequential(
            ActivatedConvolution(widths[-1], settings.dense, strides, kernel=1),
            ActivatedConvolution(settings.dense, settings.dense, strides, kernel=1),
        )
        # The coarsest first.
        self.added = int(math.log2(COARSEST // settings.finest_scores))
        finer = widths[-1 - self.added : -1]
        convolution = CONVOLUTIONS[len(shape)]
        self.scores = nn.ModuleList(convolution(width, outputs, 1) for width in [settings.dense, *reversed(finer)])
        between = len(BLOCKS) - self.added
        # The last is never fitted, as in the paper: its kernel fits single pixels, and held-out ones come out worse.
        enlargements = [(each, settings.fit_upsampling) for each in reversed(factors[between:])]
        self.up = nn.ModuleList(
            _BilinearTransposedConvolution(outputs, each, fitted=fitted)
            for each, fitted in [*enlargements, (product_of(factors[:between]), False)]
        )
        self.level = nn.Parameter(torch.empty(outputs))

    def forward(self, image: Tensor) -> Tensor:
        features = pad_to_multiple(image, self.multiples)
        pooled = []
        for layers, factors in zip(self.blocks, self.pools, strict=True):
            features = MAX_POOL[len(factors)](layers(features), factors, factors)
            pooled.append(features)
        finer = pooled[-1 - self.added : -1]
        # Scores in full precision: bfloat16 has 8 bits, a camera has up to 16.
        total = self.scores[0](self.dense(features).float())
        for enlarge, score, features in zip(self.up, self.scores[1:], reversed(finer), strict=False):
            total = enlarge(total) + score(features.float())
        level = self.level.view(-1, *(1,) * (image.ndim - 2))
        output = RESIDUAL_SCALE * (self.up[-1](total) + level)
        return cropped(output, image)


@final
class _BilinearTransposedConvolution(DrawnLayer):
    """Enlarge by a transposed convolution that starts as linear interpolation with the border repeated.

    If it is not fitted, it stays so.
    """

    def __init__(self, channels: int, factors: tuple[int, ...], *, fitted: bool) -> None:
        super().__init__()
        self.factors = factors
        sides = [1 if factor == 1 else 2 * factor for factor in factors]
        kernel = torch.empty(channels, channels, *sides)
        self.weight: Tensor
        if fitted:
            self.weight = nn.Parameter(kernel)
        else:
            self.register_buffer("weight", kernel)

    def draw(self, generator: torch.Generator) -> None:
        """Set the kernel of linear interpolation for each channel; nothing is random."""
        kernel = torch.ones(())
        for factor in self.factors:
            places = torch.arange(2 * factor) + 0.5
            kernel = kernel[..., None] * (torch.ones(1) if factor == 1 else 1 - (places / factor - 1).abs())
        self.weight.zero_()
        for channel in range(len(self.weight)):
            self.weight[channel, channel] = kernel

    def forward(self, scores: Tensor) -> Tensor:
        for axis, factor in enumerate(self.factors, start=2):
            if factor > 1:
                first, last = scores.narrow(axis, 0, 1), scores.narrow(axis, -1, 1)
                scores = torch.cat([first, scores, last], dim=axis)
        # What the repeated border draws beyond the image is cut off, too.
        beyond = [0 if factor == 1 else factor + factor // 2 for factor in self.factors]
        return TRANSPOSED[len(self.factors)](scores, self.weight, stride=self.factors, padding=beyond)


def _block(channels: tuple[int, ...], strides: tuple[int, ...]) -> nn.Sequential:
    # With the zeros around the image that VGG has; with its edge repeated the priors were 0.4 to 1.4 dB worse.
    return nn.Sequential(*(ActivatedConvolution(*pair, strides, zeros=True) for pair in itertools.pairwise(channels)))

"""Ways from a scale of an encoder-decoder to the next coarser one, and back."""

from __future__ import annotations

import itertools
import math
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import MAX_POOL, TRANSPOSED, ActivatedConvolution, DrawnLayer, draw_weights, upsample

Downsampling = Literal["max-pooling", "average-pooling", "strided", "none"]
Enlarging = Literal["bilinear", "nearest", "transposed", "pixel-shuffle", "max-unpooling"]

MAX_UNPOOL = {2: functional.max_unpool2d, 3: functional.max_unpool3d}


@final
class Downscaling(nn.Module):
    """The way to the next coarser scale; also tells where the maxima were, if max-pooling found them."""

    def __init__(self, downsampling: Downsampling, channels: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.downsampling, self.factors = downsampling, factors
        self.strided = ActivatedConvolution(channels, channels, factors) if downsampling == "strided" else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the coarser features, and where in ``image`` each maximum was."""
        if self.strided is not None:
            return self.strided(image), None
        if self.downsampling == "max-pooling":
            pooled, places = MAX_POOL[len(self.factors)](image, self.factors, self.factors, return_indices=True)
            return pooled, places
        # PyTorch's own average-pooling lacks volumes in bfloat16.
        for axis, factor in enumerate(self.factors, start=2):
            if factor > 1:
                image = image.unflatten(axis, (-1, factor)).mean(axis + 1)
        return image, None


@torch.no_grad()
def start_equal(weight: Tensor, pixels: int) -> None:
    """Give all pixels of a block the first weights of its first one: ``weight`` is that of a layer before a shuffle."""
    weight.copy_(weight[::pixels].repeat_interleave(pixels, dim=0))


@final
class Upscaling(nn.Module):
    """The way to the next finer scale and its channels."""

    def __init__(self, upsampling: Enlarging, inputs: int, outputs: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.upsampling, self.factors = upsampling, factors
        more = math.prod(factors) if upsampling == "pixel-shuffle" else 1
        self.convolution = (
            _TransposedConvolution(inputs, outputs, factors)
            if upsampling == "transposed"
            else ActivatedConvolution(inputs, more * outputs, (1,) * len(factors))
        )

    def start_with_equal_pixels(self) -> None:
        """Make fitted upsampling start as nearest-neighbour interpolation (Aitken et al. 2017, arXiv 1707.02937).

        Pixels of a block that differ at random would stay in the image of a deep image prior as a chequerboard.
        """
        weight = self.convolution.weight
        with torch.no_grad():
            if self.upsampling == "transposed":
                blocks = weight.flatten(2)
                blocks.copy_(blocks[..., :1].clone().expand_as(blocks))
            elif self.upsampling == "pixel-shuffle":
                start_equal(weight, math.prod(self.factors))

    def forward(self, image: Tensor, places: Tensor | None) -> Tensor:
        """Return the finer features; ``places`` is what the reduction that this one undoes has told."""
        if self.upsampling == "bilinear" or self.upsampling == "nearest":
            image = upsample(image, self.factors, self.upsampling)
        features: Tensor = self.convolution(image)
        if self.upsampling == "pixel-shuffle":
            return _shuffled(features, self.factors)
        if places is not None and self.upsampling == "max-unpooling":
            return MAX_UNPOOL[len(self.factors)](features, places, self.factors, self.factors)
        return features


@final
class _TransposedConvolution(DrawnLayer):
    """Enlarge by kernels that do not overlap, as the U-Net does, in the precision of the input; no activation."""

    def __init__(self, inputs: int, outputs: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.factors = factors
        self.weight = nn.Parameter(torch.empty(inputs, outputs, *factors))
        self.bias = nn.Parameter(torch.empty(outputs))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights; biases start at 0."""
        draw_weights(self.weight, generator, inputs=len(self.weight))
        self.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        weight, bias = self.weight.to(image.dtype), self.bias.to(image.dtype)
        return TRANSPOSED[len(self.factors)](image, weight, bias, stride=self.factors)


def _shuffled(image: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Return ``image`` (N, C * product of factors, *S) with those channels as pixels, (N, C, *(S * factors))."""
    blocks = image.unflatten(1, (-1, *factors))
    axes = range(2, 2 + 2 * len(factors))
    order = itertools.chain.from_iterable((axis + len(factors), axis) for axis in axes[: len(factors)])
    sizes = [length * factor for length, factor in zip(image.shape[2:], factors, strict=True)]
    pixels: Tensor = blocks.permute(0, 1, *order)
    return pixels.reshape(len(image), -1, *sizes)

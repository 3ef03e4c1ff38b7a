"""Layers that networks share: a convolution in the precision of its input, and deterministic padding and upsampling.

PyTorch's own padding and upsampling are used on the CPU, where they are deterministic and fast. Their CUDA gradients
sum in no fixed order, so that the same seed would not give the same image; there the same values are composed of
slices.
"""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["bilinear", "nearest"]
Padding = Literal["zero", "reflection"]

RESIDUAL_SCALE = 0.1
"""Factor of the output of residual networks: the untrained network is to change the image only a little."""


@final
class Convolution(nn.Module):
    """Convolve planes with 3×3 kernels, in the precision of the input.

    The weights stay float32, so that small updates are not lost. ``torch.autocast`` would do the same, but it does
    not know the "meta" device, on which memory is counted.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, image: Tensor) -> Tensor:
        """Return the features (N, outputs, rows, columns) of images (N, inputs, rows, columns)."""
        return functional.conv2d(image, self.weight.to(image.dtype), self.bias.to(image.dtype), padding=1)


def pad_reflection(image: Tensor) -> Tensor:
    """Return ``image`` (N, C, *S) with one reflected pixel on every side; every axis needs at least two pixels."""
    dimensions = image.ndim - 2
    if image.device.type == "cpu":
        return functional.pad(image, (1, 1) * dimensions, mode="reflect")
    return _pad_reflection_by_slices(image)


def upsample(image: Tensor, factors: tuple[int, ...], mode: Upsampling) -> Tensor:
    """Return ``image`` (N, C, *S) enlarged by 1 or 2 along each spatial axis, pixel areas aligned."""
    if mode == "nearest":
        for axis, factor in enumerate(factors, start=2):
            image = image if factor == 1 else image.repeat_interleave(factor, dim=axis)
        return image
    if image.device.type == "cpu":
        name = "bilinear" if len(factors) == 2 else "trilinear"
        scale = [float(factor) for factor in factors]
        return functional.interpolate(image, scale_factor=scale, mode=name, align_corners=False)
    return _upsample_linear_by_slices(image, factors)


def _pad_reflection_by_slices(image: Tensor) -> Tensor:
    for axis in range(2, image.ndim):
        length = image.shape[axis]
        image = torch.cat([image.narrow(axis, 1, 1), image, image.narrow(axis, length - 2, 1)], dim=axis)
    return image


def _upsample_linear_by_slices(image: Tensor, factors: tuple[int, ...]) -> Tensor:
    for axis, factor in enumerate(factors, start=2):
        if factor == 1:
            continue
        length = image.shape[axis]
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, length - 1, 1)
        before = torch.cat([first, image.narrow(axis, 0, length - 1)], dim=axis)
        after = torch.cat([image.narrow(axis, 1, length - 1), last], dim=axis)
        # New pixel centres lie a quarter of an old pixel to either side of the old ones.
        pair = torch.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], dim=axis + 1)
        image = pair.flatten(axis, axis + 1)
    return image

"""Layers that networks share: convolutions in the precision of their input, and deterministic padding and upsampling.

PyTorch's own padding and upsampling are used on the CPU, where they are deterministic and fast. Their CUDA gradients
sum in no fixed order, so that the same seed would not give the same image; there the same values are composed of
slices.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["bilinear", "nearest"]
Padding = Literal["zero", "reflection"]

RESIDUAL_SCALE = 0.1
"""Factor of the output of residual networks: the untrained network is to change the image only a little."""

CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
CONVOLVE = {2: functional.conv2d, 3: functional.conv3d}
MAX_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}
TRANSPOSED = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}

LEAK = 0.1
"""Slope of the activation below zero."""


class DrawnLayer(nn.Module, ABC):
    """A layer that draws its first weights itself, where PyTorch's usual distribution does not serve."""

    @abstractmethod
    def draw(self, generator: torch.Generator) -> None:
        """Set all weights of the layer from ``generator``, drawn on the CPU; called without autograd."""


@final
class ActivatedConvolution(DrawnLayer):
    """Convolve planes or volumes and apply a leaky rectifier, in the precision of the input.

    The first weights keep the variance of the features from layer to layer (He et al. 2015, arXiv 1502.01852), so that
    the features of a deep network without normalisation do not vanish.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    strides : tuple of int
        Step along each axis; as many as the image has axes.
    kernel : int
        Side of the kernel, odd.
    dilation : int
        Distance of the pixels under the kernel (atrous convolution).
    zeros : bool
        Whether zeros lie around the image. Of them a network can make lines along its border, which a deep image prior
        keeps; so else its edge is repeated.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        strides: tuple[int, ...],
        *,
        kernel: int = 3,
        dilation: int = 1,
        zeros: bool = False,
    ) -> None:
        super().__init__()
        self.zeros = zeros
        self.strides, self.dilation, self.padding = strides, dilation, kernel // 2 * dilation
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *(kernel,) * len(strides)))
        self.bias = nn.Parameter(torch.empty(outputs))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights; biases start at 0."""
        draw_weights(self.weight, generator, inputs=self.weight[0].numel())
        self.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        """Return the features (N, outputs, *T) of images (N, inputs, *S)."""
        weight, bias = self.weight.to(image.dtype), self.bias.to(image.dtype)
        convolve = CONVOLVE[len(self.strides)]
        repeated = 0 if self.zeros else self.padding
        padded = pad_edges(image, repeated) if repeated else image
        features = convolve(padded, weight, bias, self.strides, self.padding - repeated, self.dilation)
        return functional.leaky_relu(features, LEAK, inplace=True)


@final
class PlaneByPlane(nn.Module):
    """Apply a module for planes to the planes of a volume, one by one."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, volume: Tensor) -> Tensor:
        """Return (N, outputs, Z, rows, columns) for volumes (N, inputs, Z, rows, columns)."""
        output: Tensor = self.module(volume.movedim(2, 1).flatten(0, 1)).unflatten(0, (len(volume), -1)).movedim(1, 2)
        return output


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


def draw_weights(weight: Tensor, generator: torch.Generator, *, inputs: int) -> None:
    """Fill weights with uniform random numbers that keep the variance from one leaky rectifier to the next.

    ``inputs`` is how many values are added up for one output.
    """
    bound = math.sqrt(6 / ((1 + LEAK**2) * inputs))
    weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))


def halvings(shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """Return by how much each of ``count`` reductions divides each axis: by 2 while it has pixels to halve, else by 1.

    Thus no network is deeper than its image, and thin volumes keep their few planes.
    """
    found = []
    for _ in range(count):
        found.append(tuple(2 if length > 1 else 1 for length in shape))
        shape = tuple((length + 1) // 2 for length in shape)
    return found


def product_of(factors: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return by how much successive reductions divide each axis."""
    return tuple(math.prod(each) for each in zip(*factors, strict=True))


def pad_to_multiple(image: Tensor, multiples: tuple[int, ...]) -> Tensor:
    """Return ``image`` (N, C, *S) with its last pixels repeated until each axis is a multiple of a number of pixels."""
    missing = [-length % multiple for length, multiple in zip(image.shape[2:], multiples, strict=True)]
    padding = [pixels for axis in reversed(missing) for pixels in (0, axis)]
    return functional.pad(image, padding, mode="replicate") if any(missing) else image


def cropped(padded: Tensor, image: Tensor) -> Tensor:
    """Return the part of ``padded`` (N, C, *T) that lies where ``image`` (N, D, *S) was before its padding."""
    for axis, length in enumerate(image.shape[2:], start=2):
        padded = padded.narrow(axis, 0, length)
    return padded


def pad_reflection(image: Tensor) -> Tensor:
    """Return ``image`` (N, C, *S) with one reflected pixel on every side; every axis needs at least two pixels."""
    dimensions = image.ndim - 2
    if image.device.type == "cpu":
        return functional.pad(image, (1, 1) * dimensions, mode="reflect")
    return _pad_reflection_by_slices(image)


def pad_edges(image: Tensor, pixels: int) -> Tensor:
    """Return ``image`` (N, C, *S) with its outermost pixels repeated so many times on every side."""
    dimensions = image.ndim - 2
    if image.device.type == "cpu":
        return functional.pad(image, (pixels, pixels) * dimensions, mode="replicate")
    return _pad_edges_by_slices(image, pixels)


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


def _pad_edges_by_slices(image: Tensor, pixels: int) -> Tensor:
    for axis in range(2, image.ndim):
        shape = [pixels if each == axis else -1 for each in range(image.ndim)]
        first, last = (image.narrow(axis, place, 1).expand(shape) for place in (0, image.shape[axis] - 1))
        image = torch.cat([first, image, last], dim=axis)
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

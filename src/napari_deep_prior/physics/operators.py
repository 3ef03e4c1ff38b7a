"""Operators: from the image to its noiseless measurement.

Every operator is linear and differentiable and works on canonical tensors ``(1, C, *S)`` of two or three spatial axes,
:class:`Downsample` also on batches ``(N, C, *S)``. ``OPERATORS`` lists them for the contract tests.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast, final

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from .kernels import CUBIC_REACH, Floats, Kernel, SampledKernel, cubic, kernel_image

ROUNDING = 1e-6
"""Pixels by which a length may differ from a whole number, because a factor such as 1.1 has no exact float."""

BAND_ROWS = 128
"""Rows of one matrix: few enough that it is not mostly zeros, many enough that the product is fast."""

CACHED = 64
"""Most tables that an operator keeps; only images of ever new sizes would need more."""

Table = TypeVar("Table")


class Operator(ABC):
    """A linear map from the image to its noiseless measurement."""

    factors: tuple[float, ...]
    """Pixels of the image in a measured one along each spatial axis; empty where the image itself was measured."""

    @property
    @final
    def is_identity(self) -> bool:
        """Whether the image itself was measured."""
        return not self.factors

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor:
        """Return the noiseless measurement of an image ``(1, C, *S)``."""

    @abstractmethod
    def interpolate(self, measured: Tensor) -> Tensor:
        """Return measurements ``(1, C, *T)`` interpolated to the image's pixels; nothing is restored."""

    @abstractmethod
    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial shape of the image that has a measurement of spatial shape ``measured_shape``."""

    @abstractmethod
    def refuse_shape(self, image_shape: tuple[int, ...]) -> None:
        """Raise a ValueError if it cannot act on an image of that spatial shape."""

    @abstractmethod
    def blur_image(self) -> Floats | None:
        """Return what the blur looks like, in pixels of the image; None if there is none."""


@final
@dataclass(frozen=True)
class Identity(Operator):
    """The image itself was measured, as for denoising."""

    factors: tuple[float, ...] = field(default=(), init=False)

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image unchanged."""
        return image

    def interpolate(self, measured: Tensor) -> Tensor:
        """Return the measurement unchanged."""
        return measured

    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape unchanged."""
        return measured_shape

    def refuse_shape(self, image_shape: tuple[int, ...]) -> None:
        """Do nothing: any shape will do."""

    def blur_image(self) -> None:
        """Return None."""


@final
@dataclass(frozen=True)
class Downsample(Operator):
    """Blur and downsampling, for super-resolution: a measured pixel is as wide as several pixels of the image.

    The outer edges of both grids coincide, so that the centre of measured pixel ``i`` is at
    ``(i + 1/2) * factor - 1/2`` in pixels of the image. Beyond its border the image is mirrored. Only slices, matrix
    products and Fourier transforms are used, because their gradients are reproducible on every device.

    Parameters
    ----------
    factors : tuple of float
        Width of a measured pixel in pixels of the image along each spatial axis: 1 or more, whole or not. Along an
        axis of factor 1 nothing happens, whatever the kernel.
    kernel : Kernel
        Weights of the image's pixels in a measured pixel.

    Raises
    ------
    ValueError
        If a factor is less than 1, or the kernel is for another number of axes.
    """

    factors: tuple[float, ...]
    kernel: Kernel
    _tables: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.factors or not all(1 <= factor < math.inf for factor in self.factors):
            raise ValueError(f"the factors are {self.factors}; each must be a finite number of at least 1")
        if self.kernel.dimensions not in (None, len(self.factors)):
            raise ValueError(
                f"the kernel is for {self.kernel.dimensions} axes, but the factors {self.factors} are for "
                f"{len(self.factors)}: give a kernel of as many axes as the image"
            )

    def __call__(self, image: Tensor) -> Tensor:
        """Return the measurements (N, C, *T) of images (N, C, *S) of any size."""
        self._refuse_dimensions(image)
        measured = self.measured_shape(tuple(image.shape[2:]))
        origins = (0.0,) * len(measured)
        if isinstance(self.kernel, SampledKernel):
            image, origins = self._blurred(image, self.kernel)
        for axis, factor in enumerate(self.factors):
            centres = _centres(measured[axis], factor) - origins[axis]
            weights = partial(self.kernel.weights, axis=axis, factor=factor)
            image = self._resampled("measure", image, axis, centres, weights, self.kernel.reach(axis, factor))
        return image

    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the image: as many whole pixels as fit into the measured ones."""
        lengths = zip(measured_shape, self.factors, strict=True)
        return tuple(math.floor(length * factor + ROUNDING) for length, factor in lengths)

    def blur_image(self) -> Floats:
        """Return the kernel at whole pixels of the image."""
        return kernel_image(self.kernel, self.factors)

    def refuse_shape(self, image_shape: tuple[int, ...]) -> None:
        """Raise a ValueError if the kernel was given as an image that is larger than the one that it is to blur."""
        if not isinstance(self.kernel, SampledKernel):
            return
        sides = self.kernel.values.shape
        if any(side > length for side, length in zip(sides, image_shape, strict=True)):
            kernel, image = (" × ".join(map(str, shape)) for shape in (sides, image_shape))
            raise ValueError(
                f"the kernel has {kernel} pixels and the result only {image}: crop the kernel to where it is not 0"
            )

    def measured_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the measurement of an image: as many whole pixels as cover it."""
        lengths = zip(image_shape, self.factors, strict=True)
        return tuple(math.ceil(length / factor - ROUNDING) for length, factor in lengths)

    def interpolate(self, measured: Tensor) -> Tensor:
        """Return measurements (N, C, *T) interpolated to the image's pixels, (N, C, *S) with ``S = image_shape(T)``.

        The interpolation is cubic and does not undo the blur. An image whose sides are no multiples of the factors may
        be shorter than ``S``: crop the end of each axis.
        """
        self._refuse_dimensions(measured)
        image = measured
        for axis, length in enumerate(self.image_shape(tuple(measured.shape[2:]))):
            factor = self.factors[axis]
            image = self._resampled("enlarge", image, axis, _centres(length, 1 / factor), cubic, CUBIC_REACH)
        return image

    def _refuse_dimensions(self, image: Tensor) -> None:
        if image.ndim != len(self.factors) + 2:
            raise ValueError(
                f"the image has {image.ndim - 2} spatial axes, but the factors {self.factors} are for "
                f"{len(self.factors)}: give one factor per axis"
            )

    def _resampled(
        self, way: str, image: Tensor, axis: int, centres: Floats, weights: Callable[[Floats], Floats], reach: float
    ) -> Tensor:
        """Return the image resampled along one axis: the weighted means around ``centres``."""
        if self.factors[axis] == 1:
            return image
        length = image.shape[axis + 2]
        key = (way, axis, length, len(centres), image.dtype, image.device)
        bands = self._table(key, lambda: _bands(centres, length, weights, reach, like=image))
        parts = [
            torch.tensordot(image.narrow(axis + 2, start, matrix.shape[1]), matrix, dims=([axis + 2], [1]))
            for start, matrix in bands
        ]
        return torch.cat(parts, dim=-1).movedim(-1, axis + 2)

    def _blurred(self, image: Tensor, kernel: SampledKernel) -> tuple[Tensor, tuple[float, ...]]:
        """Return the blurred image where measured pixels need it, and the position of its first pixel on each axis."""
        untouched = tuple(axis for axis, factor in enumerate(self.factors) if factor == 1)
        acting = self._table("kernel", lambda: kernel.without(untouched))
        origins = []
        for axis, (factor, size, centre) in enumerate(
            zip(self.factors, acting.values.shape, acting.centre, strict=True)
        ):
            before, after = (0, 0) if factor == 1 else _margins(image.shape[axis + 2], factor, size, centre)
            image = _mirrored(image, axis + 2, before, after)
            # The first blurred value is where the last pixel of the kernel is on the first pixel of the image.
            origins.append(size - 1 - centre - before)
        axes = tuple(range(2, image.ndim))
        fast = tuple(next_fast_len(length, real=True) for length in image.shape[2:])
        key = ("spectrum", fast, image.dtype, image.device)
        spectrum = self._table(key, lambda: torch.fft.rfftn(_tensor(acting.values, like=image), s=fast))
        blurred = torch.fft.irfftn(torch.fft.rfftn(image, s=fast, dim=axes) * spectrum, s=fast, dim=axes)
        whole = [slice(size - 1, length) for size, length in zip(acting.values.shape, image.shape[2:], strict=True)]
        return blurred[(..., *whole)], tuple(origins)

    def _table(self, key: Hashable, build: Callable[[], Table]) -> Table:
        """Return the table of a key, which is built at its first use."""
        kept = self._tables.get(key)
        if kept is not None:
            return cast("Table", kept)
        # Tensors made in inference mode could not be used in a fit later.
        with torch.inference_mode(mode=False):
            table = build()
        if len(self._tables) >= CACHED:
            self._tables.clear()
        self._tables[key] = table
        return table


def _centres(count: int, factor: float) -> Floats:
    """Return the centres of ``count`` pixels that are ``factor`` wide, in pixels from the centre of the first one."""
    return np.asarray((np.arange(count) + 0.5) * factor - 0.5, np.float64)


def _bands(
    centres: Floats, length: int, weights: Callable[[Floats], Floats], reach: float, *, like: Tensor
) -> list[tuple[int, Tensor]]:
    """Return matrices that compute weighted means of a mirrored axis, and the pixel at which each of them starts.

    A single matrix would be mostly zeros, and would grow with the square of the length.
    """
    bands = []
    for first in range(0, len(centres), BAND_ROWS):
        middle = centres[first : first + BAND_ROWS, None]
        pixels = np.ceil(middle - reach) + np.arange(math.floor(2 * reach) + 1)
        values = weights(pixels - middle)
        values = values / values.sum(axis=1, keepdims=True)
        columns = pixels.astype(np.int64) % (2 * length)
        columns = np.minimum(columns, 2 * length - 1 - columns)
        start = int(columns.min())
        matrix = np.zeros((len(middle), int(columns.max()) + 1 - start))
        np.add.at(matrix, (np.arange(len(middle))[:, None], columns - start), values)
        bands.append((start, _tensor(matrix, like=like)))
    return bands


def _margins(length: int, factor: float, size: int, centre: float) -> tuple[int, int]:
    """Return by how many pixels an axis must be extended at both ends to hold the kernel around all measured pixels."""
    positions = _centres(math.ceil(length / factor - ROUNDING), factor) - (size - 1 - centre)
    before = max(0, math.ceil(CUBIC_REACH - positions[0]))
    return before, max(0, math.ceil(positions[-1] + CUBIC_REACH + size - length))


def _mirrored(image: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Return an image extended along an axis by its mirror images, which repeat the edge pixels."""
    length = image.shape[axis]
    flipped = image.flip(axis)
    left, right = math.ceil(before / length), math.ceil(after / length)
    tiles = [flipped if number % 2 else image for number in range(-left, right + 1)]
    return torch.cat(tiles, dim=axis).narrow(axis, left * length - before, before + length + after)


def _tensor(values: Floats, *, like: Tensor) -> Tensor:
    # Converted before the transfer, because Apple's GPUs have no float64.
    return torch.from_numpy(np.array(values)).to(like.dtype).to(like.device)


OPERATORS: dict[str, type[Operator]] = {"identity": Identity, "downsample": Downsample}

"""Kernels: the weights with which pixels of the image add up to a measured pixel.

The weight of a pixel depends on its distance from the centre of the measured pixel. Separable kernels are functions of
the distance along one axis after the other; a measured or estimated point spread function (PSF) is an image of weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAUSSIAN_REACH = 5.0
"""Standard deviations from which on a Gaussian is cut off: 4e-6 of its height."""

SMALLEST_SIGMA = 0.5
"""Smallest standard deviation of a Gaussian, in pixels. A narrower one, sampled at pixels, would shift to the nearest
pixel; this one shifts by at most 0.02 pixels."""

CUBIC_REACH = 2.0
"""Pixels from which on :func:`cubic` is zero."""

ROUNDING = 1e-6
"""Pixels by which a centre of mass may differ from the exact one because values are rounded."""


class Kernel(ABC):
    """The weights of the image's pixels in a measured pixel.

    Distances are in pixels of the image; ``factor`` is the width of a measured pixel in these. The weights need not
    sum to 1: the operator divides by their sum.
    """

    @property
    @abstractmethod
    def dimensions(self) -> int | None:
        """Number of spatial axes that an image must have; None if any number will do."""

    @abstractmethod
    def reach(self, axis: int, factor: float) -> float:
        """Return the distance along an axis, in pixels of the image, from which on all weights are 0."""

    @abstractmethod
    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the weights of pixels at signed distances along an axis from the centre of a measured pixel."""


@final
@dataclass(frozen=True)
class Bicubic(Kernel):
    """Cubic convolution, scaled with the factor against aliasing: the "bicubic" of MATLAB and Pillow.

    Keys 1981, doi 10.1109/TASSP.1981.1163711, with a = -1/2.
    """

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return two measured pixels."""
        return 2 * factor

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of Keys' cubic."""
        return cubic(distance / factor)


@final
@dataclass(frozen=True)
class Lanczos2(Kernel):
    """A sinc with a Lanczos window of two lobes, scaled with the factor against aliasing."""

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return two measured pixels."""
        return 2 * factor

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of the windowed sinc."""
        scaled = distance / factor
        return np.where(np.abs(scaled) < 2, np.sinc(scaled) * np.sinc(scaled / 2), 0.0)


@final
@dataclass(frozen=True)
class Area(Kernel):
    """The mean over the area of a detector pixel, whose edges may cut through pixels of the image."""

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return half a measured pixel and half a pixel of the image."""
        return (factor + 1) / 2

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the length of the overlap of each pixel with the measured one."""
        shared = np.minimum(distance + 0.5, factor / 2) - np.maximum(distance - 0.5, -factor / 2)
        return np.asarray(np.maximum(shared, 0.0))


@final
@dataclass(frozen=True)
class GaussianKernel(Kernel):
    """A Gaussian PSF: its width does not depend on the size of the measured pixels.

    Parameters
    ----------
    sigma : tuple of float
        Standard deviation per spatial axis, in pixels of the image.

    Raises
    ------
    ValueError
        If there is no standard deviation, or one is negative or not finite.
    """

    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sigma or not all(0 <= sigma < math.inf for sigma in self.sigma):
            raise ValueError(f"sigma is {self.sigma}; it must be one finite number per axis, none of them negative")

    @property
    def dimensions(self) -> int:
        """One spatial axis per standard deviation."""
        return len(self.sigma)

    def reach(self, axis: int, factor: float) -> float:
        """Return ``GAUSSIAN_REACH`` standard deviations."""
        return GAUSSIAN_REACH * max(self.sigma[axis], SMALLEST_SIGMA)

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of the normal distribution."""
        return np.asarray(np.exp(-((distance / max(self.sigma[axis], SMALLEST_SIGMA)) ** 2) / 2))


@final
@dataclass(frozen=True, eq=False)
class SampledKernel(Kernel):
    """A kernel given as an image, the PSF: how a single point is measured, in pixels of the restored image.

    Its centre is its centre of mass. :attr:`values` has its pixels; between them it is interpolated by :func:`cubic`,
    whose weights :meth:`weights` returns.

    Parameters
    ----------
    values : ndarray
        Odd or even sides, and a positive sum, by which it is divided. Its axes are the image's spatial axes in order.

    Raises
    ------
    ValueError
        If values are not finite, their sum is not positive, or their centre of mass lies outside of the array.
    """

    values: Floats

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        shape = " × ".join(map(str, values.shape))
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f"the kernel ({shape or 'a number'}) has no values, or some are NaN or infinite")
        largest = np.abs(values).max()
        # Scaled by the largest value first: the sum of very large or very small values could be beyond float64.
        total = (values / largest).sum() if largest > 0 else 0.0
        if not total > 0:
            raise ValueError(f"the sum of the kernel ({shape}) is {total * largest:g}; it must be positive")
        values = values / largest / total
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        outside = [
            not -ROUNDING <= centre <= side - 1 + ROUNDING
            for centre, side in zip(self.centre, values.shape, strict=True)
        ]
        if any(outside):
            centre = ", ".join(f"{position:.1f}" for position in self.centre)
            raise ValueError(
                f"the centre of mass of the kernel ({shape}) lies outside of it, at {centre}: it has large negative "
                "values; set them to 0 or subtract its background first"
            )

    @property
    def dimensions(self) -> int:
        """As many spatial axes as the array has."""
        return self.values.ndim

    @property
    def centre(self) -> tuple[float, ...]:
        """Centre of mass, in pixels from the centre of the first pixel."""
        positions = np.indices(self.values.shape).reshape(self.values.ndim, -1)
        return tuple(float(position) for position in positions @ self.values.ravel())

    def reach(self, axis: int, factor: float) -> float:
        """Return the reach of the cubic interpolation, two pixels."""
        return CUBIC_REACH

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the weights of the interpolation between the kernel's pixels."""
        return cubic(distance)

    def without(self, axes: tuple[int, ...]) -> SampledKernel:
        """Return the kernel that does not blur along some axes: its values are summed along them."""
        return SampledKernel(self.values.sum(axis=axes, keepdims=True))


def cubic(distance: Floats) -> Floats:
    """Return the weights of cubic interpolation (Keys, a = -1/2) for distances in pixels; 0 from 2 on."""
    far = np.abs(distance)
    near = (1.5 * far - 2.5) * far**2 + 1
    tail = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return np.where(far < 1, near, np.where(far < 2, tail, 0.0))


def kernel_image(kernel: Kernel, factors: tuple[float, ...]) -> Floats:
    """Return a kernel as an image: its weights at whole pixels of the image around its centre.

    The image has one axis per factor, odd sides, its centre in the middle, and sum 1. Along an axis of factor 1 the
    operator does nothing, and the side is 1.

    Raises
    ------
    ValueError
        If the kernel is for another number of axes.
    """
    if kernel.dimensions not in (None, len(factors)):
        raise ValueError(f"the kernel is for {kernel.dimensions} axes, but there are {len(factors)} factors")
    if isinstance(kernel, SampledKernel):
        acting = kernel.without(tuple(axis for axis, factor in enumerate(factors) if factor == 1))
        weights = acting.values
        for axis, (size, centre) in enumerate(zip(acting.values.shape, acting.centre, strict=True)):
            distance = _whole_distances(max(centre, size - 1 - centre))
            interpolation = cubic(distance[:, None] + centre - np.arange(size))
            weights = np.moveaxis(np.tensordot(interpolation, weights, axes=(1, axis)), 0, axis)
        return np.asarray(weights / weights.sum())
    weights = np.ones(())
    for axis, factor in enumerate(factors):
        distance = _whole_distances(0.0 if factor == 1 else kernel.reach(axis, factor))
        weights = np.multiply.outer(weights, kernel.weights(distance, axis, factor))
    return np.asarray(weights / weights.sum())


def _whole_distances(reach: float) -> Floats:
    # A centre of mass may be off by a rounding error, which must not add a pixel.
    radius = math.ceil(reach - ROUNDING)
    return np.arange(-radius, radius + 1, dtype=np.float64)

"""Reslicing: cut an image or a volume into planes that a network can enlarge.

An image is a plane. A volume that is enlarged in its planes is a stack of them. A volume that is enlarged along Z alone
is resliced into the planes ZX and ZY; the network is trained on the planes YX, which are sharp (SMORE, Zhao et al.
2021, doi 10.1109/TMI.2020.3037187).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..physics.kernels import GaussianKernel, Kernel, SampledKernel
from ..physics.operators import Downsample, Operator
from ..training.augmentation import ORIENTATIONS, oriented

Order = tuple[int, int, int]
"""Axes of a volume that number the planes, are their rows and are their columns."""

IN_PLANE: Order = (0, 1, 2)
"""Planes YX of a volume ZYX."""

ALONG_Z: tuple[Order, ...] = ((1, 0, 2), (2, 0, 1))
"""Planes ZX and ZY of a volume ZYX."""

KEEP_ROWS = (0, 2, 4, 6)
"""Orientations in which rows stay rows."""

PROBES, TOLERANCE = 65, 0.01
"""Distances at which two kernels are compared, and the share of their height by which they may differ."""


@final
@dataclass(frozen=True)
class Reslicing:
    """How an image is enlarged plane by plane.

    Parameters
    ----------
    operator : Downsample
        What reduced the planes.
    orders : tuple of Order
        How a volume is cut into planes; where there are several ways, the mean of their results is the answer.
    orientations : tuple of int
        Flips and rotations of a plane that commute with the operator.
    """

    operator: Downsample
    orders: tuple[Order, ...]
    orientations: tuple[int, ...]


def why_not(operator: Operator) -> str:
    """Return why a network cannot enlarge what this operator reduced; empty if it can."""
    if not isinstance(operator, Downsample) or max(operator.factors) == 1:
        return "no axis is to be enlarged"
    if len(operator.factors) == 3 and operator.factors[0] > 1 and max(operator.factors[1:]) > 1:
        factors = " × ".join(f"{factor:g}" for factor in operator.factors)
        return (
            f"the factors are {factors}, and its network enlarges either the planes or the depth: enlarge the planes "
            "first, and then the result in Z"
        )
    return ""


def reslicing_of(operator: Operator) -> Reslicing:
    """Return how what this operator reduced is enlarged plane by plane.

    Raises
    ------
    ValueError
        If the operator is none that reduces.
    """
    if not isinstance(operator, Downsample):
        raise ValueError("no axis is to be enlarged")
    factors = operator.factors
    orders: tuple[Order, ...] = (IN_PLANE,)
    if len(factors) == 2:
        flat = operator
    elif factors[0] == 1:
        flat = Downsample(factors[1:], _kernel_in_plane(operator.kernel))
    else:
        flat, orders = Downsample((factors[0], 1.0), _kernel_along_z(operator.kernel)), ALONG_Z
    return Reslicing(flat, orders, _commuting_orientations(flat))


def resliced(image: Tensor, order: Order) -> Tensor:
    """Return the planes (N, C, rows, columns) of an image (1, C, *S); an image of two axes is its only plane."""
    if image.ndim == 4:
        return image
    number, rows, columns = (axis + 1 for axis in order)
    return image[0].permute(number, 0, rows, columns)


def stacked(planes: Tensor, order: Order, *, dimensions: int) -> Tensor:
    """Return the image (1, C, *S), of two or three spatial axes, that :func:`resliced` cut into ``planes``."""
    if dimensions == 2:
        return planes
    # Where each axis of the volume is among those of the planes.
    places = dict(zip(order, (0, 2, 3), strict=True))
    return planes.permute(1, *(places[axis] for axis in range(3)))[None]


def _kernel_in_plane(kernel: Kernel) -> Kernel:
    """Return the kernel in the planes of a volume."""
    if isinstance(kernel, SampledKernel):
        return SampledKernel(kernel.values.sum(axis=0))
    return GaussianKernel(kernel.sigma[1:]) if isinstance(kernel, GaussianKernel) else kernel


def _kernel_along_z(kernel: Kernel) -> Kernel:
    """Return the kernel along Z, for planes whose rows lie there; along their columns nothing is reduced."""
    if isinstance(kernel, SampledKernel):
        return SampledKernel(kernel.values.sum(axis=(1, 2))[:, None])
    return GaussianKernel(kernel.sigma[:1] * 2) if isinstance(kernel, GaussianKernel) else kernel


def _commuting_orientations(operator: Downsample) -> tuple[int, ...]:
    """Return the flips and rotations of a plane that commute with the operator."""
    kernel, factors = operator.kernel, operator.factors
    everything = tuple(range(ORIENTATIONS))
    if isinstance(kernel, SampledKernel):
        values = torch.from_numpy(np.array(kernel.values))
        symmetric = [each for each in everything if _equal(values, oriented(values, each))]
        return tuple(each for each in symmetric if factors[0] == factors[1] or each in KEEP_ROWS)
    reach = max(kernel.reach(axis, factor) for axis, factor in enumerate(factors))
    distances = np.linspace(-reach, reach, PROBES)
    rows, columns = (torch.from_numpy(kernel.weights(distances, axis, factors[axis])) for axis in (0, 1))
    # Kernels that act along one axis after the other are symmetric.
    return everything if factors[0] == factors[1] and _equal(rows, columns) else KEEP_ROWS


def _equal(first: Tensor, second: Tensor) -> bool:
    """Return whether two sampled kernels are equal within the tolerance."""
    return first.shape == second.shape and bool((first - second).abs().max() <= TOLERANCE * first.abs().max())

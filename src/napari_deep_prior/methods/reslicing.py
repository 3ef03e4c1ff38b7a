"""Sections: how an image or a volume is cut into planes that a network can learn to enlarge.

A plane is itself. A volume that is enlarged in its planes is a stack of them. One that is enlarged along Z alone is
learned from its planes, which are sharp, and cut into upright sections along both other axes (Zhao et al. 2021, SMORE,
doi 10.1109/TMI.2020.3037187).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..physics.kernels import GaussianKernel, Kernel, SampledKernel
from ..physics.operators import Downsample, Operator
from ..training.trainer import oriented

Order = tuple[int, int, int]
"""Axes of a volume that number the planes, are their rows and are their columns."""

PLANES: tuple[Order, ...] = ((0, 1, 2),)
UPRIGHT: tuple[Order, ...] = ((1, 0, 2), (2, 0, 1))

MIRRORED = (0, 2, 4, 6)
"""The turns that leave rows rows."""

PROBES, GROUP_SIZE = 65, 0.01
"""Distances at which two kernels are compared, and the share of their height by which they may differ."""


@final
@dataclass(frozen=True)
class Reslicing:
    """What is enlarged, plane by plane.

    Parameters
    ----------
    operator : Downsample
        What happened to the planes.
    orders : tuple of Order
        How a volume is cut into planes to be enlarged; in several ways: their mean counts.
    turns : tuple of int
        Ways to mirror and turn planes that the operator does not notice.
    """

    operator: Downsample
    orders: tuple[Order, ...]
    turns: tuple[int, ...]


def why_not(operator: Operator) -> str:
    """Return why an operator cannot be learned in planes; empty if it can."""
    if not isinstance(operator, Downsample) or max(operator.factors) == 1:
        return "nothing is to be enlarged"
    if len(operator.factors) == 3 and operator.factors[0] > 1 and max(operator.factors[1:]) > 1:
        factors = " × ".join(f"{factor:g}" for factor in operator.factors)
        return (
            f"the factors are {factors}, and it learns either the planes or the depth: enlarge the planes first, and "
            "then the result in Z"
        )
    return ""


def sections(operator: Downsample) -> Reslicing:
    """Return how images behind an operator are cut, which must be within the :func:`why_not`."""
    factors = operator.factors
    if len(factors) == 2:
        flat, orders = operator, PLANES
    elif factors[0] == 1:
        flat, orders = Downsample(factors[1:], _in_planes(operator.kernel)), PLANES
    else:
        flat, orders = Downsample((factors[0], 1.0), _in_depth(operator.kernel)), UPRIGHT
    return Reslicing(flat, orders, _turns(flat))


def cut(image: Tensor, order: Order) -> Tensor:
    """Return the planes (N, C, rows, columns) of an image (1, C, *S), of which a plane has but one."""
    if image.ndim == 4:
        return image
    number, rows, columns = (axis + 1 for axis in order)
    return image[0].permute(number, 0, rows, columns)


def joined(planes: Tensor, order: Order, *, like: Tensor) -> Tensor:
    """Return the image (1, C, *S) that was cut into planes; ``like`` is one of as many axes."""
    if like.ndim == 4:
        return planes
    # Where each axis of the volume is among those of the planes.
    places = dict(zip(order, (0, 2, 3), strict=True))
    return planes.permute(1, *(places[axis] for axis in range(3)))[None]


def _in_planes(kernel: Kernel) -> Kernel:
    if isinstance(kernel, SampledKernel):
        return SampledKernel(kernel.values.sum(axis=0))
    return GaussianKernel(kernel.sigma[1:]) if isinstance(kernel, GaussianKernel) else kernel


def _in_depth(kernel: Kernel) -> Kernel:
    """Return what a kernel does along Z, for planes whose rows lie there; along their columns nothing happens."""
    if isinstance(kernel, SampledKernel):
        return SampledKernel(kernel.values.sum(axis=(1, 2))[:, None])
    return GaussianKernel(kernel.sigma[:1] * 2) if isinstance(kernel, GaussianKernel) else kernel


def _turns(operator: Downsample) -> tuple[int, ...]:
    kernel, factors = operator.kernel, operator.factors
    if isinstance(kernel, SampledKernel):
        values = torch.from_numpy(np.array(kernel.values))
        turns = [turn for turn in range(8) if _same(values, oriented(values, turn))]
        return tuple(turn for turn in turns if factors[0] == factors[1] or turn in MIRRORED)
    reach = max(kernel.reach(axis, factor) for axis, factor in enumerate(factors))
    distances = np.linspace(-reach, reach, PROBES)
    rows, columns = (torch.from_numpy(kernel.weights(distances, axis, factors[axis])) for axis in (0, 1))
    # What is done along one axis after the other knows no left and right.
    return tuple(range(8)) if factors[0] == factors[1] and _same(rows, columns) else MIRRORED


def _same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and bool((first - second).abs().max() <= GROUP_SIZE * first.abs().max())

"""Enlarge an image with a network that improves its interpolated planes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor

from ..networks.network import ResidualNetwork
from ..patches import nl_ridge
from ..patches.planes import map_planes
from ..problem import Problem
from ..training.augmentation import oriented, oriented_back
from .back_projection import back_project
from .reslicing import resliced, reslicing_of, stacked

CHUNK = 1 << 20
"""Pixels that go through the network at a time, to bound the memory."""

STRENGTHS = (1.0, 1.0)
"""Strength of the passes over similar patches, in units of the network's error on its training pairs."""

PATCHES_SHARE = 0.75
"""Share of the image that was denoised by similar patches in the result."""

GROUP_SIZE, SEARCH_RADIUS = 40, 10
"""Patches in a group, and pixels around a patch within which similar ones are searched."""

Improve = Callable[[Tensor], Tensor]
"""What a network does with planes (N, C, rows, columns)."""


@final
class Enlargement:
    """An interpolated image, and how a network improves it.

    Parameters
    ----------
    problem : Problem
        The problem that is solved, its measurement complete.
    known : Tensor, (1, C, *T)
        1 where the measurement counts, 0 where it is missing.
    network : ResidualNetwork
        Tells how far around a pixel the network looks.
    agree : bool
        Whether the image is made to agree with the measurement by back-projection.
    """

    def __init__(self, problem: Problem, known: Tensor, *, network: ResidualNetwork, agree: bool) -> None:
        self.problem, self.known, self.network, self.agree = problem, known, network, agree
        self.reslicing = reslicing_of(problem.operator)
        self.interpolated = problem.operator.interpolate(problem.measured)

    @torch.no_grad()
    def improved(self, improve: Improve, *, orientations: tuple[int, ...]) -> Tensor:
        """Return the image (1, C, *S): the median over flips and rotations, and the mean over ways to reslice it."""
        images = []
        dimensions = self.interpolated.ndim - 2
        for order in self.reslicing.orders:
            planes = resliced(self.interpolated, order)
            versions = []
            for orientation in orientations:
                version = oriented_back(self._in_strips(improve, oriented(planes, orientation)), orientation)
                versions.append(self._agreeing(stacked(version, order, dimensions=dimensions)))
            images.append(torch.stack(versions).median(dim=0).values)
        return self._agreeing(torch.stack(images).mean(dim=0))

    @torch.no_grad()
    def mixed_with_patches(self, image: Tensor, error: Tensor) -> Tensor:
        """Return a weighted mean of an image and of itself denoised by similar patches.

        Parameters
        ----------
        image : Tensor, (1, C, *S)
            An enlarged image.
        error : Tensor, 0-d
            The error of the network: the noise that is assumed.
        """
        denoise = partial(nl_ridge.denoise_with_pilot, group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS)
        denoised = image
        for strength in STRENGTHS:
            deviation = (strength * error).clamp(min=nl_ridge.SMALLEST_DEVIATION)
            means = map_planes(denoise, denoised, denoised, deviation.square().expand_as(denoised))
            denoised = self._agreeing(means)
        return torch.lerp(image, denoised, PATCHES_SHARE)

    def _agreeing(self, image: Tensor) -> Tensor:
        return back_project(self.problem, image, self.known) if self.agree else image

    def _in_strips(self, improve: Improve, planes: Tensor) -> Tensor:
        """Return planes improved in strips that overlap by the margin of the network."""
        margin, stride = self.network.margin, self.network.stride
        rows, columns = planes.shape[-2:]
        height = max(1, CHUNK // columns // stride) * stride
        at_a_time = max(1, CHUNK // (rows * columns))
        parts = []
        for part in planes.split(at_a_time):
            strips = []
            for first in range(0, rows, height):
                start, last = max(first - margin, 0), min(first + height, rows)
                strip = improve(part[..., start : min(last + margin, rows), :])
                strips.append(strip[..., first - start : last - start, :])
            parts.append(torch.cat(strips, dim=-2))
        return torch.cat(parts)

"""Non-local deblocking: undo the compression of a JPEG with the help of similar patches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..patches import nl_ridge
from ..patches.patch_denoising import too_small
from ..patches.planes import map_planes
from ..patches.similar_patches import find_similar_patches
from ..physics.misfit import weighted_mean
from ..physics.quantised_misfit import QuantisedMisfit
from ..problem import Problem
from ..progress import Step
from ..progress.stages import checkpoint, stage
from ..settings import Setting
from .method import Method

FIRST, LAST = 3.0, 1.0
"""Strength of the first and the last pass, in units of the error that compressing the estimate once more makes."""

LEAST_DEVIATION = 1.0
"""Least standard deviation of the assumed noise, in grey levels: the equations of equal patches need some."""

AVERAGING = 15
"""Pixels along a side of the square over which squared errors are averaged: about two blocks."""

POSITIONS = 8
"""Positions of the block grid along an axis at which the image is compressed once more."""

IMAGES = 40
"""Images (float32) that the compression with shifted blocks needs at its peak (measured)."""

WIDTH, LAST_WIDTH = 0.25, 0.35
"""How far, in quantisation steps, a pass and the last one may move a coefficient from the middle of its interval."""


@final
@dataclass(frozen=True, kw_only=True)
class NLDeblocking(Method):
    """Undo the compression of a JPEG by similar patches, again and again, each time with less smoothing.

    Starts from the mean of the images that come from compressing the image once more with shifted blocks (Nosratinia
    2001, J. VLSI Signal Processing 27, 69). Every pass assumes some noise, denoises luminance and chrominance by
    non-local ridge regression (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992) with patches that are
    similar in luminance, and moves the image back to where compression gives nearly the same file (cf. Zhang et al.
    2016, IEEE Trans. Image Processing 25, 1246). The strength of the noise at each place is estimated by compressing
    the image once more: that changes it by about as much as the first compression did.

    Nothing is random. For JPEGs whose quantisation tables are known only. Fails on the mean of a flat block: nothing
    shows how far it is off.
    """

    label = "Non-local deblocking"
    reason = "similar patches, within what the rounding allows"
    without_network = True

    passes: Annotated[int, Setting("Passes", "times that the image is denoised", 1, 1000, False)] = 12
    group_size: Annotated[int, Setting("Group size", "similar patches that are denoised together", 2, 1000)] = 30
    search_radius: Annotated[
        int, Setting("Search radius", "pixels around a patch within which similar ones are searched", 1, 100)
    ] = 12

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        if not isinstance(problem.misfit, QuantisedMisfit):
            return "the image is no JPEG, or its quantisation tables are not known"
        if reason := too_small(tuple(problem.measured.shape[2:])):
            return reason
        if bool((problem.weight == 0).any()):
            return "pixels are missing, and the blocks of a JPEG need all of them"
        return ""

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per pass.

        Raises
        ------
        ValueError
            If the image is no JPEG of known tables, is smaller than a patch, or lacks pixels.
        """
        self.refuse(problem)
        misfit, measured = problem.misfit, problem.measured
        assert isinstance(misfit, QuantisedMisfit)  # noqa: S101  (for mypy: why_not has checked)
        file = _before_rounding(misfit, measured)
        image = misfit.nearest(_shifted_compression(misfit, file), file, width=WIDTH)
        for number, strength in enumerate(np.geomspace(FIRST, LAST, self.passes), start=1):
            image = self._denoised(misfit, image, float(strength))
            image = misfit.nearest(image, file, width=WIDTH if number < self.passes else LAST_WIDTH)
            yield Step(
                number=number,
                total=self.passes,
                loss=weighted_mean(misfit.pointwise(image, measured), problem.weight),
                criterion=None,
                criterion_name="",
                chosen=torch.tensor(number),
                image=image,
            )

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        rows, columns = problem.measured.shape[-2:]
        patches = nl_ridge.memory(rows, columns, group_size=self.group_size, search_radius=self.search_radius)
        return patches + IMAGES * 4 * math.prod(problem.measured.shape)

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2."""
        return self.passes * nl_ridge.seconds(
            math.prod(problem.measured.shape[2:]),
            channels=problem.measured.shape[1],
            group_size=self.group_size,
            search_radius=self.search_radius,
        )

    @torch.no_grad()
    def _denoised(self, misfit: QuantisedMisfit, image: Tensor, strength: float) -> Tensor:
        """Return an image (1, C, H, W) without the noise that is assumed."""
        cosine, factor = misfit.cosine, misfit.factor
        levels = image * factor
        change = cosine.luminances(misfit.recompressed(image) * factor - levels)
        variance = strength**2 * _local_means(change.square()) + LEAST_DEVIATION**2
        planes = cosine.luminances(levels)
        corners = find_similar_patches(planes[0, 0], group_size=self.group_size, search_radius=self.search_radius)

        def denoised(plane: Tensor, noise: Tensor) -> Tensor:
            return nl_ridge.denoise_groups(plane, plane, noise, corners)

        return cosine.colour(map_planes(denoised, planes, variance)) / factor


@torch.no_grad()
def _before_rounding(misfit: QuantisedMisfit, measured: Tensor) -> Tensor:
    """Return a decoded image before its grey levels were rounded: whole blocks have whole coefficients again."""
    height, width = (
        length // period * period for length, period in zip(measured.shape[2:], misfit.period, strict=True)
    )
    file = measured.clone()
    if height and width:
        file[..., :height, :width] = misfit.recompressed(measured[..., :height, :width])
    return file


@torch.no_grad()
@stage("Compressing with shifted blocks")
def _shifted_compression(misfit: QuantisedMisfit, image: Tensor) -> Tensor:
    """Return the mean of the images that come from compressing an image (1, C, H, W) with shifted blocks."""
    rows, columns = misfit.period
    offsets = list(itertools.product(range(0, rows, rows // POSITIONS), range(0, columns, columns // POSITIONS)))[1:]
    total = torch.zeros_like(image)
    for offset in offsets:
        checkpoint()
        total += misfit.recompressed(image, offset=offset)
    return total / len(offsets)


def _local_means(values: Tensor) -> Tensor:
    """Return the means over squares around each pixel."""
    return functional.avg_pool2d(values, AVERAGING, stride=1, padding=AVERAGING // 2, count_include_pad=False)

"""Non-local deblocking: what compression took from an image is told by patches that look alike."""

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

from ..patches import nl_ridge as collaborative
from ..patches.patch_denoising import on_planes, too_small
from ..physics.misfit import weighted_mean
from ..physics.quantised_misfit import QuantisedMisfit
from ..problem import Problem, Step
from ..settings import Setting
from .method import Method

FIRST, LAST = 3.0, 1.0
"""Strength of the first and the last pass, in units of the error that compressing the estimate anew makes."""

FAINTEST = 1.0
"""Least strength, in grey levels: patches that are all alike need some."""

AROUND = 15
"""Pixels along a side of the square in which errors are averaged: about two blocks."""

PLACES = 8
"""Places along an axis where blocks begin when the image is compressed anew."""

TRUSTED, TRUSTED_LAST = 0.25, 0.35
"""How far, in steps, a pass and the last one may move a coefficient away from the middle of its interval."""


@final
@dataclass(frozen=True, kw_only=True)
class NLDeblocking(Method):
    """Undo the compression of a JPEG by patches that look alike, again and again, each time with less smoothing.

    Begins with the mean of what the image becomes if it is compressed anew with the blocks elsewhere (Nosratinia 2001,
    J. VLSI Signal Processing 27, 69). Every pass takes the image for noisy, denoises luminance and chrominances by
    non-local ridge regression (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992) with patches that look
    alike in luminance, and moves it back to where it would become nearly the same file (cf. Zhang et al. 2016, IEEE
    Trans. Image Processing 25, 1246). How strong the noise is, and where, is told by compressing the image anew: what
    changes then is about what had changed before.

    Nothing is random: the seed changes nothing. For JPEGs only whose tables are known. How far the mean of a flat block
    is off nothing tells.
    """

    passes: Annotated[int, Setting("Passes", "times that patches are compared", 1, 1000, False)] = 12
    group_size: Annotated[int, Setting("Patches", "patches in a group of similar ones", 2, 1000)] = 30
    search_radius: Annotated[
        int, Setting("Reach", "pixels around a patch in which others like it are looked for", 1, 100)
    ] = 12

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        if not isinstance(problem.misfit, QuantisedMisfit):
            return "the image is no JPEG, or how coarsely it was rounded is not known"
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
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        misfit, measured = problem.misfit, problem.measured
        assert isinstance(misfit, QuantisedMisfit)  # noqa: S101  (for mypy: the limits say so)
        file = _unrounded(misfit, measured)
        image = misfit.nearest(_elsewhere(misfit, file), file, width=TRUSTED)
        for number, strength in enumerate(np.geomspace(FIRST, LAST, self.passes), start=1):
            image = self._denoised(misfit, image, float(strength))
            image = misfit.nearest(image, file, width=TRUSTED if number < self.passes else TRUSTED_LAST)
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
        patches = collaborative.memory(rows, columns, group_size=self.group_size, search_radius=self.search_radius)
        return patches + 12 * 4 * math.prod(problem.measured.shape)

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2."""
        return self.passes * collaborative.seconds(
            math.prod(problem.measured.shape[2:]),
            channels=problem.measured.shape[1],
            group_size=self.group_size,
            search_radius=self.search_radius,
        )

    @torch.no_grad()
    def _denoised(self, misfit: QuantisedMisfit, image: Tensor, strength: float) -> Tensor:
        """Return an image (1, C, H, W) without what is taken for noise."""
        cosine, factor = misfit.cosine, misfit.factor
        levels = image * factor
        change = cosine.luminances(misfit.recompressed(image) * factor - levels)
        variance = strength**2 * _averaged(change.square()) + FAINTEST**2
        planes = cosine.luminances(levels)
        corners = collaborative.find_similar_patches(
            planes[0, 0], group_size=self.group_size, search_radius=self.search_radius
        )

        def refined(plane: Tensor, noise: Tensor) -> Tensor:
            return collaborative.refine_groups(plane, plane, noise, corners)

        return cosine.colour(on_planes(refined, planes, variance)) / factor


@torch.no_grad()
def _unrounded(misfit: QuantisedMisfit, measured: Tensor) -> Tensor:
    """Return a decoded image before its grey levels were rounded: coefficients are whole steps where blocks are."""
    height, width = (
        length // period * period for length, period in zip(measured.shape[2:], misfit.period, strict=True)
    )
    file = measured.clone()
    if height and width:
        file[..., :height, :width] = misfit.recompressed(measured[..., :height, :width])
    return file


@torch.no_grad()
def _elsewhere(misfit: QuantisedMisfit, image: Tensor) -> Tensor:
    """Return the mean of what an image (1, C, H, W) becomes if it is compressed anew with the blocks elsewhere."""
    rows, columns = misfit.period
    offsets = list(itertools.product(range(0, rows, rows // PLACES), range(0, columns, columns // PLACES)))[1:]
    total = torch.zeros_like(image)
    for offset in offsets:
        total += misfit.recompressed(image, offset=offset)
    return total / len(offsets)


def _averaged(values: Tensor) -> Tensor:
    """Return the means over squares around each pixel."""
    return functional.avg_pool2d(values, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)

"""Plug-and-play restoration by similar patches: fill missing pixels, or enlarge an image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, final

import numpy as np
import torch
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from ..patches import filling, nl_ridge
from ..patches.mixing import mixing_share
from ..patches.patch_denoising import too_small
from ..patches.planes import map_planes
from ..physics.misfit import weighted_mean
from ..problem import Problem
from ..progress import Step
from ..progress.stages import run_stage
from ..settings import Setting
from ..training.held_out import HELD_OUT_ERROR, BestImage, hold_out_like_missing
from .back_projection import back_project
from .method import SeededMethod
from .pre_denoising import pre_denoised
from .reslicing import reslicing_of

FILLING, ENLARGING = (2.0, 0.03), (3.0, 0.08)
"""Noise that the first and the last pass assume, in units of the held-out error of the first image."""

MARGIN = 1.0
"""Standard errors by which a pass must be better to fill: in doubt an earlier one, which shows less noise, is taken."""

PATIENCE = 3
"""Passes after the best one with which filling ends: once less noise is assumed than there is, more of it is shown."""

BIHARMONIC = 600
"""Bytes per pixel that the equations of the smooth filling take where half of the pixels is missing (measured)."""

FILLING_IMAGES, ENLARGING_IMAGES = 10, 38
"""Images (float32) of the result's size beside the similar patches, to fill and, with back-projection, to enlarge
(measured)."""


@final
@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(SeededMethod):
    """Fill or enlarge an image with similar patches again and again, each time with less smoothing.

    Starts from a smooth (biharmonic) filling, or from an interpolated image. Every pass assumes some noise, which falls
    from pass to pass (cf. plug-and-play priors, Venkatakrishnan et al. 2013, doi 10.1109/GlobalSIP.2013.6737048). To
    fill, the missing pixels of a patch follow from its known ones (:mod:`..patches.filling`). To enlarge, the noise is
    removed by non-local ridge regression (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992), and the
    image back-projected (Irani & Peleg 1991, doi 10.1016/1049-9652(91)90045-L). Held-out pixels, distributed like the
    missing ones, decide when to stop and how much of the smooth filling stays.

    Fails inside of holes that are larger than a patch and its surroundings: they are filled smoothly. A noisy image is
    denoised before it is enlarged. Planes of a volume, and channels, are restored one by one.
    """

    label = "Plug-and-play with similar patches"
    reason = "similar patches fill what is missing"
    without_network = True

    passes: Annotated[int, Setting("Passes", "the most passes; the last ones smooth least", 1, 1000, False)] = 24
    group_size: Annotated[int, Setting("Group size", "similar patches that are denoised together", 2, 1000)] = 40
    search_radius: Annotated[
        int, Setting("Search radius", "pixels around a patch within which similar ones are searched", 1, 100)
    ] = 10

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        return too_small(problem.operator.image_shape(tuple(problem.measured.shape[2:])))

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per pass: first without the held-out pixels; then from all pixels, up to the best pass.

        Raises
        ------
        ValueError
            If the image is smaller than a patch.
        """
        self.refuse(problem)
        if not problem.operator.is_identity:
            # Back-projection would restore the noise.
            problem = pre_denoised(problem, reslicing_of(problem.operator).operator)
        known = (problem.weight > 0).to(problem.measured.dtype)
        held_out = hold_out_like_missing(known, self.generator(problem))
        restricted_known = known * (1 - held_out)
        restricted_start, start = (_smooth_filling(problem, each) for each in (restricted_known, known))
        deviations = self._deviations(problem, restricted_start, held_out)
        margin, patience = (MARGIN, PATIENCE) if problem.operator.is_identity else (0.0, self.passes)
        passes = self._passes(problem, restricted_start, restricted_known, deviations)
        # Passes are compared with each other. How good they are beside the smooth filling is decided in the end.
        restricted, chosen = next(passes), 1
        best = BestImage(problem, held_out, restricted)
        yield self._step(problem, chosen, best)
        for number, image in enumerate(passes, start=2):
            if best.offer(number, image, margin=margin):
                restricted, chosen = image, number
            yield self._step(problem, number, best)
            if number == chosen + patience:
                break
        full = start
        for number, image in enumerate(self._passes(problem, start, known, deviations[:chosen]), start=1):
            full = image
            step = self._step(problem, self.passes + number, best)
            if number < chosen:
                yield step
        share = mixing_share(problem, restricted, restricted_start, held_out)
        yield dataclasses.replace(step, image=torch.lerp(start, full, share))

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        rows, columns = shape[-2:]
        fills = problem.operator.is_identity
        need = filling.memory if fills else nl_ridge.memory
        patches = need(rows, columns, group_size=self.group_size, search_radius=self.search_radius)
        smooth = BIHARMONIC * math.prod(problem.measured.shape[-2:])
        images = FILLING_IMAGES if fills else ENLARGING_IMAGES
        return max(patches, smooth) + images * 4 * math.prod(shape) * problem.measured.shape[1]

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2: each is made twice at most."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        pixels = problem.measured.shape[1] * math.prod(shape)
        # To fill takes as long as to denoise (0.9 s on one core for 192² pixels with 80 patches from 10 pixels around).
        one_pass = nl_ridge.seconds(pixels, group_size=self.group_size, search_radius=self.search_radius)
        return 2 * self.passes * one_pass

    def _deviations(self, problem: Problem, start: Tensor, held_out: Tensor) -> list[Tensor]:
        """Return the standard deviation of the noise that each pass assumes, per channel."""
        spatial = tuple(range(2, start.ndim))
        squares = (problem.measured - problem.operator(start)).square() * held_out
        count = held_out.expand_as(squares).sum(dim=spatial, keepdim=True).clamp(min=1)
        error = (squares.sum(dim=spatial, keepdim=True) / count).sqrt()
        return [
            (error * float(strength)).clamp(min=nl_ridge.SMALLEST_DEVIATION)
            for strength in np.geomspace(*(FILLING if problem.operator.is_identity else ENLARGING), self.passes)
        ]

    @torch.no_grad()
    def _passes(self, problem: Problem, start: Tensor, known: Tensor, deviations: list[Tensor]) -> Iterator[Tensor]:
        """Yield the image (1, C, *S) after each pass."""
        fills = problem.operator.is_identity
        improve = partial(
            filling.fill if fills else nl_ridge.denoise_with_pilot,
            group_size=self.group_size,
            search_radius=self.search_radius,
        )
        image = back_project(problem, start, known)
        for deviation in deviations:
            variance = deviation.square().expand_as(image)
            means = map_planes(improve, image, known if fills else image, variance)
            image = back_project(problem, means, known)
            # The next pass begins with the known pixels and their noise; they are not shown.
            yield means if fills else image

    def _step(self, problem: Problem, number: int, best: BestImage) -> Step:
        misfit = problem.misfit.pointwise(problem.operator(best.image), problem.measured)
        return Step(
            number=number,
            total=2 * self.passes,
            loss=weighted_mean(misfit, problem.weight),
            criterion=best.error,
            criterion_name=HELD_OUT_ERROR,
            chosen=best.chosen,
            image=best.image,
        )


def _smooth_filling(problem: Problem, known: Tensor) -> Tensor:
    """Return the image (1, C, *S) of a measurement, filled smoothly, plane by plane, where it is not known."""
    measured = problem.measured
    planes = zip(measured.flatten(0, -3).cpu().numpy(), known.flatten(0, -3).cpu().numpy(), strict=True)
    filled = np.stack([_fill_biharmonic(plane, weight == 0) for plane, weight in planes]).astype(np.float32)
    return problem.operator.interpolate(torch.from_numpy(filled).reshape(measured.shape).to(measured.device))


def _fill_biharmonic(plane: np.ndarray, missing: np.ndarray) -> np.ndarray:
    if not missing.any() or missing.all():
        return plane
    filled = run_stage("Filling smoothly", partial(inpaint_biharmonic, plane, missing))
    # In the middle of large holes the equations leave the range of what is known.
    return np.asarray(np.clip(filled, plane[~missing].min(), plane[~missing].max()))

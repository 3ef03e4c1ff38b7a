"""Non-local filling: what is missing, or lies between large pixels, grows out of patches that look alike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
import torch
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from ..patches import nl_ridge as collaborative
from ..patches.patch_denoising import on_planes, share, too_small
from ..physics.misfit import weighted_mean
from ..physics.operators import Downsample, Identity
from ..problem import Problem, Step
from ..settings import Setting
from ..training.best import Best
from ..training.held_out import hold_out_like_missing
from . import pre_denoising as quieting
from .back_projection import agreeing
from .method import SeededMethod
from .reslicing import sections

FIRST, LAST = 3.0, 0.08
"""Strength of the first and the last pass, in units of the error that the smooth filling is found to have."""

BIHARMONIC = 600
"""Bytes per pixel that the equations of the smooth filling take where half of the pixels is missing (measured)."""


@final
@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(SeededMethod):
    """Fill by patches that look alike, again and again, each time with less smoothing.

    Begins with a smooth (biharmonic) filling, or the interpolation of large pixels. Every pass takes the image for
    noisy, denoises it by non-local ridge regression (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992)
    and lets it agree with what was measured: by putting the known pixels back, or by back-projection (Irani & Peleg
    1991, doi 10.1016/1049-9652(91)90045-L). The noise that it reckons with falls from pass to pass (cf. plug-and-play
    priors, Venkatakrishnan et al. 2013, doi 10.1109/GlobalSIP.2013.6737048). Pixels that were hidden like the missing
    ones decide when to stop, and how much of the smooth filling stays.

    Fails inside of holes that are larger than a patch and its surroundings: what grows there is smooth. Large pixels
    that are noisy are denoised first. Planes of a volume, and channels, are filled one by one.
    """

    passes: Annotated[int, Setting("Passes", "the most passes; the last ones are the finest", 1, 1000, False)] = 24
    group_size: Annotated[int, Setting("Patches", "patches in a group of similar ones", 2, 1000)] = 40
    search_radius: Annotated[
        int, Setting("Reach", "pixels around a patch in which others like it are looked for", 1, 100)
    ] = 10

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        return too_small(problem.operator.image_shape(tuple(problem.measured.shape[2:])))

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per pass: first without the pixels that judge, then, up to the best pass, with them.

        Raises
        ------
        ValueError
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        if isinstance(problem.operator, Downsample):
            # Back-projection would bring the noise back.
            problem = quieting.pre_denoised(problem, sections(problem.operator))
        known = (problem.weight > 0).to(problem.measured.dtype)
        held_out = hold_out_like_missing(known, self.generator(problem))
        starts = [_smooth(problem, part) for part in (known * (1 - held_out), known)]
        best = Best(problem, held_out, starts[0])
        strength = self._strengths(problem, starts[0], held_out)
        restricted, chosen = starts[0], 1
        for number, image in enumerate(self._fill(problem, starts[0], known * (1 - held_out), strength), start=1):
            best.offer(number, image)
            if int(best.chosen) == number:
                restricted, chosen = image, number
            yield self._step(problem, number, best)
        seen = starts[1]
        for number, image in enumerate(self._fill(problem, starts[1], known, strength[:chosen]), start=1):
            seen = image
            step = self._step(problem, self.passes + number, best)
            if number < chosen:
                yield step
        part = share(problem, restricted, starts[0], held_out)
        yield dataclasses.replace(step, image=torch.lerp(starts[1], seen, part))

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        rows, columns = shape[-2:]
        patches = collaborative.memory(rows, columns, group_size=self.group_size, search_radius=self.search_radius)
        filling = BIHARMONIC * math.prod(problem.measured.shape[-2:])
        return patches + filling + 10 * 4 * math.prod(shape) * problem.measured.shape[1]

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2: each is made twice at most."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        pixels = problem.measured.shape[1] * math.prod(shape)
        return (
            2
            * self.passes
            * collaborative.seconds(pixels, group_size=self.group_size, search_radius=self.search_radius)
        )

    def _strengths(self, problem: Problem, smooth: Tensor, held_out: Tensor) -> list[Tensor]:
        """Return the standard deviation that each pass reckons with, per channel."""
        spatial = tuple(range(2, smooth.ndim))
        squares = (problem.measured - problem.operator(smooth)).square() * held_out
        count = held_out.expand_as(squares).sum(dim=spatial, keepdim=True).clamp(min=1)
        error = (squares.sum(dim=spatial, keepdim=True) / count).sqrt()
        return [
            (error * float(part)).clamp(min=collaborative.SMALLEST_STRENGTH)
            for part in np.geomspace(FIRST, LAST, self.passes)
        ]

    @torch.no_grad()
    def _fill(self, problem: Problem, start: Tensor, known: Tensor, strength: list[Tensor]) -> Iterator[Tensor]:
        """Yield the image (1, C, *S) after each pass."""

        def refined(plane: Tensor, variance: Tensor) -> Tensor:
            return collaborative.refine(
                plane, plane, variance, group_size=self.group_size, search_radius=self.search_radius
            )

        measured_itself = isinstance(problem.operator, Identity)
        image = agreeing(problem, start, known)
        for deviation in strength:
            means = on_planes(refined, image, deviation.square().expand_as(image))
            image = agreeing(problem, means, known)
            # Known pixels keep their noise in what the next pass begins with, not in what is shown.
            yield means if measured_itself else image

    def _step(self, problem: Problem, number: int, best: Best) -> Step:
        misfit = problem.misfit.pointwise(problem.operator(best.image), problem.measured)
        return Step(
            number=number,
            total=2 * self.passes,
            loss=weighted_mean(misfit, problem.weight),
            criterion=best.error,
            criterion_name="held-out error",
            chosen=best.chosen,
            image=best.image,
        )


def _smooth(problem: Problem, known: Tensor) -> Tensor:
    """Return the image (1, C, *S) of a measurement with a smooth filling where nothing is known, plane by plane."""
    measured = problem.measured
    planes = zip(measured.flatten(0, -3).cpu().numpy(), known.flatten(0, -3).cpu().numpy(), strict=True)
    filled = np.stack([_biharmonic(plane, weight == 0) for plane, weight in planes]).astype(np.float32)
    return problem.operator.interpolate(torch.from_numpy(filled).reshape(measured.shape).to(measured.device))


def _biharmonic(plane: np.ndarray, missing: np.ndarray) -> np.ndarray:
    if not missing.any() or missing.all():
        return plane
    # Within the range of what is known, which the equations leave in the middle of large holes.
    filled = inpaint_biharmonic(plane, missing)
    return np.asarray(np.clip(filled, plane[~missing].min(), plane[~missing].max()))

"""Pre-denoising: find out whether an image that is to be enlarged is noisy, and remove the noise first.

What is estimated as noise from one image alone can be its finest texture, which super-resolution needs. The two differ
when the image is reduced once more by its operator: white noise is averaged away, and texture, which is similar at all
scales, stays.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from ..patches import similar_patches
from ..patches.patch_denoising import denoise
from ..physics.misfit import GaussianMisfit, Misfit
from ..physics.operators import Downsample, Identity
from ..problem import Problem
from .reslicing import IN_PLANE, resliced

BLOCK = 8
"""Pixels along a side of the blocks whose fine detail is compared."""

SMOOTH, TYPICAL = 0.1, 0.3
"""Quantiles of the blocks: the smoothest ones decide whether there is noise, more of them how much."""

NOISY = 0.3
"""Share of the fine detail of the smoothest blocks above which it is noise (measured: clean images up to 0.25, noise of
5 % of the range 0.52 and more, of 3 % in small images full of structure 0.32 to 0.44)."""

PROBE = 256
"""Pixels along a side of the white noise by which the operator is probed."""

EXAGGERATED = 1.5
"""How much stronger than the noise that was found the noise of the misfit may be to be used."""


def pre_denoised(problem: Problem, operator: Downsample) -> Problem:
    """Return the problem with its measurement denoised by similar patches if it is noisy, else unchanged.

    Parameters
    ----------
    problem : Problem
        A problem whose image is to be enlarged.
    operator : Downsample
        What reduces its planes.
    """
    if min(problem.measured.shape[-2:]) < 2 * similar_patches.SMALLEST_SIDE:
        return problem
    deviation = white_noise(resliced(problem.measured, IN_PLANE), operator)
    if deviation is None:
        return problem
    misfit = _plausible_misfit(problem.misfit, problem.measured, deviation)
    *_, measured = denoise(dataclasses.replace(problem, operator=Identity(), misfit=misfit))
    return dataclasses.replace(problem, measured=measured, misfit=misfit)


def white_noise(planes: Tensor, operator: Downsample) -> float | None:
    """Return the standard deviation of the white noise of planes (N, C, rows, columns); None if there is hardly any."""
    probe = torch.randn((1, 1, PROBE, PROBE), generator=torch.Generator().manual_seed(0)).to(planes.device)
    left = float(_detail(operator(probe), TYPICAL) / _detail(probe, TYPICAL))
    reduced = operator(planes)
    if min(reduced.shape[-2:]) <= BLOCK or left >= 1:
        return None
    smooth, typical = (
        float((_detail(planes, quantile) - _detail(reduced, quantile)) / (1 - left)) for quantile in (SMOOTH, TYPICAL)
    )
    is_noise = smooth > NOISY * float(_detail(planes, SMOOTH)) and typical > 0
    # Structure becomes finer when it is reduced, by which typical blocks may hide their noise.
    return max(smooth, typical) ** 0.5 if is_noise else None


def _detail(planes: Tensor, quantile: float) -> Tensor:
    """Return the variance of the finest detail of planes, a quantile over their blocks."""
    rows = planes[..., 1:, :] - planes[..., :-1, :]
    detail = (rows[..., 1:] - rows[..., :-1]) / 2
    blocks = functional.avg_pool2d(detail.square(), BLOCK).flatten()
    return blocks.sort().values[int(quantile * (len(blocks) - 1))]


def _plausible_misfit(misfit: Misfit, measured: Tensor, deviation: float) -> Misfit:
    """Return the misfit if its noise is about as strong as the one that was found, else that of equal noise."""
    slope = misfit.stabilise(measured + deviation) - misfit.stabilise(measured)
    expected = deviation / float(slope.median().clamp(min=1e-6))
    plausible = deviation / EXAGGERATED < expected < EXAGGERATED * deviation
    return misfit if plausible else GaussianMisfit(deviation)

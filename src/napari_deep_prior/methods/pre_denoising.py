"""Quieting: whether an image that is to be enlarged is noisy, and what it is without noise.

What is estimated as noise from one image alone can be its finest texture, which super-resolution lives on. The two
differ when the image is measured again, by the operator: white noise is averaged away, and texture, which looks alike
at all scales, stays.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from ..patches import nl_ridge as collaborative
from ..patches import patch_denoising as refinement
from ..physics.misfit import GaussianMisfit, Misfit
from ..physics.operators import Downsample, Identity
from ..problem import Problem
from .reslicing import Reslicing, cut

BLOCK = 8
"""Pixels along a side of the blocks whose fine detail is compared."""

SMOOTH, TYPICAL = 0.1, 0.3
"""Quantiles of the blocks: the smoothest ones tell whether there is noise, more of them how much."""

NOISY = 0.4
"""Share of the fine detail of the smoothest blocks from which on noise is believed in (measured: clean images up to
0.25, noise of 5 % of the range 0.52 and more)."""

PROBE = 256
"""Pixels along a side of the white noise that tells how much of it the operator leaves."""

EXAGGERATED = 1.5
"""How much stronger than found the noise of the misfit may be to be believed."""


def pre_denoised(problem: Problem, sections: Reslicing) -> Problem:
    """Return the problem with its measurement denoised by patches that look alike, if it is noisy, else itself."""
    if min(problem.measured.shape[-2:]) < 2 * collaborative.SMALLEST_SIDE:
        return problem
    planes = cut(problem.measured, (0, 1, 2))
    deviation = white_noise(planes, sections.operator)
    if deviation is None:
        return problem
    misfit = _believed(problem.misfit, problem.measured, deviation)
    posed = dataclasses.replace(problem, operator=Identity(), misfit=misfit)
    *_, measured = refinement.denoise(posed)
    return dataclasses.replace(problem, measured=measured, misfit=misfit)


def white_noise(planes: Tensor, operator: Downsample) -> float | None:
    """Return the standard deviation of the noise of planes (N, C, rows, columns); None if it is not worth the name."""
    probe = torch.randn((1, 1, PROBE, PROBE), generator=torch.Generator().manual_seed(0)).to(planes.device)
    left = float(_detail(operator(probe), TYPICAL) / _detail(probe, TYPICAL))
    again = operator(planes)
    if min(again.shape[-2:]) <= BLOCK or left >= 1:
        return None
    smooth, typical = (float((_detail(planes, part) - _detail(again, part)) / (1 - left)) for part in (SMOOTH, TYPICAL))
    believed = smooth > NOISY * float(_detail(planes, SMOOTH)) and typical > 0
    return typical**0.5 if believed else None


def _detail(planes: Tensor, quantile: float) -> Tensor:
    """Return the variance of the finest detail in the smoother blocks."""
    rows = planes[..., 1:, :] - planes[..., :-1, :]
    detail = (rows[..., 1:] - rows[..., :-1]) / 2
    blocks = functional.avg_pool2d(detail.square(), BLOCK).flatten()
    return blocks.sort().values[int(quantile * (len(blocks) - 1))]


def _believed(misfit: Misfit, measured: Tensor, deviation: float) -> Misfit:
    """Return the misfit, or noise of one strength everywhere if it has much more than was found."""
    slope = misfit.stabilise(measured + deviation) - misfit.stabilise(measured)
    expected = deviation / float(slope.median().clamp(min=1e-6))
    found = deviation / EXAGGERATED < expected < EXAGGERATED * deviation
    return misfit if found else GaussianMisfit(deviation)

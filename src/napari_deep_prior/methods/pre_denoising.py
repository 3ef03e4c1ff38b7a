"""Pre-denoising: find out whether an image that is to be enlarged is noisy, and remove the noise first.

What is estimated as noise from one image alone can be its finest texture, which super-resolution needs. The two differ
when the image is reduced once more by its operator: white noise is averaged away, and texture, which is similar at all
scales, stays.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch.nn import functional

from ..patches import similar_patches
from ..patches.patch_denoising import denoise
from ..patches.scales import blurred
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

VISIBLE = 0.006
"""Noise of the misfit counts from this share of the image's range on: what is weaker may be its texture."""

HARMFUL = 0.5
"""Share of noise in what makes an enlarged image agree with its measurement, from which on this does harm."""

SMALL = 32
"""Pixels along a side up to which noise that is estimated from an image is not believed: it has too few blocks."""

SMOOTHEST, PLAUSIBLE = 0.75, 0.5
"""Variance of the fine detail of the smoothest blocks, in units of the noise, if that is known exactly; and the least
of it with which noise of the misfit is believed."""


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
    misfit = _noise_of(problem, operator)
    if misfit is None:
        return problem
    *_, measured = denoise(dataclasses.replace(problem, operator=Identity(), misfit=misfit))
    return dataclasses.replace(problem, measured=measured, misfit=misfit)


def _noise_of(problem: Problem, operator: Downsample) -> Misfit | None:
    """Return the misfit of the noise that is to be removed; None if the image is better enlarged as it is.

    Structure that becomes finer when it is reduced can hide noise from :func:`white_noise`: then the noise of the
    problem's own misfit decides.
    """
    planes = resliced(problem.measured, IN_PLANE)
    found = white_noise(planes, operator)
    expected, believed = _expected_noise(problem, planes)
    if expected <= VISIBLE * float(planes.amax() - planes.amin()):
        return None if found is None else _plausible_misfit(problem, found, otherwise=found)
    if found is None and _share_of_noise(planes, expected, operator) < HARMFUL:
        return None
    found = found or expected
    if believed and found < EXAGGERATED * expected:
        return problem.misfit
    return _plausible_misfit(problem, found, otherwise=math.sqrt(found * max(found, expected)))


def _expected_noise(problem: Problem, planes: Tensor) -> tuple[float, bool]:
    """Return the standard deviation of the noise of the misfit, and whether the smoothest blocks are as noisy as that.

    If they have less fine detail it is smaller; it is 0 where nothing is known of the noise.
    """
    if min(planes.shape[-2:]) <= SMALL or any(problem.noiseless):
        return 0.0, False
    variance = resliced(problem.misfit.pixel_variance(blurred(problem.measured)), IN_PLANE)
    smoothest = float(_quantile(_blocks(planes) / _mean_of_blocks(variance), SMOOTH))
    return math.sqrt(min(1.0, smoothest / SMOOTHEST) * float(variance.mean())), smoothest >= PLAUSIBLE


def _share_of_noise(planes: Tensor, deviation: float, operator: Downsample) -> float:
    """Return how much of the energy of a step of back-projection is that of white noise of a standard deviation."""

    def energy(image: Tensor) -> float:
        enlarged = operator.interpolate(image)
        rows, columns = image.shape[-2:]
        left = image - operator(enlarged)[..., :rows, :columns]
        return float(operator.interpolate(left).square().mean())

    return energy(deviation * _white(planes)) / max(energy(planes), 1e-12)


def white_noise(planes: Tensor, operator: Downsample) -> float | None:
    """Return the standard deviation of the white noise of planes (N, C, rows, columns); None if there is hardly any."""
    probe = _white(planes)
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


def _white(like: Tensor) -> Tensor:
    return torch.randn((1, 1, PROBE, PROBE), generator=torch.Generator().manual_seed(0)).to(like.device)


def _detail(planes: Tensor, quantile: float) -> Tensor:
    """Return the variance of the finest detail of planes, a quantile over their blocks."""
    return _quantile(_blocks(planes), quantile)


def _blocks(planes: Tensor) -> Tensor:
    """Return the variance of the finest detail of planes in each of their blocks: of white noise, its own."""
    rows = planes[..., 1:, :] - planes[..., :-1, :]
    return functional.avg_pool2d(((rows[..., 1:] - rows[..., :-1]) / 2).square(), BLOCK)


def _mean_of_blocks(planes: Tensor) -> Tensor:
    return functional.avg_pool2d(planes[..., 1:, 1:], BLOCK).clamp(min=1e-12)


def _quantile(blocks: Tensor, quantile: float) -> Tensor:
    values = blocks.flatten().sort().values
    return values[int(quantile * (len(values) - 1))]


def _plausible_misfit(problem: Problem, found: float, *, otherwise: float) -> Misfit:
    """Return the problem's misfit if its noise is about as strong as was found, else equal noise as strong as given."""
    misfit, measured = problem.misfit, problem.measured
    slope = misfit.stabilise(measured + found) - misfit.stabilise(measured)
    usual = found / float(slope.median().clamp(min=1e-6))
    plausible = found / EXAGGERATED < usual < EXAGGERATED * found
    return misfit if plausible else GaussianMisfit(otherwise)

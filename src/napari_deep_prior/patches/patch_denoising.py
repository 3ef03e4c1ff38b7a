"""Denoise by similar patches: alone, and as the last step after a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from ..physics.misfit import Misfit
from ..problem import Problem
from . import correlated_noise, nl_bayes, nl_ridge, scales
from .mixing import Estimate, channel_sums, likely_share, network_share
from .planes import map_planes
from .similar_patches import SMALLEST_SIDE, WIDE_STRIDE, find_similar_patches

COARSER = 1 / 3
"""Pixels of all coarser scales, as a share of those of the image."""

SECONDS_PER_IMAGE = 0.5
"""Seconds that an image takes whatever its size, on two cores with AVX2: the estimate of its noise, small scales."""

NOISE_SHARES = (0.3, 1.0)
"""Smallest and largest share of the expected noise that is assumed."""

USUAL_BAYES_SHARE, BAYES_SHARE_SPREAD = 0.9, 0.2
"""Share of NL-Bayes beside ridge regression, and its standard deviation from image to image, before any pixel is looked
at. Measured: held-out pixels alone can be wrong by 0.8 where all has edges, since they have to be guessed from around
them; this knowledge is worth 0.07 dB there, and nowhere costs more than 0.005 dB."""


@final
@dataclass(frozen=True)
class Patches:
    """An image, estimated by similar patches without the held-out pixels.

    Parameters
    ----------
    means : Tensor, (1, C, *S)
        Stabilised means.
    bayes_share : Tensor, (1, C, 1, ...)
        Share of the last estimate, by NL-Bayes, beside the one before: it is better where the image is flat, the other
        where fine structures repeat themselves.
    """

    means: Tensor
    bayes_share: Tensor


def why_not(problem: Problem) -> str:
    """Return why similar patches cannot solve a problem; empty if they can."""
    if not problem.operator.is_identity:
        return "something else than the image itself was measured, and similar patches can only denoise"
    return too_small(tuple(problem.measured.shape[2:]))


def too_small(shape: tuple[int, ...]) -> str:
    """Return that an image of this spatial shape is too small for patches; empty if it is not."""
    side = min(shape[-2:])
    if side >= SMALLEST_SIDE:
        return ""
    return f"the image is only {side} pixels wide, and patches need {SMALLEST_SIDE}"


def memory(problem: Problem) -> int:
    """Return about how many bytes :func:`refine` needs."""
    rows, columns = problem.measured.shape[-2:]
    return nl_ridge.memory(rows, columns)


def seconds(problem: Problem) -> float:
    """Return about how long :func:`denoise` takes on two cores with AVX2."""
    return seconds_of(problem.measured.numel())


def seconds_of(pixels: int) -> float:
    """Return the same for a number of pixels."""
    passes = (3, pixels), (2, round(COARSER * pixels))
    return SECONDS_PER_IMAGE + sum(count * nl_ridge.seconds(each, stride=WIDE_STRIDE) for count, each in passes)


def estimate_count(problem: Problem) -> int:
    """Return how many images :func:`denoise` yields."""
    return correlated_noise.ESTIMATES if _is_correlated(problem) else scales.ESTIMATES


@torch.no_grad()
def denoise(problem: Problem) -> Iterator[Tensor]:
    """Yield the image (1, C, *S), again and again better; missing pixels are filled first."""
    for means in _estimates(problem, stabilised(problem)):
        yield problem.misfit.unstabilise(means)


@torch.no_grad()
def estimate(problem: Problem, held_out: Tensor) -> Estimate:
    """Return the stabilised means (1, C, *S) that :func:`denoise` ends with, without held-out pixels and with all."""
    *_, restricted = _estimates(problem, stabilised(problem, held_out))
    *_, full = _estimates(problem, stabilised(problem))
    return Estimate(restricted=restricted, full=full)


@torch.no_grad()
def denoise_without_held_out(problem: Problem, held_out: Tensor) -> Patches:
    """Return what similar patches give without the pixels where ``held_out`` is 1, which decide between two ways."""
    *_, by_ridge, by_bayes = _passes(stabilised(problem, held_out), problem.misfit)
    share = likely_share(problem, by_bayes, by_ridge, held_out, usual=USUAL_BAYES_SHARE, spread=BAYES_SHARE_SPREAD)
    return Patches(means=torch.lerp(by_ridge, by_bayes, share), bayes_share=share)


@torch.no_grad()
def stabilised(problem: Problem, held_out: Tensor | None = None) -> Tensor:
    """Return the stabilised measurement (1, C, *S), its missing and held-out pixels filled from their neighbours."""
    missing = problem.weight == 0
    if held_out is not None:
        missing = (missing | (held_out > 0)).expand_as(problem.measured)
    return fill_missing(problem.misfit.stabilise(problem.measured), missing)


@torch.no_grad()
def refine(problem: Problem, estimate: Estimate, patches: Patches, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """Mix an estimate with similar patches, denoise with that as the pilot, and mix in the estimate once more.

    Most errors of the last pass are those of similar patches, and the estimate has others. Its share at the end is the
    square of that in the pilot: where patches are better even a tenth of it does harm (measured on textures).

    Parameters
    ----------
    problem : Problem
        The problem that is solved.
    estimate : Estimate
        Stabilised means from another method than patches.
    patches : Patches
        What :func:`denoise_without_held_out` returned.
    held_out : Tensor, (1, 1, *S)
        1 on pixels that neither ``estimate.restricted`` nor ``patches.means`` has used: there they are compared.

    Returns
    -------
    image : Tensor, (1, C, *S)
    share : Tensor, (1, C, 1, ...)
        That of the estimate in the pilot (:func:`.network_share`).
    """
    misfit = problem.misfit
    compared = ((held_out * problem.weight) > 0).to(estimate.restricted.dtype)
    noisy = torch.where(problem.weight > 0, misfit.stabilise(problem.measured), estimate.restricted)
    share = network_share(problem, estimate.restricted, patches.means, held_out)
    noise_share = torch.ones((), device=noisy.device)
    if compared.any():
        # Where there is less noise than was expected, the estimate of the noise contains texture.
        mixture = torch.lerp(patches.means, estimate.restricted, share)
        expected = misfit.variance_at(mixture) * compared
        found = channel_sums((mixture - noisy).square() * compared)
        noise_share = (found / channel_sums(expected).clamp(min=1e-12)).clamp(*NOISE_SHARES)
    # The shares are known: from here on all pixels are used.
    *_, by_ridge, by_bayes = _passes(noisy, misfit, noise_share)
    pilot = torch.lerp(torch.lerp(by_ridge, by_bayes, patches.bayes_share), estimate.full, share)
    variance = noise_share * misfit.variance_at(pilot)
    denoised = map_planes(_denoise_in_both_ways, noisy, pilot, variance, patches.bayes_share.expand_as(pilot))
    refined = torch.lerp((pilot + denoised) / 2, estimate.full, share.square())
    return misfit.unstabilise(refined), share


def fill_missing(image: Tensor, missing: Tensor) -> Tensor:
    """Return an image with each missing pixel replaced by the mean of the nearest known ones of its plane.

    A plane without any known pixel becomes 0.
    """
    planes = image.flatten(0, -3)[:, None]
    known = (~missing).to(image.dtype).flatten(0, -3)[:, None]
    planes = planes * known
    while (known.sum(dim=(2, 3)) % known[0].numel()).any():
        around = functional.avg_pool2d(known, 3, stride=1, padding=1, divisor_override=1)
        sums = functional.avg_pool2d(planes, 3, stride=1, padding=1, divisor_override=1)
        planes = torch.where(known > 0, planes, sums / around.clamp(min=1))
        known = ((known > 0) | (around > 0)).to(image.dtype)
        planes = planes * known
    return planes.reshape(image.shape)


def _denoise_in_both_ways(noisy: Tensor, pilot: Tensor, variance: Tensor, bayes_share: Tensor) -> Tensor:
    """Return a plane denoised by ridge regression and by NL-Bayes, from the same groups of similar patches."""
    corners = find_similar_patches(pilot)
    by_ridge = nl_ridge.denoise_groups(noisy, pilot, scales.REMOVED * variance, corners)
    by_bayes = nl_bayes.denoise_groups(noisy, pilot, scales.REMOVED_LAST * variance, corners)
    return torch.lerp(by_ridge, by_bayes, bayes_share)


def _estimates(problem: Problem, noisy: Tensor) -> Iterator[Tensor]:
    """Yield ever better estimates of the means of stabilised pixels (1, C, *S)."""
    if _is_correlated(problem):
        return correlated_noise.estimates(noisy, problem.misfit.variance_at, problem.correlations)
    return _passes(noisy, problem.misfit)


def _passes(noisy: Tensor, misfit: Misfit, noise_share: Tensor | float = 1.0) -> Iterator[Tensor]:
    """Yield ever better estimates of the means of stabilised pixels; ``noise_share`` scales their variance."""
    return scales.estimates(noisy, lambda means: noise_share * misfit.variance_at(means))


def _is_correlated(problem: Problem) -> bool:
    """Return whether the noise of neighbouring pixels is known to be correlated, in an image that is large enough."""
    shape = tuple(problem.measured.shape)
    return problem.correlation_length > 1 and bool(problem.correlations) and correlated_noise.is_possible(shape)

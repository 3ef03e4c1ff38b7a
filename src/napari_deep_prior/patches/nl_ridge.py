"""Non-local ridge regression: similar patches are denoised together.

NL-Ridge (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992): each patch of a group of similar ones is
replaced by the linear combination of the group of least expected squared error, that of the pilot's patches (the pilot
is an estimate of the noiseless image). Without a pilot the singular values of the noisy group are shrunk instead
(Gavish & Donoho 2017, doi 10.1109/TIT.2017.2653801), which leaves less noise where the image is flat. For white noise
only (see :mod:`.correlated_noise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..progress.stages import checkpoint, stage
from .similar_patches import (
    CHUNK,
    GROUP_SIZE,
    PATCH,
    SEARCH_RADIUS,
    STAGE,
    STRIDE,
    Overlap,
    find_similar_patches,
    group_count,
    patch_totals,
    places_in_patch,
    search_memory,
)

GROUP_SIZE_FIRST = 40
"""Patches in a group without a pilot, which would find the similar patches more reliably."""

LIFT = 8.0
"""Standard deviations of the noise by which the darkest pixel is lifted above zero."""

SECONDS_SEARCHING, SECONDS_COMBINING = 0.4e-8, 0.8e-7
"""Seconds per pixel and candidate patch, and per pixel and patch of a group, on two cores with AVX2 (a slow one of the
processors that it was measured on; others take half of it)."""

SMALLEST_DEVIATION = 5e-4
"""Least standard deviation of the noise, in canonical units: below it the equations of equal patches are singular."""


@torch.no_grad()
def denoise_from_itself(noisy: Tensor, variance: Tensor, *, stride: int = STRIDE) -> Tensor:
    """Denoise a plane without a pilot.

    Parameters
    ----------
    noisy, variance : Tensor, (rows, columns)
        The plane, at least :data:`.SMALLEST_SIDE` pixels along each side, and the variance of the noise of each pixel.
    stride : int
        Pixels between two patches for which a group is made.
    """
    corners = find_similar_patches(noisy, group_size=GROUP_SIZE_FIRST, stride=stride)
    lift = _lift(noisy, variance)
    return _combine((noisy - lift)[None], noisy - lift, variance, corners, _combinations_of_noisy)[0] + lift


@torch.no_grad()
def denoise_with_pilot(
    noisy: Tensor,
    pilot: Tensor,
    variance: Tensor,
    *,
    group_size: int = GROUP_SIZE,
    search_radius: int = SEARCH_RADIUS,
    stride: int = STRIDE,
) -> Tensor:
    """Denoise a plane with the help of a pilot, an estimate of the noiseless plane.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        At least :data:`.SMALLEST_SIDE` pixels along each side; the variance is that of the noise of each pixel.
    group_size : int
        Patches in a group; the better the pilot is, the more of them help. More take longer.
    search_radius : int
        Pixels around a patch within which similar ones are searched.
    stride : int
        Pixels between two patches for which a group is made.
    """
    corners = find_similar_patches(pilot, group_size=group_size, search_radius=search_radius, stride=stride)
    return denoise_groups(noisy, pilot, variance, corners)


@torch.no_grad()
def denoise_groups(noisy: Tensor, pilot: Tensor, variance: Tensor, corners: Tensor) -> Tensor:
    """Denoise a plane by groups of similar patches.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        As in :func:`denoise_with_pilot`.
    corners : Tensor, (groups, group_size)
        What :func:`find_similar_patches` found, in this plane or in another one of the same image.
    """
    lift = _lift(pilot, variance)
    return _combine((noisy - lift)[None], pilot - lift, variance, corners, _combinations_of_clean)[0] + lift


@torch.no_grad()
def denoise_and_respond(
    noisy: Tensor, pilot: Tensor, variance: Tensor, *, probe: Tensor, stride: int = STRIDE
) -> tuple[Tensor, Tensor]:
    """Return what :func:`denoise_with_pilot` returns, and what the same linear combinations make of another plane.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        As in :func:`denoise_with_pilot`.
    stride : int
        Pixels between two patches for which a group is made.
    probe : Tensor, (rows, columns)
        The other plane: noise, to see how much of it the combinations keep.
    """
    corners = find_similar_patches(pilot, stride=stride)
    lift = _lift(pilot, variance)
    planes = torch.stack([noisy - lift, probe])
    denoised, response = _combine(planes, pilot - lift, variance, corners, _combinations_of_clean)
    return denoised + lift, response


def seconds(
    pixels: int,
    *,
    channels: int = 1,
    group_size: int = GROUP_SIZE,
    search_radius: int = SEARCH_RADIUS,
    stride: int = STRIDE,
) -> float:
    """Return about how long one pass takes on two cores with AVX2, for channels that share the search."""
    candidates = (2 * search_radius + 1) ** 2
    groups = (STRIDE / stride) ** 2
    return pixels * (SECONDS_SEARCHING * candidates + SECONDS_COMBINING * groups * channels * group_size)


def memory(rows: int, columns: int, *, group_size: int = GROUP_SIZE, search_radius: int = SEARCH_RADIUS) -> int:
    """Return about how many bytes a pass over a plane of that size needs.

    The solution follows the search, of whose memory the allocator of most systems keeps about half.
    """
    groups = group_count(rows, columns)
    at_a_time = min(groups, CHUNK)
    patches = 4 * at_a_time * group_size * PATCH**2
    squares = 4 * at_a_time * group_size**2
    # The patches with pilot, and twice as much for the places of their pixels; the equations, their solutions, and the
    # solutions of the groups before.
    solving = 4 * patches + (6 if groups > CHUNK else 5) * squares + 8 * groups * group_size
    searching = search_memory(groups, group_size=group_size, search_radius=search_radius)
    return max(searching, solving + searching // 2) + 4 * 4 * rows * columns


def _lift(pilot: Tensor, variance: Tensor) -> Tensor:
    """Return a level below all of a plane's pixels.

    Combinations shrink towards zero. Far away from it their sum is close to 1, and dark regions keep their level.
    """
    return pilot.min() - LIFT * variance.max().sqrt()


@stage(STAGE)
def _combine(
    planes: Tensor, pilot: Tensor, variance: Tensor, corners: Tensor, combine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return planes (N, rows, columns), combined by those combinations that ``combine`` finds for the pilot."""
    within = places_in_patch(pilot)
    values, overlap = planes.flatten(1), Overlap(planes)
    noise_of_patches = patch_totals(variance).ravel()
    for group in corners.split(CHUNK):
        checkpoint()
        pixels = group[:, :, None] + within
        noise = noise_of_patches[group].mean(dim=1)[:, None, None]
        combination = combine(pilot.ravel()[pixels], noise)
        # A combination of many patches has less noise left, and counts more where patches overlap.
        trust = 1 / combination.square().sum(dim=2, keepdim=True).clamp(min=1e-3)
        overlap.add(pixels, (combination @ plane[pixels] for plane in values), trust)
    return overlap.means()


def _combinations_of_clean(patches: Tensor, noise: Tensor) -> Tensor:
    """Return the combinations (G, K, K) of least expected squared error for groups of noiseless patches.

    Parameters
    ----------
    patches : Tensor, (G, K, pixels)
        Groups of patches without noise.
    noise : Tensor, (G, 1, 1)
        Variance of the noise, summed over the pixels of a patch.
    """
    gram = patches @ patches.mT
    identity = torch.eye(patches.shape[1], device=patches.device)
    factor, failed = torch.linalg.cholesky_ex(gram + noise * identity)
    if failed.any():
        # So little noise that rounding has made the equations indefinite.
        combinations: Tensor = torch.linalg.solve(gram + noise * identity, gram).mT
        return combinations
    return identity - noise * torch.cholesky_inverse(factor)


def _combinations_of_noisy(patches: Tensor, noise: Tensor) -> Tensor:
    """Return the combinations that shrink the singular values of groups of noisy patches; arguments as above.

    What noise alone reaches becomes 0, and the rest what is best for a large matrix of low rank (squared error).
    """
    values, vectors = torch.linalg.eigh(patches @ patches.mT)
    short, long = sorted(patches.shape[1:])
    beta = short / long
    squares = (values * PATCH**2 / (long * noise[:, 0])).clamp(min=1e-6)
    shrunk = ((squares - beta - 1).square() - 4 * beta).clamp(min=0).sqrt() / squares
    kept = torch.where(squares > (1 + math.sqrt(beta)) ** 2, shrunk, 0.0)
    combinations: Tensor = (vectors * kept[:, None]) @ vectors.mT
    return combinations

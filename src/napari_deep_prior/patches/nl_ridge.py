"""Non-local ridge regression: similar patches are denoised together.

NL-Ridge (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992): each patch of a group of similar ones is
replaced by the linear combination of the group of least expected squared error, that of the pilot's patches (the pilot
is an estimate of the noiseless image). Without a pilot the singular values of the noisy group are shrunk instead
(Gavish & Donoho 2017, doi 10.1109/TIT.2017.2653801), which leaves less noise where the image is flat. For white noise
only: correlated noise is taken for structure and kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..progress.stages import checkpoint, stage

PATCH = 7
"""Pixels along a side of a patch."""

GROUP_SIZE_FIRST, GROUP_SIZE = 40, 55
"""Patches in a group without a pilot, and with one, which finds the similar patches more reliably."""

SEARCH_RADIUS = 6
"""Pixels around a patch within which similar ones are searched."""

STRIDE, WIDE_STRIDE = 4, 6
"""Pixels between two patches for which a group is made; the wide one halves the time and costs 0.03 dB (measured)."""

LIFT = 8.0
"""Standard deviations of the noise by which the darkest pixel is lifted above zero."""

CHUNK = 512
"""Groups that are solved at a time, to bound the memory; more at a time take longer on a CPU (measured: 2048 a quarter
more), since they do not fit into its caches."""

SECONDS_SEARCHING, SECONDS_COMBINING = 1.4e-8, 1.1e-7
"""Seconds per pixel and candidate patch, and per pixel and patch of a group, on two cores with AVX2.

For 512² pixels: 5 passes with 55 patches from 6 pixels around took 12 s; for 256² pixels 35 passes with 40 patches from
10 pixels around took 23 s.
"""

STAGE = "Comparing patches"
"""What a run says while similar patches are found and combined."""

SMALLEST_SIDE = PATCH + 1
"""Fewest pixels along a side of an image."""

SMALLEST_DEVIATION = 5e-4
"""Least standard deviation of the noise, in canonical units: below it the equations of equal patches are singular."""


@torch.no_grad()
def denoise_from_itself(noisy: Tensor, variance: Tensor, *, stride: int = STRIDE) -> Tensor:
    """Denoise a plane without a pilot.

    Parameters
    ----------
    noisy, variance : Tensor, (rows, columns)
        The plane, at least ``SMALLEST_SIDE`` pixels along each side, and the variance of the noise of each pixel.
    stride : int
        Pixels between two patches for which a group is made.
    """
    corners = find_similar_patches(noisy, group_size=GROUP_SIZE_FIRST, search_radius=SEARCH_RADIUS, stride=stride)
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
) -> Tensor:
    """Denoise a plane with the help of a pilot, an estimate of the noiseless plane.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        At least ``SMALLEST_SIDE`` pixels along each side; the variance is that of the noise of each pixel.
    group_size : int
        Patches in a group; the better the pilot is, the more of them help. More take longer.
    search_radius : int
        Pixels around a patch within which similar ones are searched.
    """
    corners = find_similar_patches(pilot, group_size=group_size, search_radius=search_radius)
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
    corners = find_similar_patches(pilot, group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS, stride=stride)
    lift = _lift(pilot, variance)
    planes = torch.stack([noisy - lift, probe])
    denoised, response = _combine(planes, pilot - lift, variance, corners, _combinations_of_clean)
    return denoised + lift, response


@torch.no_grad()
@stage(STAGE)
def find_similar_patches(image: Tensor, *, group_size: int, search_radius: int, stride: int = STRIDE) -> Tensor:
    """Find the most similar patches around a patch every ``stride`` pixels.

    Parameters
    ----------
    image : Tensor, (rows, columns)
        The plane that is searched.
    group_size, search_radius : int
        As in :func:`denoise_with_pilot`.
    stride : int
        Pixels between two patches for which a group is made.

    Returns
    -------
    Tensor, (groups, group_size), int64
        Index of the first pixel of each patch in the flattened plane. Fewer in a group where the plane has no more.
    """
    rows, columns = image.shape
    last_row, last_column = rows - PATCH, columns - PATCH
    at_rows, at_columns = (_positions(last, stride, image.device) for last in (last_row, last_column))
    radius = min(search_radius, max(last_row, last_column))
    shifts = [(down, right) for down in range(-radius, radius + 1) for right in range(-radius, radius + 1)]
    framed = functional.pad(image, (radius,) * 4)
    distances = torch.empty(len(shifts), len(at_rows), len(at_columns), device=image.device)
    for number, (down, right) in enumerate(shifts):
        checkpoint()
        shifted = framed[radius + down : radius + down + rows, radius + right : radius + right + columns]
        sums = _patch_sums((image - shifted).square(), at_rows, at_columns)
        inside_rows = (at_rows + down >= 0) & (at_rows + down <= last_row)
        inside_columns = (at_columns + right >= 0) & (at_columns + right <= last_column)
        distances[number] = sums.masked_fill(~(inside_rows[:, None] & inside_columns), torch.inf)
    # A patch belongs to its own group, also where the image is flat.
    distances[shifts.index((0, 0))] = -1
    inside = int(distances.isfinite().flatten(1).sum(dim=0).min())
    nearest = torch.cat([_nearest(part, min(group_size, inside)) for part in distances.flatten(1).split(CHUNK, dim=1)])
    offsets = torch.tensor(shifts, device=image.device)
    corner_rows = at_rows.repeat_interleave(len(at_columns))[:, None] + offsets[nearest][..., 0]
    corner_columns = at_columns.repeat(len(at_rows))[:, None] + offsets[nearest][..., 1]
    return corner_rows * columns + corner_columns


def places_in_patch(plane: Tensor) -> Tensor:
    """Return the places of the pixels of a patch, counted from its first one in the flattened plane."""
    steps = torch.arange(PATCH, device=plane.device)
    return (steps[:, None] * plane.shape[1] + steps).ravel()


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
    groups = math.prod(-(-max(0, length - PATCH) // STRIDE) + 1 for length in (rows, columns))
    candidates = (2 * search_radius + 1) ** 2
    at_a_time = min(groups, CHUNK)
    patches = 4 * at_a_time * group_size * PATCH**2
    squares = 4 * at_a_time * group_size**2
    # The patches with pilot, and twice as much for the places of their pixels; the equations, their solutions, and the
    # solutions of the groups before.
    solving = 4 * patches + (6 if groups > CHUNK else 5) * squares + 8 * groups * group_size
    # The distances, those that are finite, and a copy that is sorted.
    searching = int(2.25 * 4 * groups * candidates) + 28 * groups * group_size
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
    values = planes.flatten(1)
    totals = torch.zeros_like(values)
    weights = torch.zeros_like(values[0])
    for group in corners.split(CHUNK):
        checkpoint()
        pixels = group[:, :, None] + within
        noise = variance.ravel()[pixels].sum(dim=2).mean(dim=1)[:, None, None]
        combination = combine(pilot.ravel()[pixels], noise)
        # A combination of many patches has less noise left, and counts more where patches overlap.
        trust = (1 / combination.square().sum(dim=2, keepdim=True).clamp(min=1e-3)).expand_as(pixels)
        for total, plane in zip(totals, values, strict=True):
            total.index_add_(0, pixels.ravel(), (combination @ plane[pixels] * trust).ravel())
        weights.index_add_(0, pixels.ravel(), trust.ravel())
    return (totals / weights.clamp(min=1e-9)).reshape(planes.shape)


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


def _nearest(distances: Tensor, count: int) -> Tensor:
    """Return the candidates (groups, count) of smallest distance, of distances (candidates, groups)."""
    checkpoint()
    return distances.topk(count, dim=0, largest=False).indices.T


def _positions(last: int, stride: int, device: torch.device) -> Tensor:
    """Return every ``stride``-th position and the last one."""
    return torch.tensor(sorted({*range(0, last + 1, stride), last}), device=device)


def _patch_sums(values: Tensor, at_rows: Tensor, at_columns: Tensor) -> Tensor:
    """Return the sums over the patches with these corners, by running sums along one axis after the other."""
    sums = functional.pad(values.cumsum(0), (0, 0, 1, 0))
    sums = sums[at_rows + PATCH] - sums[at_rows]
    sums = functional.pad(sums.cumsum(1), (1, 0))
    return sums[:, at_columns + PATCH] - sums[:, at_columns]

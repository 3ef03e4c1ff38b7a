"""Collaborative ridge regression: patches that look alike are denoised together.

NL-Ridge (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992): each patch of a group of similar ones is
replaced by the linear combination of the group that is closest to the truth on average. Without a pilot the risk is
estimated from the noisy patches themselves, with one it is that of the pilot's patches. For white noise only.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PATCH = 7
"""Pixels along a side of a patch."""

GROUP_SIZE_FIRST, GROUP_SIZE = 18, 55
"""Patches in a group: without, and with a pilot, which tells better which ones are alike."""

SEARCH_RADIUS = 6
"""Pixels around a patch in which others like it are looked for."""

STRIDE = 4
"""Pixels between two patches for which a group is made."""

LIFT = 8.0
"""Standard deviations of the noise by which the darkest pixel is lifted above zero."""

CHUNK = 2048
"""Groups that are solved at a time, to bound the memory."""

SECONDS_SEARCHING, SECONDS_COMBINING = 7e-9, 4.5e-8
"""Seconds per pixel and candidate patch, and per pixel and patch of a group, on two cores with AVX2.

From 512² pixels: 48 passes with 40 patches from 10 pixels around took 58 s, 12 passes with 30 patches from 12 pixels
around 25 s in one channel and 36 s in three that share the search.
"""

SMALLEST_SIDE = PATCH + 1


SMALLEST_STRENGTH = 5e-4
"""Least standard deviation of the noise, in canonical units: the ridge of patches that are all alike has no solution
below."""


@torch.no_grad()
def first(noisy: Tensor, variance: Tensor) -> Tensor:
    """Return a plane (rows, columns) denoised from itself alone; ``variance`` is that of the noise of each pixel."""
    return _combine(
        noisy,
        noisy,
        variance,
        find_similar_patches(noisy, group_size=GROUP_SIZE_FIRST, search_radius=SEARCH_RADIUS),
        piloted=False,
    )


@torch.no_grad()
def refine(
    noisy: Tensor, pilot: Tensor, variance: Tensor, *, group_size: int = GROUP_SIZE, search_radius: int = SEARCH_RADIUS
) -> Tensor:
    """Return a plane denoised with the help of a pilot, an estimate of its truth.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        At least ``SMALLEST_SIDE`` pixels along each side; the variance is that of the noise.
    alike : int
        Patches in a group; more are better the better the pilot is, and take longer.
    reach : int
        Pixels around a patch in which others like it are looked for.
    """
    return refine_groups(
        noisy, pilot, variance, find_similar_patches(pilot, group_size=group_size, search_radius=search_radius)
    )


@torch.no_grad()
def refine_groups(noisy: Tensor, pilot: Tensor, variance: Tensor, corners: Tensor) -> Tensor:
    """Return what :func:`refine` does, with patches that :func:`find_alike` found, be it in another plane."""
    return _combine(noisy, pilot, variance, corners, piloted=True)


def seconds(
    pixels: int, *, channels: int = 1, group_size: int = GROUP_SIZE, search_radius: int = SEARCH_RADIUS
) -> float:
    """Return about how long one pass takes on two cores with AVX2, for channels that share the search."""
    candidates = (2 * search_radius + 1) ** 2
    return pixels * (SECONDS_SEARCHING * candidates + SECONDS_COMBINING * channels * group_size)


def memory(rows: int, columns: int, *, group_size: int = GROUP_SIZE, search_radius: int = SEARCH_RADIUS) -> int:
    """Return about how many bytes a plane of that size takes."""
    groups = (rows // STRIDE + 2) * (columns // STRIDE + 2)
    table = 4 * groups * (2 * search_radius + 1) ** 2
    chunk = 12 * 4 * CHUNK * group_size * PATCH**2
    return 2 * table + chunk + 12 * 4 * rows * columns


def _combine(noisy: Tensor, guide: Tensor, variance: Tensor, corners: Tensor, *, piloted: bool) -> Tensor:
    # Combinations shrink towards zero; from far away that leaves their sum at 1, and dark regions at their level.
    shift = guide.min() - LIFT * variance.max().sqrt()
    rows, columns = noisy.shape
    within = (torch.arange(PATCH)[:, None] * columns + torch.arange(PATCH)).ravel().to(noisy.device)
    total = torch.zeros(rows * columns, device=noisy.device)
    weights = torch.zeros_like(total)
    for group in corners.split(CHUNK):
        pixels = group[:, :, None] + within
        patches = noisy.ravel()[pixels] - shift
        spread = variance.ravel()[pixels].sum(dim=2).mean(dim=1)[:, None, None]
        combination = _ridge(guide.ravel()[pixels] - shift, spread, piloted=piloted)
        # What combines many patches has less noise left, and counts more where patches overlap.
        trust = (1 / combination.square().sum(dim=2, keepdim=True).clamp(min=1e-3)).expand_as(patches)
        total.index_add_(0, pixels.ravel(), (combination @ patches * trust).ravel())
        weights.index_add_(0, pixels.ravel(), trust.ravel())
    return (total / weights.clamp(min=1e-9)).reshape(rows, columns) + shift


def _ridge(patches: Tensor, spread: Tensor, *, piloted: bool) -> Tensor:
    """Return, for groups (G, K, pixels), the K × K combinations of least expected squared error.

    ``spread`` (G, 1, 1) is the variance of the noise, summed over the pixels of a patch.
    """
    combination: Tensor
    gram = patches @ patches.mT
    if piloted:
        identity = torch.eye(patches.shape[1], device=patches.device)
        combination = torch.linalg.solve(gram + spread * identity, gram).mT
        return combination
    # Directions in which there is less than noise are left out: with their negative weights they would add some.
    values, vectors = torch.linalg.eigh(gram)
    kept = (1 - spread[:, 0] / values.clamp(min=1e-6)).clamp(min=0)
    combination = (vectors * kept[:, None]) @ vectors.mT
    return combination


@torch.no_grad()
def find_similar_patches(image: Tensor, *, group_size: int, search_radius: int) -> Tensor:
    """Return for patches every ``STRIDE`` pixels the corners of the ``alike`` most similar ones, (groups, alike)."""
    rows, columns = image.shape
    last_row, last_column = rows - PATCH, columns - PATCH
    at_rows, at_columns = _positions(last_row, image.device), _positions(last_column, image.device)
    search_radius = min(search_radius, max(last_row, last_column))
    shifts = [
        (down, right)
        for down in range(-search_radius, search_radius + 1)
        for right in range(-search_radius, search_radius + 1)
    ]
    framed = functional.pad(image, (search_radius,) * 4)
    distances = torch.empty(len(shifts), len(at_rows), len(at_columns), device=image.device)
    for number, (down, right) in enumerate(shifts):
        shifted = framed[
            search_radius + down : search_radius + down + rows, search_radius + right : search_radius + right + columns
        ]
        sums = _patch_sums((image - shifted).square(), at_rows, at_columns)
        inside_rows = (at_rows + down >= 0) & (at_rows + down <= last_row)
        inside_columns = (at_columns + right >= 0) & (at_columns + right <= last_column)
        distances[number] = sums.masked_fill(~(inside_rows[:, None] & inside_columns), torch.inf)
    # A patch belongs to its own group, also where the picture is flat.
    distances[shifts.index((0, 0))] = -1
    inside = int(distances.isfinite().flatten(1).sum(dim=0).min())
    nearest = distances.flatten(1).topk(min(group_size, inside), dim=0, largest=False).indices.T
    offsets = torch.tensor(shifts, device=image.device)
    corner_rows = at_rows.repeat_interleave(len(at_columns))[:, None] + offsets[nearest][..., 0]
    corner_columns = at_columns.repeat(len(at_rows))[:, None] + offsets[nearest][..., 1]
    return corner_rows * columns + corner_columns


def _positions(last: int, device: torch.device) -> Tensor:
    """Return every ``STRIDE``-th position and the last one."""
    positions = sorted({*range(0, last + 1, STRIDE), last})
    return torch.tensor(positions, device=device)


def _patch_sums(values: Tensor, at_rows: Tensor, at_columns: Tensor) -> Tensor:
    """Return the sums over the patches with these corners, by running sums along one axis after the other."""
    sums = functional.pad(values.cumsum(0), (0, 0, 1, 0))
    sums = sums[at_rows + PATCH] - sums[at_rows]
    sums = functional.pad(sums.cumsum(1), (1, 0))
    return sums[:, at_columns + PATCH] - sums[:, at_columns]

"""Groups of similar patches: where they are found, and what the search takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from ..progress.stages import checkpoint, stage

PATCH = 7
"""Pixels along a side of a patch."""

GROUP_SIZE = 55
"""Patches in a group."""

SEARCH_RADIUS = 6
"""Pixels around a patch within which similar ones are searched."""

STRIDE, WIDE_STRIDE, WIDEST_STRIDE = 4, 6, PATCH
"""Pixels between two patches for which a group is made; the wide one halves the time and costs 0.03 dB (measured). With
the widest one the patches just touch: enough for a first estimate (no difference in the end, measured)."""

CHUNK = 128
"""Groups that are solved at a time, to bound the memory; more at a time take longer on a CPU, since they do not fit
into its caches (measured: 512 a fourteenth more, 2048 a third)."""

STAGE = "Comparing patches"
"""What a run says while similar patches are found and combined."""

SMALLEST_SIDE = PATCH + 1
"""Fewest pixels along a side of an image."""


@torch.no_grad()
@stage(STAGE)
def find_similar_patches(
    image: Tensor, *, group_size: int = GROUP_SIZE, search_radius: int = SEARCH_RADIUS, stride: int = STRIDE
) -> Tensor:
    """Find the most similar patches around a patch every ``stride`` pixels.

    Parameters
    ----------
    image : Tensor, (rows, columns)
        The plane that is searched.
    group_size, search_radius : int
        Patches in a group; pixels around a patch that are searched.
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
        sums = _patch_sums((image - shifted).square_(), stride)
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


def patch_totals(plane: Tensor) -> Tensor:
    """Return the sum (rows, columns) over the patch that begins at each pixel of a plane, which goes on by zeros."""
    return _patch_sums(functional.pad(plane, (0, PATCH - 1, 0, PATCH - 1)), 1)


@final
class Overlap:
    """Patches that are put back into a plane; where they overlap, it is their weighted mean.

    Parameters
    ----------
    planes : Tensor, (N, rows, columns)
        Planes of the shape of the result.
    """

    def __init__(self, planes: Tensor) -> None:
        self.totals = torch.zeros_like(planes)
        self.at_corners = torch.zeros_like(planes[0])

    def add(self, pixels: Tensor, patches: Iterable[Tensor], trust: Tensor) -> None:
        """Add patches.

        Parameters
        ----------
        pixels : Tensor, (G, K, pixels)
            Where the pixels of the patches lie in the flattened plane; the first one is that of the corner.
        patches : iterable of N Tensors, (G, K, pixels)
            Their values in each of the planes.
        trust : Tensor, (G, K, 1)
            Their weights.
        """
        for total, values in zip(self.totals, patches, strict=True):
            total.view(-1).index_add_(0, pixels.ravel(), (values * trust).ravel())
        self.at_corners.view(-1).index_add_(0, pixels[..., 0].ravel(), trust.ravel())

    def means(self) -> Tensor:
        """Return the planes; 0 where no patch lies."""
        weights = _patch_sums(functional.pad(self.at_corners, (PATCH - 1, 0, PATCH - 1, 0)), 1)
        return self.totals / weights.clamp(min=1e-9)


def group_count(rows: int, columns: int, *, stride: int = STRIDE) -> int:
    """Return how many groups :func:`find_similar_patches` finds in a plane."""
    return math.prod(-(-max(0, length - PATCH) // stride) + 1 for length in (rows, columns))


def search_memory(groups: int, *, group_size: int, search_radius: int) -> int:
    """Return about how many bytes :func:`find_similar_patches` needs."""
    # The distances, those that are finite, and a copy that is sorted.
    return int(2.25 * 4 * groups * (2 * search_radius + 1) ** 2) + 28 * groups * group_size


def _nearest(distances: Tensor, count: int) -> Tensor:
    """Return the candidates (groups, count) of smallest distance, of distances (candidates, groups)."""
    checkpoint()
    return distances.topk(count, dim=0, largest=False).indices.T


def _positions(last: int, stride: int, device: torch.device) -> Tensor:
    """Return every ``stride``-th position and the last one."""
    return torch.tensor(sorted({*range(0, last + 1, stride), last}), device=device)


def _patch_sums(values: Tensor, stride: int) -> Tensor:
    """Return the sums over the patches whose first pixels are at :func:`_positions`, along one axis after the other."""
    return _sums_of_lines(_sums_of_lines(values, stride).T, stride).T


def _sums_of_lines(values: Tensor, stride: int) -> Tensor:
    """Return the sums over the lines of patches: every ``stride``-th, and the last one."""
    sums = values.unfold(0, PATCH, stride).sum(dim=2)
    ends_there = (len(values) - PATCH) % stride == 0
    return sums if ends_there else torch.cat([sums, values[-PATCH:].sum(dim=0, keepdim=True)])

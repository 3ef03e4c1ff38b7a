"""Fill missing pixels by similar patches: what is missing of a patch follows from what is known of it.

The patches of a group of similar ones are taken for samples of one Gaussian distribution. Its mean and its covariance
say how the missing pixels of a patch depend on its known ones, and the conditional mean fills them (piecewise linear
estimators: Yu, Sapiro & Mallat 2012, doi 10.1109/TIP.2011.2176743). Known pixels are not averaged with those of other
patches, as in denoising: texture that is known stays, and continues into what is missing.

A group has too few patches for a covariance of its own. The usual covariance of the image, scaled to the contrast of
the group, is mixed in: where the group says little, pixels are interpolated (cf. hyperprior Bayesian estimation,
Aguerrebere et al. 2017, doi 10.1109/TCI.2017.2704439).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..progress.stages import checkpoint, stage
from .nl_bayes import statistics
from .similar_patches import CHUNK, PATCH, STAGE, find_similar_patches, group_count, places_in_patch, search_memory

STRIDE = 3
"""Pixels between two patches for which a group is made; 4 costs 0.1 to 0.3 dB, 2 takes twice the time (measured)."""

USUAL = 10.0
"""Patches that the usual covariance of the image counts for, beside those of a group."""

LEAST_NOISE = 1e-5
"""Least variance of the noise, as a share of the variance of a group's pixels: rounding makes some anyway."""

LEAST_VARIANCE = 1e-5, 1e-7
"""Least variance, in canonical units squared, that is left of a filled pixel, and least one of the noise: the image's
own grey levels are not finer."""


@torch.no_grad()
def fill(image: Tensor, known: Tensor, variance: Tensor, *, group_size: int, search_radius: int) -> Tensor:
    """Return a plane (rows, columns) whose missing pixels are filled better.

    Patches that are known completely are not looked at: known pixels far from all missing ones do not change.

    Parameters
    ----------
    image : Tensor, (rows, columns)
        The known pixels as they were measured, and a first filling, by which similar patches are found. At least
        :data:`.SMALLEST_SIDE` pixels along each side.
    known : Tensor, (rows, columns)
        1 where a pixel is known, 0 where it is missing.
    variance : Tensor, (rows, columns)
        Of the noise of each known pixel; it is removed.
    group_size, search_radius : int
        As in :func:`.nl_ridge.denoise_with_pilot`.
    """
    corners = find_similar_patches(image, group_size=group_size, search_radius=search_radius, stride=STRIDE)
    # The first patch of a group is the one for which it was made.
    incomplete = (known.ravel()[corners[:, :1] + places_in_patch(image)] == 0).any(dim=1)
    return _filled(image, known, variance, corners[incomplete]) if incomplete.any() else image


def memory(rows: int, columns: int, *, group_size: int, search_radius: int) -> int:
    """Return about how many bytes it needs for a plane of that size."""
    groups = group_count(rows, columns, stride=STRIDE)
    searching = search_memory(groups, group_size=group_size, search_radius=search_radius)
    at_a_time = min(groups, CHUNK)
    # The patches, twice as much for the places of their pixels, their deviations; the covariances and the equations.
    solving = at_a_time * (4 * 5 * group_size * PATCH**2 + 4 * 9 * PATCH**4) + 8 * groups * group_size
    return max(searching, solving + searching // 2) + 4 * 6 * rows * columns


@stage(STAGE)
def _filled(image: Tensor, known: Tensor, variance: Tensor, corners: Tensor) -> Tensor:
    """Return the plane with the first patches of all groups filled; where they overlap the surest counts most."""
    within = places_in_patch(image)
    values, is_known, noise = image.ravel(), known.ravel(), variance.ravel()
    _, covariances = statistics(values[corners[:: -(-len(corners) // CHUNK), :, None] + within])
    usual = (covariances / _contrast(covariances).clamp(min=1e-9)).mean(dim=0)
    totals, weights = torch.zeros_like(values), torch.zeros_like(values)
    for group in corners.split(CHUNK):
        checkpoint()
        means, covariances = statistics(values[group[:, :, None] + within])
        means = means[:, 0]
        share = USUAL / (group.shape[1] + USUAL)
        covariances = torch.lerp(covariances, _contrast(covariances) * usual, share)
        own = group[:, :1] + within
        filled, left = _conditional(values[own] - means, is_known[own], noise[own], covariances)
        trust = (1 / left.clamp(min=LEAST_VARIANCE[0])).ravel()
        totals.index_add_(0, own.ravel(), (means + filled).ravel() * trust)
        weights.index_add_(0, own.ravel(), trust)
    return torch.where(weights > 0, totals / weights, values).reshape(image.shape)


def _conditional(deviations: Tensor, known: Tensor, noise: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deviations from the mean (G, pixels) that follow from the known ones, and the variance that is left.

    Parameters
    ----------
    deviations, known, noise : Tensor, (G, pixels)
        Of a patch from the mean of its group; 1 where it is known; variance of the noise.
    covariances : Tensor, (G, pixels, pixels)
        Of the groups.
    """
    to_known = known[:, :, None] * covariances
    noise = noise + LEAST_NOISE * _contrast(covariances)[:, 0] + LEAST_VARIANCE[1]
    # Equations of missing pixels have no unknowns in common with the others.
    equations = to_known * known[:, None] + torch.diag_embed(torch.where(known > 0, noise, 1.0))
    factor, failed = torch.linalg.cholesky_ex(equations)
    sides = torch.cat([to_known, (known * deviations)[:, :, None]], dim=2)
    roots = torch.linalg.solve_triangular(factor, sides, upper=False)
    filled = (roots[:, :, :-1].mT @ roots[:, :, -1:])[:, :, 0]
    left = covariances.diagonal(dim1=1, dim2=2) - roots[:, :, :-1].square().sum(dim=1)
    # Where rounding has made the equations indefinite the patch stays as it is.
    solved = (failed == 0)[:, None]
    return torch.where(solved, filled, deviations), torch.where(solved, left, torch.inf)


def _contrast(covariances: Tensor) -> Tensor:
    """Return the mean variance (G, 1, 1) of the pixels of each group."""
    return covariances.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]

"""Non-local Bayes: similar patches are samples of one distribution, and each is brought closer to it.

NL-Bayes (Lebrun, Buades & Morel 2013, doi 10.1137/120874989): mean and covariance of a group of similar patches are
taken from a pilot, an estimate of the noiseless image. Of each noisy patch that is kept which varies in the group more
than the noise does (the Wiener filter). Where the image is flat, hardly anything does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..progress.stages import checkpoint, stage
from .similar_patches import (
    CHUNK,
    PATCH,
    STAGE,
    STRIDE,
    Overlap,
    find_similar_patches,
    patch_totals,
    places_in_patch,
)


@torch.no_grad()
def denoise_with_pilot(
    noisy: Tensor, pilot: Tensor, variance: Tensor, *, stride: int = STRIDE, noise_covariance: Tensor | None = None
) -> Tensor:
    """Denoise a plane with the help of a pilot.

    Parameters
    ----------
    noisy, pilot, variance : Tensor, (rows, columns)
        At least :data:`.SMALLEST_SIDE` pixels along each side; the variance is that of the noise of each
        pixel.
    stride : int
        Pixels between two patches for which a group is made.
    noise_covariance : Tensor, (pixels, pixels), optional
        Of the noise of the pixels of a patch, in units of its variance; by default they are independent.
    """
    corners = find_similar_patches(pilot, stride=stride)
    return denoise_groups(noisy, pilot, variance, corners, noise_covariance=noise_covariance)


@torch.no_grad()
@stage(STAGE)
def denoise_groups(
    noisy: Tensor, pilot: Tensor, variance: Tensor, corners: Tensor, *, noise_covariance: Tensor | None = None
) -> Tensor:
    """Denoise a plane by groups of similar patches.

    Arguments as those of :func:`.nl_ridge.denoise_groups` and of :func:`denoise_with_pilot`.
    """
    within = places_in_patch(noisy)
    values, guesses, overlap = noisy.ravel(), pilot.ravel(), Overlap(noisy[None])
    noise_of_patches = patch_totals(variance).ravel() / PATCH**2
    identity = torch.eye(PATCH**2, device=noisy.device)
    for group in corners.split(CHUNK):
        checkpoint()
        pixels = group[:, :, None] + within
        means, covariances = statistics(guesses[pixels])
        level = noise_of_patches[group].mean(dim=1)[:, None, None]
        noise_of_patch = level * (identity if noise_covariance is None else noise_covariance)
        factor, failed = torch.linalg.cholesky_ex(covariances + noise_of_patch)
        # Where there is so little noise that rounding has made the equations indefinite, patches stay as they are.
        solved = (failed == 0)[:, None, None]
        inverse = torch.cholesky_inverse(torch.where(solved, factor, identity))
        removed = level * inverse if noise_covariance is None else inverse @ noise_of_patch
        kept = identity - solved * removed
        denoised = means + (values[pixels] - means) @ kept
        # A patch of which little is kept has little noise left, and counts more where patches overlap.
        trust = 1 / (1 + kept.square().sum(dim=(1, 2))[:, None, None])
        overlap.add(pixels, [denoised], trust.expand(*pixels.shape[:2], 1))
    return overlap.means()[0]


def statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means (G, 1, pixels) and the covariances (G, pixels, pixels) of groups of patches (G, K, pixels)."""
    means = patches.mean(dim=1, keepdim=True)
    deviations = patches - means
    return means, deviations.mT @ deviations / patches.shape[1]

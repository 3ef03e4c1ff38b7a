"""Noise of which neighbouring pixels are correlated is removed, and not taken for structure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.patches import correlated_noise, scales
from napari_deep_prior.patches.patch_denoising import denoise, estimate_count
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.problem import Problem

SIGMA = 12.0


def correlated(shape: tuple[int, ...], blur: tuple[float, float], seed: int = 0) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, shape), blur, mode="wrap")
    return SIGMA * noise / noise.std()


def correlation_of(noise: np.ndarray) -> tuple[float, float]:
    power = (noise**2).mean()
    return float((noise[1:] * noise[:-1]).mean() / power), float((noise[:, 1:] * noise[:, :-1]).mean() / power)


def restored(
    noise: np.ndarray, truth: np.ndarray, correlation: tuple[float, float], pose: Callable[..., Problem]
) -> np.ndarray:
    problem = pose(truth + noise, noise=(NoiseModel(read_noise=SIGMA, correlation=correlation),))
    images = list(denoise(problem))
    assert len(images) == estimate_count(problem)
    low, span = (truth + noise).min(), np.ptp(truth + noise)
    return (images[-1][0, 0].numpy() - 0.05) / 0.9 * span + low


@pytest.mark.parametrize("blur", [(0.7, 0.7), (1.4, 0.5)])
def test_it_is_removed_better_than_as_white_noise(blur: tuple[float, float], pose: Callable[..., Problem]) -> None:
    truth = cells((80, 88)) * 4
    noise = correlated(truth.shape, blur)
    correlation = correlation_of(noise)
    known = psnr(restored(noise, truth, correlation, pose), truth)
    as_white = psnr(restored(noise, truth, (0.0, 0.0), pose), truth)
    assert known > as_white + 1
    assert known > psnr(truth + noise, truth) + 4


def test_of_a_flat_field_little_noise_is_left() -> None:
    noise = torch.from_numpy(correlated((96, 96), (0.7, 0.7))).float()[None, None] / SIGMA
    *_, means = correlated_noise.estimates(noise, torch.ones_like, (correlation_of(noise[0, 0].numpy()),))
    *_, as_white = scales.estimates(noise, torch.ones_like)
    assert float(means.std()) < 0.25
    assert float(means.std()) < 0.5 * float(as_white.std())


def test_each_channel_has_its_own_correlation() -> None:
    noise = [correlated((48, 52), blur, seed) for seed, blur in enumerate([(0.7, 0.7), (0.01, 0.01)])]
    correlations = tuple(correlation_of(each) for each in noise)
    both = torch.from_numpy(np.stack(noise)).float()[None] / SIGMA
    *_, together = correlated_noise.estimates(both, torch.ones_like, correlations)
    for channel in (0, 1):
        *_, alone = correlated_noise.estimates(both[:, [channel]], torch.ones_like, (correlations[channel],))
        torch.testing.assert_close(together[:, [channel]], alone, atol=2e-3, rtol=1e-3)

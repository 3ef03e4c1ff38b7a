from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_deep_prior.patches.nl_bayes import denoise_with_pilot, statistics
from napari_deep_prior.patches.nl_ridge import SMALLEST_DEVIATION


def stripes(rows: int = 40, columns: int = 44) -> Tensor:
    """Return a plane that repeats itself every 8 columns."""
    return 0.5 + 0.4 * torch.sin(torch.arange(columns) * torch.pi / 4).expand(rows, columns)


def noise(image: Tensor, deviation: float) -> Tensor:
    return deviation * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def rms(image: Tensor) -> float:
    return float(image.square().mean().sqrt())


@pytest.mark.parametrize("stride", [4, 6])
def test_similar_patches_remove_noise(stride: int) -> None:
    truth = stripes()
    noisy = truth + noise(truth, 0.1)
    denoised = denoise_with_pilot(noisy, truth, torch.full_like(truth, 0.01), stride=stride)
    assert rms(denoised - truth) < 0.5 * rms(noisy - truth)


def test_of_a_flat_image_with_a_flat_pilot_no_noise_is_left() -> None:
    flat = torch.full((30, 33), 0.4)
    denoised = denoise_with_pilot(flat + noise(flat, 0.1), flat, torch.full_like(flat, 0.01))
    torch.testing.assert_close(denoised, flat, atol=1e-5, rtol=0)


def test_what_varies_more_than_the_noise_is_kept() -> None:
    image = stripes()
    variance = torch.full_like(image, SMALLEST_DEVIATION**2)
    torch.testing.assert_close(denoise_with_pilot(image, image, variance), image, atol=0.01, rtol=0)


def test_equations_that_rounding_makes_indefinite_leave_the_image_as_it_is() -> None:
    image = 1000 * stripes()
    denoised = denoise_with_pilot(image + 0.01, image, torch.full_like(image, 1e-9))
    torch.testing.assert_close(denoised, image + 0.01, atol=0.02, rtol=0)


def test_statistics_are_those_of_the_group() -> None:
    patches = torch.randn(3, 20, 5, generator=torch.Generator().manual_seed(1))
    means, covariances = statistics(patches)
    torch.testing.assert_close(means[:, 0], patches.mean(dim=1))
    torch.testing.assert_close(covariances[1], torch.cov(patches[1].T, correction=0))

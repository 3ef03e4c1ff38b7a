from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior.methods.pre_denoising import pre_denoised, white_noise
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit
from napari_deep_prior.problem import Problem

OPERATOR = Downsample((2.0, 2.0), Bicubic())


def canonical(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255)[None, None]


def with_noise(image: torch.Tensor) -> torch.Tensor:
    return image + 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def test_noise_is_distinguished_from_texture() -> None:
    found = white_noise(with_noise(canonical(data.camera()[100:356, 170:426])), OPERATOR)
    assert found is not None
    assert 0.03 < found < 0.06
    assert white_noise(canonical(data.brick()), OPERATOR) is None


def test_a_noisy_measurement_is_denoised_and_one_without_noise_is_not() -> None:
    truth = canonical(data.camera()[100:164, 170:234])
    for measured, noisy in ((truth, False), (with_noise(truth), True)):
        problem = Problem(
            measured=measured, weight=torch.ones_like(measured), operator=OPERATOR, misfit=GaussianMisfit(0.05)
        )
        result = pre_denoised(problem, OPERATOR).measured
        if noisy:
            assert float((result - truth).square().mean()) < 0.6 * float((measured - truth).square().mean())
        else:
            assert torch.equal(result, measured)


@pytest.mark.parametrize("name", ["astronaut", "camera", "coins"])
def test_the_noise_of_small_images_full_of_structure_is_found(name: str) -> None:
    image = getattr(data, name)()
    image = image if image.ndim == 2 else image.mean(2)
    middle = tuple(slice(length // 2 - 72, length // 2 + 72) for length in image.shape)
    reduced = OPERATOR(canonical(image[middle]))
    assert white_noise(reduced, OPERATOR) is None
    found = white_noise(reduced + 0.8 * (with_noise(reduced) - reduced), OPERATOR)
    assert found is not None
    assert 0.03 < found < 0.045


@pytest.mark.parametrize("photons", [30, 100])
def test_the_noise_of_photons_is_removed_where_structure_hides_it(photons: int) -> None:
    """Cells that become as fine as noise when they are reduced: by their own misfit the image is noisy."""
    random = torch.Generator().manual_seed(3)
    image = torch.zeros(1, 1, 256, 256)
    for width in (3.0, 1.2):
        points = (torch.rand(256, 256, generator=random) < 0.02).double().numpy()
        blobs = gaussian_filter(points, width)
        image += torch.from_numpy(blobs / blobs.max()).float()
    truth = OPERATOR(image / image.max()).clamp(min=0)
    noisy = torch.poisson(photons * truth, generator=random) / photons
    model = NoiseModel(gain=1 / photons, offset=0.0, read_noise=0.0)
    misfit = AnscombeMisfit([model], (np.ones(1), np.zeros(1)), noisy)
    problem = Problem(measured=noisy, weight=torch.ones_like(noisy), operator=OPERATOR, misfit=misfit)
    result = pre_denoised(problem, OPERATOR).measured
    assert float((result - truth).square().mean()) < 0.6 * float((noisy - truth).square().mean())

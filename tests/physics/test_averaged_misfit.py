"""The misfit of a mean of several measurements."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.physics.averaged_misfit import AveragedMisfit
from napari_deep_prior.physics.misfit import GaussianMisfit, Misfit
from napari_deep_prior.physics.misfit_choice import choose_misfit
from napari_deep_prior.physics.noise_model import NoiseModel

COUNTS = torch.tensor([1.0, 2.0, 4.0, 16.0]).reshape(1, 1, 1, 4)


def photons(read_noise: float = 0.0) -> Misfit:
    like = torch.zeros(1, 1, 1, 4)
    noise = (NoiseModel(gain=1.0, read_noise=read_noise),)
    return choose_misfit("anscombe", noise, (np.ones(1), np.zeros(1)), like)[1]


@pytest.mark.parametrize("light", [0.5, 3.0, 20.0])
def test_expectation_and_variance_are_those_of_means_of_photon_counts(light: float) -> None:
    single = photons(read_noise=0.5)
    averaged = AveragedMisfit(single, 1 / COUNTS)
    rng = np.random.default_rng(0)
    image = torch.full((1, 1, 1, 4), light)
    samples = [
        (rng.poisson(light, (200_000, int(n))) + rng.normal(0, 0.5, (200_000, int(n)))).mean(axis=1)
        for n in COUNTS.ravel()
    ]
    found = single.stabilise(torch.from_numpy(np.stack(samples, axis=-1)).float()[:, None, None])
    np.testing.assert_allclose(averaged.expected(image)[0], found.mean(dim=0), atol=0.04)
    ratio = found.var(dim=0) / averaged.stabilised_variance(image)[0]
    # At few photons the variance of a mean is not quite in proportion.
    assert ((ratio > 0.85) & (ratio < 1.3)).all()


def test_the_inverse_finds_the_image_of_an_expectation() -> None:
    averaged = AveragedMisfit(photons(), 1 / COUNTS)
    image = torch.tensor([0.3, 1.0, 5.0, 40.0]).reshape(4, 1, 1, 1).expand(4, 1, 1, 4)
    torch.testing.assert_close(averaged.unstabilise(averaged.expected(image)), image, rtol=5e-3, atol=5e-3)


def test_a_mean_of_one_is_a_single_measurement() -> None:
    single = photons(read_noise=1.0)
    averaged = AveragedMisfit(single, torch.ones(1, 1, 1, 4))
    image, measured = torch.rand(2, 1, 1, 1, 4, generator=torch.Generator().manual_seed(0)) * 9
    assert torch.equal(averaged.expected(image), single.expected(image))
    assert torch.equal(averaged.pointwise(image, measured), single.pointwise(image, measured))


def test_a_smaller_version_of_the_image_has_the_mean_share_of_its_pixels() -> None:
    share = torch.tensor([[1.0, 1.0, 0.25, 0.25]] * 4)[None, None]
    variance = AveragedMisfit(GaussianMisfit(), share).stabilised_variance(torch.zeros(1, 1, 2, 2))
    torch.testing.assert_close(variance, torch.tensor([[[[1.0, 0.25]] * 2]]))

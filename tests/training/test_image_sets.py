"""Crops of many images: what is noise and what is target, and where they come from."""

from __future__ import annotations

import numpy as np
import torch

from napari_deep_prior.physics.exposure import Exposure
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit_choice import choose_misfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.physics.photon_misfits import CameraUnits
from napari_deep_prior.training.image_sets import (
    ALL_ORIENTATIONS,
    OWN_EXPOSURE,
    ExposedImages,
    NoisyImages,
    PairedImages,
    ReducedImages,
    Scene,
)
from napari_deep_prior.training.standardised import DIM, NOISE_UNIT


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(seed: int, rows: int = 24, columns: int = 30, channels: int = 1) -> torch.Tensor:
    return torch.rand(1, channels, rows, columns, generator=generator(seed))


def test_noise_of_the_given_strength_is_drawn_anew_on_clean_crops() -> None:
    clean = image(0, 40, 40)
    noisy = NoisyImages([(clean, torch.full_like(clean, 0.5))], generator())
    pairs = [noisy.draw(crop=32, count=20, generator=generator()) for _ in range(2)]
    assert torch.equal(pairs[0].target, pairs[1].target)
    noises = [pair.input - pair.target for pair in pairs]
    assert not torch.equal(*noises)
    assert abs(float(noises[0].std()) - 0.5) < 0.02
    assert abs(float(noises[0].mean())) < 0.02


def test_crops_of_pairs_are_of_one_place() -> None:
    target = image(1)
    pair = PairedImages([(2 * target, target)]).draw(crop=8, count=12, generator=generator())
    assert pair.input.shape == (12, 1, 8, 8)
    assert torch.equal(pair.input, 2 * pair.target)


def test_every_image_is_drawn_from_the_larger_ones_more_often() -> None:
    small, large = torch.zeros(1, 1, 10, 10), torch.ones(1, 1, 30, 30)
    pair = PairedImages([(small, small), (large, large)]).draw(crop=8, count=400, generator=generator())
    assert 0.85 < float(pair.target.mean()) < 0.95


def test_reduced_images_go_in_interpolated_with_the_noise_of_the_measurement() -> None:
    operator, truth = Downsample((2.0, 2.0), Bicubic()), image(2, 48, 48)
    sets = [
        ReducedImages([(truth, exposure)], operator, ALL_ORIENTATIONS, crop=16)
        for exposure in (None, camera(NoiseModel(read_noise=0.2)))
    ]
    without, noisy = (each.draw(crop=16, count=30, generator=generator()) for each in sets)
    assert without.input.shape == without.target.shape == (30, 1, 16, 16)
    assert 0 < float((without.input - without.target).abs().mean()) < 0.5
    # White noise of the measurement, interpolated by a cubic, has 0.69 of its deviation on each pixel.
    rest = float((noisy.input - noisy.target).var() - (without.input - without.target).var())
    assert 0.4 * 0.04 < rest < 1.0 * 0.04


def camera(noise: NoiseModel) -> Exposure:
    return Exposure(CameraUnits((noise,), (np.ones(1), np.zeros(1)), torch.zeros(1, 1, 8, 8)))


def scene(noise: NoiseModel, image: torch.Tensor) -> Scene:
    _, misfit = choose_misfit("auto", (noise,), (np.ones(1), np.zeros(1)), image)
    return Scene(image, camera(noise), misfit)


def test_dim_and_bright_crops_are_measured_with_the_noise_that_they_have() -> None:
    noise = NoiseModel(gain=1.0)
    one = scene(noise, torch.full((1, 1, 64, 64), 4.0))
    pair = ExposedImages([one], torch.device("cpu"), crop=32).draw(crop=32, count=200, generator=generator())
    # Up to a mean of 3 nothing is subtracted: the targets tell the light.
    means = pair.target[:, 0, 0, 0] * NOISE_UNIT
    light = one.misfit.unstabilise(means[means < DIM].view(1, 1, 1, -1)).ravel()
    assert 4 / 8 - 0.01 < float(light.min()) < 1
    assert abs(float((light - 4).abs().lt(0.01).sum()) / len(means) - OWN_EXPOSURE) < 0.1
    errors = ((pair.input - pair.target) * NOISE_UNIT).flatten(1)
    assert float(errors.mean().abs()) < 0.01
    expected = one.misfit.variance_at(pair.target * NOISE_UNIT).flatten(1)[means < DIM, 0]
    torch.testing.assert_close(errors.var(dim=1)[means < DIM], expected, atol=0.1, rtol=0.1)


def test_of_a_bright_image_all_but_a_little_of_the_mean_is_subtracted() -> None:
    bright = scene(NoiseModel(read_noise=0.1), torch.full((1, 1, 64, 64), 30.0))
    pair = ExposedImages([bright], torch.device("cpu"), crop=32).draw(crop=32, count=4, generator=generator())
    torch.testing.assert_close(pair.target, torch.full_like(pair.target, DIM / NOISE_UNIT), atol=1e-4, rtol=0)


def test_images_are_used_at_smaller_sizes_as_far_as_they_hold_a_crop() -> None:
    stripes = torch.tensor([10.0, 30.0]).repeat_interleave(10).repeat(4).expand(1, 1, 80, 80).contiguous()
    images = ExposedImages([scene(NoiseModel(read_noise=0.1), stripes)], torch.device("cpu"), crop=40)
    target = images.draw(crop=40, count=100, generator=generator()).target
    # Across the stripes, whose width is 10 pixels, 7, and 5; in a third of the size a crop finds no place.
    changes = [(target.diff(dim=axis).abs() > target.std() / 2).sum(dim=axis).amax(dim=(1, 2)) for axis in (2, 3)]
    assert {int(count) for count in torch.maximum(*changes)} >= {4, 7}
    assert int(torch.maximum(*changes).max()) < 8

"""Crops of many images: what is noise and what is target, and where they come from."""

from __future__ import annotations

import torch

from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.training.image_sets import ALL_ORIENTATIONS, NoisyImages, PairedImages, ReducedImages


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
        ReducedImages([(truth, noise)], operator, ALL_ORIENTATIONS, crop=16)
        for noise in (None, lambda measured: torch.full_like(measured, 0.2))
    ]
    without, noisy = (each.draw(crop=16, count=30, generator=generator()) for each in sets)
    assert without.input.shape == without.target.shape == (30, 1, 16, 16)
    assert 0 < float((without.input - without.target).abs().mean()) < 0.5
    # White noise of the measurement, interpolated by a cubic, has 0.69 of its deviation on each pixel.
    rest = float((noisy.input - noisy.target).var() - (without.input - without.target).var())
    assert 0.4 * 0.04 < rest < 1.0 * 0.04


def test_half_of_the_crops_are_brighter_or_dimmer_and_their_noise_is_not() -> None:
    clean = 1 + 0 * image(0, 40, 40)
    noisy = NoisyImages([(clean, torch.full_like(clean, 0.5))], generator(), (0.5, 6.0))
    pair = noisy.draw(crop=16, count=400, generator=generator())
    factors = pair.target[:, 0, 0, 0]
    assert 0.5 <= float(factors.min()) < 0.6
    assert 5 < float(factors.max()) <= 6
    assert abs(float((factors == 1).float().mean()) - 0.5) < 0.1
    assert abs(float((pair.input - pair.target)[factors > 2].std()) - 0.5) < 0.02

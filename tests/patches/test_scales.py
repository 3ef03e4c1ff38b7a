from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.patches.scales import ESTIMATES, SMALLEST_SIDE, estimates


def noise(*shape: int) -> Tensor:
    return torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(3))


def white(means: Tensor) -> Tensor:
    return torch.ones_like(means)


def last(noisy: Tensor) -> Tensor:
    *_, estimate = estimates(noisy, white)
    return estimate


def at_one_scale(noisy: Tensor) -> Tensor:
    _, fine, _, _ = estimates(noisy, white)
    return fine


def rms(image: Tensor) -> float:
    return float(image.square().mean().sqrt())


def test_of_a_flat_field_hardly_any_noise_is_left() -> None:
    noisy = 5 + noise(128, 128)
    assert rms(last(noisy) - noisy.mean()) < 0.08
    assert rms(at_one_scale(noisy) - noisy.mean()) > 0.12


def test_a_flat_field_shows_no_periodic_ripple() -> None:
    noisy = 5 + noise(128, 128)
    spectrum = torch.fft.rfft2(last(noisy)[0, 0] - noisy.mean()).abs()
    # Next to the lowest frequencies, where noise cannot be told from light.
    ring = spectrum[16:48, 16:48]
    assert float(ring.max()) < 6 * float(ring.median())


def test_the_mean_of_the_image_is_kept() -> None:
    noisy = 5 + noise(96, 96)
    assert float(last(noisy).mean()) == pytest.approx(float(noisy.mean()), abs=0.01)


def test_dim_cells_are_better_with_the_coarser_scales() -> None:
    photons = torch.from_numpy(cells((128, 128))).float()[None, None]
    truth = photons / photons.max()
    noisy = truth + noise(128, 128)
    assert rms(last(noisy) - truth) < 0.95 * rms(at_one_scale(noisy) - truth)


def test_fine_texture_is_not_taken_from_the_coarser_scales() -> None:
    stripes = 5 + 2 * torch.sin(torch.arange(96) * torch.pi / 2.5).expand(1, 1, 96, 96)
    noisy = stripes + noise(96, 96)
    assert rms(last(noisy) - stripes) < 1.05 * rms(at_one_scale(noisy) - stripes)


def test_broad_texture_that_only_the_image_itself_shows_is_kept() -> None:
    rough = torch.from_numpy(gaussian_filter(noise(128, 128)[0, 0].numpy(), 2)).float()[None, None]
    texture = 5 + 2 * rough / rough.std()
    noisy = texture + noise(128, 128).flip(-1)
    assert rms(last(noisy) - texture) < 1.05 * rms(at_one_scale(noisy) - texture)


@pytest.mark.parametrize("shape", [(49, 61), (8, 90), (SMALLEST_SIDE - 1, SMALLEST_SIDE)])
def test_any_size_comes_back(shape: tuple[int, int]) -> None:
    noisy = 5 + noise(*shape)
    assert last(noisy).shape == noisy.shape
    assert rms(last(noisy) - 5) < rms(noisy - 5)


def test_channels_and_planes_do_not_change_each_other() -> None:
    stack = 5 + noise(2, 50, 52) * torch.tensor([1.0, 0.5])[:, None, None]
    torch.testing.assert_close(last(stack)[:, :, :1], last(stack[:, :, :1]))


def test_it_is_known_beforehand_how_many_estimates_there_are() -> None:
    assert len(list(estimates(5 + noise(50, 50), white))) == ESTIMATES


def test_the_same_image_comes_back_every_time() -> None:
    noisy = 5 + noise(56, 56)
    assert torch.equal(last(noisy), last(noisy))

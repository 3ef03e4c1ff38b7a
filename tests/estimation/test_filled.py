"""What a rotation or a mosaic has filled with black was never measured: it stays, and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.filled import filled_with_black
from napari_deep_prior.physics.noise_model import NoiseModel

CAMERA = Camera(gain=3.0, offset=100.0, read_noise=1.5)
UNITS = (np.array([100.0]), np.array([0.0]))


def exposed(size: int = 96) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return an image of cells and its truth."""
    light = cells((size, size))
    light *= 40 / light.max()
    return CAMERA.expose(light, np.random.default_rng(0)), CAMERA.expected(light)


@pytest.mark.parametrize("degrees", [0.0, 8.0])
def test_an_image_with_black_borders_is_denoised_and_its_borders_stay(degrees: float) -> None:
    image, truth = exposed()
    measured = rotate(np.ones(image.shape), degrees, reshape=False, order=0) > 0.5
    measured[:14] = measured[:, -20:] = False
    noisy = np.where(measured, image, 0).astype(np.uint16)
    result = restore(noisy, Denoise(), effort="fast", dtype="float32").finish()
    assert np.abs(result[~measured]).max() < 1e-3
    errors = [psnr(each[measured], truth[measured], span=120.0) for each in (noisy, result)]
    assert errors[1] > errors[0] + 4
    assert result[measured].mean() == pytest.approx(truth[measured].mean(), rel=0.01)


def test_dark_noise_and_dead_pixels_were_measured() -> None:
    random = np.random.default_rng(0)
    dark = torch.from_numpy(np.maximum(random.normal(0.2, 0.2, (1, 1, 40, 40)), 0)).float()
    noise = [NoiseModel(gain=3.0, offset=20.0, read_noise=20.0)]
    assert filled_with_black(dark, noise, UNITS) is None
    dead = torch.ones(1, 1, 40, 40)
    dead[..., 20, :] = dead[..., 5, 5] = 0
    noise = [NoiseModel(gain=3.0, offset=90.0, read_noise=1.0)]
    assert filled_with_black(dead, noise, UNITS) is None
    assert filled_with_black(0 * dead, [NoiseModel(read_noise=1.0)], UNITS) is None


def test_a_slice_that_is_dark_as_a_whole_was_measured() -> None:
    slice_ = torch.zeros(1, 1, 40, 40)
    slice_[..., ::9, ::9] = 0.01
    assert filled_with_black(slice_, [NoiseModel(gain=1.0, offset=50.0)], UNITS) is None


def test_pixels_that_interpolation_has_mixed_with_black_count_as_filled() -> None:
    image = torch.ones(1, 1, 20, 20)
    image[..., :6, :] = 0
    image[..., 6, :] = 0.4
    filled = filled_with_black(image, [NoiseModel(gain=3.0, offset=90.0, read_noise=1.0)], UNITS)
    assert filled is not None
    assert bool(filled[..., :7, :].all())
    assert not bool(filled[..., 7:, :].any())

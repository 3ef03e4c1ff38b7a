from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.estimation.blur import BlurEstimate, across_scales, estimate_blur
from napari_deep_prior.physics.gaussian_psf import rotated_gaussian
from napari_deep_prior.physics.kernels import Bicubic, GaussianKernel, Kernel, SampledKernel
from napari_deep_prior.physics.operators import Downsample

TWO = (2.0, 2.0)


def reduced(picture: np.ndarray, kernel: Kernel, factors: tuple[float, float] = TWO) -> np.ndarray:
    image = torch.from_numpy(picture.astype(np.float32))[None, None]
    return Downsample(factors, kernel)(image)[0, 0].numpy()


def restored(small: np.ndarray, kernel: Kernel, rounds: int = 30) -> np.ndarray:
    """Back-projection: the simplest way to use a kernel."""
    operator = Downsample(TWO, kernel)
    measured = torch.from_numpy(small)[None, None]
    image = operator.interpolate(measured)
    for _ in range(rounds):
        image = image + operator.interpolate(measured - operator(image))
    return image[0, 0].numpy()


@pytest.fixture
def picture() -> np.ndarray:
    return np.asarray(data.coins(), np.float32)[:300, :384]


@pytest.mark.parametrize(("name", "sigma"), [("coins", 1.5), ("camera", 1.8)])
def test_a_known_blur_is_found_from_the_image_alone(name: str, sigma: float) -> None:
    picture = np.asarray(getattr(data, name)(), np.float32)[:300, :384]
    found = estimate_blur(reduced(picture, GaussianKernel((sigma, sigma))), TWO)
    assert found.reliable
    assert isinstance(found.kernel, SampledKernel)
    assert math.sqrt(math.prod(found.sigma)) == pytest.approx(sigma, rel=0.3)


def test_the_direction_of_a_blur_is_found(picture: np.ndarray) -> None:
    small = reduced(picture, rotated_gaussian((2.2, 1.0), 30))
    found = estimate_blur(small, TWO)
    assert found.reliable
    assert found.angle == pytest.approx(30, abs=12)
    assert found.sigma[0] > 1.4 * found.sigma[1]
    assert "degrees from the row axis" in found.sentence
    assert estimate_blur(small[:, ::-1], TWO).angle == pytest.approx(-30, abs=12)


def test_an_image_reduced_by_bicubic_gets_the_bicubic_kernel(picture: np.ndarray) -> None:
    found = estimate_blur(reduced(picture, Bicubic()), TWO)
    assert found.kernel == Bicubic()
    assert found.reliable
    assert "the bicubic kernel fits" in found.sentence


def test_the_estimate_restores_more_than_half_of_what_the_true_kernel_does(picture: np.ndarray) -> None:
    true = GaussianKernel((1.6, 1.6))
    small = reduced(picture, true)
    gains = [
        psnr(restored(small, kernel), picture, span=255.0)
        for kernel in (Bicubic(), estimate_blur(small, TWO).kernel, true)
    ]
    assert gains[2] > gains[0] + 0.5
    assert gains[1] > gains[0] + (gains[2] - gains[0]) / 2


def test_the_blur_follows_the_factor(picture: np.ndarray) -> None:
    small = reduced(picture, GaussianKernel((1.6, 1.6)))
    once, more = estimate_blur(small, TWO), estimate_blur(small, (3.0, 3.0))
    assert np.array(more.sigma) == pytest.approx(np.array(once.sigma) * math.sqrt(8 / 3))
    along = estimate_blur(small, (1.0, 2.0))
    assert along.sigma[1] == pytest.approx(0, abs=1e-6)
    assert abs(along.angle) == pytest.approx(90)


def test_the_estimate_depends_on_nothing_but_the_image(picture: np.ndarray) -> None:
    small = reduced(picture, GaussianKernel((1.6, 1.6)))
    first, again, brighter = (estimate_blur(image, TWO) for image in (small, small.copy(), 300 * small + 7000))
    assert first.sigma == again.sigma
    assert brighter.sigma == pytest.approx(first.sigma, rel=0.05)


def test_a_little_noise_does_not_hide_the_blur(picture: np.ndarray, rng: np.random.Generator) -> None:
    small = reduced(picture, GaussianKernel((1.7, 1.7)))
    found = estimate_blur(small + rng.normal(0, 2.5, small.shape), TWO)
    assert found.reliable
    assert math.sqrt(math.prod(found.sigma)) == pytest.approx(1.7, rel=0.3)


def test_patches_across_scales_show_the_blur_by_themselves() -> None:
    small = reduced(data.coins().astype(np.float32), GaussianKernel((1.6, 1.6))).astype(np.float64)
    found, softer = (across_scales(plane) for plane in (small, ndimage.gaussian_filter(small, 1.0)))
    assert found is not None
    assert softer is not None
    widths = np.sqrt(np.linalg.eigvalsh(found))
    assert np.all((widths > 0.6) & (widths < 1.0))
    assert np.all(np.sqrt(np.linalg.eigvalsh(softer)) > widths)


def is_fallback(found: BlurEstimate) -> bool:
    return found.kernel == Bicubic() and not found.reliable and "the bicubic kernel is used" in found.sentence


def test_where_the_blur_cannot_be_estimated_it_says_so(rng: np.random.Generator) -> None:
    assert is_fallback(estimate_blur(np.full((80, 80), 3.0), TWO))
    assert is_fallback(estimate_blur(rng.random((20, 80)), TWO))
    for row in (40, 0):
        dot = np.zeros((80, 80))
        dot[row, 40] = 1
        assert is_fallback(estimate_blur(dot, TWO))
    assert is_fallback(estimate_blur(np.indices((64, 64)).sum(axis=0) % 2, TWO))
    assert is_fallback(estimate_blur(np.add.outer(np.arange(64), np.arange(64)), TWO))


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_is_not_taken_for_blur(seed: int) -> None:
    assert estimate_blur(np.random.default_rng(seed).normal(0, 1, (128, 128)), TWO).kernel == Bicubic()


def test_an_image_whose_details_are_larger_than_its_pixels_is_not_trusted(picture: np.ndarray) -> None:
    found = estimate_blur(ndimage.gaussian_filter(picture, 1.8), TWO)
    assert is_fallback(found)
    assert "enlarging it would add nothing" in found.sentence
    assert is_fallback(estimate_blur(data.cell()[:400, :400], TWO))


@pytest.mark.parametrize("values", [np.ones((3, 60, 60)), np.full((60, 60), np.nan), np.ones(60)])
def test_an_image_that_is_not_a_finite_plane_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="give one plane"):
        estimate_blur(values, TWO)


@pytest.mark.parametrize("factors", [(2.0,), (2.0, 0.5), (math.inf, 2.0), (2.0, 2.0, 2.0)])
def test_impossible_factors_are_refused(factors: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="give two numbers of at least 1"):
        estimate_blur(np.ones((60, 60)), factors)

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

from napari_deep_prior.estimation import spectrum
from napari_deep_prior.estimation.oversampling import consistency, oversampling
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.operators import Downsample, Identity


def photograph(name: str) -> np.ndarray:
    return np.asarray(getattr(data, name)(), np.float64)[:300, :384]


@pytest.fixture
def sharp() -> np.ndarray:
    return photograph("coins")


@pytest.mark.parametrize("name", ["coins", "camera", "page"])
def test_a_sharp_image_is_worth_enlarging(name: str) -> None:
    found = oversampling(photograph(name))
    assert not found.oversampled
    assert min(found.detail) > 0.6
    assert "the image has detail up to" in found.sentence


def test_an_image_reduced_twice_is_worth_enlarging(sharp: np.ndarray) -> None:
    image = torch.from_numpy(sharp)[None, None]
    assert not oversampling(Downsample((2.0, 2.0), Bicubic())(image)[0, 0].numpy()).oversampled


@pytest.mark.parametrize(("name", "sigma"), [("coins", 2.0), ("camera", 3.0), ("page", 4.0)])
def test_the_detail_of_a_blurred_image_ends_where_its_blur_leaves_nothing(name: str, sigma: float) -> None:
    found = oversampling(ndimage.gaussian_filter(photograph(name), sigma))
    assert found.oversampled
    # exp(-2 π² σ² f²) = 0.1, as a share of half a cycle per pixel.
    assert found.detail == pytest.approx((0.683 / sigma,) * 2, rel=0.3)
    assert "enlarging it adds nothing" in found.sentence
    assert f"ends at {round(100 * max(found.detail))} %" in found.sentence


def test_every_axis_has_its_own_end(sharp: np.ndarray) -> None:
    found = oversampling(ndimage.gaussian_filter(sharp, (3.0, 0.0)))
    assert found.detail[0] < 0.35
    assert found.detail[1] > 0.6
    assert not found.oversampled


def test_noise_is_no_detail_and_no_blur(sharp: np.ndarray, rng: np.random.Generator) -> None:
    noisy = sharp + rng.normal(0, 0.05 * np.ptp(sharp), sharp.shape)
    found = oversampling(noisy)
    assert not found.oversampled
    assert min(found.blur) > 0.6
    noisier = oversampling(sharp + rng.normal(0, 0.5 * np.ptp(sharp), sharp.shape))
    assert max(noisier.detail) < 0.5
    assert not noisier.oversampled
    assert "denoise the image first" in noisier.sentence


def test_hardly_any_light_is_not_taken_for_blur(rng: np.random.Generator) -> None:
    found = oversampling(rng.poisson(0.01, (128, 128)))
    assert not found.oversampled
    assert "denoise the image first" in found.sentence


def test_the_answer_does_not_depend_on_the_unit(sharp: np.ndarray) -> None:
    assert oversampling(40 * sharp + 1000).detail == pytest.approx(oversampling(sharp).detail, rel=0.01)


@pytest.mark.parametrize("values", [np.ones((100, 100)), np.arange(400.0).reshape(20, 20)])
def test_without_an_estimate_there_is_no_advice(values: np.ndarray) -> None:
    found = oversampling(values)
    assert not found.oversampled
    assert "too small or constant" in found.sentence


@pytest.mark.parametrize("values", [np.ones((3, 60, 60)), np.full((60, 60), np.inf)])
def test_an_image_that_is_not_a_finite_plane_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="give one plane"):
        oversampling(values)


def test_the_spectrum_of_a_power_law_under_a_blur_gives_back_both(rng: np.random.Generator) -> None:
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    frequency[0, 0] = 1
    scene = np.fft.ifft2(np.fft.fft2(rng.normal(0, 1, (256, 256))) / frequency).real
    found = spectrum.fit(ndimage.gaussian_filter(scene, (1.0, 1.5), mode="wrap"))
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx([1.0, 1.5], rel=0.1)
    assert found.slope == pytest.approx(2.0, abs=0.3)


# Consistency


def test_a_result_that_explains_all_is_infinitely_consistent() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    operator = Downsample((2.0, 2.0), Bicubic())
    assert consistency(operator, image, operator(image)) == math.inf
    assert consistency(Identity(), image, image) == math.inf


def test_the_consistency_is_the_psnr_of_what_would_have_been_measured() -> None:
    measured = torch.linspace(0, 10, 100).reshape(1, 1, 10, 10)
    assert consistency(Identity(), measured + 1, measured) == pytest.approx(20)
    assert consistency(Identity(), 1e6 * (measured + 1), 1e6 * measured) == pytest.approx(20, abs=1e-3)


def test_missing_values_do_not_count_in_the_consistency() -> None:
    measured = torch.linspace(0, 10, 100).reshape(1, 1, 10, 10)
    result = measured + 1
    measured[0, 0, 3, 3] = torch.nan
    assert consistency(Identity(), result, measured) == pytest.approx(20)


def test_a_constant_measurement_has_no_range() -> None:
    flat = torch.ones(1, 1, 4, 4)
    assert consistency(Identity(), flat, flat) == math.inf
    assert consistency(Identity(), flat + 1, flat) == -math.inf

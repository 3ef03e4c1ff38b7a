from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.metrics import data_range, hfen, high_frequencies, mse, psnr, ssim, ssim_map


@pytest.fixture
def reference(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((24, 31)) * 1000 + 50).astype(np.float32)


def test_the_mean_squared_error_does_not_wrap_around_in_unsigned_images() -> None:
    assert mse(np.array([[0, 255]], np.uint8), np.array([[1, 253]], np.uint8)) == 2.5


def test_psnr_is_ten_log_ten_of_squared_range_over_error(reference: np.ndarray) -> None:
    span = float(np.ptp(reference))
    assert psnr(reference + 0.01 * span, reference) == pytest.approx(40, abs=0.01)
    assert psnr(reference + 10, reference, span=100) == pytest.approx(20, abs=0.01)


def test_the_data_range_of_an_8_bit_image_is_255() -> None:
    assert data_range(np.array([[3, 9]], np.uint8)) == 255
    assert data_range(np.array([[3, 9]], np.uint16)) == 6


def test_equal_images_have_the_best_ssim_and_hfen(reference: np.ndarray) -> None:
    assert ssim(reference, reference) == pytest.approx(1)
    assert hfen(reference, reference) == 0


def test_more_noise_is_worse_by_every_measure(reference: np.ndarray, rng: np.random.Generator) -> None:
    noise = rng.normal(0, 1, reference.shape)
    little, much = reference + 30 * noise, reference + 200 * noise
    assert psnr(little, reference) > psnr(much, reference)
    assert ssim(little, reference) > ssim(much, reference)
    assert hfen(little, reference) < hfen(much, reference)


def test_the_channel_axis_of_ssim_may_be_anywhere(reference: np.ndarray, rng: np.random.Generator) -> None:
    truth = np.stack([reference, reference[::-1]])
    image = truth + rng.normal(0, 100, truth.shape)
    first = ssim(image, truth, channel_axis=0)
    last = ssim(np.moveaxis(image, 0, -1), np.moveaxis(truth, 0, -1), channel_axis=-1)
    assert first == pytest.approx(last)
    assert 0 < first < 1


def test_ssim_refuses_an_image_smaller_than_its_window(reference: np.ndarray) -> None:
    assert 0 < ssim(reference[:11, :11] + 50, reference[:11, :11]) < 1
    with pytest.raises(ValueError, match="win_size"):
        ssim(reference[:10, :10], reference[:10, :10])


def test_the_mean_of_the_map_without_its_edges_is_the_ssim(reference: np.ndarray, rng: np.random.Generator) -> None:
    image, span = reference + rng.normal(0, 100, reference.shape), data_range(reference)
    every = ssim_map(image, reference, span=span)
    assert every.shape == reference.shape
    assert every[5:-5, 5:-5].mean() == pytest.approx(ssim(image, reference))


def test_no_brightness_passes_the_filter_of_high_frequencies(reference: np.ndarray) -> None:
    np.testing.assert_allclose(high_frequencies(reference + 1e6), high_frequencies(reference), atol=0.1)
    assert not high_frequencies(np.full((20, 20), 1e9)).any()


def test_hfen_ignores_an_offset_of_all_intensities(reference: np.ndarray) -> None:
    assert hfen(reference + 500, reference) == pytest.approx(0, abs=1e-3)
    # Without any detail left, all of the high frequencies are wrong.
    assert hfen(np.full_like(reference, reference.mean()), reference) == pytest.approx(1, abs=1e-3)


def test_the_psnr_of_equal_images_is_infinite_without_a_warning(reference: np.ndarray) -> None:
    assert psnr(reference, reference) == float("inf")

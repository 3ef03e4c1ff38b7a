from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.metrics import data_range, hfen, mse, psnr, ssim


@pytest.fixture
def reference(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((24, 31)) * 1000 + 50).astype(np.float32)


def test_the_mean_squared_error_does_not_wrap_around_in_unsigned_images() -> None:
    assert mse(np.array([[0, 255]], np.uint8), np.array([[1, 253]], np.uint8)) == 2.5


def test_psnr_is_ten_log_ten_of_squared_range_over_error(reference: np.ndarray) -> None:
    span = float(np.ptp(reference))
    assert psnr(reference + 0.01 * span, reference) == pytest.approx(40, abs=0.01)
    assert psnr(reference + 10, reference, span=100) == pytest.approx(20, abs=0.01)


def test_eight_bit_images_are_compared_over_255_grey_levels() -> None:
    assert data_range(np.array([[3, 9]], np.uint8)) == 255
    assert data_range(np.array([[3, 9]], np.uint16)) == 6


def test_an_image_is_entirely_like_itself(reference: np.ndarray) -> None:
    assert ssim(reference, reference) == pytest.approx(1)
    assert hfen(reference, reference) == 0


def test_more_noise_is_worse_by_every_measure(reference: np.ndarray, rng: np.random.Generator) -> None:
    noise = rng.normal(0, 1, reference.shape)
    little, much = reference + 30 * noise, reference + 200 * noise
    assert psnr(little, reference) > psnr(much, reference)
    assert ssim(little, reference) > ssim(much, reference)
    assert hfen(little, reference) < hfen(much, reference)


def test_ssim_takes_channels_at_any_place(reference: np.ndarray, rng: np.random.Generator) -> None:
    truth = np.stack([reference, reference[::-1]])
    image = truth + rng.normal(0, 100, truth.shape)
    first = ssim(image, truth, channel_axis=0)
    last = ssim(np.moveaxis(image, 0, -1), np.moveaxis(truth, 0, -1), channel_axis=-1)
    assert first == pytest.approx(last)
    assert 0 < first < 1


def test_ssim_of_an_image_smaller_than_its_window_is_refused(reference: np.ndarray) -> None:
    assert 0 < ssim(reference[:11, :11] + 50, reference[:11, :11]) < 1
    with pytest.raises(ValueError, match="win_size"):
        ssim(reference[:10, :10], reference[:10, :10])


def test_hfen_sees_edges_and_not_a_shift_of_all_intensities(reference: np.ndarray) -> None:
    assert hfen(reference + 500, reference) == pytest.approx(0, abs=1e-3)
    # Without any detail left, all of the high frequencies are wrong.
    assert hfen(np.full_like(reference, reference.mean()), reference) == pytest.approx(1, abs=1e-3)


def test_the_psnr_of_equal_images_is_infinite_without_a_warning(reference: np.ndarray) -> None:
    assert psnr(reference, reference) == float("inf")

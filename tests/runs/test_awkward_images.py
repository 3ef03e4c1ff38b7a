"""Images that no one would choose, and what holds of them all the same: numbers everywhere, less noise, the same level.

"At worst" is what was measured with eight seeds of the scene and of its noise, with whichever method is worse.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_deep_prior.arrays.phantom import Camera
from napari_deep_prior.methods import DeepImagePrior, Method
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.runs import Restoration, restore
from napari_deep_prior.runs.efforts import settings_for
from napari_deep_prior.settings import replace_flat
from napari_deep_prior.tasks import Denoise, Task

Pair = tuple[np.ndarray, np.ndarray]

CAMERA = Camera()
NL_RIDGE = settings_for(Denoise(), "nl-ridge")
DEEP = DeepImagePrior(
    network=Hourglass(channels=(16,) * 3, skip=(2,) * 3),
    code_channels=8,
    steps=60,
    averaging=0.95,
    precision="float32",
)
SHORT = replace_flat(settings_for(Denoise(), "self-distillation"), {"steps": 20})
INSIDE = np.s_[8:-8, 8:-8]


@pytest.fixture(params=[pytest.param(NL_RIDGE, id="nl-ridge"), pytest.param(DEEP, id="deep-image-prior")])
def method(request: pytest.FixtureRequest) -> Method:
    return request.param


def discs(size: int = 64, seed: int = 0) -> np.ndarray:
    """Return five even discs on an even ground, hardly blurred: values from 0.15 to about 1."""
    rng = np.random.default_rng(1000 + seed)
    row, column = np.mgrid[:size, :size]
    image = np.full((size, size), 0.15)
    for _ in range(5):
        distance = np.hypot(row - rng.uniform(0, size), column - rng.uniform(0, size))
        image[distance < rng.uniform(size / 10, size / 4)] = rng.uniform(0.3, 1)
    return gaussian_filter(image, 1.0)


def exposed(camera: Camera, photons: np.ndarray, seed: int = 0) -> Pair:
    """Return a recorded image and its truth."""
    return camera.expose(photons, np.random.default_rng(seed)), camera.expected(photons)


def error(image: np.ndarray, truth: np.ndarray, where: np.ndarray | slice = np.s_[:]) -> float:
    """Return the root of the mean squared error."""
    difference = image.astype(np.float64) - truth.astype(np.float64)
    return float(np.sqrt(np.mean(difference[where] ** 2)))


def finished(image: np.ndarray, method: Method, task: Task | None = None, **options: str) -> Restoration:
    run = restore(image, task or Denoise(), method, device="cpu", **options)
    # Not to its end by finish(): to give memory back takes longer than most of these runs.
    for _ in run:
        pass
    return run


def restored(image: np.ndarray, method: Method, **options: str) -> np.ndarray:
    return finished(image, method, dtype="float32", **options).image


# An offset far above the signal


def far_above_zero(seed: int = 0) -> Pair:
    return exposed(Camera(gain=1.0, offset=10_000.0, read_noise=2.0), 100 * discs(seed=seed), seed)


def test_a_signal_of_a_hundredth_of_the_cameras_offset_is_restored(method: Method) -> None:
    noisy, truth = far_above_zero()
    image = finished(noisy, method).image
    assert image.dtype == np.uint16
    # At worst 0.36 of the error, and 0.14 of some 30 grey levels above the offset.
    assert error(image, truth) < 0.5 * error(noisy, truth)
    assert image.mean() == pytest.approx(noisy.mean(), abs=0.5)


def test_the_offset_of_the_camera_is_no_more_than_a_level() -> None:
    noisy, _ = exposed(Camera(gain=0.5, offset=100.0, read_noise=1.0), 60 * discs())
    higher = noisy + np.uint16(60_000)
    # At worst 0.002, which is what float32 has left of 60 000.
    np.testing.assert_allclose(restored(higher, NL_RIDGE) - 60_000, restored(noisy, NL_RIDGE), atol=0.02)


# Pixels that tell little or nothing


def with_highlights(seed: int = 0) -> Pair:
    """Return an 8-bit image of whose pixels a fifth are white, and the truth, as white in its brightest parts."""
    noisy, truth = exposed(CAMERA, 60 * discs(seed=seed), seed)
    to_white = 255 / np.quantile(noisy, 0.8)
    return np.minimum(noisy * to_white, 255).astype(np.uint8), np.minimum(truth * to_white, 255)


def test_saturated_highlights_spoil_neither_the_rest_nor_the_mean(method: Method) -> None:
    noisy, truth = with_highlights()
    visible = noisy < 255
    assert 0.15 < 1 - visible.mean() < 0.25
    image = restored(noisy, method)
    assert np.isfinite(image).all()
    # At worst 0.47 of the error, and 1.6 of 255 grey levels.
    assert error(image, truth, visible) < 0.7 * error(noisy, truth, visible)
    assert image.mean() == pytest.approx(noisy.mean(), abs=3)


def with_holes(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an image that lacks four of ten pixels, the same with each filled by its nearest, and the truth."""
    noisy, truth = exposed(CAMERA, 60 * discs(seed=seed), seed)
    holes = np.random.default_rng(seed).random(noisy.shape) < 0.4
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return np.where(holes, np.nan, noisy), noisy[tuple(nearest)], truth


def test_four_of_ten_pixels_are_filled_better_than_by_the_nearest_ones(method: Method) -> None:
    holed, filled, truth = with_holes()
    image = finished(holed, method, Denoise(missing="fill")).image
    assert np.isfinite(image).all()
    # At worst 0.43.
    assert error(image, truth) < 0.7 * error(filled, truth)


def half_black(seed: int = 0) -> Pair:
    """Return an image less its background, of which the left half has become exactly 0."""
    noisy, truth = (np.maximum(image - CAMERA.offset, 0) for image in exposed(CAMERA, 60 * discs(seed=seed), seed))
    half = noisy.shape[1] // 2
    noisy[:, :half] = truth[:, :half] = 0
    return noisy.astype(np.uint16), truth


def test_a_half_that_is_exactly_zero_stays_and_the_noise_is_estimated_from_the_other_one(method: Method) -> None:
    noisy, truth = half_black()
    run = finished(noisy, method, dtype="float32")
    image = run.image
    lit, black, deep_in_black = np.s_[:, 32:], np.s_[:, :32], np.s_[:, :24]
    level = float(truth[lit].mean())
    variance = CAMERA.gain * level + CAMERA.read_noise**2
    # At worst 1.65 of the standard deviation, and 0.65 of the error.
    assert 0.5 < float(np.sqrt(run.record.noise.channels[0].variance(level) / variance)) < 2
    assert error(image, truth, lit) < 0.85 * error(noisy, truth, lit)
    # At worst 0.006 and 0.025 of the range.
    assert np.abs(image[black]).mean() < 0.02 * np.ptp(noisy)
    assert np.abs(image[deep_in_black]).max() < 0.08 * np.ptp(noisy)


def test_an_empty_channel_stays_empty_and_costs_the_other_one_nothing(method: Method) -> None:
    noisy, truth = exposed(CAMERA, 60 * discs())
    image, empty = restored(np.stack([noisy, np.zeros_like(noisy)]), method, axes="CYX")
    # At worst 0.015 grey levels; and 0.36 of the error, as without the empty channel.
    np.testing.assert_allclose(empty, 0, atol=0.05)
    assert error(image, truth) < 0.5 * error(noisy, truth)


def test_a_channel_of_photon_noise_and_one_of_electronic_noise_are_restored_together(method: Method) -> None:
    noisy, truth = exposed(CAMERA, 60 * discs())
    electronic = truth + np.random.default_rng(1).normal(0, 15, truth.shape)
    both = np.stack([noisy, electronic])
    for image, measured in zip(restored(both, method, axes="CYX"), both, strict=True):
        # At worst 0.31.
        assert error(image, truth) < 0.5 * error(measured, truth)


# Few pixels, few grey levels


def test_an_image_of_sixteen_pixels_along_a_side_is_restored(method: Method) -> None:
    noisy, truth = exposed(CAMERA, 60 * discs(16))
    image = restored(noisy, method)
    # At worst 0.95 of the error, and 0.9 of some 200 grey levels.
    assert error(image, truth) < error(noisy, truth)
    assert image.mean() == pytest.approx(noisy.mean(), abs=2)


def two_levels(seed: int = 0) -> Pair:
    """Return an image of 7 and 8 only, the brighter the more often 8, and its mean over the noise."""
    often = 0.15 + 0.7 * discs(seed=seed)
    return (7 + (np.random.default_rng(seed).random(often.shape) < often)).astype(np.uint8), 7 + often


def test_an_image_of_two_grey_levels_is_restored_to_what_is_between_them(method: Method) -> None:
    noisy, truth = two_levels()
    image = restored(noisy, method)
    # At worst 0.45 of the error, and from 6.95 to 8.05.
    assert error(image, truth) < 0.6 * error(noisy, truth)
    assert 6.85 < image.min() < image.max() < 8.15


# Intensities that are no camera's


@pytest.mark.parametrize(("dtype", "exponent"), [(np.float32, -40), (np.float64, 40)])
def test_the_unit_of_the_intensities_does_not_matter(method: Method, dtype: type, exponent: int) -> None:
    # About 1e-12 and 1e12, as powers of two: no rounding of the input can pass for a difference.
    unit = dtype(2.0**exponent)
    method = replace_flat(method, {"steps": 10})
    noisy = exposed(CAMERA, 60 * discs())[0].astype(dtype)
    scaled = finished(unit * noisy, method).image
    assert scaled.dtype == dtype
    # Bit for bit the same, with every seed.
    np.testing.assert_allclose(scaled / unit, finished(noisy, method).image, atol=1e-3 * np.ptp(noisy))


@pytest.mark.parametrize("image", [np.float64([[1.7e308, -1.7e308]] * 5), np.float64([[1, -1e39, 2]] * 5)])
def test_values_beyond_single_precision_are_refused_before_the_run(image: np.ndarray) -> None:
    stack = np.stack([np.ones_like(image) + np.eye(*image.shape), image])
    for array, axes in ((image, "YX"), (stack, "ZYX")):
        with pytest.raises(ValueError, match=r"has values up to 1.*; at most 3.4e\+38 can be restored: divide it"):
            restore(array, Denoise(), axes=axes, device="cpu")


def test_an_image_whose_values_hardly_differ_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="differ by at most 7e-300; at least 1e-60 is needed: multiply the image"):
        restore(np.eye(8) * 7e-300, Denoise(), NL_RIDGE, device="cpu").finish()


def stretched(seed: int = 0) -> Pair:
    """Return 8-bit pixels whose dark parts were made brighter for the eye, so that they have the most noise."""
    noisy, truth = exposed(Camera(gain=1.0, offset=0.0, read_noise=1.0), 100 * discs(seed=seed), seed)
    noisy, truth = (np.minimum(255 * (image / 140) ** 0.2, 255) for image in (noisy, truth))
    return np.rint(noisy).astype(np.uint8), truth


def test_a_stretched_contrast_is_not_taken_for_a_cameras_and_the_words_say_so() -> None:
    noisy, truth = stretched()
    run = finished(noisy, NL_RIDGE, dtype="float32")
    assert not run.record.noise.channels[0].reliable
    assert run.record.noise.misfit == "gaussian"
    words = run.record.noise.in_words
    assert words.startswith("Gaussian noise, sigma = ")
    assert "not reliable: " in words
    assert "the noise falls with the brightness" in words
    # At worst 0.30.
    assert error(run.image, truth) < 0.5 * error(noisy, truth)


# Linearity


def ramp(seed: int = 0) -> Pair:
    """Return a flat field of light that rises evenly from left to right."""
    return exposed(CAMERA, np.tile(np.linspace(10, 310, 64), (64, 1)), seed)


@pytest.mark.parametrize("method", [pytest.param(NL_RIDGE, id="nl-ridge"), pytest.param(SHORT, id="self-distillation")])
def test_a_flat_field_that_rises_comes_back_with_a_slope_of_one(method: Method) -> None:
    noisy, truth = ramp()
    image = restored(noisy, method)
    slope, _ = np.polyfit(truth[INSIDE].ravel(), image[INSIDE].ravel(), 1)
    # At worst 0.009 off, where the noise alone leaves a standard error of 0.004; and 0.32 of the error.
    assert slope == pytest.approx(1, abs=0.02)
    assert error(image, truth, INSIDE) < 0.5 * error(noisy, truth, INSIDE)

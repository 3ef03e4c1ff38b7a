"""Structure is not taken for noise, and noise not for structure."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_deep_prior.estimation.noise import estimate_noise

Picture = NDArray[np.generic]


def chequerboard(side: int) -> Picture:
    row, column = np.indices((128, 128))
    return (((row // side + column // side) % 2) * 200 + 20).astype(np.uint8)


def single_pixels(low: int, high: int) -> Picture:
    random = np.random.default_rng(0)
    image = np.full((128, 128), 10, np.uint16)
    image.flat[random.choice(image.size, 60, replace=False)] = random.integers(low, high + 1, 60)
    return image


def blobs(size: int = 192) -> NDArray[np.float64]:
    random = np.random.default_rng(1)
    places = (random.random((size, size)) > 0.998).astype(float)
    image = sum(width**2 * gaussian_filter(places, width) for width in (1.2, 3.0, 6.0))
    return np.asarray(image / np.max(image))


def small_squares(side: int, ground: int) -> Picture:
    random = np.random.default_rng(2)
    image = np.full((128, 128), ground, np.uint16)
    for row, column in random.integers(1, 126, (40, 2)):
        image[row : row + side, column : column + 2] = random.integers(50, 250)
    return image


def lattice(rows: int, columns: int) -> Picture:
    row, column = np.indices((128, 128))
    return (10 + 200 * ((row % rows == 0) & (column % columns == 0))).astype(np.uint16)


def lines_of_text(*levels: int) -> Picture:
    """Return text of one level on another for every line, on the first one."""
    strokes = skimage.data.page()[:128, :128] < 128
    grey = np.asarray(levels[1:], np.uint8)[np.arange(128) // 14 % (len(levels) - 1)]
    return np.where(strokes, grey[:, None], np.uint8(levels[0]))


def mask(size: int, width: float) -> Picture:
    random = np.random.default_rng(5)
    return (gaussian_filter(random.normal(size=(size, size)), width) > 0).astype(np.uint8)


CLEAN = {
    "small mask": mask(64, 2.0),
    "mask": mask(128, 4.0),
    "small text of two grey levels": lines_of_text(0, 255)[:64, :64],
    "chequerboard of 5 pixels": chequerboard(5),
    "spots of 2 x 2 pixels": small_squares(2, 0),
    "spots of 2 x 2 pixels on a ground": small_squares(2, 100),
    "spots of 1 x 2 pixels": small_squares(1, 0),
    "lattice of pixels": lattice(6, 6),
    "another lattice of pixels": lattice(5, 7),
    "text of three grey levels": lines_of_text(20, 120, 230),
    "dark text of three grey levels": lines_of_text(230, 120, 20),
    "text of five grey levels": lines_of_text(10, 60, 110, 160, 250),
    "chequerboard of single pixels": chequerboard(1),
    "chequerboard of 2 pixels": chequerboard(2),
    "chequerboard of 4 pixels": chequerboard(4),
    "single pixels of one brightness": single_pixels(200, 200),
    "single pixels": single_pixels(200, 4000),
    "two grey levels": np.where(skimage.data.page()[:128, :128] > 128, 255, 0).astype(np.uint8),
    "print": skimage.data.page()[:160, :160],
    "gravel": skimage.data.gravel()[:192, :192],
    "grass": skimage.data.grass()[:192, :192],
    "fluorescence": (100 + 1000 * blobs()).astype(np.float32),
    "fluorescence, 8 bits": np.rint(10 + 200 * blobs()).astype(np.uint8),
}


@pytest.mark.parametrize("image", CLEAN.values(), ids=CLEAN.keys())
def test_a_clean_picture_has_hardly_any_noise(image: Picture) -> None:
    found = estimate_noise(image)
    deviation = np.sqrt(found.variance(image).mean())
    assert deviation < 0.004 * np.ptp(image)


@pytest.mark.parametrize("peak", [1, 5, 18, 100, 1000])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_photon_noise_is_found_at_every_exposure(peak: float, offset: float) -> None:
    light = peak * (0.1 + blobs())
    image = offset + np.random.default_rng(2).poisson(light)
    found = estimate_noise(image)
    typical = np.quantile(light, [0.5, 0.95])
    ratio = found.variance(offset + typical) / typical
    assert ratio.min() > 0.6
    assert ratio.max() < 1.7


@pytest.mark.parametrize(("name", "sigma"), [("camera", 10), ("camera", 40), ("gravel", 20), ("gravel", 40)])
def test_noise_on_a_photograph_is_found_and_its_texture_is_not(name: str, sigma: float) -> None:
    picture = getattr(skimage.data, name)()[128:384, 128:384].astype(float)
    found = estimate_noise(picture + np.random.default_rng(3).normal(0, sigma, picture.shape))
    assert np.sqrt(found.variance(picture.mean())) == pytest.approx(sigma, rel=0.3)


def test_photon_noise_on_a_smooth_scene_is_not_taken_for_correlated_noise() -> None:
    light = 100 * blobs(256)
    found = estimate_noise(np.random.default_rng(4).poisson(light))
    assert found.gain == pytest.approx(1, rel=0.35)
    assert not found.correlated


def test_correlated_noise_stays_noise() -> None:
    random = np.random.default_rng(5)
    noise = gaussian_filter(random.normal(0, 1, (256, 256)), 0.7)
    found = estimate_noise(100 + 50 * blobs(256) + 10 * noise / noise.std())
    assert found.correlated
    assert np.sqrt(found.variance(110.0)) == pytest.approx(10, rel=0.2)


def test_a_camera_does_not_lie_above_the_darkest_parts() -> None:
    # A line through variances that grow faster than the light would have its zero inside of the picture.
    light = 50 + 150 * blobs()
    image = light + np.random.default_rng(6).normal(0, 1, light.shape) * (light / 50) ** 2
    found = estimate_noise(image)
    assert found.offset <= np.quantile(light, 0.05)


def test_the_verdict_does_not_depend_on_the_unit_of_the_grey_levels() -> None:
    image = chequerboard(4).astype(float) + np.random.default_rng(7).normal(0, 5, (128, 128))
    once, scaled = estimate_noise(image), estimate_noise(image * 1e-20)
    assert scaled.read_noise == pytest.approx(1e-20 * once.read_noise)


@pytest.mark.parametrize("sigma", [5, 10])
def test_noise_on_a_drawing_is_no_longer_overestimated(sigma: float) -> None:
    for picture in (lattice(6, 6), lines_of_text(20, 120, 230)):
        found = estimate_noise(picture + np.random.default_rng(3).normal(0, sigma, picture.shape))
        assert np.sqrt(found.variance(picture).mean()) < 1.5 * sigma


@pytest.mark.parametrize("size", [48, 64, 96])
@pytest.mark.parametrize("stretched", [1.0, 37.3])
def test_few_photons_are_noise_and_no_drawing(size: int, stretched: float) -> None:
    for seed in range(5):
        light = 5 * (0.2 + blobs(size))
        found = estimate_noise(np.rint(stretched * np.random.default_rng(seed).poisson(light)))
        typical = stretched * np.sqrt(light.mean())
        assert np.sqrt(found.variance(stretched * light).mean()) > 0.6 * typical


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("photons", [0.2, 0.6])
def test_binary_frames_of_single_photons_are_noise_and_no_drawing(size: int, photons: float) -> None:
    for seed in range(5):
        frame = np.random.default_rng(seed).poisson(photons * (0.2 + blobs(size))) > 0
        found = estimate_noise(frame.astype(np.uint8))
        assert found.variance(frame.mean()) > 0.5 * frame.var()


@pytest.mark.parametrize("background", [50, 1000, 100_000])
def test_noise_does_not_depend_on_a_background_that_was_subtracted(background: int) -> None:
    light = 100 * (0.1 + blobs())
    image = np.random.default_rng(4).poisson(light).astype(float)
    once, lowered = estimate_noise(image), estimate_noise(image - background)
    assert lowered.gain == pytest.approx(once.gain)
    levels = np.quantile(light, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(lowered.variance(levels - background), once.variance(levels), rtol=0.1)

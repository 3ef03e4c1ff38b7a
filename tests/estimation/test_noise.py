"""The noise of synthetic cameras, of which everything is known, is found again."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate, zoom

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.estimation.noise import estimate_noise
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit

Floats = NDArray[np.float64]

CAMERAS = {
    "confocal, 20 grey levels per photon": (20.0, 5.0, 0.0, 200.0),
    "photon counter": (1.0, 0.0, 0.0, 8.0),
    "sCMOS": (2.0, 100.0, 3.0, 500.0),
    "noisy readout": (5.0, 10.0, 10.0, 200.0),
    "floating point": (0.01, 0.0, 0.05, 1.0),
}


def scene(size: int = 256, seed: int = 0) -> Floats:
    """Discs of 0 to about 1 on a dim slope, blurred as by a microscope."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    image = 0.05 + 0.1 * row / size
    for _ in range(size * size // 3000):
        r, c, radius = *random.uniform(0, size, 2), random.uniform(6, 24)
        disc = (row - r) ** 2 + (column - c) ** 2 < radius**2
        image += random.uniform(0.1, 0.6) * disc
    return gaussian_filter(image, 2.0) / 1.5


def photograph(signal: Floats, gain: float, offset: float, read_noise: float, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    image = signal
    if gain > 0:
        image = gain * random.poisson((signal - offset) / gain) + offset
    return image + random.normal(0, 1, signal.shape) * read_noise


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
def test_the_standard_deviation_is_found_within_a_tenth_at_every_brightness(
    camera: tuple[float, float, float, float],
) -> None:
    gain, offset, read_noise, peak = camera
    signal = offset + peak * scene()
    found = estimate_noise(photograph(signal, gain, offset, read_noise))
    level = np.quantile(signal, [0.05, 0.5, 0.95])
    truth = gain * (level - offset) + read_noise**2
    assert found.reliable, found.reasons
    assert found.kind == "Poisson-Gaussian"
    np.testing.assert_allclose(np.sqrt(found.variance(level) / truth), 1, atol=0.12)


def test_the_transform_with_the_estimate_makes_the_noise_one() -> None:
    signal = 100 + 500 * scene()
    image = photograph(signal, 2.0, 100.0, 3.0)
    found = estimate_noise(image)
    grey, mean = (torch.from_numpy(values)[None, None] for values in (image, signal))
    misfit = AnscombeMisfit([found], (np.ones(1), np.zeros(1)), grey)
    residual = (misfit.stabilise(grey) - misfit.stabilise(mean))[0, 0].numpy()
    third = np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3]))
    for part in range(3):
        assert residual[third == part].std() == pytest.approx(1, abs=0.1)


def test_with_the_offset_given_the_read_noise_is_the_detectors() -> None:
    image = photograph(10 + 200 * scene(), 5.0, 10.0, 10.0)
    found = estimate_noise(image, offset=10.0)
    assert found.offset == 10
    assert found.gain == pytest.approx(5, rel=0.2)
    assert found.read_noise == pytest.approx(10, rel=0.2)


def test_noise_that_does_not_grow_with_the_brightness_is_gaussian() -> None:
    found = estimate_noise(photograph(200 * scene(), 0.0, 0.0, 10.0))
    assert (found.kind, found.gain, found.reliable) == ("Gaussian", 0, True)
    assert found.read_noise == pytest.approx(10, rel=0.08)


def test_the_estimate_scales_with_the_grey_levels() -> None:
    image = photograph(100 + 500 * scene(), 2.0, 100.0, 3.0)
    once, scaled = estimate_noise(image), estimate_noise(image / 1000)
    assert scaled.gain == pytest.approx(once.gain / 1000)
    assert scaled.offset == pytest.approx(once.offset / 1000)


@pytest.mark.parametrize("weights", [(0.3, 1.0, 0.0), (0.5, 1.0, 0.5)])
def test_correlation_of_the_noise_is_estimated_and_corrected_for(weights: tuple[float, ...]) -> None:
    signal = 200 * scene()
    noise = np.random.default_rng(2).normal(0, 20, signal.shape)
    along = sum(w * np.roll(noise, k - 1, 1) for k, w in enumerate(weights))
    both = sum(w * np.roll(along, k - 1, 0) for k, w in enumerate(weights))
    power = sum(w * w for w in weights)
    lag = sum(a * b for a, b in pairwise(weights)) / power
    found = estimate_noise(signal + both)
    assert found.correlation == pytest.approx((lag, lag), abs=0.08)
    assert np.sqrt(found.variance(100.0)) == pytest.approx(20 * power, rel=0.15)
    assert "correlated" in found.in_words()


@pytest.mark.parametrize("order", [1, 3])
def test_the_noise_of_an_image_that_was_enlarged_twofold_is_found(order: int) -> None:
    signal = 100 + 120 * scene(128)
    image, truth = (zoom(each, 2, order=order) for each in (photograph(signal, 3.0, 100.0, 1.0), signal))
    found = estimate_noise(image.round())
    assert found.reliable, found.reasons
    assert min(found.correlation) > 0.6
    assert np.sqrt(found.variance(truth).mean()) == pytest.approx((image - truth).std(), rel=0.15)


def test_correlation_is_given_along_row_then_column() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (129, 128))
    found = estimate_noise(noise[1:] + 0.5 * noise[:-1])
    assert found.correlation[0] == pytest.approx(0.4, abs=0.06)
    assert found.correlation[1] == pytest.approx(0, abs=0.06)


def test_repeats_are_not_misled_by_texture_as_a_single_image_is() -> None:
    texture = np.random.default_rng(3).normal(0, 0.1, (128, 128))
    signal = 100 + 500 * np.maximum(scene(128) + texture + 0.3, 0)
    image = photograph(np.stack([signal] * 6), 2.0, 100.0, 3.0)
    level = np.quantile(signal, [0.1, 0.5, 0.9])
    truth = np.sqrt(2 * (level - 100) + 9)
    repeated = estimate_noise(image, repeats_axis=0)
    moved = estimate_noise(np.moveaxis(image, 0, -1), repeats_axis=-1)
    np.testing.assert_allclose(np.sqrt(repeated.variance(level)) / truth, 1, atol=0.1)
    assert moved == repeated
    assert np.sqrt(estimate_noise(image).variance(level[1])) > 1.5 * truth[1]


def test_missing_saturated_and_filled_pixels_do_not_change_the_estimate() -> None:
    signal = 100 + 500 * scene()
    image = photograph(signal, 2.0, 100.0, 3.0)
    level = np.quantile(signal, [0.1, 0.5, 0.8])
    truth = np.sqrt(2 * (level - 100) + 9)
    missing, filled = image.copy(), image.copy()
    missing[np.random.default_rng(0).random(image.shape) < 0.05] = np.nan
    missing[40:90, 100:180] = np.nan
    filled[:, :60] = 0
    top = float(np.quantile(image, 0.98))
    for spoiled in (missing, filled, np.minimum(image, top)):
        found = estimate_noise(spoiled)
        np.testing.assert_allclose(np.sqrt(found.variance(level)) / truth, 1, atol=0.12)
    assert estimate_noise(np.minimum(image, top)).saturation == top
    assert estimate_noise(image).saturation is None


def test_blocks_clipped_at_black_do_not_make_the_noise_vanish() -> None:
    signal = 200 * np.maximum(scene() - 0.2, 0)
    found = estimate_noise(np.clip(photograph(signal, 5.0, 0.0, 4.0).round(), 0, 255))
    assert found.reliable
    assert found.gain == pytest.approx(5, rel=0.2)


def test_pixels_darker_than_zero_light_show_read_noise() -> None:
    light = 20 * cells((128, 128)) / cells((128, 128)).max() + 3
    image = np.clip(photograph(10 + light, 10.0, 10.0, 10.0).round(), 0, 255)
    found = estimate_noise(image)
    assert 3 < found.read_noise < 15


def test_pixels_filled_with_black_and_dead_ones_are_no_read_noise() -> None:
    image = photograph(500 + 200 * scene(), 2.0, 100.0, 3.0)
    spoiled = image.copy()
    spoiled[:, :30] = 0
    spoiled[40:45, 200] = 0
    assert estimate_noise(spoiled).read_noise == pytest.approx(estimate_noise(image).read_noise, abs=3.0)


@pytest.mark.parametrize("degrees", [0.0, 8.0])
def test_the_edge_of_what_was_filled_with_black_is_no_read_noise(degrees: float) -> None:
    signal = 100 + 120 * scene(128)
    image = photograph(signal, 3.0, 100.0, 1.5)
    whole = rotate(np.ones((128, 128)), degrees, reshape=False, order=1)
    whole[:20] = whole[:, -28:] = 0
    # At the edge a rotation mixes the image with the black around it.
    found, truth = estimate_noise((image * whole).round()), np.sqrt(3 * (signal - 100) + 1.5**2)
    assert found.reliable, found.reasons
    np.testing.assert_allclose(
        np.sqrt(found.variance(np.quantile(signal, [0.3, 0.9]))), np.quantile(truth, [0.3, 0.9]), rtol=0.2
    )


def test_edges_are_not_taken_for_noise() -> None:
    random = np.random.default_rng(4)
    squares = np.kron(random.uniform(0, 1, (12, 12)), np.ones((22, 22)))
    signal = 100 + 1000 * gaussian_filter(squares, 1.0)
    found = estimate_noise(photograph(signal, 2.0, 100.0, 3.0))
    level = np.quantile(signal, [0.1, 0.5, 0.9])
    truth = np.sqrt(2 * (level - 100) + 9)
    np.testing.assert_allclose(np.sqrt(found.variance(level)) / truth, 1, atol=0.12)


def test_an_inverted_image_is_unreliable_and_gaussian() -> None:
    found = estimate_noise(700 - photograph(100 + 500 * scene(), 2.0, 100.0, 3.0))
    assert (found.kind, found.reliable) == ("Gaussian", False)
    assert "falls with the brightness" in found.in_words()


def test_a_small_image_is_measured_but_not_relied_on() -> None:
    random = np.random.default_rng(0)
    found = estimate_noise(random.normal(50, 10, (16, 16)))
    assert (found.kind, found.reliable) == ("Gaussian", False)
    assert found.read_noise == pytest.approx(10, rel=0.5)
    assert "only 64 pixels" in found.in_words()


def test_a_constant_or_empty_image_has_no_noise_and_says_so() -> None:
    for image in (np.ones((40, 40)), np.full((40, 40), np.nan)):
        found = estimate_noise(image)
        assert (found.read_noise, found.reliable) == (0, False)
        assert "constant" in found.in_words()


@pytest.mark.parametrize("seed", range(5))
def test_a_few_bright_places_show_how_the_noise_grows(seed: int) -> None:
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:128, :128]
    spots = sum(np.exp(-((row - r) ** 2 + (column - c) ** 2) / 18) for r, c in random.uniform(8, 120, (5, 2)))
    signal = 110 + 120 * spots
    found = estimate_noise(photograph(signal, 2.0, 100.0, 3.0, seed + 50))
    level = np.array([110.0, 194.0])
    np.testing.assert_allclose(np.sqrt(found.variance(level)) / np.sqrt(2 * (level - 100) + 9), 1, atol=0.25)
    assert estimate_noise(photograph(signal, 0.0, 0.0, 5.0, seed)).gain == 0


@pytest.mark.parametrize("share", [0.06, 0.3])
def test_the_noise_of_what_is_not_saturated_is_known(share: float) -> None:
    signal = 100 + 500 * scene()
    image = photograph(signal, 2.0, 100.0, 3.0)
    found = estimate_noise(np.minimum(image, np.quantile(image, 1 - share)))
    level = np.quantile(signal, [0.1, 0.3, 0.6])
    assert found.reliable, found.reasons
    np.testing.assert_allclose(np.sqrt(found.variance(level)) / np.sqrt(2 * (level - 100) + 9), 1, atol=0.12)


def test_a_mostly_saturated_image_is_unreliable() -> None:
    image = photograph(100 + 500 * scene(), 2.0, 100.0, 3.0)
    found = estimate_noise(np.minimum(image, np.quantile(image, 0.4)))
    assert not found.reliable
    assert "saturated" in found.in_words()


def test_a_smooth_picture_without_noise_is_not_taken_for_a_detector() -> None:
    random = np.random.default_rng(0).normal(0, 1, (128, 128))
    found = estimate_noise(100 + 500 * gaussian_filter(random, 3.0))
    assert (found.kind, found.reliable) == ("Gaussian", False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_dtype_gives_the_same_noise(dtype: str) -> None:
    image = photograph(20 + 150 * scene(128), 1.0, 20.0, 2.0).round().clip(0, 255)
    expected = estimate_noise(image)
    assert estimate_noise(image.astype(dtype)) == expected
    stack = np.stack([image, image[::-1]]).astype(dtype)
    assert estimate_noise(stack, repeats_axis=0) == estimate_noise(stack.astype(float), repeats_axis=0)


def test_wrong_shapes_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"shape \(9, 40\).*larger part"):
        estimate_noise(np.zeros((9, 40)))
    with pytest.raises(ValueError, match="leave repeats_axis out"):
        estimate_noise(np.zeros((1, 40, 40)), repeats_axis=0)
    with pytest.raises(ValueError, match="larger part"):
        estimate_noise(np.zeros((40, 40)), repeats_axis=0)
    with pytest.raises(ValueError, match="gain is -1"):
        NoiseModel(gain=-1)


def test_the_estimate_does_not_change_its_input() -> None:
    image = photograph(100 + 500 * scene(64), 2.0, 100.0, 3.0)
    before = image.copy()
    estimate_noise(image)
    np.testing.assert_array_equal(image, before)


def test_the_words_name_what_a_person_needs() -> None:
    photons = NoiseModel(gain=10 / 3, read_noise=2.1, correlation=(0.1, 0.58))
    assert photons.in_words() == (
        "photon noise, about 0.3 photons per grey level; read noise 2.1; "
        "neighbouring pixels' noise is correlated (0.58)"
    )
    assert NoiseModel(read_noise=25.1).in_words() == "Gaussian noise, sigma = 25.1"
    assert NoiseModel().in_words() == "no noise found"


def test_the_model_round_trips_json() -> None:
    model = NoiseModel(gain=2.0, offset=3.0, reliable=False, reasons=("dark",))
    read = json.loads(json.dumps(asdict(model)))
    read.update(correlation=tuple(read["correlation"]), reasons=tuple(read["reasons"]))
    assert NoiseModel(**read) == model


def test_the_variance_is_a_line_and_never_negative() -> None:
    model = NoiseModel(gain=2.0, offset=10.0, read_noise=3.0)
    np.testing.assert_allclose(model.variance([-50, 10, 15]), [0, 9, 19])


@pytest.mark.parametrize("width", [0.7, 1.0])
def test_the_shape_of_light_in_the_dark_is_no_correlation_of_noise(width: float) -> None:
    random = np.random.default_rng(0)
    light = np.zeros((192, 192))
    light[tuple(random.integers(8, 184, (2, 90)))] = 5 * 2 * np.pi * width**2
    model = estimate_noise(random.poisson(gaussian_filter(light, width, truncate=6)).astype(np.uint16))
    assert model.correlation == (0.0, 0.0)

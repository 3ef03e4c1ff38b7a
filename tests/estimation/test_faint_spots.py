"""Faint spots keep their light, and nothing else gets brighter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.estimation.faint_spots import give_back_light, without_spots
from napari_deep_prior.estimation.residual_check import keep_total
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit
from napari_deep_prior.problem import Problem

NOISE = 0.05


def scene(peak: float, *, width: float = 1.2, size: int = 160, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Return spots on a background of 0.5, (1, C, rows, columns), and the places that belong to them."""
    random = np.random.default_rng(3)
    row, column = np.indices((size, size))
    image, near = np.full((size, size), 0.5), np.zeros((size, size), bool)
    for r in range(10, size - 9, 14):
        for c in range(10, size - 9, 14):
            distance = (row - r - random.uniform(-0.5, 0.5)) ** 2 + (column - c - random.uniform(-0.5, 0.5)) ** 2
            image += peak * np.exp(-distance / (2 * width**2))
            near |= distance < 16
    return torch.from_numpy(image).float().expand(1, channels, -1, -1), torch.from_numpy(near)


def measurement(truth: Tensor, *, seed: int = 0, **options: int) -> Problem:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    return Problem(
        measured=truth + NOISE * noise,
        weight=torch.ones_like(truth),
        operator=Identity(),
        misfit=GaussianMisfit(NOISE),
        **options,  # type: ignore[arg-type]  (correlation_length alone is given)
    )


def light_left(image: Tensor, truth: Tensor, near: Tensor) -> float:
    return float((image - 0.5)[..., near].sum() / (truth - 0.5)[..., near].sum())


@pytest.mark.parametrize("width", [0.8, 1.2, 1.5])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_what_spots_have_lost_is_given_back(width: float, share: float) -> None:
    truth, near = scene(5 * NOISE / width, width=width)
    image = 0.5 + share * (truth - 0.5)
    mended, spots = give_back_light(measurement(truth), image)
    left = light_left(mended, truth, near)
    assert left == pytest.approx(1, abs=0.08)
    assert left > share
    assert float(spots[..., near].mean()) > 0.7
    # There are none; that noise looks like one in one of the eight draws is no surprise.
    assert float(spots[..., :3, :3].max()) <= 1 / 8


def test_every_channel_gets_its_own_light() -> None:
    truth, near = scene(6 * NOISE, channels=2)
    lost = torch.tensor([0.5, 0.8]).reshape(1, 2, 1, 1)
    mended, _ = give_back_light(measurement(truth), 0.5 + lost * (truth - 0.5))
    for channel in range(2):
        assert light_left(mended[:, channel], truth[:, channel], near) == pytest.approx(1, abs=0.05)


def test_places_that_noise_has_made_bright_get_no_light() -> None:
    # The result is the truth: whatever is added is noise that was taken for light.
    light = torch.from_numpy(np.asarray(cells((192, 192)), np.float32))[None, None]
    truth = 0.2 + 0.6 * light / light.max()
    mended, spots = give_back_light(measurement(truth), truth)
    # Bright places were looked at, and the error stays far below what is left by the best method.
    assert float(spots.mean()) > 0.2
    assert float((mended - truth).square().mean()) < (0.06 * NOISE) ** 2


def test_nothing_becomes_darker_than_the_darkest_pixel() -> None:
    # A step that was blurred far too much: the measurement is darker beside it than the result is.
    truth = torch.full((1, 1, 96, 96), 0.2)
    truth[..., 24:72, 24:72] = 0.8
    image = torch.nn.functional.avg_pool2d(truth, 9, stride=1, padding=4, count_include_pad=False)
    mended, _ = give_back_light(measurement(truth), image)
    assert float(mended.min()) >= float(image.min())
    assert float((mended - truth).square().mean()) < float((image - truth).square().mean())


def test_a_flat_image_stays_flat() -> None:
    truth = torch.full((1, 1, 192, 192), 0.5)
    mended, _ = give_back_light(measurement(truth), truth)
    assert float((mended - truth).std()) < 0.02 * NOISE


@pytest.mark.parametrize("photons", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("believed", [1.0, 1.2])
def test_flat_light_of_few_photons_stays_flat(photons: float, believed: float) -> None:
    # The noise of few photons is far from normal, and that which is estimated is never quite right.
    counts = np.random.default_rng(0).poisson(photons, (192, 192)).astype(np.float32)
    measured = torch.from_numpy(counts)[None, None] / 50
    model = NoiseModel(gain=believed, offset=(1 - believed) * photons)
    problem = Problem(
        measured=measured,
        weight=torch.ones_like(measured),
        operator=Identity(),
        misfit=AnscombeMisfit([model], (np.array([50.0]), np.zeros(1)), measured),
    )
    truth = torch.full_like(measured, photons / 50)
    mended, _ = give_back_light(problem, truth)
    assert float((mended - truth).std()) < 0.06 * photons**0.5 / 50


def test_where_noise_is_correlated_nothing_is_added() -> None:
    truth, _ = scene(4 * NOISE)
    image = torch.full_like(truth, 0.5)
    mended, spots = give_back_light(measurement(truth, correlation_length=3), image)
    assert torch.equal(mended, image)
    assert not bool(spots.any())


def test_pixels_without_a_measurement_are_no_spots() -> None:
    truth, near = scene(4 * NOISE)
    problem = measurement(truth)
    weight = torch.ones_like(truth)
    weight[..., :80] = 0
    problem = dataclasses.replace(problem, weight=weight, measured=torch.where(weight > 0, problem.measured, 5.0))
    mended, _ = give_back_light(problem, torch.full_like(truth, 0.5))
    assert torch.equal(mended[..., :70], torch.full_like(mended[..., :70], 0.5))
    assert light_left(mended[..., 90:], truth[..., 90:], near[:, 90:]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 5, 4), (1, 2, 3, 40), (1, 1, 3, 24, 24)])
def test_small_images_and_volumes_have_no_spots_of_noise(shape: tuple[int, ...]) -> None:
    truth = torch.full(shape, 0.5)
    mended, _ = give_back_light(measurement(truth), truth)
    assert mended.shape == shape
    assert float((mended - truth).abs().max()) < NOISE


def test_what_is_brighter_than_its_surroundings_is_no_background() -> None:
    truth, _ = scene(1.0)
    assert float(without_spots(truth).max()) < 0.52


def test_the_total_is_made_right_away_from_spots() -> None:
    truth, near = scene(0.5)
    spots = near.float().expand_as(truth)
    restored = torch.where(near, truth, truth + 0.02)
    whole = keep_total(measurement(truth), restored, spots)
    assert torch.equal(whole[..., near], restored[..., near])
    assert float(whole.mean()) == pytest.approx(float(measurement(truth).measured.mean()), abs=1e-4)


def spot_image(
    peak: float, background: float, *, width: float = 1.2, size: int = 160
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    truth, near = scene(1.0, width=width, size=size)
    return background + peak * (truth[0, 0].double().numpy() - 0.5), near.numpy()


@pytest.mark.parametrize(
    ("peak", "background", "width"),
    [(5, 0.5, 1.2), (5, 2, 1.2), (20, 2, 1.2), (5, 0, 0.7), (5, 0.5, 0.8), (20, 20, 1.2), (5, 2, 1.5)],
)
def test_a_run_keeps_the_light_of_faint_spots(peak: float, background: float, width: float) -> None:
    truth, near = spot_image(peak, background, width=width)
    noisy = np.random.default_rng(0).poisson(truth).astype(np.uint16)
    restored = restore(noisy, Denoise(), "auto", effort="fast", dtype="float32").finish()

    def light(image: NDArray[np.float64]) -> float:
        return float((image - image[~near].mean())[near].sum())

    assert light(restored) == pytest.approx(light(noisy.astype(np.float64)), rel=0.05)
    # And the result is no copy of the measurement.
    if background:
        assert np.std(restored - truth) < 0.6 * np.std(noisy - truth)

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.phantom import BACKGROUND, Camera, cells


@pytest.mark.parametrize("shape", [(48, 48), (31, 47), (7, 32, 29), (3, 3)])
def test_cells_have_the_given_shape_and_are_nowhere_darker_than_the_background(shape: tuple[int, ...]) -> None:
    photons = cells(shape)
    assert photons.shape == shape
    assert photons.min() >= BACKGROUND - 1e-9
    assert photons.max() > 2 * BACKGROUND


def test_the_same_seed_gives_the_same_cells() -> None:
    np.testing.assert_array_equal(cells((24, 24), seed=3), cells((24, 24), seed=3))
    assert (cells((24, 24), seed=3) != cells((24, 24), seed=4)).any()


def test_more_blur_leaves_less_detail() -> None:
    sharp, blurred = cells((48, 48), blur=0.7), cells((48, 48), blur=3)
    assert np.abs(np.diff(blurred)).max() < 0.5 * np.abs(np.diff(sharp)).max()


def test_a_camera_has_the_mean_and_variance_of_its_parameters(rng: np.random.Generator) -> None:
    camera = Camera(gain=3, offset=200, read_noise=5)
    photons = np.full((200, 200), 30.0)
    image = camera.expose(photons, rng)
    assert image.dtype == np.uint16
    assert image.mean() == pytest.approx(camera.expected(photons).mean(), rel=0.005)
    assert image.mean() == pytest.approx(3 * 30 + 200, rel=0.005)
    # Photon noise, read noise, rounding.
    assert image.astype(float).var() == pytest.approx(9 * 30 + 25 + 1 / 12, rel=0.05)


def test_grey_levels_are_clipped_not_wrapped(rng: np.random.Generator) -> None:
    assert (Camera(gain=4).expose(np.full((4, 4), 1e6), rng) == 65535).all()
    dark = Camera(offset=0, read_noise=3).expose(np.zeros((50, 50)), rng)
    assert dark.min() == 0
    assert dark.max() < 30

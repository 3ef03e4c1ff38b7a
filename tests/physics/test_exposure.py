"""Measurements that are drawn have the light that was asked for, and the noise of the camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.physics.exposure import Exposure
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import CameraUnits

UNITS = np.array([50.0]), np.array([100.0])
"""Canonical values are fiftieths of grey levels above 100."""


def drawn(noise: NoiseModel, level: float, factor: float = 1.0) -> torch.Tensor:
    """Return grey levels that are measured of an even image."""
    image = torch.full((1, 1, 200, 200), (level - 100) / 50)
    exposure = Exposure(CameraUnits((noise,), UNITS, image))
    return exposure.measured(exposure.at(image, factor), torch.Generator().manual_seed(0)) * 50 + 100


@pytest.mark.parametrize("factor", [0.1, 1.0, 3.0])
def test_more_light_has_the_noise_of_more_photons(factor: float) -> None:
    measured = drawn(NoiseModel(gain=2.0, offset=110.0, read_noise=3.0), 150.0, factor)
    assert float(measured.mean()) == pytest.approx(110 + factor * 40, abs=0.3)
    assert float(measured.var()) == pytest.approx(2 * factor * 40 + 9, rel=0.03)


def test_photons_are_whole() -> None:
    measured = drawn(NoiseModel(gain=4.0, offset=110.0), 114.0)
    photons = (measured - 110) / 4
    torch.testing.assert_close(photons, photons.round(), atol=1e-3, rtol=0)
    assert float((photons.round() == 0).float().mean()) == pytest.approx(np.exp(-1), abs=0.02)


def test_without_photon_noise_only_read_noise_is_drawn_and_darkness_has_it_too() -> None:
    assert float(drawn(NoiseModel(read_noise=5.0), 150.0).std()) == pytest.approx(5, rel=0.02)
    below = drawn(NoiseModel(gain=2.0, offset=110.0, read_noise=5.0), 90.0)
    assert float(below.mean()) == pytest.approx(90, abs=0.2)
    assert float(below.std()) == pytest.approx(5, rel=0.02)

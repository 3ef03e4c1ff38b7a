"""What a result is checked by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from napari_deep_prior.runs.posing import pose

from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, restore
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.runs.diagnostics import in_words, residual

CPU = torch.device("cpu")
CAMERA = Camera(gain=4.0, offset=100.0, read_noise=6.0)
MODEL = NoiseModel(gain=CAMERA.gain, offset=CAMERA.offset, read_noise=CAMERA.read_noise)


@pytest.fixture
def photons() -> np.ndarray:
    return 3 * cells((96, 80), seed=1)


def residual_of(noisy: np.ndarray, image: np.ndarray) -> np.ndarray:
    measured, weight, frame = canonical(noisy, "YX", device=CPU)
    problem, _ = pose(Denoise(), measured, weight, frame, (MODEL,))
    factor, shift = frame.units
    interpolate = torch.from_numpy(((image - shift) / factor).astype(np.float32))[None, None]
    return residual(problem, interpolate).numpy()


def test_the_residual_of_the_truth_is_noise_of_variance_one(photons: np.ndarray) -> None:
    values = residual_of(CAMERA.expose(photons, np.random.default_rng(0)), CAMERA.expected(photons))
    assert values.var() == pytest.approx(1, abs=0.1)
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert in_words(values, [MODEL]).startswith("the residual looks like noise")


def test_a_blurred_image_has_structure_in_its_residual(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    blurred = CAMERA.expected(np.full_like(photons, photons.mean()))
    assert in_words(residual_of(noisy, blurred), [MODEL]).startswith("structure was removed")


def test_the_noisy_image_itself_has_noise_left(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    half = 0.5 * (noisy + CAMERA.expected(photons))
    assert in_words(residual_of(noisy, half), [MODEL]).startswith("some noise was left")


def test_a_run_keeps_residual_and_uncertainty_of_every_slice_when_asked(photons: np.ndarray) -> None:
    stack = CAMERA.expose(np.stack([photons, photons]), np.random.default_rng(0))
    method = DeepImagePrior(steps=6, members=2, code_channels=4, network=Hourglass(channels=(8, 8), skip=(2, 2)))
    run = restore(stack, Denoise(), method, axes="ZYX", device="cpu", diagnostics=True)
    run.finish()
    assert set(run.diagnostics) == {"residual", "uncertainty"}
    for values in run.diagnostics.values():
        assert values.shape == stack.shape
        assert values.dtype == np.float32
        assert all(plane.any() for plane in values)
    assert (run.diagnostics["uncertainty"] >= 0).all()
    assert len(run.record["residual"]) == 2


def test_a_run_that_was_not_asked_keeps_nothing(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    method = DeepImagePrior(steps=2, code_channels=4, network=Hourglass(channels=(8, 8), skip=(2, 2)))
    run = restore(noisy, Denoise(), method, device="cpu")
    run.finish()
    assert run.diagnostics == {}
    assert run.record["residual"] == []

"""What a result is checked by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.estimation.residual_check import residual
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.runs.report import residual_in_words
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise, SuperResolve
from napari_deep_prior.tasks.inputs import Inputs
from napari_deep_prior.tasks.task import Measured, Prepared

from .toys import dimming

CPU = torch.device("cpu")
CAMERA = Camera(gain=4.0, offset=100.0, read_noise=6.0)
MODEL = NoiseModel(gain=CAMERA.gain, offset=CAMERA.offset, read_noise=CAMERA.read_noise)


@pytest.fixture
def photons() -> np.ndarray:
    return 3 * cells((96, 80), seed=1)


def residual_of(noisy: np.ndarray, image: np.ndarray) -> np.ndarray:
    values, weight, frame = canonical(noisy, "YX", device=CPU, missing="fill")
    (piece,) = plan(noisy.shape, "YX")
    problem = (
        Denoise().problem(Measured(values, weight, frame, piece), Prepared(Identity(), (MODEL,)), Inputs()).problem
    )
    factor, shift = frame.units
    canonical_image = torch.from_numpy(((image - shift) / factor).astype(np.float32))[None, None]
    return residual(problem, canonical_image).numpy()


def test_the_residual_of_the_truth_is_noise_of_variance_one(photons: np.ndarray) -> None:
    values = residual_of(CAMERA.expose(photons, np.random.default_rng(0)), CAMERA.expected(photons))
    assert values.var() == pytest.approx(1, abs=0.1)
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert residual_in_words(values, [MODEL]).startswith("the residual looks like noise")


def test_a_blurred_image_has_structure_in_its_residual(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    blurred = CAMERA.expected(np.full_like(photons, photons.mean()))
    assert residual_in_words(residual_of(noisy, blurred), [MODEL]).startswith("structure was removed")


def test_the_noisy_image_itself_has_noise_left(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    half = 0.5 * (noisy + CAMERA.expected(photons))
    assert residual_in_words(residual_of(noisy, half), [MODEL]).startswith("some noise was left")


def test_a_run_keeps_residual_and_uncertainty_of_every_slice_when_asked(photons: np.ndarray) -> None:
    part = photons[:32, :32]
    stack = CAMERA.expose(np.stack([part, part]), np.random.default_rng(0))
    method = DeepImagePrior(steps=3, members=2, code_channels=4, network=Hourglass(channels=(8, 8), skip=(2, 2)))
    run = restore(stack, Denoise(), method, axes="ZYX", device="cpu", diagnostics=True)
    run.finish()
    assert set(run.diagnostics) == {"residual", "uncertainty"}
    for values in run.diagnostics.values():
        assert values.shape == stack.shape
        assert values.dtype == np.float32
        assert all(plane.any() for plane in values)
    assert (run.diagnostics["uncertainty"] >= 0).all()
    assert len(run.record.residuals) == 2


def test_a_run_that_was_not_asked_keeps_nothing(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    run = restore(noisy, Denoise(), dimming(), device="cpu")
    run.finish()
    assert run.diagnostics == {}
    assert run.record.residuals == []


def test_missing_pixels_have_no_residual(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0)).astype(np.float32)
    noisy[3, 4:7] = np.nan
    values = residual_of(noisy, CAMERA.expected(photons))
    assert np.argwhere(values[0, 0] == 0).tolist() == [[3, 4], [3, 5], [3, 6]]


def test_of_an_enlarged_image_the_residual_is_a_sentence_and_its_agreement_is_remarked(photons: np.ndarray) -> None:
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    run = restore(noisy, SuperResolve(), dimming(), device="cpu", diagnostics=True)
    next(run)
    assert run.record.remarks == run.record.residuals == []
    run.close()
    assert run.diagnostics == {}
    assert len(run.record.residuals) == 1
    assert run.record.remarks[-1].startswith("made as coarse again, the result is ")

"""A network that is trained to remove noise, on a phantom whose truth is known."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import NLRidge, SelfDistillation, self_distillation
from napari_deep_prior.methods.self_distillation import _Denoiser
from napari_deep_prior.networks import UNet
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step

CPU = torch.device("cpu")
CAMERA = Camera()
MODEL = NoiseModel(gain=CAMERA.gain, offset=CAMERA.offset, read_noise=CAMERA.read_noise)
SMALL = SelfDistillation(steps=4, crop=16, examples=2, precision="float32", network=UNet(channels=(8, 8)))

Pose = Callable[..., Problem]


@pytest.fixture
def problem(noisy: np.ndarray, pose: Pose) -> Problem:
    return pose(noisy, noise=[MODEL])


def steps_of(problem: Problem, **changes: object) -> list[Step]:
    return list(dataclasses.replace(SMALL, **changes).fit(problem))


@pytest.mark.slow
def test_the_network_does_similar_patches_no_harm(pose: Pose) -> None:
    shape = (96, 96)
    noisy, truth = CAMERA.expose(cells(shape), np.random.default_rng(0)), CAMERA.expected(cells(shape))
    problem, frame = pose(noisy, noise=[MODEL]), canonical(noisy, "YX", device=CPU)[2]
    method = SelfDistillation(steps=250, crop=32, examples=4, network=UNet(channels=(16, 32, 32)), precision="float32")
    *_, distilled = method.fit(problem)
    *_, patches = NLRidge().fit(problem)
    psnrs = [
        metrics.psnr(image, truth) for image in (noisy, frame.to_image(patches.image), frame.to_image(distilled.image))
    ]
    assert psnrs[2] > psnrs[1] - 0.1
    assert psnrs[2] > psnrs[0] + 6


def test_it_is_trained_on_the_noise_of_the_measurement(noisy: np.ndarray, problem: Problem) -> None:
    clean = problem.misfit.expected(problem.measured)
    denoiser = _Denoiser(SMALL, problem, clean, torch.zeros_like(clean), torch.Generator().manual_seed(0))
    variance = (denoiser.noise * denoiser.scale).square()
    torch.testing.assert_close(variance, problem.misfit.stabilised_variance(problem.measured), rtol=0.1, atol=0.05)


def test_members_are_trained_one_after_another_and_give_the_deviation(problem: Problem) -> None:
    steps = steps_of(problem, members=2)
    assert [step.number for step in steps] == list(range(1, 9))
    assert {step.total for step in steps} == {8}
    assert all(step.deviation is None for step in steps[:-1])
    assert float(steps[-1].deviation.max()) > 0
    assert steps_of(problem)[-1].deviation is None


def test_before_it_is_trained_the_image_is_that_of_similar_patches(problem: Problem) -> None:
    first = steps_of(problem)[0]
    error = metrics.mse(first.image[0, 0].numpy(), problem.measured[0, 0].numpy())
    assert error > 0
    assert float(first.criterion) < 1.5


def test_a_prediction_is_kept_only_if_it_is_better(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_distillation, "LOOK_EVERY", 5)
    steps = steps_of(problem, steps=20)
    criteria = [float(step.criterion) for step in steps[:-1]]
    assert all(later <= earlier for earlier, later in itertools.pairwise(criteria))
    changes = [int(step.chosen) for step in steps[:-1]]
    assert all(chosen == 1 or chosen % 5 == 0 for chosen in changes)


def test_training_ends_when_more_steps_bring_nothing(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_distillation, "LOOK_EVERY", 5)
    monkeypatch.setattr(self_distillation, "MARGIN", 1000.0)
    steps = steps_of(problem, steps=50, patience=10, members=2)
    assert [step.number for step in steps] == list(range(1, 21))
    assert steps[-1].total == 20
    assert steps[-1].deviation is not None


def test_missing_pixels_are_filled(pose: Pose, noisy: np.ndarray, truth: np.ndarray) -> None:
    holed = noisy.astype(np.float32)
    holed[10:14, 20:23] = np.nan
    frame = canonical(holed, "YX", device=CPU, missing="fill")[2]
    *_, step = SMALL.fit(pose(holed, missing="fill", noise=[MODEL]))
    image = frame.to_image(step.image)
    holes = np.isnan(holed)
    assert np.isfinite(image).all()
    assert np.abs(image - truth)[holes].mean() < np.abs(np.nanmean(holed) - truth)[holes].mean()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"correlation_length": 3}, "neighbouring pixels is correlated"),
        ({"operator": Downsample((2.0, 2.0), Bicubic())}, "only denoise"),
    ],
)
def test_a_problem_that_it_cannot_solve_is_refused(problem: Problem, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}.*: choose the deep image prior"):
        list(SMALL.fit(dataclasses.replace(problem, **changes)))

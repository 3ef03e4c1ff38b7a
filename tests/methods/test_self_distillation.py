"""A network that is taught to undo the noise, on a phantom whose truth is known."""

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
from napari_deep_prior.methods import NLRidge, SelfDistillation
from napari_deep_prior.methods import self_distillation as distillation
from napari_deep_prior.networks import UNet
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Operator
from napari_deep_prior.problem import Problem, Step
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.tasks import Denoise
from napari_deep_prior.training import trainer as student

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


def test_what_was_taught_is_better_than_patches_alone(pose: Pose) -> None:
    shape = (96, 96)
    noisy, truth = CAMERA.expose(cells(shape), np.random.default_rng(0)), CAMERA.expected(cells(shape))
    problem, frame = pose(noisy, noise=[MODEL]), canonical(noisy, "YX", device=CPU)[2]
    method = SelfDistillation(steps=400, crop=48, network=UNet(channels=(16, 32, 32)), precision="float32")
    *_, taught = method.fit(problem)
    *_, patches = NLRidge().fit(problem)
    psnrs = [
        metrics.psnr(image, truth) for image in (noisy, frame.to_image(patches.image), frame.to_image(taught.image))
    ]
    assert psnrs[2] > psnrs[1] + 0.1
    assert psnrs[2] > psnrs[0] + 6


def test_the_noise_it_is_taught_with_is_that_of_the_measurement(noisy: np.ndarray, problem: Problem) -> None:
    clean = problem.misfit.expected(problem.measured)
    pupil = distillation._Pupil(SMALL, problem, clean, torch.zeros_like(clean), torch.Generator().manual_seed(0))
    variance = (pupil.strength * pupil.scale).square()
    torch.testing.assert_close(variance, problem.misfit.stabilised_variance(problem.measured), rtol=0.1, atol=0.05)


def test_members_follow_each_other_and_tell_their_deviation(problem: Problem) -> None:
    steps = steps_of(problem, members=2)
    assert [step.number for step in steps] == list(range(1, 9))
    assert {step.total for step in steps} == {8}
    assert all(step.deviation is None for step in steps[:-1])
    assert float(steps[-1].deviation.max()) > 0
    assert steps_of(problem)[-1].deviation is None


def test_before_it_is_taught_the_image_is_that_of_the_patches(problem: Problem) -> None:
    first = steps_of(problem)[0]
    error = metrics.mse(first.image[0, 0].numpy(), problem.measured[0, 0].numpy())
    assert error > 0
    assert float(first.criterion) < 1.5


def test_a_look_in_between_is_kept_only_if_it_is_better(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "LOOK_EVERY", 5)
    steps = steps_of(problem, steps=40)
    criteria = [float(step.criterion) for step in steps[:-1]]
    assert all(later <= earlier for earlier, later in itertools.pairwise(criteria))
    changes = [int(step.chosen) for step in steps[:-1]]
    assert all(chosen == 1 or chosen % 5 == 0 for chosen in changes)


@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (4, 20, 19)), ("CYX", (2, 20, 19)), ("YXS", (20, 19, 3))])
def test_volumes_and_channels_come_back_in_their_shape(pose: Pose, axes: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).poisson(20, shape).astype(np.float32)
    measured = pose(image, axes).measured
    step = steps_of(pose(image, axes))[-1]
    assert step.image.shape == measured.shape
    assert torch.isfinite(step.image).all()


def test_a_volume_is_the_same_whether_it_goes_through_in_parts(pose: Pose, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = pose(np.random.default_rng(0).poisson(20, (7, 16, 18)).astype(np.float32), "ZYX")
    whole = steps_of(problem)[-1].image
    monkeypatch.setattr(student, "CHUNK", 3)
    torch.testing.assert_close(steps_of(problem)[-1].image, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("turn", range(8))
def test_turned_images_are_turned_back(turn: int) -> None:
    image = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert torch.equal(student.oriented_back(student.oriented(image, turn), turn), image)


def test_missing_pixels_are_filled(noisy: np.ndarray, truth: np.ndarray) -> None:
    holed = noisy.astype(np.float32)
    holed[10:14, 20:23] = np.nan
    image = restore(holed, Denoise(missing="fill"), SMALL, device="cpu").finish()
    holes = np.isnan(holed)
    assert np.isfinite(image).all()
    assert np.abs(image - truth)[holes].mean() < np.abs(np.nanmean(holed) - truth)[holes].mean()


class Halving(Operator):
    """Half of the image is measured."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return 0.5 * image

    def interpolate(self, measured: torch.Tensor) -> torch.Tensor:
        return 2 * measured

    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        return measured_shape


@pytest.mark.parametrize(
    ("changes", "words"), [({"grain": 3}, "neighbouring pixels is alike"), ({"operator": Halving()}, "only denoise")]
)
def test_what_it_cannot_do_is_refused(problem: Problem, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}.*: choose a preset with the deep image prior"):
        list(SMALL.fit(dataclasses.replace(problem, **changes)))


def test_on_correlated_noise_the_deep_image_prior_stands_in_and_the_record_says_so() -> None:
    rng = np.random.default_rng(0)
    shape = (208, 208)
    noise = rng.normal(0, 8, (209, 209))
    image = (
        50 * cells(shape) / cells(shape).max() + (noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]) / 2
    )
    run = restore(image, Denoise(), SMALL, device="cpu")
    next(run)
    assert run.record["method"]["kind"] == "DeepImagePrior"
    assert "neighbouring pixels is alike" in run.record["instead"]
    assert "deep image prior was used instead" in run.record["instead"]
    run.close()


def test_larger_crops_and_more_members_need_more_memory(problem: Problem) -> None:
    wide = dataclasses.replace(problem, measured=torch.zeros(()).expand(1, 1, 512, 512))
    needed = [dataclasses.replace(SMALL, crop=crop, examples=64).memory(wide) for crop in (64, 512)]
    assert needed[1] > 2 * needed[0]
    assert dataclasses.replace(SMALL, members=8).memory(wide) > SMALL.memory(wide)

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.patches.mixing import SHARE_SPREAD, USUAL_SHARE, Estimate, likely_share, mix, network_share
from napari_deep_prior.patches.patch_denoising import (
    USUAL_BAYES_SHARE,
    denoise,
    denoise_without_held_out,
    refine,
    why_not,
)
from napari_deep_prior.patches.scales import estimates
from napari_deep_prior.patches.similar_patches import SMALLEST_SIDE
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.problem import Problem

CAMERA = Camera(gain=4.0, offset=100.0, read_noise=6.0)
MODEL = NoiseModel(gain=4.0, offset=100.0, read_noise=6.0)

Pose = Callable[..., Problem]


class Scene:
    """A measured phantom with its truth and a blurred pilot, canonical."""

    def __init__(self, pose: Pose, shape: tuple[int, ...] = (40, 44), axes: str = "YX", **changes: object) -> None:
        photons = 2 * cells(shape)
        rng = np.random.default_rng(0)
        self.measured = CAMERA.expose(photons, rng).astype(np.float32)
        channels = shape[0] if "C" in axes else 1
        measured = changes.pop("measured", self.measured)
        self.problem = dataclasses.replace(pose(measured, axes, "fill", [MODEL] * channels), **changes)
        blurred = gaussian_filter(photons, [0] * (len(shape) - 2) + [1.5, 1.5])
        self.truth, self.pilot = (self.canonical(CAMERA.expected(image), axes) for image in (photons, blurred))
        self.held_out = torch.zeros_like(self.problem.weight[:, :1])

    def canonical(self, image: np.ndarray, axes: str) -> Tensor:
        """Return grey levels as canonical values, by the line through the measured ones."""
        grey = torch.from_numpy(self.measured)
        out = torch.from_numpy(image)
        if "C" in axes:
            low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
            return ((out - low) / (high - low) * 0.9 + 0.05)[None]
        return ((out - grey.min()) / (grey.max() - grey.min()) * 0.9 + 0.05)[None, None]

    def error(self, image: Tensor) -> float:
        return float((image - self.truth).square().mean())


def refined_by(problem: Problem, pilot: Tensor, held_out: Tensor) -> Tensor:
    means = problem.misfit.expected(pilot)
    return refine(problem, both(means), denoise_without_held_out(problem, held_out), held_out)[0]


def both(means: Tensor) -> Estimate:
    return Estimate(restricted=means, full=means)


@pytest.fixture
def scene(pose: Pose) -> Scene:
    return Scene(pose)


def some_held_out(scene: Scene) -> Tensor:
    return (torch.rand(scene.held_out.shape, generator=torch.Generator().manual_seed(0)) < 0.05).float()


def test_a_phantom_is_refined_with_the_help_of_a_blurred_pilot(scene: Scene) -> None:
    refined = refined_by(scene.problem, scene.pilot, some_held_out(scene))
    assert refined.shape == scene.problem.measured.shape
    assert scene.error(refined) < 0.5 * min(scene.error(scene.pilot), scene.error(scene.problem.measured))


def test_with_nothing_held_out_an_estimate_is_still_refined(scene: Scene) -> None:
    refined = refined_by(scene.problem, scene.pilot, scene.held_out)
    assert scene.error(refined) < min(scene.error(scene.pilot), scene.error(scene.problem.measured))


def test_a_perfect_estimate_stays_about_as_good(scene: Scene) -> None:
    refined = refined_by(scene.problem, scene.truth, some_held_out(scene))
    assert scene.error(refined) < 0.05 * scene.error(scene.problem.measured)


def test_an_estimate_that_held_out_pixels_reject_does_not_spoil_the_result(scene: Scene) -> None:
    held_out = some_held_out(scene)
    patches = denoise_without_held_out(scene.problem, held_out)
    far_away = both(patches.means + 20 * scene.problem.misfit.variance_at(patches.means).sqrt())
    image, share = refine(scene.problem, far_away, patches, held_out)
    assert float(share) < 0.01
    assert scene.error(image) < 0.5 * scene.error(scene.problem.measured)


def test_refining_changes_neither_the_problem_nor_the_estimate(scene: Scene) -> None:
    held_out = some_held_out(scene)
    tensors = (scene.problem.measured, scene.problem.weight, scene.pilot, held_out)
    before = [tensor.clone() for tensor in tensors]
    first, second = (refined_by(scene.problem, scene.pilot, held_out) for _ in range(2))
    assert all(torch.equal(tensor, copied) for tensor, copied in zip(tensors, before, strict=True))
    assert torch.equal(first, second)
    assert not first.requires_grad


def test_missing_pixels_are_filled_and_their_values_do_not_matter(pose: Pose, scene: Scene) -> None:
    holed = scene.measured.copy()
    holed[10:14, 20:23] = np.nan
    holes = Scene(pose, measured=holed)
    missing = holes.problem.weight == 0
    assert int(missing.sum()) == 12
    spoiled = dataclasses.replace(holes.problem, measured=torch.where(missing, 0.9, holes.problem.measured))
    refined = refined_by(spoiled, holes.pilot, some_held_out(holes))
    assert torch.equal(refined, refined_by(holes.problem, holes.pilot, some_held_out(holes)))
    inside = {"refined": refined, "pilot": holes.pilot, "mean": holes.problem.measured[~missing].mean()}
    alone = inside["alone"] = list(denoise(spoiled))[-1]
    error = {name: float((image - holes.truth)[missing].square().mean()) for name, image in inside.items()}
    assert error["refined"] < 1.1 * error["pilot"] < error["mean"]
    assert error["alone"] < error["mean"]
    assert holes.error(refined) < holes.error(holes.pilot)
    assert torch.equal(alone, list(denoise(holes.problem))[-1])


@pytest.mark.parametrize(("shape", "axes"), [((2, 28, 26), "ZYX"), ((2, 28, 26), "CYX")])
def test_planes_and_channels_are_refined(pose: Pose, shape: tuple[int, ...], axes: str) -> None:
    scene = Scene(pose, shape, axes)
    assert not why_not(scene.problem)
    refined = refined_by(scene.problem, scene.pilot, some_held_out(scene))
    assert refined.shape == scene.problem.measured.shape
    assert scene.error(refined) < scene.error(scene.pilot)


@pytest.mark.parametrize("channels", [1, 3])
def test_similar_patches_alone_remove_noise_pass_by_pass(pose: Pose, channels: int) -> None:
    scene = Scene(pose, (channels, 48, 44), "CYX")
    errors = [scene.error(image) for image in denoise(scene.problem)]
    assert errors[-1] < 0.5 * scene.error(scene.problem.measured)
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("side", [SMALLEST_SIDE, SMALLEST_SIDE + 1, 13])
def test_the_smallest_planes_can_be_refined(pose: Pose, side: int) -> None:
    scene = Scene(pose, (side, 17))
    assert not why_not(scene.problem)
    assert torch.isfinite(refined_by(scene.problem, scene.pilot, some_held_out(scene))).all()
    assert torch.isfinite(list(denoise(scene.problem))[-1]).all()


def test_a_problem_that_patches_cannot_solve_is_refused_with_the_reason(pose: Pose) -> None:
    assert "can only denoise" in why_not(Scene(pose, (24, 24), operator=Downsample((2.0, 2.0), Bicubic())).problem)
    assert f"only {SMALLEST_SIDE - 1} pixels wide" in why_not(Scene(pose, (SMALLEST_SIDE - 1, 20)).problem)
    assert "pixels wide" in why_not(Scene(pose, (3, 20, SMALLEST_SIDE - 1), "ZYX").problem)


def test_many_held_out_pixels_decide_between_a_network_and_patches(scene: Scene) -> None:
    problem, misfit = scene.problem, scene.problem.misfit
    truth, every = misfit.expected(scene.truth), torch.ones_like(scene.held_out)
    noise = (
        0.5 * misfit.variance_at(truth).sqrt() * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    )
    assert float(network_share(problem, truth, truth + noise, every)) > 0.85
    assert float(network_share(problem, truth + noise, truth, every)) < 0.15


def test_a_few_held_out_pixels_say_little_and_none_at_all_say_nothing(scene: Scene) -> None:
    problem, misfit = scene.problem, scene.problem.misfit
    network, patches = misfit.expected(scene.pilot), misfit.expected(scene.truth)
    few = torch.zeros_like(scene.held_out)
    few[..., :2, :2] = 1
    assert abs(float(network_share(problem, network, patches, few)) - USUAL_SHARE) < SHARE_SPREAD
    mixed = misfit.expected(mix(problem, both(network), both(patches), torch.zeros_like(few)))
    torch.testing.assert_close(mixed, torch.lerp(patches, network, USUAL_SHARE), atol=1e-4, rtol=1e-4)


def test_without_held_out_pixels_nl_bayes_has_its_usual_share_of_the_estimate(scene: Scene) -> None:
    patches = denoise_without_held_out(scene.problem, torch.zeros_like(scene.held_out))
    torch.testing.assert_close(patches.bayes_share, torch.full_like(patches.bayes_share, USUAL_BAYES_SHARE))
    *_, by_ridge, by_bayes = estimates(
        scene.problem.misfit.stabilise(scene.problem.measured), scene.problem.misfit.variance_at
    )
    torch.testing.assert_close(patches.means, torch.lerp(by_ridge, by_bayes, USUAL_BAYES_SHARE))


def test_the_likely_share_is_closer_to_the_usual_one_the_less_it_varies(scene: Scene) -> None:
    problem, misfit = scene.problem, scene.problem.misfit
    pair = misfit.expected(scene.pilot), misfit.expected(scene.truth)
    shares = [
        float(likely_share(problem, *pair, some_held_out(scene), usual=0.9, spread=spread))
        for spread in (0.01, 0.1, 1.0)
    ]
    assert 0.9 > shares[0] > shares[1] > shares[2]
    assert shares[0] > 0.85

"""Frames are averaged where they show the same, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.patches.neighbours import AVERAGED, SINGLE, NoisyFrame, averaged, pilot_of, risk
from napari_deep_prior.physics.averaged_misfit import AveragedMisfit
from napari_deep_prior.physics.misfit import GaussianMisfit

NOISE = GaussianMisfit()


@pytest.fixture(scope="module")
def scene() -> Tensor:
    image = torch.from_numpy(cells((64, 72))).float()[None, None]
    return image * (10 / image.max())


def frame(clean: Tensor, seed: int, *, missing: Tensor | None = None) -> NoisyFrame:
    values = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    weight = torch.ones_like(values) if missing is None else 1 - missing
    return NoisyFrame(values * weight, weight, pilot_of(values * weight, weight, NOISE))


def error(values: Tensor, clean: Tensor) -> float:
    return float((values - clean).square().mean())


def test_repeats_of_a_scene_become_their_mean(scene: Tensor) -> None:
    average = averaged(frame(scene, 0), [frame(scene, seed) for seed in (1, 2, 3)], NOISE, SINGLE)
    assert error(average.values, scene) < 0.3
    assert 0.25 <= float(average.variance_share.mean()) < 0.3
    assert abs(error(average.values, scene) / float(average.variance_share.mean()) - 1) < 0.1


def test_what_moves_is_left_out(scene: Tensor) -> None:
    moved = scene.clone()
    moved[..., 20:40, 20:40] += 6.0
    average = averaged(frame(scene, 0), [frame(moved, seed) for seed in (1, 2)], NOISE, SINGLE)
    inside = (..., slice(23, 37), slice(23, 37))
    assert float((average.values - scene)[inside].mean()) < 0.1
    assert float(average.variance_share[inside].min()) > 0.9
    assert float(average.variance_share[..., 50:, 50:].mean()) < 0.5


def test_a_frame_that_has_moved_as_a_whole_is_moved_back(scene: Tensor) -> None:
    shifted = torch.zeros_like(scene)
    shifted[..., 5:, :-9] = scene[..., :-5, 9:]
    average = averaged(frame(scene, 0), [frame(shifted, 1)], NOISE, AVERAGED)
    seen = (..., slice(0, -5), slice(9, None))
    assert error(average.values[seen], scene[seen]) < 0.7
    assert float(average.variance_share[..., -4:, :].min()) == 1.0


def test_missing_pixels_of_a_neighbour_do_not_count(scene: Tensor) -> None:
    missing = torch.zeros_like(scene)
    missing[..., 10:20, 10:20] = 1
    average = averaged(frame(scene, 0), [frame(scene, 1, missing=missing)], NOISE, SINGLE)
    assert torch.equal(average.values[..., 10:20, 10:20], frame(scene, 0).values[..., 10:20, 10:20])


def test_the_estimated_risk_follows_the_true_error(scene: Tensor) -> None:
    own, stripes = frame(scene, 0), torch.sin(torch.arange(72) / 4)
    repeats, others = ([frame(each, seed) for seed in (1, 2, 3)] for each in (scene, scene + 0.8 * stripes))
    averages = [averaged(own, each, NOISE, SINGLE) for each in ([], repeats, others)]
    risks = [float(risk(own, each, NOISE)) for each in averages]
    errors = [
        error(pilot_of(each.values, own.weight, AveragedMisfit(NOISE, each.variance_share)), scene) for each in averages
    ]
    assert risks[1] < min(risks[0], risks[2]) - 0.03
    assert np.abs((np.array(risks) - risks[0]) - (np.array(errors) - errors[0])).max() < 0.05

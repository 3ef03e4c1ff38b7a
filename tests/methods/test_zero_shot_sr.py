"""Zero-shot super-resolution is better than interpolation, in planes and along Z."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior.methods import ZeroShotSR, enlargement
from napari_deep_prior.networks import Plain
from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, SampledKernel
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Downsample, Identity, Operator
from napari_deep_prior.problem import Problem
from napari_deep_prior.training.schedules import WINDOW

SMALL = Plain(channels=(32,) * 4)
QUICK = ZeroShotSR(steps=80, crop=40, examples=2, network=SMALL, precision="float32")
TINY = dataclasses.replace(QUICK, steps=3, crop=16, network=Plain(channels=(4, 4)))


def camera(side: int = 80) -> torch.Tensor:
    """Return a part of a photograph, canonical."""
    return torch.from_numpy(data.camera()[100 : 100 + side, 170 : 170 + side].astype(np.float32) / 255)[None, None]


def problem(measured: torch.Tensor, operator: Operator) -> Problem:
    weight = torch.ones_like(measured)
    return Problem(measured=measured, weight=weight, operator=operator, misfit=GaussianMisfit(0.01))


def error(image: torch.Tensor, truth: torch.Tensor, border: int = 4) -> float:
    """Return the root of the mean squared error, without a border in the plane."""
    inside = (..., slice(border, -border), slice(border, -border))
    shape = tuple(slice(length) for length in truth.shape)
    return float((image[shape] - truth)[inside].square().mean().sqrt())


def answer(posed: Problem, method: ZeroShotSR = QUICK) -> torch.Tensor:
    *_, step = method.fit(posed)
    return step.image


def gain(truth: torch.Tensor, operator: Operator, method: ZeroShotSR = QUICK) -> float:
    """Return by how many decibels the answer is better than interpolation."""
    posed = problem(operator(truth), operator)
    interpolated = operator.interpolate(posed.measured)
    return 20 * float(np.log10(error(interpolated, truth) / error(answer(posed, method), truth)))


def blobs(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Return random bright structures that look the same in all directions, canonical."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(noise, 2.0, mode="wrap")
    bright = gaussian_filter((smooth > smooth.std()).astype(np.float32), 0.7)
    return torch.from_numpy((0.1 + 0.8 * bright).astype(np.float32))[None, None]


# How good it is


@pytest.mark.parametrize(
    "operator",
    [
        Downsample((2.0, 2.0), Bicubic()),
        Downsample((1.5, 2.5), Area()),
    ],
    ids=["bicubic", "uneven"],
)
def test_the_answer_is_better_than_interpolation(operator: Downsample) -> None:
    assert gain(camera(), operator) > 1.0


def test_a_volume_is_enlarged_in_its_planes() -> None:
    assert gain(blobs((2, 64, 64)), Downsample((1.0, 2.0, 2.0), Bicubic())) > 1.0


@pytest.mark.slow
def test_a_volume_is_enlarged_along_its_depth() -> None:
    assert gain(blobs((48, 48, 48)), Downsample((3.0, 1.0, 1.0), GaussianKernel((1.5, 0.0, 0.0)))) > 1.5


@pytest.mark.slow
def test_knowing_the_blur_helps() -> None:
    truth = camera()
    blur = np.outer(np.hanning(9)[1:-1], np.hanning(7)[1:-1])
    known = Downsample((2.0, 2.0), SampledKernel(blur))
    measured = known(truth)
    errors = [
        error(answer(problem(measured, operator)), truth) for operator in (known, Downsample((2.0, 2.0), Bicubic()))
    ]
    assert errors[0] < 0.85 * errors[1]


@pytest.mark.slow
def test_a_noisy_image_comes_back_better_than_interpolated() -> None:
    truth, operator = camera(), Downsample((2.0, 2.0), Bicubic())
    measured = operator(truth)
    noisy = measured + 0.05 * torch.randn(measured.shape, generator=torch.Generator().manual_seed(0))
    assert error(answer(problem(noisy, operator)), truth) < 0.9 * error(operator.interpolate(noisy), truth)


def test_missing_pixels_do_not_matter() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    measured = operator(camera(48))
    weight = torch.ones_like(measured)
    weight[..., 5:9, 7:12] = 0
    images = []
    for value in (0.0, 1.0):
        spoilt = torch.where(weight > 0, measured, value)
        images.append(answer(dataclasses.replace(problem(spoilt, operator), weight=weight), TINY))
    assert torch.equal(*images)


def test_the_slope_ends_the_fit_before_all_steps() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    flat = torch.full((1, 1, 16, 16), 0.5)
    method = dataclasses.replace(TINY, steps=1500, rate_policy="slope", patches=False, gradual=0)
    *_, step = method.fit(problem(flat, operator))
    assert WINDOW <= step.number < 1500


# What it can and cannot do


def test_the_answer_measured_again_is_the_measurement() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    posed = problem(operator(camera(48)), operator)
    projected, free = (
        operator(answer(posed, dataclasses.replace(TINY, back_project=on, patches=False))) for on in (True, False)
    )
    assert error(projected, posed.measured, 2) < 0.2 * error(free, posed.measured, 2)


def test_a_constant_image_stays_constant() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    image = answer(problem(torch.full((1, 1, 16, 16), 0.25), operator), TINY)
    torch.testing.assert_close(image, torch.full((1, 1, 32, 32), 0.25), atol=0.02, rtol=0)


def test_the_brightness_of_the_background_does_not_matter() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    measured = 0.5 * operator(camera(48))
    dark, bright = (answer(problem(measured + level, operator), TINY) - level for level in (0.0, 0.4))
    torch.testing.assert_close(dark, bright, atol=1e-4, rtol=0)


def test_enlarging_in_strips_gives_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    posed = problem(operator(camera(48)), operator)
    whole = answer(posed, TINY)
    monkeypatch.setattr(enlargement, "CHUNK", 480)
    torch.testing.assert_close(answer(posed, TINY), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("operator", "shape", "reason"),
    [
        (Identity(), (32, 32), "no axis is to be enlarged"),
        (Downsample((2.0, 2.0), Bicubic()), (3, 32), "only 3 pixels wide"),
        (Downsample((2.0, 2.0, 2.0), Bicubic()), (16, 16, 16), "enlarge the planes first, and then the result in Z"),
    ],
)
def test_a_problem_that_it_cannot_solve_is_refused_with_the_reason(
    operator: Operator, shape: tuple[int, ...], reason: str
) -> None:
    posed = problem(torch.zeros(1, 1, *shape), operator)
    assert reason in TINY.why_not(posed)
    with pytest.raises(ValueError, match=reason):
        next(TINY.fit(posed))

"""Zero-shot super-resolution: better than interpolation, in planes and along Z, and honest where it cannot be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior import SuperResolve, ZeroShotSR, restore
from napari_deep_prior.methods import reslicing as sections
from napari_deep_prior.methods import zero_shot_sr
from napari_deep_prior.methods.back_projection import agreeing
from napari_deep_prior.methods.pre_denoising import white_noise
from napari_deep_prior.methods.reslicing import cut, joined
from napari_deep_prior.networks import Plain
from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, Kernel, SampledKernel
from napari_deep_prior.physics.operators import Downsample, Identity, Operator
from napari_deep_prior.problem import Problem
from napari_deep_prior.training import cross_scale_pairs as lessons
from napari_deep_prior.training import schedules as rates
from napari_deep_prior.training.trainer import oriented

SMALL = Plain(channels=(32,) * 4)
QUICK = ZeroShotSR(steps=120, crop=48, examples=2, network=SMALL, precision="float32")
TINY = dataclasses.replace(QUICK, steps=3, crop=16, network=Plain(channels=(4, 4)))


def camera(side: int = 128) -> torch.Tensor:
    """Return a part of a photograph, canonical."""
    return torch.from_numpy(data.camera()[100 : 100 + side, 170 : 170 + side].astype(np.float32) / 255)[None, None]


def problem(measured: torch.Tensor, operator: Operator) -> Problem:
    from napari_deep_prior.physics.misfit import GaussianMisfit as Equal

    return Problem(measured=measured, weight=torch.ones_like(measured), operator=operator, misfit=Equal(0.01))


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
    """Return random bright structures that look alike in all directions, canonical."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(noise, 2.0, mode="wrap")
    bright = gaussian_filter((smooth > smooth.std()).astype(np.float32), 0.7)
    return torch.from_numpy((0.1 + 0.8 * bright).astype(np.float32))[None, None]


# How good it is


@pytest.mark.parametrize(
    "operator",
    [
        Downsample((2.0, 2.0), Bicubic()),
        Downsample((2.0, 2.0), GaussianKernel((1.0, 1.0))),
        Downsample((1.5, 2.5), Area()),
    ],
    ids=["bicubic", "gaussian", "uneven"],
)
def test_the_answer_is_better_than_interpolation(operator: Downsample) -> None:
    assert gain(camera(), operator) > 1.0


def test_a_volume_is_enlarged_in_its_planes() -> None:
    assert gain(blobs((4, 64, 64)), Downsample((1.0, 2.0, 2.0), Bicubic())) > 1.0


def test_a_volume_is_enlarged_along_its_depth() -> None:
    assert gain(blobs((48, 48, 48)), Downsample((3.0, 1.0, 1.0), GaussianKernel((1.5, 0.0, 0.0)))) > 1.5


def test_knowing_the_blur_helps() -> None:
    truth = camera()
    blur = np.outer(np.hanning(9)[1:-1], np.hanning(7)[1:-1])
    known = Downsample((2.0, 2.0), SampledKernel(blur))
    measured = known(truth)
    errors = [
        error(answer(problem(measured, operator)), truth) for operator in (known, Downsample((2.0, 2.0), Bicubic()))
    ]
    assert errors[0] < 0.85 * errors[1]


def test_a_noisy_image_comes_back_better_than_interpolated() -> None:
    truth, operator = camera(), Downsample((2.0, 2.0), Bicubic())
    measured = operator(truth)
    noisy = measured + 0.05 * torch.randn(measured.shape, generator=torch.Generator().manual_seed(0))
    assert error(answer(problem(noisy, operator)), truth) < 0.9 * error(operator.interpolate(noisy), truth)


def test_noise_is_told_from_texture() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    image = camera(256)
    noisy = image + 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    found = white_noise(noisy, operator)
    assert found is not None
    assert 0.03 < found < 0.06
    assert white_noise(torch.from_numpy(data.brick().astype(np.float32) / 255)[None, None], operator) is None


# What it learns from


def test_what_is_seen_is_interpolated_from_the_measured_truth() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    truth = camera(64)
    taught = lessons.TrainingPairs(operator, tuple(range(8)))
    taught.add(truth, torch.ones_like(truth), often=1.0)
    generator = torch.Generator().manual_seed(0)
    seen, part, _ = taught.draw(crop=64, count=1, generator=generator)
    turns = [turn for turn in range(8) if torch.equal(oriented(truth, turn), part)]
    assert turns
    torch.testing.assert_close(seen, oriented(operator.interpolate(operator(truth)), turns[0]))


def test_truths_are_turned_before_they_are_blurred_by_what_has_a_direction() -> None:
    blur = np.zeros((5, 5))
    blur[2, 2:] = 3, 2, 1
    operator = Downsample((2.0, 2.0), SampledKernel(blur))
    turns = sections.sections(operator).turns
    assert 4 not in turns
    taught = lessons.TrainingPairs(operator, turns)
    taught.add(camera(32), torch.ones(1, 1, 32, 32), often=1.0)
    for lesson in taught.kept[0]:
        torch.testing.assert_close(lesson.seen, operator.interpolate(operator(lesson.truth)))


@pytest.mark.parametrize(
    ("factors", "kernel", "turns"),
    [
        ((2.0, 2.0), Bicubic(), tuple(range(8))),
        ((2.0, 3.0), Bicubic(), (0, 2, 4, 6)),
        ((2.0, 2.0), GaussianKernel((1.0, 1.0)), tuple(range(8))),
        ((2.0, 2.0), GaussianKernel((1.0, 2.0)), (0, 2, 4, 6)),
        ((2.0, 2.0), SampledKernel(np.ones((3, 3))), tuple(range(8))),
        ((2.0, 2.0), SampledKernel(np.ones((3, 5))), (0, 2, 4, 6)),
        ((2.0, 2.0), SampledKernel(np.eye(3)), (0, 2, 5, 7)),
        ((2.0, 3.0), SampledKernel(np.ones((3, 3))), (0, 2, 4, 6)),
        ((4.0, 1.0, 1.0), Area(), (0, 2, 4, 6)),
        ((1.0, 2.0, 2.0), GaussianKernel((3.0, 1.0, 1.0)), tuple(range(8))),
    ],
)
def test_only_turns_that_the_operator_does_not_notice_are_asked(
    factors: tuple[float, ...], kernel: Kernel, turns: tuple[int, ...]
) -> None:
    assert sections.sections(Downsample(factors, kernel)).turns == turns


@pytest.mark.parametrize("turns", [(0,), (0, 2), (0, 2, 4, 6), (0, 2, 5, 7), tuple(range(8))])
def test_every_turn_is_learned_once(turns: tuple[int, ...]) -> None:
    image = camera(8)
    first = [oriented(image, turn) for turn in lessons.first_turns(turns)]
    seen = {oriented(start, then).numpy().tobytes() for start in first for then in turns}
    assert len(seen) == 8 == len(first) * len(turns)


@pytest.mark.parametrize("order", [*sections.PLANES, *sections.UPRIGHT])
def test_sections_put_together_are_the_volume(order: sections.Order) -> None:
    volume = torch.rand(1, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    planes = cut(volume, order)
    assert planes.shape == (volume.shape[order[0] + 2], 2, volume.shape[order[1] + 2], volume.shape[order[2] + 2])
    assert torch.equal(joined(planes, order, like=volume), volume)


def test_sections_are_measured_as_the_volume_is() -> None:
    blur = np.random.default_rng(0).random((5, 3, 3))
    volume = torch.rand(1, 1, 12, 8, 6, generator=torch.Generator().manual_seed(0))
    for factors in ((3.0, 1.0, 1.0), (1.0, 2.0, 2.0)):
        for kernel in (SampledKernel(blur), GaussianKernel((2.0, 1.0, 0.7)), Area()):
            operator = Downsample(factors, kernel)
            cuts = sections.sections(operator)
            for order in cuts.orders:
                measured = joined(cuts.operator(cut(volume, order)), order, like=volume)
                torch.testing.assert_close(measured, operator(volume), atol=1e-5, rtol=1e-4)


def test_a_step_sees_as_much_of_a_large_image_as_of_a_small_one() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    shapes = []
    for side in (64, 256):
        image = camera(side)
        taught = lessons.of_image(image, torch.ones_like(image), operator, tuple(range(8)))
        seen, _, _ = taught.draw(crop=32, count=2, generator=torch.Generator().manual_seed(0))
        shapes.append(seen.shape)
    assert shapes == [(2, 1, 32, 32)] * 2


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


# How fast it learns


def test_the_rate_falls_when_nothing_is_learned_any_more_and_then_it_is_over() -> None:
    policy = rates.SlopeRate(1e-3)
    noise = np.random.default_rng(0).normal(0, 1e-4, 200)
    for look in range(200):
        policy.observe(50 * (look + 1), 0.05 + noise[look])
        if policy.finished:
            break
    assert policy.finished
    assert rates.WINDOW <= 50 * (look + 1) < 5000


def test_the_rate_stays_while_the_error_falls() -> None:
    policy = rates.SlopeRate(1e-3)
    for look in range(60):
        policy.observe(50 * (look + 1), 0.1 - 0.001 * look)
    assert policy.rate == 1e-3


def test_the_slope_ends_the_fit_before_all_steps() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    flat = torch.full((1, 1, 16, 16), 0.5)
    method = dataclasses.replace(TINY, steps=2000, rate_policy="slope", patches=False, gradual=0)
    *_, step = method.fit(problem(flat, operator))
    assert rates.WINDOW <= step.number < 2000


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


def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    posed = problem(operator(camera(48)), operator)
    whole = answer(posed, TINY)
    monkeypatch.setattr(zero_shot_sr, "CHUNK", 480)
    torch.testing.assert_close(answer(posed, TINY), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("operator", "shape", "reason"),
    [
        (Identity(), (32, 32), "nothing is to be enlarged"),
        (Downsample((2.0, 2.0), Bicubic()), (3, 32), "only 3 pixels wide"),
        (Downsample((2.0, 2.0, 2.0), Bicubic()), (16, 16, 16), "enlarge the planes first, and then the result in Z"),
    ],
)
def test_what_it_cannot_solve_is_refused_with_the_reason(
    operator: Operator, shape: tuple[int, ...], reason: str
) -> None:
    posed = problem(torch.zeros(1, 1, *shape), operator)
    assert reason in TINY.why_not(posed)
    with pytest.raises(ValueError, match=reason):
        next(TINY.fit(posed))


def test_back_projection_puts_known_pixels_back_where_the_image_itself_was_measured() -> None:
    posed = problem(camera(16), Identity())
    assert torch.equal(agreeing(posed, torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)), posed.measured)


def test_it_restores_an_image_in_its_own_units_and_type() -> None:
    small = data.camera()[:40, :30]
    run = restore(small, SuperResolve(factor=2.0), TINY, device="cpu")
    assert not run.record["instead"]
    restored = run.finish()
    assert restored.shape == (80, 60)
    assert restored.dtype == small.dtype

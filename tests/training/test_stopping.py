from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import PoissonMisfit
from napari_deep_prior.problem import Problem
from napari_deep_prior.training.held_out import mean_misfit
from napari_deep_prior.training.stopping import (
    CHECK_EVERY,
    FEWEST_HELD_OUT,
    LEAST_POWER,
    PATIENCE_FACTOR,
    Answer,
    FixedSteps,
    HeldOutError,
    WindowedVariance,
    choose_rule,
)


@pytest.fixture
def problem(pose: Callable[..., Problem], rng: np.random.Generator) -> Problem:
    """Every pixel of its 40 × 40 has a brightness of its own."""
    return pose(rng.permutation(1600).reshape(40, 40).astype(np.float32))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def flat(problem: Problem, value: float) -> torch.Tensor:
    return torch.full_like(problem.measured, value)


@pytest.fixture
def rule(problem: Problem) -> HeldOutError:
    return choose_rule("held-out", problem, fraction=0.05, patience=20, generator=generator())


def observe_distances(rule: HeldOutError, problem: Problem, distances: list[float]) -> None:
    """Let the rule observe averages of which the k-th is off by ``distances[k]`` everywhere."""
    for number, distance in enumerate(distances, start=1):
        rule.observe(number, problem.measured, problem.measured + distance)


def test_the_best_average_by_held_out_error_is_kept(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5, 0.3, 0.1, 0.2, 0.4])
    assert int(rule.chosen) == 3
    torch.testing.assert_close(rule.kept.image, problem.measured + 0.1, rtol=0, atol=1e-5)
    # The criterion is that of the last iteration, for the curve.
    assert float(rule.criterion) == pytest.approx(0.16)


def test_images_of_nearly_the_smallest_error_share_the_answer(rule: HeldOutError, problem: Problem) -> None:
    distances, errors = [0.5, 0.203, 0.2, 0.201, 0.25], []
    for number, distance in enumerate(distances, start=1):
        rule.observe(number, problem.measured, problem.measured + distance)
        errors.append(float(rule.criterion))
    # 80 pixels are held out.
    weights = (min(errors) / np.array(errors)) ** LEAST_POWER
    assert 0.2 < weights[3] / weights.sum() < 0.4
    expected = problem.measured + float(weights @ distances / weights.sum())
    torch.testing.assert_close(rule.kept.image, expected, rtol=0, atol=1e-4)
    assert int(rule.chosen) == 3


def test_many_pixels_tell_images_apart_that_few_cannot(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    def share_of_the_second(side: int) -> float:
        problem = pose(rng.permutation(side**2).reshape(side, side).astype(np.float32))
        rule = choose_rule("held-out", problem, fraction=0.5, patience=20, generator=generator())
        observe_distances(rule, problem, [0.5, 0.1, 0.101])
        return float((rule.kept.image - problem.measured).mean() - 0.1) / 0.001

    assert share_of_the_second(30) > 0.2
    assert share_of_the_second(200) < 0.01


def test_the_mean_of_images_on_either_side_of_the_truth_is_nearer_to_it(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.2, -0.2, 0.2, -0.2, 0.2, -0.2, 0.2])
    assert float((rule.kept.image - problem.measured).abs().max()) < 0.1


def test_an_error_of_0_decides_alone(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5, 0.0, 0.3])
    torch.testing.assert_close(rule.kept.image, problem.measured)


def test_before_anything_better_the_first_average_is_the_answer(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5])
    assert int(rule.chosen) == 1
    torch.testing.assert_close(rule.kept.image, problem.measured + 0.5)


def test_the_held_out_error_is_that_of_the_held_out_pixels_only(rule: HeldOutError, problem: Problem) -> None:
    wrong_where_fitted = problem.measured + rule.fit_weight
    assert float(rule.measure(1, wrong_where_fitted, wrong_where_fitted)) == 0
    wrong_where_held_out = problem.measured + rule.evaluated
    assert float(rule.measure(1, wrong_where_held_out, wrong_where_held_out)) == 1


def test_a_single_pixel_does_not_decide(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    # 45 pixels are held out. What is wrong at one of them grows, while the image becomes better everywhere else.
    problem = pose(rng.permutation(900).reshape(30, 30).astype(np.float32))
    rule = choose_rule("held-out", problem, fraction=0.05, patience=20, generator=generator())
    assert isinstance(rule, HeldOutError)
    (one, *_) = (rule.evaluated > 0).nonzero()
    squares = []
    for number, (everywhere, there) in enumerate([(0.3, 0.3), (0.2, 0.9), (0.1, 1.5), (0.15, 1.5)], start=1):
        image = problem.measured + everywhere
        image[tuple(one)] += there - everywhere
        rule.observe(number, image, image)
        squares.append(float(mean_misfit(problem, image, rule.evaluated)))
    assert int(np.argmin(squares)) == 1
    assert int(rule.chosen) == 3


def test_the_error_is_in_units_of_the_misfit_and_never_negative(rule: HeldOutError, problem: Problem) -> None:
    image = problem.measured + 0.5
    assert float(rule.measure(1, image, image)) == pytest.approx(0.25)
    assert float(rule.measure(1, problem.measured, problem.measured)) == 0


def test_rounding_errors_of_a_misfit_below_0_count_as_0(problem: Problem) -> None:
    camera = NoiseModel(gain=1.0, offset=0.0, read_noise=0.1)
    misfit = PoissonMisfit([camera], (np.array([1e5]), np.array([0.0])), problem.measured)
    assert (misfit.pointwise(problem.measured, problem.measured) < 0).any()
    everywhere = torch.ones_like(problem.weight)
    rule = HeldOutError(dataclasses.replace(problem, misfit=misfit), 20, everywhere, everywhere)
    assert float(rule.measure(1, problem.measured, problem.measured)) == pytest.approx(0, abs=0.1)


def test_waiting_ends_when_the_patience_is_over(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.1])
    ends = [number for number in range(1, 60) if rule.finished(number)]
    assert ends[0] == 30
    assert all(number % CHECK_EVERY == 0 for number in ends)


def test_after_a_late_minimum_waiting_is_longer_than_the_patience(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.2] * 99 + [0.1])
    ends = [number for number in range(101, 200) if rule.finished(number)]
    assert ends[0] == 100 + PATIENCE_FACTOR * 100 + CHECK_EVERY


def test_an_error_that_is_no_number_is_never_better(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5, 0.3, float("nan"), 0.4])
    assert int(rule.chosen) == 2
    assert torch.isfinite(rule.kept.image).all()


def test_an_image_that_is_no_number_has_no_share(rule: HeldOutError, problem: Problem) -> None:
    observe_distances(rule, problem, [float("nan"), 0.3, float("nan"), 0.3])
    torch.testing.assert_close(rule.kept.image, problem.measured + 0.3)


def test_a_fixed_number_of_steps_keeps_the_last_average_and_never_ends(problem: Problem) -> None:
    rule = choose_rule("none", problem, fraction=0.05, patience=1, generator=generator())
    assert isinstance(rule, FixedSteps)
    for number in range(1, 101):
        rule.observe(number, flat(problem, 0), flat(problem, number))
        assert not rule.finished(number)
        assert rule.criterion is None
    assert int(rule.chosen) == 100
    assert torch.equal(rule.kept.image, flat(problem, 100))
    assert torch.equal(rule.fit_weight, problem.weight)


def test_the_variance_rule_waits_for_its_window_and_then_takes_the_smallest_variance(problem: Problem) -> None:
    rule = choose_rule("variance", problem, fraction=0.05, patience=10, generator=generator())
    assert isinstance(rule, WindowedVariance)
    assert torch.equal(rule.fit_weight, problem.weight)
    noise = generator()
    window = WindowedVariance.WINDOW
    for number in range(1, 4 * window):
        # Small from the 150th to the 280th iteration, large before and after.
        strength = 0.01 if 150 <= number <= 280 else 1
        output = strength * torch.randn(problem.measured.shape, generator=noise)
        rule.observe(number, output, flat(problem, number))
        assert (rule.criterion is None) == (number < window)
    assert 249 <= int(rule.chosen) <= 280
    assert torch.equal(rule.kept.image, flat(problem, float(rule.chosen)))
    assert rule.finished(390)
    assert len(rule.window) == window


def test_the_windowed_variance_is_that_of_the_last_outputs(problem: Problem) -> None:
    rule = WindowedVariance(problem, 10)
    for number in range(1, 151):
        rule.observe(number, flat(problem, number % 2), flat(problem, 0))
    assert float(rule.criterion) == pytest.approx(0.25)


def test_with_too_few_pixels_to_hold_out_the_variance_decides(pose: Callable[..., Problem]) -> None:
    def rule_for(pixels: int) -> type:
        small = pose(np.arange(pixels, dtype=np.float32).reshape(2, -1))
        return type(choose_rule("held-out", small, fraction=0.5, patience=10, generator=generator()))

    assert rule_for(2 * FEWEST_HELD_OUT) is HeldOutError
    assert rule_for(2 * FEWEST_HELD_OUT - 2) is WindowedVariance
    assert rule_for(2) is WindowedVariance


def test_every_pixel_is_either_fitted_or_held_out(rule: HeldOutError, problem: Problem) -> None:
    assert torch.equal(rule.fit_weight + rule.evaluated, problem.weight)
    assert torch.equal(rule.fit_weight * rule.evaluated, torch.zeros_like(problem.weight))
    assert int(rule.evaluated.sum()) == 80


def test_blocks_of_correlated_noise_are_held_out_and_only_their_centres_evaluated(problem: Problem) -> None:
    correlated = dataclasses.replace(problem, correlation_length=3)
    rule = choose_rule("held-out", correlated, fraction=0.2, patience=20, generator=generator())
    assert isinstance(rule, HeldOutError)
    held_out = 1 - rule.fit_weight
    assert float((rule.evaluated * rule.fit_weight).sum()) == 0
    assert float(held_out.sum()) == pytest.approx(9 * float(rule.evaluated.sum()), rel=0.1)
    # An error beside the centres of the blocks is not measured.
    wrong_beside = problem.measured + held_out - rule.evaluated
    assert float(rule.measure(1, wrong_beside, wrong_beside)) == pytest.approx(0, abs=1e-9)


def test_the_deviation_is_kept_with_the_image_it_belongs_to(rule: HeldOutError, problem: Problem) -> None:
    for number, distance in enumerate([0.5, 0.1, 0.3], start=1):
        average = problem.measured + distance
        rule.observe(number, average, average, Answer(average, flat(problem, number)))
    assert torch.equal(rule.kept.deviation, flat(problem, 2))

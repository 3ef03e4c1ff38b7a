from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.problem import Problem
from napari_deep_prior.training.held_out import (
    CHECK_EVERY,
    FEWEST_HELD_OUT,
    PATIENCE_FACTOR,
    FixedSteps,
    HeldOut,
    WindowedVariance,
    choose_rule,
    hold_out,
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
def rule(problem: Problem) -> HeldOut:
    return choose_rule("held-out", problem, fraction=0.05, patience=20, generator=generator())


def observe_distances(rule: HeldOut, problem: Problem, distances: list[float]) -> None:
    """Show the rule averages of which the k-th is off by ``distances[k]`` everywhere."""
    for number, distance in enumerate(distances, start=1):
        rule.observe(number, problem.measured, problem.measured + distance)


def test_the_best_average_by_held_out_error_is_kept(rule: HeldOut, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5, 0.3, 0.1, 0.2, 0.4])
    assert int(rule.chosen) == 3
    torch.testing.assert_close(rule.image, problem.measured + 0.1)
    # The criterion is that of the last iteration, for the curve.
    assert float(rule.criterion) == pytest.approx(0.16)


def test_before_anything_better_the_first_average_is_the_answer(rule: HeldOut, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5])
    assert int(rule.chosen) == 1
    torch.testing.assert_close(rule.image, problem.measured + 0.5)


def test_the_held_out_error_is_that_of_the_held_out_pixels_only(rule: HeldOut, problem: Problem) -> None:
    wrong_where_learned = problem.measured + rule.learned
    assert float(rule.measure(1, wrong_where_learned, wrong_where_learned)) == 0
    wrong_where_held_out = problem.measured + rule.weight
    assert float(rule.measure(1, wrong_where_held_out, wrong_where_held_out)) == 1


def test_waiting_ends_when_the_patience_is_over(rule: HeldOut, problem: Problem) -> None:
    observe_distances(rule, problem, [0.1])
    ends = [number for number in range(1, 60) if rule.finished(number)]
    assert ends[0] == 30
    assert all(number % CHECK_EVERY == 0 for number in ends)


def test_a_late_minimum_is_given_longer_than_the_patience(rule: HeldOut, problem: Problem) -> None:
    observe_distances(rule, problem, [0.2] * 99 + [0.1])
    ends = [number for number in range(101, 200) if rule.finished(number)]
    assert ends[0] == 100 + PATIENCE_FACTOR * 100 + CHECK_EVERY


def test_an_error_that_is_no_number_is_never_better(rule: HeldOut, problem: Problem) -> None:
    observe_distances(rule, problem, [0.5, 0.3, float("nan"), 0.4])
    assert int(rule.chosen) == 2
    assert torch.isfinite(rule.image).all()


def test_a_fixed_number_of_steps_keeps_the_last_average_and_never_ends(problem: Problem) -> None:
    rule = choose_rule("none", problem, fraction=0.05, patience=1, generator=generator())
    assert isinstance(rule, FixedSteps)
    for number in range(1, 101):
        rule.observe(number, flat(problem, 0), flat(problem, number))
        assert not rule.finished(number)
        assert rule.criterion is None
    assert int(rule.chosen) == 100
    assert torch.equal(rule.image, flat(problem, 100))
    assert torch.equal(rule.learned, problem.weight)


def test_the_variance_rule_waits_for_its_window_and_then_takes_the_calmest_time(problem: Problem) -> None:
    rule = choose_rule("variance", problem, fraction=0.05, patience=10, generator=generator())
    assert isinstance(rule, WindowedVariance)
    assert torch.equal(rule.learned, problem.weight)
    noise = generator()
    window = WindowedVariance.WINDOW
    for number in range(1, 4 * window):
        # Restless, calm from the 150th to the 280th, restless again.
        strength = 0.01 if 150 <= number <= 280 else 1
        output = strength * torch.randn(problem.measured.shape, generator=noise)
        rule.observe(number, output, flat(problem, number))
        assert (rule.criterion is None) == (number < window)
    assert 249 <= int(rule.chosen) <= 280
    assert torch.equal(rule.image, flat(problem, float(rule.chosen)))
    assert rule.finished(390)
    assert len(rule.window) == window


def test_the_windowed_variance_is_that_of_the_last_outputs(problem: Problem) -> None:
    rule = WindowedVariance(problem, 10)
    for number in range(1, 151):
        rule.observe(number, flat(problem, number % 2), flat(problem, 0))
    assert float(rule.criterion) == pytest.approx(0.25)


def test_too_few_pixels_to_hold_out_leave_the_decision_to_the_variance(pose: Callable[..., Problem]) -> None:
    def rule_for(pixels: int) -> type:
        small = pose(np.arange(pixels, dtype=np.float32).reshape(2, -1))
        return type(choose_rule("held-out", small, fraction=0.5, patience=10, generator=generator()))

    assert rule_for(2 * FEWEST_HELD_OUT) is HeldOut
    assert rule_for(2 * FEWEST_HELD_OUT - 2) is WindowedVariance
    assert rule_for(2) is WindowedVariance


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_one_pixel_of_each_group_of_similar_brightness_is_held_out(problem: Problem, fraction: float) -> None:
    held_out, evaluated = hold_out(problem, fraction, generator())
    assert torch.equal(held_out, evaluated)
    by_brightness = held_out.flatten()[problem.measured.flatten().argsort()]
    groups = by_brightness.reshape(-1, round(1 / fraction)).sum(dim=1)
    assert torch.equal(groups, torch.ones_like(groups))


def test_every_pixel_is_either_learned_or_held_out(rule: HeldOut, problem: Problem) -> None:
    assert torch.equal(rule.learned + rule.weight, problem.weight)
    assert torch.equal(rule.learned * rule.weight, torch.zeros_like(problem.weight))
    assert int(rule.weight.sum()) == 80


def test_missing_pixels_are_never_held_out(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    image = rng.random((2, 40, 40)).astype(np.float32)
    # Missing in one channel only is missing.
    image[0, :20] = np.nan
    image[1, :, :10] = np.nan
    problem = pose(image, "CYX", missing="fill")
    held_out, _ = hold_out(problem, 0.1, generator())
    assert held_out.shape == (1, 1, 40, 40)
    assert int(held_out.sum()) == 60
    assert held_out[0, 0, :20].sum() == held_out[..., :10].sum() == 0


def test_another_seed_holds_out_other_pixels(problem: Problem) -> None:
    masks = [hold_out(problem, 0.05, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def grained(problem: Problem, correlation_length: int) -> Problem:
    return dataclasses.replace(problem, correlation_length=correlation_length)


@pytest.mark.parametrize("grain", [3, 5])
def test_blocks_of_the_grain_are_hidden_and_their_middles_judge(problem: Problem, correlation_length: int) -> None:
    held_out, evaluated = hold_out(grained(problem, correlation_length), 0.2, generator())
    middles = evaluated[0, 0].nonzero()
    assert (
        len(middles) == (40 // correlation_length) ** 2 // 5 or len(middles) == (-(-40 // correlation_length)) ** 2 // 5
    )
    reach = correlation_length // 2
    wanted = torch.zeros(40, 40)
    for row, column in middles.tolist():
        assert row % correlation_length == column % correlation_length == reach
        wanted[row - reach : row + reach + 1, column - reach : column + reach + 1] = 1
    assert torch.equal(held_out[0, 0], wanted)


def test_what_is_hidden_is_not_learned_and_what_judges_is_hidden(problem: Problem) -> None:
    rule = choose_rule("held-out", grained(problem, 3), fraction=0.2, patience=20, generator=generator())
    assert isinstance(rule, HeldOut)
    held_out = 1 - rule.learned
    assert float((rule.weight * rule.learned).sum()) == 0
    assert float(held_out.sum()) == pytest.approx(9 * float(rule.weight.sum()), rel=0.1)
    # Only the middles of the blocks are judged.
    wrong_beside = problem.measured + held_out - rule.weight
    assert float(rule.measure(1, wrong_beside, wrong_beside)) == pytest.approx(0, abs=1e-9)


def test_blocks_lie_in_the_planes_of_a_volume(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    volume = pose(rng.permutation(3 * 18 * 15).reshape(3, 18, 15).astype(np.float32), "ZYX")
    held_out, evaluated = hold_out(grained(volume, 3), 0.1, generator())
    assert held_out.shape == evaluated.shape == (1, 1, 3, 18, 15)
    assert int(held_out.sum()) == 9 * int(evaluated.sum()) > 0
    for plane in range(3):
        assert int(held_out[0, 0, plane].sum()) == 9 * int(evaluated[0, 0, plane].sum())


def test_the_middle_of_a_block_is_never_missing(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    image = rng.random((42, 42)).astype(np.float32)
    image[:21] = np.nan
    held_out, evaluated = hold_out(grained(pose(image, missing="fill"), 3), 0.1, generator())
    assert int(evaluated.sum()) == 7 * 14 // 10
    assert int(evaluated[0, 0, :21].sum()) == 0
    assert int(held_out[0, 0, :20].sum()) == 0


def test_the_deviation_is_kept_with_the_image_it_belongs_to(rule: HeldOut, problem: Problem) -> None:
    for number, distance in enumerate([0.5, 0.1, 0.3], start=1):
        average = problem.measured + distance
        rule.observe(number, average, average, flat(problem, number))
    assert torch.equal(rule.deviation, flat(problem, 2))

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.problem import Problem
from napari_deep_prior.training.held_out import (
    HELD_OUT_SHARE,
    MOVES,
    SCATTERED,
    BestImage,
    hold_out,
    hold_out_like_missing,
    mean_misfit,
)


@pytest.fixture
def problem(pose: Callable[..., Problem], rng: np.random.Generator) -> Problem:
    """Every pixel of its 40 × 40 has a brightness of its own."""
    return pose(rng.permutation(1600).reshape(40, 40).astype(np.float32))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_one_pixel_of_each_group_of_similar_brightness_is_held_out(problem: Problem, fraction: float) -> None:
    held_out, evaluated = hold_out(problem, fraction, generator())
    assert torch.equal(held_out, evaluated)
    by_brightness = held_out.flatten()[problem.measured.flatten().argsort()]
    groups = by_brightness.reshape(-1, round(1 / fraction)).sum(dim=1)
    assert torch.equal(groups, torch.ones_like(groups))


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


def correlated(problem: Problem, correlation_length: int) -> Problem:
    return dataclasses.replace(problem, correlation_length=correlation_length)


@pytest.mark.parametrize("correlation_length", [3, 5])
def test_blocks_are_held_out_where_noise_is_correlated_and_their_centres_evaluated(
    problem: Problem, correlation_length: int
) -> None:
    held_out, evaluated = hold_out(correlated(problem, correlation_length), 0.2, generator())
    centres = evaluated[0, 0].nonzero()
    assert (
        len(centres) == (40 // correlation_length) ** 2 // 5 or len(centres) == (-(-40 // correlation_length)) ** 2 // 5
    )
    reach = correlation_length // 2
    wanted = torch.zeros(40, 40)
    for row, column in centres.tolist():
        assert row % correlation_length == column % correlation_length == reach
        wanted[row - reach : row + reach + 1, column - reach : column + reach + 1] = 1
    assert torch.equal(held_out[0, 0], wanted)


def test_blocks_lie_in_the_planes_of_a_volume(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    volume = pose(rng.permutation(3 * 18 * 15).reshape(3, 18, 15).astype(np.float32), "ZYX")
    held_out, evaluated = hold_out(correlated(volume, 3), 0.1, generator())
    assert held_out.shape == evaluated.shape == (1, 1, 3, 18, 15)
    assert int(held_out.sum()) == 9 * int(evaluated.sum()) > 0
    for plane in range(3):
        assert int(held_out[0, 0, plane].sum()) == 9 * int(evaluated[0, 0, plane].sum())


def test_the_centre_of_a_block_is_never_missing(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    image = rng.random((42, 42)).astype(np.float32)
    image[:21] = np.nan
    held_out, evaluated = hold_out(correlated(pose(image, missing="fill"), 3), 0.1, generator())
    assert int(evaluated.sum()) == 7 * 14 // 10
    assert int(evaluated[0, 0, :21].sum()) == 0
    assert int(held_out[0, 0, :20].sum()) == 0


# Like the missing pixels


def known_but_a_block() -> torch.Tensor:
    known = torch.ones(1, 1, 64, 64)
    known[..., 30:38, 40:48] = 0
    return known


def test_single_pixels_are_held_out_where_single_pixels_are_missing(rng: np.random.Generator) -> None:
    known = torch.from_numpy(rng.random((128, 128)) < 0.5).to(torch.float32)[None, None]
    held_out = hold_out_like_missing(known, generator())
    assert not (held_out > known).any()
    assert 0.8 * HELD_OUT_SHARE < float(held_out.sum() / known.sum()) < 1.2 * HELD_OUT_SHARE


def test_holes_are_held_out_where_holes_are_missing() -> None:
    known = known_but_a_block()
    held_out = hold_out_like_missing(known, generator())[0, 0]
    assert not (held_out > known[0, 0]).any()
    # Blocks elsewhere, over the border if it so happens, less what they share with each other and with the hole itself.
    assert 8 < int(held_out.any(dim=1).sum()) <= MOVES * 8
    assert 8 < int(held_out.any(dim=0).sum()) <= MOVES * 8
    assert 64 < int(held_out.sum()) <= MOVES * 64


def test_no_more_is_held_out_than_leaves_most_pixels_known() -> None:
    known = torch.ones(1, 1, 64, 64)
    known[..., :9, :] = 0
    held_out = hold_out_like_missing(known, generator())
    assert float(held_out.sum()) > 0
    assert float(1 - (known - held_out).mean()) <= max(SCATTERED, 2 * 9 / 64)


def test_holes_are_held_out_at_the_same_place_in_all_planes_of_a_volume() -> None:
    held_out = hold_out_like_missing(known_but_a_block()[:, :, None].repeat(1, 2, 3, 1, 1), generator())
    assert float(held_out.sum()) > 0
    assert torch.equal(held_out, held_out[:, :1, :1].expand_as(held_out))


def test_some_pixels_are_held_out_although_none_is_missing() -> None:
    assert 0 < float(hold_out_like_missing(torch.ones(1, 1, 64, 64), generator()).mean()) < 2 * HELD_OUT_SHARE


# The best image


def test_the_image_of_smallest_held_out_error_is_kept(problem: Problem) -> None:
    evaluated = hold_out(problem, 0.1, generator())[1]
    best = BestImage(problem, evaluated, problem.measured + 0.3)
    taken = [best.offer(number, problem.measured + distance) for number, distance in ((2, 0.1), (3, 0.2))]
    assert taken == [True, False]
    assert int(best.chosen) == 2
    assert torch.equal(best.image, problem.measured + 0.1)
    assert torch.equal(best.error, mean_misfit(problem, best.image, evaluated))


def test_without_held_out_pixels_the_last_image_is_kept(problem: Problem) -> None:
    best = BestImage(problem, torch.zeros_like(problem.weight), problem.measured)
    assert best.offer(2, problem.measured + 0.1)
    assert best.error is None
    assert int(best.chosen) == 2

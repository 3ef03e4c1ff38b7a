"""What a guide is worth: shown with methods whose errors are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_deep_prior.methods.guidance import GuideComparison, GuideGain
from napari_deep_prior.methods.method import SeededMethod
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.runs.report import guide_in_words
from napari_deep_prior.settings import Setting

SIDE, TRUTH, SIGMA = 128, 0.5, 0.05


@dataclass(frozen=True, kw_only=True)
class Erring(SeededMethod):
    """Returns the truth with a smooth error of given size, which is another one with a guide, and for another seed.

    The errors are squared and in units of the noise.
    """

    error: Annotated[float, Setting("Error", "without a guide")] = 0.2
    guided_error: Annotated[float, Setting("Guided error", "with a guide")] = 0.2

    def fit(self, problem: Problem) -> Iterator[Step]:
        guided = problem.guide is not None
        size = self.guided_error if guided else self.error
        field = smooth(2 * self.seed + guided) + 1e-3 * (1 - problem.weight)
        image = TRUTH + size**0.5 * SIGMA * field
        last = torch.tensor(1)
        yield Step(number=1, total=1, loss=torch.zeros(()), criterion=None, criterion_name="", chosen=last, image=image)

    def why_not(self, problem: Problem) -> str:
        return ""

    def memory(self, problem: Problem) -> int:
        return 0

    def seconds(self, problem: Problem) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class GuidedErring(Erring):
    takes_guide: ClassVar[bool] = True


def smooth(seed: int) -> Tensor:
    """Return a smooth random image of mean square 1."""
    white = torch.randn(1, 1, SIDE + 6, SIDE + 6, generator=torch.Generator().manual_seed(1000 + seed))
    field = functional.avg_pool2d(white, 7, stride=1)
    return field / field.square().mean().sqrt()


def posed(seed: int, *, sigma: float = SIGMA) -> Problem:
    """Return a problem with a guide; ``sigma`` is what is believed of its noise."""
    noise = SIGMA * torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    measured = TRUTH + noise
    weight = torch.ones_like(measured)
    return Problem(
        measured=measured,
        weight=weight,
        operator=Identity(),
        misfit=GaussianMisfit(sigma),
        guide=torch.zeros_like(noise),
    )


def compared(comparison: GuideComparison, problem: Problem) -> tuple[Tensor, GuideGain]:
    *_, step = comparison.fit(problem)
    assert comparison.gain is not None
    return step.image, comparison.gain


def mixture(first: float, second: float) -> float:
    """Return the squared error of the best mixture of two images with independent errors."""
    return first * second / (first + second)


METHODS = [Erring(seed=90), GuidedErring(seed=90)]


@pytest.mark.parametrize("alone", METHODS)
@pytest.mark.parametrize("guided_error", [0.02, 0.1])
def test_the_true_share_lies_within_the_limits_that_are_said(alone: Erring, guided_error: float) -> None:
    # The same mixture is made without a guide, and with it.
    share = 1 - mixture(0.2, guided_error) / mixture(0.2, 0.2)
    for seed in range(0, 20, 2):
        comparison = GuideComparison(alone, GuidedErring(seed=seed, guided_error=guided_error))
        image, gain = compared(comparison, posed(seed))
        assert gain.share(-2) <= share <= gain.share(2)
        if comparison.helped:
            assert float((image - TRUTH).square().mean()) < 0.2 * SIGMA**2


@pytest.mark.parametrize("alone", METHODS)
def test_a_good_guide_is_found_to_help(alone: Erring) -> None:
    comparison = GuideComparison(alone, GuidedErring(guided_error=0.01))
    image, gain = compared(comparison, posed(0))
    assert comparison.helped
    assert float((image - TRUTH).square().mean()) < 0.02 * SIGMA**2
    assert gain.above_noise
    assert "the guide helped by at least " in guide_in_words(comparison, "")


@pytest.mark.parametrize("alone", METHODS)
def test_a_guide_that_shows_nothing_is_not_praised_for_what_a_second_fit_does(alone: Erring) -> None:
    praised = used = 0
    for seed in range(0, 60, 2):
        problem = posed(seed)
        comparison = GuideComparison(alone, GuidedErring(seed=seed))
        image, gain = compared(comparison, problem)
        praised += gain.share(-2) > 0
        used += comparison.helped
        *_, without = alone.fit(dataclasses.replace(problem, guide=None))
        if comparison.helped:
            # A mixture with any other fit is better than the method alone.
            assert float((image - TRUTH).square().mean()) < float((without.image - TRUTH).square().mean())
        else:
            # To the bit what it is without a guide.
            assert torch.equal(image, without.image)
            assert guide_in_words(comparison, "").endswith("the result is without it")
    # Two standard errors, to one side: 2 %; half a standard error: 31 %.
    assert praised <= 3
    assert used <= 15


@pytest.mark.parametrize("alone", METHODS)
def test_a_wrong_guide_does_no_harm(alone: Erring) -> None:
    for seed in range(0, 20, 2):
        problem = posed(seed)
        comparison = GuideComparison(alone, GuidedErring(seed=seed, guided_error=2.0))
        image, _ = compared(comparison, problem)
        *_, without = alone.fit(dataclasses.replace(problem, guide=None))
        assert torch.equal(image, without.image)


def test_where_the_noise_is_not_known_it_is_no_part_of_the_verdict() -> None:
    comparison = GuideComparison(Erring(seed=90), GuidedErring(guided_error=0.01))
    _, gain = compared(comparison, posed(0, sigma=1.0))
    assert not gain.above_noise
    assert gain.share() < 0.3
    assert guide_in_words(comparison, "").endswith("of the error of held-out pixels, noise included")


def test_too_few_held_out_pixels_decide_nothing() -> None:
    empty = torch.zeros(1)
    assert not GuideGain.of(empty, empty, empty).exceeds(0.0)

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from napari_deep_prior.methods.guidance import GuideComparison
from napari_deep_prior.methods.method import SeededMethod
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem, Step

MEASURED = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True, kw_only=True)
class Dimming(SeededMethod):
    """Returns a darker image, a little brighter where pixels are held out; a guide hardly changes it."""

    def fit(self, problem: Problem) -> Iterator[Step]:
        image = 0.9 * problem.measured + 0.05 * (1 - problem.weight)
        if problem.guide is not None:
            image = image.lerp(problem.measured, 1e-4)
        last = torch.tensor(1)
        yield Step(number=1, total=1, loss=torch.zeros(()), criterion=None, criterion_name="", chosen=last, image=image)

    def why_not(self, problem: Problem) -> str:
        return ""

    def memory(self, problem: Problem) -> int:
        return 0

    def seconds(self, problem: Problem) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class GuidedDimming(Dimming):
    takes_guide: ClassVar[bool] = True


@pytest.mark.parametrize("alone", [Dimming(), GuidedDimming()])
def test_without_help_from_the_guide_the_answer_is_that_without_it_from_all_pixels(alone: SeededMethod) -> None:
    problem = Problem(
        measured=MEASURED, weight=torch.ones_like(MEASURED), operator=Identity(), misfit=GaussianMisfit(0.05)
    )
    comparison = GuideComparison(alone, GuidedDimming())
    *_, step = comparison.fit(dataclasses.replace(problem, guide=MEASURED))
    assert comparison.gain is not None
    assert 0 < comparison.gain < 0.002
    assert torch.equal(step.image, 0.9 * MEASURED)

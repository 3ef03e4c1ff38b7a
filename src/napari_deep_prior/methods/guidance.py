"""Whether a guide helps: an image is restored without it and with it, and pixels that neither has seen decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from ..patches import patch_denoising as refinement
from ..patches.patch_denoising import Estimate
from ..physics.misfit import weighted_mean
from ..problem import Problem, Step
from ..training.held_out import HELD_OUT_SHARE, HeldOut, hold_out, hold_out_like_missing
from .method import Method, SeededMethod

WORTH = 0.002
"""Share of the error of held-out pixels that a guide must save: two methods mixed save a little without any guide."""


@final
class GuideComparison:
    """Solves a guided problem twice, without the guide and with it, and mixes the answers.

    A twentieth of the pixels is kept from both and decides how much of either goes into the answer. What goes in of the
    answer without the guide has seen all pixels.

    Parameters
    ----------
    alone, guided : Method
        How the problem is solved without the guide, and with it. If the first cannot, the guide is believed.
    """

    def __init__(self, alone: Method, guided: SeededMethod) -> None:
        self._alone, self._guided = alone, guided
        self.gain: float | None = None
        """By which share of the error of held-out pixels the guide makes the answer better; None: not compared."""

    @property
    def helped(self) -> bool:
        """Whether the guide is part of the answer."""
        return self.gain is None or self.gain >= WORTH

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield the steps without the guide, those with it, and those without it and with all pixels."""
        held_out, evaluated = _judges(problem, self._guided.generator(problem))
        seen = dataclasses.replace(problem, weight=problem.weight * (1 - held_out))
        unguided = dataclasses.replace(seen, guide=None)
        if self._alone.why_not(unguided):
            yield from self._guided.fit(problem)
            return
        for step in self._alone.fit(unguided):
            yield dataclasses.replace(step, total=2 * step.total)
        first = step
        error = _error(problem, first.image, evaluated)
        for step in self._guided.fit(seen):
            mixed = torch.lerp(first.image, step.image, refinement.share(problem, step.image, first.image, evaluated))
            left, with_guide = _error(problem, mixed, evaluated), step.image
            last = _after(first, step, mixed, left)
            yield last
        if self._alone.takes_guide:
            # A network hardly uses a pixel's own measurement, and two fits differ by chance: the mixture is the answer.
            self.gain = float(1 - left / error)
            if self.helped:
                return
        for step in self._alone.fit(dataclasses.replace(problem, guide=None)):
            yield _after(last, step, mixed, error)
        image = step.image
        if not self._alone.takes_guide:
            alone = Estimate(restricted=first.image, seen=step.image)
            part, saved = refinement.share_beside(problem, with_guide, alone, evaluated)
            self.gain = float(saved.mean() / error)
            image = torch.lerp(step.image, with_guide, part) if self.helped else step.image
        yield _after(last, step, image, error)


def _error(problem: Problem, image: Tensor, evaluated: Tensor) -> Tensor:
    misfit = problem.misfit.pointwise(problem.operator(image), problem.measured)
    return weighted_mean(misfit, evaluated * problem.weight)


def _after(earlier: Step, step: Step, image: Tensor, error: Tensor) -> Step:
    """Return a step counted on from an earlier one, with an image and the error of the pixels that decide."""
    return dataclasses.replace(
        step,
        number=earlier.number + step.number,
        total=earlier.number + step.total,
        criterion=error,
        criterion_name=HeldOut.name,
        chosen=earlier.number + step.chosen,
        image=image,
        deviation=None,
    )


def _judges(problem: Problem, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the pixels that are hidden, and those of them that judge: like missing ones, where there are some."""
    if bool((problem.weight > 0).all()):
        return hold_out(problem, HELD_OUT_SHARE, generator)
    held_out = hold_out_like_missing((problem.weight > 0).to(problem.measured.dtype), generator)
    return held_out, held_out

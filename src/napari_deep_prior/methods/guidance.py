"""Whether a guide helps: an image is restored without it and with it, and held-out pixels decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from ..patches.patch_denoising import Estimate, mixing_share, mixing_share_beside_full
from ..problem import Problem, Step
from ..training.held_out import HELD_OUT_ERROR, HELD_OUT_SHARE, hold_out, hold_out_like_missing, mean_misfit
from .method import Method, SeededMethod

LEAST_GAIN = 0.002
"""Share of the held-out error that a guide must remove: a mixture of two methods removes a little without any."""


@final
class GuideComparison:
    """Solves a guided problem without the guide and with it, and mixes the answers.

    A twentieth of the pixels is held out from both and decides the share of each. In the end the answer without the
    guide is estimated again, from all pixels.

    Parameters
    ----------
    alone : Method
        How the problem is solved without the guide. If it cannot solve it, ``guided`` alone does, without comparison.
    guided : SeededMethod
        How it is solved with the guide; its seed chooses the held-out pixels.

    Attributes
    ----------
    gain : float or None
        By which share the guide reduces the held-out error; None: not compared (yet).
    """

    def __init__(self, alone: Method, guided: SeededMethod) -> None:
        self.alone, self.guided = alone, guided
        self.gain: float | None = None

    @property
    def helped(self) -> bool:
        """Whether the guide is part of the answer."""
        return self.gain is None or self.gain >= LEAST_GAIN

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield the steps without the guide, those with it, and those without it from all pixels."""
        held_out, evaluated = _held_out_pixels(problem, self.guided.generator(problem))
        restricted = dataclasses.replace(problem, weight=problem.weight * (1 - held_out))
        unguided = dataclasses.replace(restricted, guide=None)
        if self.alone.why_not(unguided):
            yield from self.guided.fit(problem)
            return
        for step in self.alone.fit(unguided):
            yield dataclasses.replace(step, total=2 * step.total)
        first, weight = step.image, evaluated * problem.weight
        error = mean_misfit(problem, first, weight)
        for guided in self.guided.fit(restricted):
            share = mixing_share(problem, guided.image, first, evaluated)
            mixed = torch.lerp(first, guided.image, share)
            remaining = mean_misfit(problem, mixed, weight)
            last = _after(step, guided, mixed, remaining)
            yield last
        if self.alone.takes_guide:
            # A network hardly uses a pixel's own measurement, and two fits differ by chance: the mixture is the answer.
            self.gain = float(1 - remaining / error)
            if self.helped:
                return
        for step in self.alone.fit(dataclasses.replace(problem, guide=None)):
            yield _after(last, step, mixed, error)
        image = step.image
        if not self.alone.takes_guide:
            estimate = Estimate(restricted=first, full=step.image)
            share, saved = mixing_share_beside_full(problem, guided.image, estimate, evaluated)
            self.gain = float(saved.mean() / error)
            image = torch.lerp(step.image, guided.image, share) if self.helped else step.image
        yield _after(last, step, image, error)


def _after(earlier: Step, step: Step, image: Tensor, error: Tensor) -> Step:
    """Return a step with its numbers counted on from an earlier one, another image and its held-out error."""
    return dataclasses.replace(
        step,
        number=earlier.number + step.number,
        total=earlier.number + step.total,
        criterion=error,
        criterion_name=HELD_OUT_ERROR,
        chosen=earlier.number + step.chosen,
        image=image,
        deviation=None,
    )


def _held_out_pixels(problem: Problem, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return masks of the held-out pixels and of those that are evaluated: like the missing ones, if there are any."""
    if bool((problem.weight > 0).all()):
        return hold_out(problem, HELD_OUT_SHARE, generator)
    held_out = hold_out_like_missing((problem.weight > 0).to(problem.measured.dtype), generator)
    return held_out, held_out

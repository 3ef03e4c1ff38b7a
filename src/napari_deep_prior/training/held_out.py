"""When to stop: rules that watch a fit, keep the best image so far and say when it will not get better.

A rule never waits for the device while it observes; only :meth:`StoppingRule.finished` does, every
``CHECK_EVERY`` iterations.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn import functional

from ..physics.misfit import weighted_mean
from ..problem import Problem

StoppingRuleName = Literal["held-out", "variance", "none"]

FEWEST_HELD_OUT = 32
"""With fewer held-out pixels their mean error is too noisy to decide by; the windowed variance decides instead."""

CHECK_EVERY = 10
"""Iterations between two looks at the device."""

PATIENCE_FACTOR = 0.4
"""A minimum is believed after this share of the iterations it took (and never before the patience)."""


SCATTERED = 0.2
"""Share of missing pixels from which single ones are missing everywhere, and not holes here and there."""

HELD_OUT_SHARE = 0.05
"""Share of the known pixels that only judge, where single pixels are missing, or none."""


class StoppingRule(ABC):
    """Keeps the best image of a fit by a criterion (smaller is better) and tells when waiting for a better one ends.

    ``learned`` is the weight of the pixels that the fit may learn from.
    """

    name: ClassVar[str] = ""

    def __init__(self, problem: Problem, patience: int) -> None:
        device = problem.measured.device
        self.patience = patience
        self.learned = problem.weight
        self.image = problem.measured
        self.deviation: Tensor | None = None
        self.chosen = torch.zeros((), dtype=torch.int64, device=device)
        self.best = torch.full((), math.inf, device=device)
        self.criterion: Tensor | None = None

    @abstractmethod
    def measure(self, number: int, output: Tensor, average: Tensor) -> Tensor | None:
        """Return the criterion (0-d) after iteration ``number``, or None if it cannot be told (yet)."""

    @final
    @torch.no_grad()
    def observe(
        self,
        number: int,
        output: Tensor,
        average: Tensor,
        deviation: Tensor | None = None,
    ) -> None:
        """Take in the output of an iteration and the running average of the outputs, both ``(1, C, *S)``.

        The average is judged and kept, and with it ``deviation``: how far the averages of several networks are apart.
        """
        now = torch.full_like(self.chosen, number)
        self.criterion = self.measure(number, output, average)
        if self.criterion is None or number == 1:
            self.image, self.chosen, self.deviation = average, now, deviation
            return
        better = self.criterion < self.best
        self.best = torch.where(better, self.criterion, self.best)
        self.image = torch.where(better, average, self.image)
        self.chosen = torch.where(better, now, self.chosen)
        if deviation is not None and self.deviation is not None:
            self.deviation = torch.where(better, deviation, self.deviation)

    @final
    def finished(self, number: int) -> bool:
        """Return whether the best image so far has stood for longer than the patience."""
        if self.criterion is None or number % CHECK_EVERY:
            return False
        chosen = int(self.chosen)
        return number - chosen > max(self.patience, PATIENCE_FACTOR * chosen)


@final
class HeldOut(StoppingRule):
    """The misfit, on the running average, of pixels that the fit never learns from."""

    name = "held-out error"

    def __init__(self, problem: Problem, patience: int, held_out: Tensor, evaluated: Tensor) -> None:
        super().__init__(problem, patience)
        self.problem = problem
        self.weight = problem.weight * evaluated
        self.learned = problem.weight * (1 - held_out)

    def measure(self, number: int, output: Tensor, average: Tensor) -> Tensor:
        """Return the mean misfit of the held-out pixels."""
        problem = self.problem
        misfit = problem.misfit.pointwise(problem.operator(average), problem.measured)
        return weighted_mean(misfit, self.weight)


@final
class WindowedVariance(StoppingRule):
    """The variance of the last outputs: smallest between learning the image and learning the noise (ES-WMV).

    H. Wang et al., "Early stopping for deep image prior", TMLR 2023, arXiv 2112.06074. Needs the memory of
    ``WINDOW`` images. Can stop early on a false minimum: the held-out rule is the better one where it applies.
    """

    name = "variance of the outputs"
    WINDOW = 100

    def __init__(self, problem: Problem, patience: int) -> None:
        super().__init__(problem, patience)
        self.window: list[Tensor] = []

    def measure(self, number: int, output: Tensor, average: Tensor) -> Tensor | None:
        """Return the variance over the last ``WINDOW`` outputs, averaged over the pixels."""
        self.window = [*self.window[-self.WINDOW + 1 :], output]
        if number < self.WINDOW:
            return None
        return torch.stack(self.window).var(dim=0, correction=0).mean()


@final
class FixedSteps(StoppingRule):
    """No criterion: the last average is the answer."""

    def measure(self, number: int, output: Tensor, average: Tensor) -> None:
        """Return None: nothing decides."""


def choose_rule(
    name: StoppingRuleName, problem: Problem, *, fraction: float, patience: int, generator: torch.Generator
) -> StoppingRule:
    """Return the stopping rule of that name; held-out falls back to windowed variance on too few pixels."""
    if name == "none":
        return FixedSteps(problem, patience)
    if name == "held-out":
        held_out, evaluated = hold_out(problem, fraction, generator)
        if int(evaluated.sum()) >= FEWEST_HELD_OUT:
            return HeldOut(problem, patience, held_out, evaluated)
    return WindowedVariance(problem, patience)


def hold_out(problem: Problem, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return two masks ``(1, 1, *S)``: the pixels hidden from the fit, and those of them that judge it.

    A random one of each 1/fraction pixels of similar brightness is hidden, in all channels at once, since their noise
    may be related, and only where every channel was measured. Where the noise is alike over ``problem.grain`` pixels,
    blocks of that side are hidden and their middle judges: next to a visible pixel the noise could be guessed
    (structN2V, Broaddus et al. 2020, doi 10.1109/ISBI45749.2020.9098336).
    """
    brightness = problem.measured.mean(dim=1, keepdim=True).cpu()
    measured = (problem.weight > 0).all(dim=1, keepdim=True).cpu()
    # One candidate in each block: its middle.
    centres: tuple[Any, ...] = (..., *(slice(problem.correlation_length // 2, None, problem.correlation_length),) * 2)
    chosen = torch.zeros_like(brightness)
    chosen[centres] = _stratified(brightness[centres], measured[centres], fraction, generator)
    evaluated = chosen * measured
    held_out = evaluated
    if problem.correlation_length > 1:
        reach = problem.correlation_length // 2
        planes = evaluated.flatten(0, -3)[:, None]
        held_out = functional.max_pool2d(planes, problem.correlation_length, stride=1, padding=reach).reshape(
            evaluated.shape
        )
    device = problem.measured.device
    return held_out.to(device), evaluated.to(device)


def hold_out_like_missing(known: Tensor, generator: torch.Generator) -> Tensor:
    """Return a mask (1, C, *S), 1 on known pixels to be hidden: the holes moved to elsewhere, or scattered pixels."""
    spatial = known.shape[2:]
    scattered = known * (torch.rand(spatial, generator=generator) < HELD_OUT_SHARE).to(known)
    if float(1 - known.mean()) > SCATTERED:
        return scattered
    shifts = [int(torch.randint(length, (), generator=generator)) for length in spatial[-2:]]
    moved = known * (1 - known).roll(shifts, dims=(-2, -1))
    return moved if float(moved.sum()) > 0 else scattered


def _stratified(brightness: Tensor, allowed: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return a mask, 1 on a random one of each 1/fraction allowed values that follow each other in brightness."""
    order = torch.argsort(brightness.flatten(), stable=True)
    order = order[allowed.flatten()[order]]
    size = round(1 / fraction)
    groups = len(order) // size
    pick = torch.randint(size, (groups,), generator=generator)
    mask = torch.zeros(brightness.numel())
    mask[order[: groups * size].reshape(groups, size)[torch.arange(groups), pick]] = 1
    return mask.reshape(brightness.shape)

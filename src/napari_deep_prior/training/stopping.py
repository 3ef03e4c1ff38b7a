"""When to stop a fit: rules that watch it, keep its best images so far and say when waiting for a better one ends.

A rule never waits for the device while it observes; only :meth:`StoppingRule.finished` does, every ``CHECK_EVERY``
iterations.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from ..physics.misfit import weighted_mean
from ..problem import Problem
from .held_out import HELD_OUT_ERROR, hold_out

StoppingRuleName = Literal["held-out", "variance", "none"]

FEWEST_HELD_OUT = 32
"""With fewer held-out pixels their mean error is too noisy to decide by; the windowed variance decides instead."""

CHECK_EVERY = 10
"""Iterations between two times at which the device is asked."""

MISFIT_POWER = 0.75
"""Power of the misfits, which are squares, of which the mean decides: differences to the power of 1.5.

In their squares a single pixel out of few that cannot be told from its neighbours (at the edge, in a fine texture) can
have three quarters of the sum, and grow while the image becomes better everywhere else. Powers of 0.7 to 0.8 choose
equally well; with 0.5, plain differences, bright pixels, of which images of spots have few, count too little."""

PATIENCE_FACTOR = 0.4
"""A minimum is final after this share of the iterations that it took (and never before the patience)."""


WEIGHT_POWER, LEAST_POWER = 0.1, 48.0
"""An image counts in the answer by its held-out error to the power of minus a tenth of the number of held-out pixels,
and of minus 48 if they are few: if it is a hundredth larger than the smallest, 0.6 times as much.

Few pixels cannot tell which of many images is best, and the mean of those that they cannot tell apart is hardly worse
than the best of them. By half of the number it would be the likelihood of the images, but errors of pixels that a
network has drawn are not independent."""


@final
@dataclass(frozen=True)
class Answer:
    """What an iteration would give back.

    Parameters
    ----------
    image : Tensor, (1, C, *S)
        The answer if no other iteration counts.
    deviation : Tensor, (1, C, *S), or None
        Standard deviation of the image between several networks.
    share : Tensor, (1, C, 1, ...), or None
        Share of the fit in the image; None if the image is the fit.
    """

    image: Tensor
    deviation: Tensor | None = None
    share: Tensor | None = None

    def mixed(self, other: Answer, share: Tensor) -> Answer:
        """Return this with a share (0-d) of another one, without waiting for the device."""

        def mean(mine: Tensor | None, theirs: Tensor | None) -> Tensor | None:
            return mine if mine is None or theirs is None else _mean(mine, theirs, share)

        return Answer(
            _mean(self.image, other.image, share), mean(self.deviation, other.deviation), mean(self.share, other.share)
        )


def _mean(mine: Tensor, theirs: Tensor, share: Tensor) -> Tensor:
    # What has no share may be no number.
    return torch.where(share > 0, torch.where(share < 1, mine.lerp(theirs, share), theirs), mine)


class StoppingRule(ABC):
    """Keeps the best image of a fit by a criterion (smaller is better), or a mean of its best images.

    Parameters
    ----------
    problem : Problem
        The problem that is solved.
    patience : int
        Fewest iterations to wait for a better image.
    power : float, optional
        Of the criterion, by which images count in their mean; if it is not given the best one is kept.

    Attributes
    ----------
    fit_weight : Tensor, (1, C, *S)
        Weight of the measured pixels in the loss: 0 where they are held out.
    kept : Answer
        The best image so far, and what was observed with it; or the mean of all, in which the best ones count most.
    chosen : Tensor, 0-d
        Number of the iteration of the best image.
    criterion : Tensor, 0-d, or None
        The criterion of the last iteration.
    """

    name: ClassVar[str] = ""

    def __init__(self, problem: Problem, patience: int, power: float | None = None) -> None:
        device = problem.measured.device
        self._power = power
        self.patience = patience
        self.fit_weight = problem.weight
        self.kept = Answer(problem.measured)
        self.chosen = torch.zeros((), dtype=torch.int64, device=device)
        self.best = torch.full((), math.inf, device=device)
        self.criterion: Tensor | None = None
        # The sum of the weights in the mean, of which that of the best image is 1.
        self._weights = torch.zeros((), device=device)

    @abstractmethod
    def measure(self, number: int, output: Tensor, average: Tensor) -> Tensor | None:
        """Return the criterion (0-d) after iteration ``number``, or None if there is none (yet)."""

    @final
    @torch.no_grad()
    def observe(self, number: int, output: Tensor, average: Tensor, kept: Answer | None = None) -> None:
        """Compare an iteration with the best one so far.

        Parameters
        ----------
        number : int
            Number of the iteration.
        output, average : Tensor, (1, C, *S)
            What the network gave, and the image that is compared: the running average of that, or a mixture with it.
        kept : Answer, optional
            What the iteration would give back; the average if it is not given.
        """
        kept, now = kept or Answer(average), torch.full_like(self.chosen, number)
        self.criterion = self.measure(number, output, average)
        if self.criterion is None or number == 1:
            self.kept, self.chosen = kept, now
            return
        better = self.criterion < self.best
        share = better.to(self.best.dtype) if self._power is None else self._share(self.criterion, self._power)
        self.best = torch.where(better, self.criterion, self.best)
        self.kept = self.kept.mixed(kept, share)
        self.chosen = torch.where(better, now, self.chosen)

    def _share(self, error: Tensor, power: float) -> Tensor:
        """Return the share (0-d) of an image in the mean of all so far; 0 if its error is no number."""
        least = torch.finfo(error.dtype).tiny
        ratio = (self.best.clamp(min=least) / error.clamp(min=least)) ** power
        better = error < self.best
        weight = torch.where(error.isfinite(), torch.where(better, 1, ratio), 0)
        self._weights = weight + torch.where(better, self._weights / ratio, self._weights)
        return weight / self._weights.clamp(min=least)

    @final
    def finished(self, number: int) -> bool:
        """Return whether there was no better image for longer than the patience."""
        if self.criterion is None or number % CHECK_EVERY:
            return False
        chosen = int(self.chosen)
        return number - chosen > max(self.patience, PATIENCE_FACTOR * chosen)


@final
class HeldOutError(StoppingRule):
    """The misfit, on the running average or a mixture with it, of pixels that neither has ever used.

    It is a mean in which no single pixel counts too much (``MISFIT_POWER``). The answer is a mean of the images in
    which those of smallest error count most (``WEIGHT_POWER``), as with the exponential weights of Leung & Barron 2006
    (doi 10.1109/TIT.2006.878172).

    Attributes
    ----------
    held_out, evaluated : Tensor, (1, C, *S)
        Not 0 on the held-out pixels, and on those of them on which the error is measured.
    """

    name = HELD_OUT_ERROR

    def __init__(self, problem: Problem, patience: int, held_out: Tensor, evaluated: Tensor) -> None:
        count = float((problem.weight * evaluated > 0).expand_as(problem.measured).sum())
        super().__init__(problem, patience, max(LEAST_POWER, WEIGHT_POWER * count))
        self.problem = problem
        self.held_out = problem.weight * held_out
        self.evaluated = problem.weight * evaluated
        self.fit_weight = problem.weight * (1 - held_out)

    def measure(self, number: int, output: Tensor, average: Tensor) -> Tensor:
        """Return the mean misfit of the evaluated pixels: of its power, and of this the root."""
        misfits = self.problem.misfit.pointwise(self.problem.operator(average), self.problem.measured)
        # A misfit of photons can be a rounding error below 0.
        powers = misfits.clamp(min=0) ** MISFIT_POWER
        return weighted_mean(powers, self.evaluated) ** (1 / MISFIT_POWER)


@final
class WindowedVariance(StoppingRule):
    """The variance of the last outputs: smallest between fitting the image and fitting the noise (ES-WMV).

    H. Wang et al., "Early stopping for deep image prior", TMLR 2023, arXiv 2112.06074. Needs the memory of
    ``WINDOW`` images. Can stop early on a false minimum: the held-out error is the better rule where it applies.
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
        """Return None: there is no criterion."""


def choose_rule(
    name: StoppingRuleName, problem: Problem, *, fraction: float, patience: int, generator: torch.Generator
) -> StoppingRule:
    """Return the stopping rule of that name; held-out falls back to windowed variance on too few pixels.

    Parameters
    ----------
    name : {"held-out", "variance", "none"}
        The rule.
    problem : Problem
        The problem that is solved.
    fraction : float
        Share of the pixels to hold out.
    patience : int
        Fewest iterations to wait for a better image.
    generator : torch.Generator
        Random numbers for the choice of the pixels.
    """
    if name == "none":
        return FixedSteps(problem, patience)
    if name == "held-out":
        held_out, evaluated = hold_out(problem, fraction, generator)
        if int(evaluated.sum()) >= FEWEST_HELD_OUT:
            return HeldOutError(problem, patience, held_out, evaluated)
    return WindowedVariance(problem, patience)

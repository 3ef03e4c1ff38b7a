"""Learning rates: constant, a cosine over all steps, or one that falls when the error no longer does."""

from __future__ import annotations

import math
from typing import final

WARMUP = 20
"""Steps over which the learning rate rises to its full size."""

LAST_RATE = 0.01
"""Share of the learning rate that is left at the end."""

WINDOW = 256
"""Steps over which the slope of the error is measured."""

TEST_EVERY, DECIDE_EVERY = 50, 60
"""Steps between two measurements of the error, and between two decisions about the rate."""

SIGNIFICANT = 1.5
"""Standard errors by which the error must fall for the rate to stay."""

DIVISOR, LOWEST_RATE = 10.0, 0.9e-5
"""What the rate is divided by, and the rate below which training ends."""


def warm_rate(rate: float, *, step: int) -> float:
    """Return the learning rate of a step, counted from 1: a short linear warm-up, then constant."""
    return rate * min(1.0, step / WARMUP)


def cosine_rate(rate: float, *, step: int, steps: int) -> float:
    """Return the learning rate of a step: a short linear warm-up, then half a cosine.

    Parameters
    ----------
    rate : float
        The learning rate at its largest.
    step, steps : int
        Number of the step, counted from 1, and how many there are.
    """
    return cosine_rate_at(rate, done=step / steps, step=step)


def cosine_rate_at(rate: float, *, done: float, step: int) -> float:
    """Return the same for a training of which a share (0 to 1) is done, whose steps need not be known before."""
    cosine = (1 + math.cos(math.pi * done)) / 2
    return warm_rate(rate, step=step) * max(cosine, LAST_RATE)


@final
class SlopeRate:
    """The learning rate of zero-shot super-resolution (Shocher et al. 2018, arXiv 1712.06087).

    A line is fitted to the last errors. When it no longer falls by more than its own uncertainty, the rate is divided
    by ten; below 1e-5 training ends.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._errors: list[tuple[int, float]] = []
        self._decided = 0

    @property
    def finished(self) -> bool:
        """Whether training ends."""
        return self.rate < LOWEST_RATE

    def observe(self, step: int, error: float) -> None:
        """Record the error after a step, and lower the rate if it is time to."""
        self._errors.append((step, error))
        if step < WINDOW or step - self._decided < DECIDE_EVERY:
            return
        self._decided = step
        steps, errors = zip(*(pair for pair in self._errors if pair[0] > step - WINDOW), strict=True)
        # It takes the best part of a second to import, and few runs need it.
        from scipy.stats import linregress

        line = linregress(steps, errors)
        # The standard error of an error that never changes is not a number.
        falls = -line.slope > SIGNIFICANT * line.stderr
        if not falls:
            self.rate /= DIVISOR

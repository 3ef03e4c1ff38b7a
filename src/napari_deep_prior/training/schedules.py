"""How fast to learn, decided by what was learned so far."""

from __future__ import annotations

from typing import final

import numpy as np

WINDOW = 256
"""Steps over which the error is watched."""

TEST_EVERY, DECIDE_EVERY = 50, 60
"""Steps between two looks at the error, and between two decisions about the rate."""

DOMINATES = 1.5
"""Standard errors by which the error must fall for the rate to stay."""

LOWER, LOWEST = 10.0, 0.9e-5
"""What the rate is divided by, and the rate below which it is over."""


@final
class SlopeRate:
    """The rate policy of zero-shot super-resolution (Shocher et al. 2018, arXiv 1712.06087).

    A line is fitted to the last errors. When it no longer falls by more than its own uncertainty, the rate is divided
    by ten; below 1e-5 learning is over.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.errors: list[float] = []
        self.steps: list[int] = []
        self.decided = 0

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to learn."""
        return self.rate < LOWEST

    def observe(self, step: int, error: float) -> None:
        """Take notice of an error, and change the rate if it is time to."""
        self.steps.append(step)
        self.errors.append(error)
        if step < WINDOW or step - self.decided < DECIDE_EVERY:
            return
        self.decided = step
        recent = [place for place, at in enumerate(self.steps) if at > step - WINDOW]
        (slope, _), covariance = np.polyfit(
            [self.steps[place] for place in recent], [self.errors[place] for place in recent], 1, cov=True
        )
        if -slope < DOMINATES * float(np.sqrt(max(covariance[0, 0], 0.0))):
            self.rate /= LOWER

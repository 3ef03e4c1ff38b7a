"""The best image of a training, which is looked at now and then."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from ..physics.misfit import weighted_mean
from ..problem import Problem


@final
class Best:
    """The best image so far, by the pixels that judge; without such pixels the last one."""

    def __init__(self, problem: Problem, evaluated: Tensor, image: Tensor) -> None:
        self.problem, self.weight = problem, evaluated * problem.weight
        self.judges = bool((self.weight > 0).any())
        self.image, self.chosen = image, torch.tensor(1)
        self.error = self._error(image) if self.judges else None

    def offer(self, number: int, image: Tensor) -> None:
        """Take an image if it is better."""
        if self.error is not None:
            error = self._error(image)
            if not error < self.error:
                return
            self.error = error
        self.image, self.chosen = image, torch.tensor(number)

    def _error(self, image: Tensor) -> Tensor:
        return weighted_mean(
            self.problem.misfit.pointwise(self.problem.operator(image), self.problem.measured), self.weight
        )

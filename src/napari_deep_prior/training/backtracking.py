"""Return to the last good weights when a fit diverges."""

from __future__ import annotations

import copy
from typing import Any, final

from torch import Tensor, nn

from .optimizers import Optimizer

EVERY = 100
"""Iterations between two comparisons, as in the denoising code of the Deep Image Prior."""


@final
class Backtracking:
    """Keeps the last good weights and moments of a fit, and restores them when the loss has grown.

    Parameters
    ----------
    network, optimizer : nn.Module, Optimizer
        What is kept and restored.
    factor : float
        Growth of the loss at which the good state is restored; 0 = never.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, factor: float) -> None:
        self._network, self._optimizer, self._factor = network, optimizer, factor
        self._good: tuple[float, dict[str, Any], list[dict[str, Any]]] | None = None

    def restored(self, number: int, loss: Tensor) -> bool:
        """Return whether the good state was restored; else, every ``EVERY`` iterations, keep the present one.

        Parameters
        ----------
        number : int
            Number of the iteration.
        loss : Tensor, 0-d
            Loss of the present weights, before their next step.
        """
        if not self._factor or number % EVERY:
            return False
        now = float(loss)
        # Written so that a loss that is not a number counts as grown.
        if self._good is not None and not now <= self._factor * self._good[0]:
            _, weights, moments = self._good
            self._network.load_state_dict(weights)
            # A copy, since loading hands the stored moments to the optimizer, which changes them in place.
            self._optimizer.load_state_dict(copy.deepcopy(moments))
            return True
        self._good = (now, copy.deepcopy(self._network.state_dict()), copy.deepcopy(self._optimizer.state_dict()))
        return False

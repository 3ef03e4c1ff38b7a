"""The optimizers: Adam, or Muon for the convolutions and Adam for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from .muon import Muon

OptimizerName = Literal["adam", "muon"]

MOMENTUM = 0.9
"""Share of the past that the momentum of Muon keeps in a step (0.95 is usual for language models)."""

FEWEST_ROWS = 5
"""Weight matrices with fewer rows (outputs of a convolution) have few directions to orthogonalise: Adam steps them."""


@final
class Optimizer:
    """Changes all weights of a network by their gradients.

    Muon (:mod:`.muon`) takes each convolution's weights as a matrix and orthogonalises its momentum, so that no
    direction of it is neglected. Normalisations, biases and thin layers are left to Adam (Kingma & Ba 2015,
    arXiv 1412.6980).

    Parameters
    ----------
    name : {"adam", "muon"}
        Adam for all weights, or Muon for the convolutions.
    network : nn.Module
        The network.
    rate : float
        Learning rate.
    decay : float
        Share of the weights, times the learning rate, that Muon takes off in a step.
    """

    def __init__(self, name: OptimizerName, network: nn.Module, rate: float, *, decay: float = 0.0) -> None:
        weights = list(network.parameters())
        matrices = [weight for weight in weights if name == "muon" and _is_matrix(weight)]
        rest = [weight for weight in weights if not any(weight is matrix for matrix in matrices)]
        fused = weights[0].device.type in ("cpu", "cuda")
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=rate, fused=fused)]
        if matrices:
            self._optimizers.append(Muon(matrices, lr=rate, momentum=MOMENTUM, decay=decay))

    def zero_grad(self) -> None:
        """Clear the gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        """Change the weights by their gradients."""
        for optimizer in self._optimizers:
            optimizer.step()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of all further steps."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the moments of all optimizers."""
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore the moments that :meth:`state_dict` returned."""
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def moments(self) -> dict[str, Tensor]:
        """Return the moments of all optimizers by names without spaces, for a file."""
        return {
            f"{index}.{number}.{name}": each
            for index, state in enumerate(self.state_dict())
            for number, values in state["state"].items()
            for name, each in values.items()
        }

    @torch.no_grad()
    def load_moments(self, moments: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`moments` returned."""
        states = self.state_dict()
        for state in states:
            state["state"] = {}
        for key, each in moments.items():
            index, number, name = key.split(".")
            weight = self._optimizers[int(index)].param_groups[0]["params"][int(number)]
            # Laid out in memory as the weights are: the optimizer goes through both side by side.
            kept = torch.empty_like(weight).copy_(each) if each.ndim else each
            states[int(index)]["state"].setdefault(int(number), {})[name] = kept
        self.load_state_dict(states)


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim > 2 and len(weight) >= FEWEST_ROWS

"""The optimizers: Adam, or Muon for the convolutions and Adam for the rest."""

from __future__ import annotations

from typing import Any, Literal, final

import torch
from torch import Tensor, nn

OptimizerName = Literal["adam", "muon"]

MOMENTUM = 0.9
"""Share of the past that the momentum of Muon keeps in a step (its own default is 0.95)."""

FEWEST_ROWS = 5
"""Weight matrices with fewer rows (outputs of a convolution) have few directions to orthogonalise: Adam steps them."""


@final
class Optimizer:
    """Changes all weights of a network by their gradients.

    Muon (K. Jordan et al. 2024, kellerjordan.github.io/posts/muon; PyTorch's own) takes each convolution's weights as
    a matrix and orthogonalises its momentum, so that no direction of it is neglected. Normalisations, biases and thin
    layers are left to Adam (Kingma & Ba 2015, arXiv 1412.6980).

    Parameters
    ----------
    name : {"adam", "muon"}
        Adam for all weights, or Muon for the convolutions.
    network : nn.Module
        The network.
    rate : float
        Learning rate.
    """

    def __init__(self, name: OptimizerName, network: nn.Module, rate: float) -> None:
        weights = list(network.parameters())
        self._matrices = [weight for weight in weights if name == "muon" and _is_matrix(weight)]
        rest = [weight for weight in weights if not any(weight is matrix for matrix in self._matrices)]
        fused = weights[0].device.type in ("cpu", "cuda")
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=rate, fused=fused)]
        # PyTorch's Muon takes matrices only: views of the same memory.
        self._views = [weight.detach().view(len(weight), -1) for weight in self._matrices]
        if self._views:
            muon = torch.optim.Muon(
                self._views, lr=rate, weight_decay=0.0, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
            )
            self._optimizers.append(muon)

    def zero_grad(self) -> None:
        """Clear the gradients."""
        self._optimizers[0].zero_grad()
        for weight in self._matrices:
            weight.grad = None

    def step(self) -> None:
        """Change the weights by their gradients."""
        for view, weight in zip(self._views, self._matrices, strict=True):
            view.grad = None if weight.grad is None else weight.grad.reshape(view.shape)
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


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim > 2 and len(weight) >= FEWEST_ROWS

"""How much memory training a network takes, counted without allocating any."""

from __future__ import annotations

import torch
from torch import Tensor, nn

OVERHEAD = 1.4
"""Measured peak over counted memory: gradients in flight and the workspace of the convolutions."""


def training_memory(network: nn.Module, code: Tensor) -> int:
    """Return about how many bytes a forward and backward pass of ``network`` on ``code`` keeps at its peak.

    Both must be on the ``meta`` device, where tensors have shapes but no memory. Counts what autograd saves for
    the backward pass, and four values (weight, gradient, two moments) for each weight.
    """
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(code)
    activations = sum(tensor.numel() * tensor.element_size() for tensor in saved.values())
    weights = sum(4 * parameter.numel() * parameter.element_size() for parameter in network.parameters())
    return int(OVERHEAD * activations) + weights

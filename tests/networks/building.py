"""Networks with their first weights, and what goes into them."""

from __future__ import annotations

import torch

from napari_deep_prior.networks import Network
from napari_deep_prior.networks.network import initialise


def built(network: Network, shape: tuple[int, ...], *, seed: int = 0, outputs: int = 2) -> torch.nn.Module:
    """Return a network of three input channels on the CPU."""
    module = network.build(inputs=3, outputs=outputs, shape=shape, device=torch.device("cpu"))
    initialise(module, torch.Generator().manual_seed(seed))
    return module


def code(*shape: int, number: int = 1) -> torch.Tensor:
    """Return random numbers for the three input channels."""
    return torch.rand(number, 3, *shape, generator=torch.Generator().manual_seed(1))

from __future__ import annotations

import copy

import pytest
import torch

from napari_deep_prior.networks import Hourglass
from napari_deep_prior.networks.network import initialise
from napari_deep_prior.training.optimizers import FEWEST_ROWS, Optimizer

CPU = torch.device("cpu")


def network_of(shape: tuple[int, ...] = (8, 8)) -> torch.nn.Module:
    network = Hourglass(channels=(8, 8), skip=(2, 2)).build(inputs=4, outputs=1, shape=shape, device=CPU)
    initialise(network, torch.Generator().manual_seed(0))
    return network


def train(network: torch.nn.Module, optimizer: Optimizer, steps: int, seed: int = 1) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    shape = (8, 8) if network.head.weight.ndim == 4 else (4, 8, 8)
    code = torch.rand(1, 4, *shape, generator=generator)
    target = torch.rand(1, 1, *shape, generator=generator)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (network(code) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("shape", [(8, 8), (4, 8, 8)])
@pytest.mark.parametrize("name", ["adam", "muon"])
def test_every_weight_is_stepped(name: str, shape: tuple[int, ...]) -> None:
    network = network_of(shape)
    before = copy.deepcopy(network.state_dict())
    losses = train(network, Optimizer(name, network, 0.01), 30)
    assert losses[-1] < 0.9 * losses[0]
    for key, value in network.state_dict().items():
        assert not torch.equal(value, before[key]), key


def test_muon_neglects_no_direction_of_a_convolution() -> None:
    network = network_of()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    train(network, Optimizer("muon", network, 0.01), 1)
    matrices = 0
    for name, weight in network.named_parameters():
        if weight.ndim > 2 and len(weight) >= FEWEST_ROWS:
            step = (weight.detach() - before[name]).flatten(1)
            # Newton-Schulz brings the singular values nearer to one another, not to equality.
            assert torch.linalg.cond(step) < 0.5 * torch.linalg.cond(weight.grad.flatten(1)), name
            matrices += 1
    assert matrices >= 6


def test_adam_has_what_muon_leaves() -> None:
    network = network_of()
    optimizer = Optimizer("muon", network, 0.01)
    train(network, optimizer, 1)
    adam, muon = optimizer.state_dict()
    assert len(adam["state"]) + len(muon["state"]) == len(list(network.parameters()))
    assert all("exp_avg" in state for state in adam["state"].values())
    assert all("momentum_buffer" in state for state in muon["state"].values())
    assert len(Optimizer("adam", network, 0.01).state_dict()) == 1


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_zeroing_forgets_the_gradients_of_all_weights(name: str) -> None:
    network = network_of()
    optimizer = Optimizer(name, network, 0.01)
    train(network, optimizer, 1)
    assert all(weight.grad is not None for weight in network.parameters())
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_a_run_goes_on_from_its_state_as_if_nothing_had_happened(name: str) -> None:
    network = network_of()
    optimizer = Optimizer(name, network, 0.01)
    train(network, optimizer, 5)
    weights, moments = copy.deepcopy(network.state_dict()), copy.deepcopy(optimizer.state_dict())
    wanted = train(network, optimizer, 5)
    # Spoiled by another task, then brought back.
    train(network, optimizer, 5, seed=7)
    network.load_state_dict(weights)
    optimizer.load_state_dict(copy.deepcopy(moments))
    assert train(network, optimizer, 5) == wanted
    # In another process: a new network and optimizer.
    other = network_of()
    other.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    fresh = Optimizer(name, other, 0.01)
    fresh.load_moments(copy.deepcopy(optimizer.moments()))
    assert train(other, fresh, 5) == wanted


def test_muon_steps_weights_whose_channels_come_last_in_the_same_way() -> None:
    networks = [network_of(), network_of()]
    networks[1].to(memory_format=torch.channels_last)
    losses = [train(network, Optimizer("muon", network, 0.01), 5) for network in networks]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1][-1] < losses[1][0]

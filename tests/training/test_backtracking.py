from __future__ import annotations

import copy

import pytest
import torch

from napari_deep_prior.networks import Hourglass
from napari_deep_prior.networks.network import initialise
from napari_deep_prior.training.backtracking import EVERY, Backtracking
from napari_deep_prior.training.optimizers import Optimizer


class Fit:
    """A network with its optimizer and backtracking."""

    def __init__(self, factor: float = 2.0) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.network = Hourglass(channels=(8,), skip=(2,)).build(
            inputs=4, outputs=1, shape=(8, 8), device=torch.device("cpu")
        )
        initialise(self.network, self.generator)
        self.optimizer = Optimizer("muon", self.network, 0.01)
        self.backtracking = Backtracking(self.network, self.optimizer, factor)

    def train(self, steps: int = 1) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            (self.network(torch.rand(1, 4, 8, 8, generator=self.generator)) - 0.3).square().mean().backward()
            self.optimizer.step()

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of all weights and moments."""
        moments = {
            f"{name} {kind} {number}": value
            for kind, part in enumerate(self.optimizer.state_dict())
            for number, entry in part["state"].items()
            for name, value in entry.items()
        }
        assert {name.split()[0] for name in moments} == {"step", "exp_avg", "exp_avg_sq", "momentum_buffer"}
        return copy.deepcopy(self.network.state_dict() | moments)

    def is_at(self, state: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(value, state[name]) for name, value in self.state().items())


@pytest.mark.parametrize("loss", [100.0, float("nan"), float("inf")])
def test_a_diverged_fit_returns_to_its_good_weights_and_moments(loss: float) -> None:
    fit = Fit()
    fit.train(3)
    assert not fit.backtracking.restored(EVERY, torch.tensor(1.0))
    good = fit.state()
    # Twice: what was stored must not have been handed to the optimizer to change.
    for number in (2 * EVERY, 3 * EVERY):
        fit.train(3)
        assert not fit.is_at(good)
        assert fit.backtracking.restored(number, torch.tensor(loss))
        assert fit.is_at(good)


def test_a_good_fit_goes_on_and_is_kept() -> None:
    fit = Fit()
    fit.train()
    fit.backtracking.restored(EVERY, torch.tensor(1.0))
    fit.train()
    better = fit.state()
    # Larger, but not by the factor.
    assert not fit.backtracking.restored(2 * EVERY, torch.tensor(1.9))
    fit.train()
    assert fit.backtracking.restored(3 * EVERY, torch.tensor(9.0))
    assert fit.is_at(better)


@pytest.mark.parametrize(("factor", "number"), [(2.0, 2 * EVERY - 1), (0.0, 2 * EVERY)])
def test_nothing_is_restored_between_comparisons_or_with_a_factor_of_zero(factor: float, number: int) -> None:
    fit = Fit(factor)
    fit.train()
    fit.backtracking.restored(EVERY, torch.tensor(1.0))
    fit.train()
    assert not fit.backtracking.restored(number, torch.tensor(float("nan")))

from __future__ import annotations

import pytest
import torch

from napari_deep_prior.misfit import MISFITS, Gaussian, weighted_mean


def test_the_gaussian_misfit_is_the_squared_difference() -> None:
    predicted, measured = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 4.0, 2.0])
    assert Gaussian().pointwise(predicted, measured).tolist() == [0, 4, 9]


@pytest.mark.parametrize("name", MISFITS)
def test_every_misfit_is_smallest_at_the_measurement(name: str) -> None:
    misfit = MISFITS[name]()
    measured = torch.linspace(0.1, 0.9, 9).reshape(1, 1, 3, 3)
    at_the_measurement = misfit.pointwise(measured, measured)
    assert at_the_measurement.shape == measured.shape
    for shift in (-0.05, 0.05):
        assert (misfit.pointwise(measured + shift, measured) > at_the_measurement).all()


@pytest.mark.parametrize("name", MISFITS)
def test_every_misfit_pulls_the_prediction_towards_the_measurement(name: str) -> None:
    predicted = torch.tensor([0.2, 0.8], requires_grad=True)
    MISFITS[name]().pointwise(predicted, torch.tensor([0.5, 0.5])).sum().backward()
    assert predicted.grad[0] < 0 < predicted.grad[1]


def test_the_weighted_mean_counts_each_value_by_its_weight() -> None:
    assert float(weighted_mean(torch.tensor([1.0, 2.0, 100.0]), torch.tensor([3.0, 1.0, 0.0]))) == 1.25


def test_only_values_of_some_weight_get_a_gradient() -> None:
    values = torch.rand(1, 1, 4, 5, requires_grad=True)
    weight = (torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    weighted_mean(values.square(), weight).backward()
    assert torch.equal(values.grad != 0, weight > 0)

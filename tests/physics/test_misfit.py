from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.physics.anscombe import anscombe_bias
from napari_deep_prior.physics.misfit import GaussianMisfit, Misfit, weighted_mean
from napari_deep_prior.physics.misfit_choice import choose_misfit
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit, PoissonMisfit
from napari_deep_prior.problem import Problem

CAMERA = NoiseModel(gain=2.0, offset=100.0, read_noise=3.0)
UNITS = (np.array([500.0]), np.array([90.0]))
"""Canonical values 0 to 1 are the grey levels 90 to 590: up to 245 photons."""

MISFITS = ("gaussian", "anscombe", "poisson")
LIKE = torch.zeros(1, 1, 1, 1)


def made(name: str, camera: NoiseModel = CAMERA) -> Misfit:
    chosen, misfit = choose_misfit(name, [camera], UNITS, LIKE)
    assert chosen == name
    return misfit


def canonical_of(photons: float | np.ndarray, camera: NoiseModel = CAMERA) -> torch.Tensor:
    """Return the canonical values, (1, 1, rows, columns), of the mean grey level of some photons."""
    grey = camera.offset + camera.gain * np.asarray(photons, np.float64)
    return torch.from_numpy((grey - UNITS[1]) / UNITS[0]).float().reshape(1, 1, 1, -1)


def exposed(photons: float, size: int, camera: NoiseModel = CAMERA, seed: int = 0) -> torch.Tensor:
    """Return canonical values of ``size`` pixels of a camera, not rounded."""
    generator = np.random.default_rng(seed)
    counts = generator.poisson(photons, size) + generator.normal(0, camera.read_noise / camera.gain, size)
    return canonical_of(counts, camera)


def test_the_gaussian_misfit_is_the_squared_difference_over_the_variance() -> None:
    predicted, measured = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 4.0, 2.0])
    assert GaussianMisfit().pointwise(predicted, measured).tolist() == [0, 4, 9]
    assert GaussianMisfit(2.0).pointwise(predicted, measured).tolist() == [0, 1, 2.25]


@pytest.mark.parametrize("name", MISFITS)
def test_every_misfit_is_smallest_at_the_measurement(name: str) -> None:
    misfit = made(name)
    measured = torch.linspace(0.1, 0.9, 9).reshape(1, 1, 3, 3)
    at_the_measurement = misfit.pointwise(measured, measured)
    assert at_the_measurement.shape == measured.shape
    for shift in (-0.05, 0.05):
        assert (misfit.pointwise(measured + shift, measured) > at_the_measurement).all()


@pytest.mark.parametrize("name", MISFITS)
def test_the_gradient_of_every_misfit_leads_to_the_measurement(name: str) -> None:
    predicted = torch.tensor([0.2, 0.8]).reshape(1, 1, 1, 2).requires_grad_()
    made(name).pointwise(predicted, torch.full((1, 1, 1, 2), 0.5)).sum().backward()
    darker, brighter = predicted.grad.flatten()
    assert darker < 0 < brighter


@pytest.mark.parametrize("name", MISFITS)
@pytest.mark.parametrize("photons", [20.0, 100.0])
def test_the_truth_has_a_mean_misfit_of_about_one(name: str, photons: float) -> None:
    if name == "gaussian":
        # Noise of one strength everywhere is that of the middle of the range.
        photons = float(UNITS[1][0] + 0.5 * UNITS[0][0] - CAMERA.offset) / CAMERA.gain
    measured = exposed(photons, 40_000)
    misfit = made(name).pointwise(canonical_of(photons).expand_as(measured), measured)
    assert float(misfit.mean()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("read_noise", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("photons", [0.5, 2.0, 20.0])
def test_mean_and_variance_of_the_transform_are_those_of_a_camera(photons: float, read_noise: float) -> None:
    camera = NoiseModel(gain=2.0, offset=100.0, read_noise=read_noise)
    misfit = made("anscombe", camera)
    transformed = misfit.stabilise(exposed(photons, 200_000, camera))
    assert float(misfit.expected(canonical_of(photons))) == pytest.approx(float(transformed.mean()), abs=0.015)
    assert float(misfit.stabilised_variance(canonical_of(photons))) == pytest.approx(float(transformed.var()), rel=0.1)


@pytest.mark.parametrize("name", MISFITS)
def test_the_inverse_undoes_the_mean_transform(name: str) -> None:
    misfit = made(name)
    image = canonical_of(np.array([0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 240.0]))
    back = misfit.unstabilise(misfit.expected(image))
    torch.testing.assert_close(back, image, atol=2e-4, rtol=0)


def test_the_inverse_of_the_gaussian_misfit_is_exact_and_its_spread_is_one() -> None:
    misfit, image = GaussianMisfit(0.25), torch.linspace(-1, 2, 7)
    assert torch.equal(misfit.unstabilise(misfit.expected(image)), image)
    assert torch.equal(misfit.stabilise(image), misfit.expected(image))
    assert torch.equal(misfit.stabilised_variance(image), torch.ones(7))


@pytest.mark.parametrize("name", ["anscombe", "poisson"])
def test_brighter_predictions_of_saturated_pixels_cost_nothing(name: str) -> None:
    camera = NoiseModel(gain=2.0, offset=100.0, read_noise=3.0, saturation=400.0)
    misfit = made(name, camera)
    measured = torch.tensor([400.0, 400.0, 399.0]).sub(90).div(500).reshape(1, 1, 1, 3)
    predicted = torch.tensor([500.0, 300.0, 500.0]).sub(90).div(500).reshape(1, 1, 1, 3).requires_grad_()
    values = misfit.pointwise(predicted, measured)
    values.sum().backward()
    brighter, darker, unsaturated = predicted.grad.flatten().tolist()
    assert values.flatten()[0] == brighter == 0
    assert darker < 0 < unsaturated


@pytest.mark.parametrize("read_noise", [0.0, 3.0])
@pytest.mark.parametrize("name", MISFITS)
def test_gradients_of_dark_predictions_are_finite_and_lead_upwards(name: str, read_noise: float) -> None:
    misfit = made(name, NoiseModel(gain=2.0, offset=100.0, read_noise=read_noise))
    # Down to 2000 photons below zero light.
    predicted = torch.linspace(-8, 0.02, 500).reshape(1, 1, 1, -1).requires_grad_()
    values = misfit.pointwise(predicted, canonical_of(30.0).expand(1, 1, 1, 500))
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad < 0).all()


def test_every_channel_has_its_own_camera() -> None:
    cameras = [CAMERA, NoiseModel(gain=0.5, offset=10.0, read_noise=1.0), NoiseModel(gain=0.0, read_noise=7.0)]
    units = (np.array([500.0, 100.0, 50.0]), np.array([90.0, 5.0, 0.0]))
    image = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    measured = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    together = AnscombeMisfit(cameras, units, image)
    for channel, camera in enumerate(cameras):
        own = tuple(values[channel : channel + 1] for values in units)
        alone = AnscombeMisfit([camera], own, image)
        here = (slice(None), slice(channel, channel + 1))
        for kind in ("stabilise", "expected", "stabilised_variance", "unstabilise"):
            torch.testing.assert_close(getattr(together, kind)(image)[here], getattr(alone, kind)(image[here]))
        torch.testing.assert_close(
            together.pointwise(image, measured)[here], alone.pointwise(image[here], measured[here])
        )


def test_without_photon_noise_the_transform_is_the_light_over_the_read_noise() -> None:
    camera = NoiseModel(gain=0.0, offset=100.0, read_noise=5.0)
    misfit = AnscombeMisfit([camera], UNITS, LIKE)
    grey = torch.tensor([90.0, 100.0, 105.0, 590.0]).reshape(1, 1, 1, 4)
    torch.testing.assert_close(misfit.stabilise((grey - 90) / 500).flatten(), torch.tensor([-2.0, 0.0, 1.0, 98.0]))
    assert torch.equal(misfit.stabilised_variance(LIKE), torch.ones_like(LIKE))


def in_grey_levels(camera: NoiseModel) -> AnscombeMisfit:
    return AnscombeMisfit([camera], (np.ones(1), np.zeros(1)), LIKE)


def column(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float64)).reshape(1, 1, -1, 1)


def test_the_transform_is_the_textbook_one_but_for_a_constant() -> None:
    level = np.linspace(-20, 500, 50)
    inside = 2 * level + 3 / 8 * 2**2 + 3**2 - 2 * 10
    textbook = 2 / 2 * np.sqrt(np.maximum(inside, 0))
    misfit = in_grey_levels(NoiseModel(gain=2.0, offset=10.0, read_noise=3.0))
    difference = textbook - misfit.stabilise(column(level)).flatten().numpy()
    np.testing.assert_allclose(difference, difference[0], rtol=1e-6)
    assert float(misfit.stabilise(column([10.0]))) == 0


@pytest.mark.parametrize("gain", [1e-3, 1e-6, 1e-12])
def test_with_little_gain_the_transform_approaches_division_by_the_read_noise(gain: float) -> None:
    misfit = in_grey_levels(NoiseModel(gain=gain, offset=5.0, read_noise=4.0))
    level = column(np.linspace(-10, 100, 30))
    torch.testing.assert_close(misfit.stabilise(level), (level - 5) / 4, rtol=3e-3, atol=1e-6)
    torch.testing.assert_close(misfit.unstabilise(misfit.expected(level)), level, rtol=0, atol=2e-3)


def test_a_transform_without_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gain 0 and read noise 0.*give read_noise"):
        AnscombeMisfit([CAMERA, NoiseModel()], (np.ones(2), np.zeros(2)), LIKE)


@pytest.mark.parametrize("read_noise", [0.0, 2.0, 140.0])
def test_the_mean_transform_is_never_above_the_transform_of_the_mean(read_noise: float) -> None:
    levels, bias = anscombe_bias(NoiseModel(gain=20.0, offset=5.0, read_noise=read_noise))
    assert np.all(np.diff(levels) > 0)
    assert np.all(bias <= 0)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
@pytest.mark.parametrize("name", MISFITS)
def test_the_misfit_is_the_same_in_every_unit_of_intensity(name: str, scale: float) -> None:
    scaled = NoiseModel(gain=scale * 2.0, offset=scale * 100.0, read_noise=scale * 3.0)
    units = (scale * UNITS[0], scale * UNITS[1])
    other = choose_misfit(name, [scaled], units, LIKE)[1]
    predicted, measured = canonical_of(np.array([1.0, 9.0, 200.0])), canonical_of(np.array([2.0, 4.0, 190.0]))
    torch.testing.assert_close(other.pointwise(predicted, measured), made(name).pointwise(predicted, measured))


def test_the_poisson_misfit_is_the_deviance_of_photon_counts() -> None:
    camera = NoiseModel(gain=2.0, offset=100.0, read_noise=0.0)
    measured, predicted = canonical_of(np.array([0.0, 3.0, 50.0])), canonical_of(np.array([1.0, 2.0, 40.0]))
    wanted = [2.0, 2 * (3 * np.log(3 / 2) - 1), 2 * (50 * np.log(50 / 40) - 10)]
    assert made("poisson", camera).pointwise(predicted, measured).flatten().tolist() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "cameras", "chosen", "kind"),
    [
        ("auto", [CAMERA], "anscombe", AnscombeMisfit),
        ("auto", [NoiseModel(read_noise=3.0)], "gaussian", GaussianMisfit),
        ("auto", [NoiseModel(read_noise=3.0), CAMERA], "anscombe", AnscombeMisfit),
        ("auto", [], "gaussian", GaussianMisfit),
        ("auto", [NoiseModel()], "gaussian", GaussianMisfit),
        ("auto", [CAMERA, NoiseModel()], "anscombe", AnscombeMisfit),
        ("anscombe", [NoiseModel(read_noise=3.0)], "anscombe", AnscombeMisfit),
        ("anscombe", [NoiseModel()], "gaussian", GaussianMisfit),
        ("poisson", [CAMERA], "poisson", PoissonMisfit),
        ("poisson", [NoiseModel(read_noise=3.0)], "gaussian", GaussianMisfit),
        ("gaussian", [CAMERA], "gaussian", GaussianMisfit),
    ],
)
def test_the_misfit_is_chosen_by_name_and_noise(
    name: str, cameras: list[NoiseModel], chosen: str, kind: type[Misfit]
) -> None:
    count = len(cameras)
    like = torch.zeros(1, max(count, 1), 2, 2)
    found, misfit = choose_misfit(name, cameras, (np.full(count, 500.0), np.full(count, 90.0)), like)
    assert found == chosen
    assert type(misfit) is kind


def test_the_gaussian_misfit_has_the_noise_of_the_middle_of_the_range() -> None:
    sigma = np.sqrt(CAMERA.variance(90 + 250)) / 500
    assert float(made("gaussian").sigma) == pytest.approx(float(sigma))
    flat = choose_misfit("auto", [NoiseModel(read_noise=3.0)], UNITS, LIKE)[1]
    assert float(flat.sigma) == pytest.approx(3 / 500)


def test_the_misfit_of_a_problem_fits_a_volume(pose: Callable[..., Problem], rng: np.random.Generator) -> None:
    problem = pose(rng.poisson(50, (3, 5, 6)).astype(np.float32), "ZYX", noise=[NoiseModel(gain=1.0)])
    assert isinstance(problem.misfit, AnscombeMisfit)
    assert problem.misfit.pointwise(problem.measured, problem.measured).shape == (1, 1, 3, 5, 6)


def test_the_weighted_mean_counts_each_value_by_its_weight() -> None:
    assert float(weighted_mean(torch.tensor([1.0, 2.0, 100.0]), torch.tensor([3.0, 1.0, 0.0]))) == 1.25


def test_values_of_weight_0_get_no_gradient() -> None:
    values = torch.rand(1, 1, 4, 5, requires_grad=True)
    weight = (torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    weighted_mean(values.square(), weight).backward()
    assert torch.equal(values.grad != 0, weight > 0)

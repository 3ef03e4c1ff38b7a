from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.methods.deep_image_prior import AVERAGING_GROWTH, GUIDE_STRENGTH, _Backtracking, _Code, _Member
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.networks.network import initialise
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.problem import Problem, Step
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.tasks import Denoise
from napari_deep_prior.training.optimizers import Optimizer
from napari_deep_prior.training.precision import working_dtype

Make = Callable[..., DeepImagePrior]
CPU = torch.device("cpu")


@pytest.fixture
def problem(noisy: np.ndarray, pose: Callable[..., Problem]) -> Problem:
    return pose(noisy[:16, :16])


def last(method: DeepImagePrior, problem: Problem) -> Step:
    return list(method.fit(problem))[-1]


def test_the_same_seed_gives_the_same_image_bit_for_bit(problem: Problem, tiny: Make) -> None:
    images = [last(tiny(steps=10, seed=seed), problem).image for seed in (7, 7, 8)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize("source", ["pooled", "fresh"])
def test_the_seed_decides_the_jitter_too(problem: Problem, tiny: Make, source: str) -> None:
    losses = [last(tiny(steps=4, seed=seed, jitter_source=source), problem).loss for seed in (7, 7, 8)]
    assert losses[0] == losses[1] != losses[2]


def test_a_fit_uses_nothing_of_the_random_numbers_of_the_process(problem: Problem, tiny: Make) -> None:
    images = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        images.append(last(tiny(), problem).image)
    assert torch.equal(images[0], images[1])


def test_steps_are_counted_from_one_to_the_total(problem: Problem, tiny: Make) -> None:
    steps = list(tiny(steps=5).fit(problem))
    assert [step.number for step in steps] == [1, 2, 3, 4, 5]
    assert {step.total for step in steps} == {5}


def test_the_tensors_of_a_step_are_detached_and_never_change_later(problem: Problem, tiny: Make) -> None:
    names = ("loss", "criterion", "chosen", "image")
    kept, copies = [], []
    network = Hourglass(channels=(8,), skip=(2,), activation="linear")
    for step in tiny(steps=25, averaging=0.5, held_out=0.2, network=network).fit(problem):
        assert not any(getattr(step, name).requires_grad for name in names)
        kept.append(step)
        copies.append([getattr(step, name).clone() for name in names])
    for step, copied in zip(kept, copies, strict=True):
        for name, value in zip(names, copied, strict=True):
            assert torch.equal(getattr(step, name), value), name


def test_the_fit_comes_closer_to_the_measurement(problem: Problem, tiny: Make) -> None:
    losses = [float(step.loss) for step in tiny(steps=60).fit(problem)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_fit_stops_by_itself_when_the_held_out_error_has_not_improved(
    pose: Callable[..., Problem], rng: np.random.Generator, tiny: Make
) -> None:
    # Nothing can be learned of pure noise: the held-out error soon grows.
    problem = pose(rng.normal(0, 1, (24, 24)))
    steps = list(tiny(steps=2000, patience=20, averaging=0.5, held_out=0.2).fit(problem))
    chosen = int(steps[-1].chosen)
    assert steps[-1].number < 1000
    assert steps[-1].number - chosen > 20
    assert steps[-1].criterion_name == "held-out error"
    smallest = min(steps, key=lambda step: float(step.criterion))
    assert chosen == smallest.number
    assert torch.equal(steps[-1].image, smallest.image)


def test_stopping_early_gives_the_same_image_as_fewer_steps(problem: Problem, tiny: Make) -> None:
    fit = tiny(steps=100).fit(problem)
    for step in fit:
        if step.number == 8:
            break
    assert torch.equal(step.image, last(tiny(steps=8), problem).image)


def test_without_a_stopping_rule_the_last_average_is_the_answer(problem: Problem, tiny: Make) -> None:
    step = last(tiny(steps=7, stop="none"), problem)
    assert int(step.chosen) == step.number == 7
    assert step.criterion is None
    assert not step.criterion_name


def test_held_out_pixels_leave_no_trace_in_the_weights(pose: Callable[..., Problem], tiny: Make) -> None:
    values = np.random.default_rng(0).permutation(64).reshape(8, 8).astype(np.float32)
    method = tiny(held_out=0.5, steps=3)
    problem = pose(values)

    def outcome(measured: torch.Tensor) -> tuple[float, float]:
        changed = Problem(measured=measured, weight=problem.weight, operator=problem.operator, misfit=problem.misfit)
        step = last(method, changed)
        return float(step.loss), float(step.criterion)

    loss, criterion = outcome(problem.measured)
    learned, held_out = 0, 0
    for pixel in range(64):
        measured = problem.measured.clone()
        # Less than the distance to the next brightness, so that the same pixels are held out.
        measured.view(-1)[pixel] += 0.005
        now = outcome(measured)
        assert (now[0] != loss) != (now[0] == loss and now[1] != criterion)
        learned += now[0] != loss
        held_out += now[0] == loss
    assert learned == held_out == 32


def test_the_value_of_a_missing_pixel_leaves_no_trace(problem: Problem, tiny: Make) -> None:
    weight = problem.weight.clone()
    weight[..., 3:6, 4:9] = 0
    images = []
    for value in (0.1, 0.9):
        measured = torch.where(weight > 0, problem.measured, torch.tensor(value))
        holed = Problem(measured=measured, weight=weight, operator=problem.operator, misfit=problem.misfit)
        images.append(last(tiny(stop="none"), holed).image)
    assert torch.equal(images[0], images[1])


def test_missing_pixels_are_filled_from_what_is_around_them(tiny: Make) -> None:
    # A smooth picture with holes of three pixels.
    rows, columns = np.mgrid[:24, :24]
    picture = (100 + 20 * np.sin(rows / 4) + 20 * np.cos(columns / 5)).astype(np.float32)
    holed = picture.copy()
    holed[4:7, 4:7] = holed[15:18, 9:12] = np.nan
    holes = np.isnan(holed)
    method = tiny(steps=300, averaging=0.9)
    image = restore(holed, Denoise(missing="fill"), method, device="cpu").finish()
    assert np.isfinite(image).all()
    assert np.abs(image - picture)[holes].mean() < 0.5 * np.abs(np.nanmean(holed) - picture)[holes].mean()


ABLE = {"network": Hourglass(channels=(16, 16, 16), skip=(2, 2, 2)), "code_channels": 16, "averaging": 0.97}


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam"}], ids=["muon", "adam"])
def test_noise_is_removed_by_a_clear_margin(
    noisy: np.ndarray, truth: np.ndarray, tiny: Make, pose: Callable[..., Problem], changes: dict[str, object]
) -> None:
    camera = Camera()
    problem = pose(noisy, noise=[NoiseModel(gain=camera.gain, offset=camera.offset, read_noise=camera.read_noise)])
    frame = canonical(noisy, "YX", device=CPU)[2]
    image = frame.to_image(last(tiny(steps=500, **ABLE, **changes), problem).image)
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 3
    assert metrics.ssim(image, truth) > metrics.ssim(noisy, truth) + 0.1


def test_texture_of_a_small_picture_is_not_taken_for_correlated_noise(
    noisy: np.ndarray, truth: np.ndarray, tiny: Make
) -> None:
    image = restore(noisy, Denoise(), tiny(steps=500, **ABLE), device="cpu", dtype="float32").finish()
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 3


def test_intensities_come_back_with_a_slope_of_one(rng: np.random.Generator, tiny: Make) -> None:
    ramp = np.tile(np.linspace(100, 1100, 32), (32, 1))
    measured = (ramp + rng.normal(0, 20, ramp.shape)).astype(np.float32)
    image = restore(measured, Denoise(), tiny(steps=400, averaging=0.97), device="cpu").finish()
    slope, offset = np.polyfit(ramp.ravel(), image.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.02)
    assert offset == pytest.approx(0, abs=15)


def test_without_averaging_the_answer_is_a_single_output(problem: Problem, tiny: Make) -> None:
    first, second = list(tiny(steps=2, averaging=0.0, stop="none").fit(problem))
    output = last(tiny(steps=2, averaging=0.9999, stop="none"), problem).image
    # A short memory at the start, however long it is later.
    torch.testing.assert_close(first.image.lerp(second.image, 1 / (1 + 2 * AVERAGING_GROWTH)), output)


@pytest.mark.parametrize(("source", "shape"), [("pooled", (9, 8)), ("fresh", (9, 8)), ("pooled", (3, 5, 4))])
def test_the_jitter_has_the_strength_asked_for_and_is_new_in_every_step(
    tiny: Make, pose: Any, source: str, shape: tuple[int, ...]
) -> None:
    method = tiny(jitter=0.5, jitter_source=source, code_range=0.2)
    problem = pose(np.random.default_rng(0).random(shape), "ZYX"[-len(shape) :])
    code = _Code(method, problem, torch.Generator().manual_seed(0))
    draws = torch.stack([code.draw(number) - code.fixed for number in range(100, 160)])
    assert draws.shape[1:] == (1, 4, *shape)
    assert float(draws.std()) == pytest.approx(0.5, rel=0.1)
    assert not torch.equal(draws[0], draws[1])
    assert 0 <= float(code.fixed.min()) < 0.1 < float(code.fixed.max()) <= 0.2


def test_without_jitter_the_code_stays_the_same(tiny: Make, pose: Any) -> None:
    problem = pose(np.random.default_rng(0).random((9, 8)))
    code = _Code(tiny(jitter=0.0), problem, torch.Generator().manual_seed(0))
    assert torch.equal(code.draw(1), code.draw(200))


def test_a_guide_is_part_of_the_code_in_all_but_some_steps(tiny: Make, pose: Any) -> None:
    guide = torch.randn((1, 2, 9, 8), generator=torch.Generator().manual_seed(0))
    problem = dataclasses.replace(pose(np.random.default_rng(0).random((9, 8))), guide=guide)
    code = _Code(tiny(jitter=0.0, guide_dropout=0.3), problem, torch.Generator().manual_seed(0))
    draws = [code.draw(number) for number in range(200)]
    assert all(draw.shape == (1, 6, 9, 8) for draw in draws)
    seen = [draw[:, 4:] for draw in draws if draw[:, 4:].any()]
    assert 0.6 < len(seen) / len(draws) < 0.8
    assert all(torch.equal(part, GUIDE_STRENGTH * guide) for part in seen)


@pytest.fixture
def watched(tiny: Make) -> tuple[_Backtracking, Callable[[int], None]]:
    """Backtracking over a real network, and a function that takes some steps of its optimizer."""
    network = Hourglass(channels=(8,), skip=(2,)).build(inputs=4, outputs=1, shape=(8, 8), device=CPU)
    generator = torch.Generator().manual_seed(0)
    initialise(network, generator)
    optimizer = Optimizer("muon", network, 0.01)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            (network(torch.rand(1, 4, 8, 8, generator=generator)) - 0.3).square().mean().backward()
            optimizer.step()

    return _Backtracking(network, optimizer, 2.0), train


def state(backtracking: _Backtracking) -> dict[str, torch.Tensor]:
    weights = backtracking.network.state_dict()
    moments = {
        f"{name} {kind} {number}": value
        for kind, part in enumerate(backtracking.optimizer.state_dict())
        for number, entry in part["state"].items()
        for name, value in entry.items()
    }
    assert {name.split()[0] for name in moments} == {"step", "exp_avg", "exp_avg_sq", "momentum_buffer"}
    return copy.deepcopy(weights | moments)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("loss", [100.0, float("nan"), float("inf")])
def test_a_diverged_fit_goes_back_to_its_good_weights_and_moments(
    watched: tuple[_Backtracking, Callable[[int], None]], loss: float
) -> None:
    backtracking, train = watched
    train(3)
    backtracking.went_back(100, torch.tensor(1.0))
    good = state(backtracking)
    # Twice: what was stored must not have been handed to the optimizer to change.
    for number in (200, 300):
        train(3)
        assert not same(good, state(backtracking))
        backtracking.went_back(number, torch.tensor(loss))
        assert same(good, state(backtracking))


def test_a_good_fit_goes_on_and_is_remembered(watched: tuple[_Backtracking, Callable[[int], None]]) -> None:
    backtracking, train = watched
    train(1)
    backtracking.went_back(100, torch.tensor(1.0))
    train(1)
    better = state(backtracking)
    # Larger, but not by the factor.
    backtracking.went_back(200, torch.tensor(1.9))
    assert same(better, state(backtracking))
    train(1)
    backtracking.went_back(300, torch.tensor(9.0))
    assert same(better, state(backtracking))


def test_the_fit_is_looked_at_every_hundredth_step_only(
    watched: tuple[_Backtracking, Callable[[int], None]],
) -> None:
    backtracking, train = watched
    train(1)
    backtracking.went_back(100, torch.tensor(1.0))
    train(1)
    worse = state(backtracking)
    backtracking.went_back(199, torch.tensor(100.0))
    assert same(worse, state(backtracking))


def test_a_factor_of_zero_never_goes_back(watched: tuple[_Backtracking, Callable[[int], None]]) -> None:
    backtracking, train = watched
    backtracking.factor = 0
    train(1)
    backtracking.went_back(100, torch.tensor(1.0))
    train(1)
    worse = state(backtracking)
    backtracking.went_back(200, torch.tensor(float("nan")))
    assert same(worse, state(backtracking))


def test_single_precision_is_kept_when_asked_for() -> None:
    assert working_dtype("float32", CPU, dimensions=2) == torch.float32
    assert working_dtype("auto", CPU, dimensions=2) in (torch.float32, torch.bfloat16)
    assert working_dtype("auto", CPU, dimensions=3) == torch.float32


def test_automatic_precision_restores_as_well(noisy: np.ndarray, truth: np.ndarray, tiny: Make) -> None:
    image = restore(noisy, Denoise(), tiny(steps=300, averaging=0.97, precision="auto"), device="cpu").finish()
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 2


def test_the_fit_starts_at_the_median_of_what_it_may_learn(pose: Callable[..., Problem], tiny: Make) -> None:
    image = np.full((2, 16, 16), 100.0, np.float32)
    image[:, :5] = 1000
    image[1] = 1100 - image[1]
    image[:, 5:9] = np.nan
    problem = pose(image, "CYX", missing="fill")
    for activation in ("sigmoid", "linear"):
        network = Hourglass(channels=(8,), skip=(2,), activation=activation)
        member = _Member(tiny(network=network), problem, problem.weight, torch.Generator().manual_seed(0))
        bias = member.network.get_parameter("head.bias").detach()
        start = bias.sigmoid() if activation == "sigmoid" else bias
        # Dark in the first channel, bright in the second: the pixels of 0.5 are missing.
        torch.testing.assert_close(start, torch.tensor([0.05, 0.95]), atol=1e-3, rtol=0)


def test_a_channel_without_any_pixel_starts_in_the_middle(pose: Callable[..., Problem], tiny: Make) -> None:
    image = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    image[1] = np.nan
    step = last(tiny(stop="none"), pose(image, "CYX", missing="fill"))
    assert torch.isfinite(step.image).all()


def test_a_state_is_kept_with_its_own_loss_and_not_with_that_of_the_step_before(problem: Problem, tiny: Make) -> None:
    member = _Member(tiny(), problem, problem.weight, torch.Generator().manual_seed(0))
    member.backtracking.EVERY = 1
    before = copy.deepcopy(member.network.state_dict())
    loss = member.iterate(1, problem, problem.weight)
    good_loss, weights, _ = member.backtracking.good
    assert good_loss == float(loss)
    assert same(weights, before)
    assert not same(weights, member.network.state_dict())


def test_a_step_that_explodes_is_undone_without_a_step_by_its_gradient(problem: Problem, tiny: Make) -> None:
    member = _Member(tiny(jitter=0.0), problem, problem.weight, torch.Generator().manual_seed(0))
    member.backtracking.EVERY = 1
    first = float(member.iterate(1, problem, problem.weight))
    with torch.no_grad():
        member.network.get_parameter("head.bias").fill_(float("nan"))
    member.iterate(2, problem, problem.weight)
    assert not torch.isfinite(member.average).any()
    assert float(member.iterate(3, problem, problem.weight)) == first
    # What came of the weights that were given up is in no average.
    assert torch.equal(member.average, member.output)
    member.iterate(4, problem, problem.weight)
    assert torch.isfinite(member.average).all()
    assert not torch.equal(member.average, member.output)


def test_members_are_averaged_and_tell_the_deviation(problem: Problem, tiny: Make) -> None:
    steps = list(tiny(members=2, steps=4, stop="none").fit(problem))
    generator = torch.Generator().manual_seed(0)
    members = [_Member(tiny(), problem, problem.weight, generator) for _ in range(2)]
    for number in range(1, 5):
        for member in members:
            member.iterate(number, problem, problem.weight)
    first, second = (member.average for member in members)
    torch.testing.assert_close(steps[-1].image, (first + second) / 2)
    torch.testing.assert_close(steps[-1].deviation, (first - second).abs() / 2**0.5)
    assert not torch.equal(first, second)
    assert all((step.deviation >= 0).all() for step in steps)
    assert all(step.deviation.shape == step.image.shape for step in steps)


def test_a_single_network_has_no_deviation(problem: Problem, tiny: Make) -> None:
    assert last(tiny(), problem).deviation is None


def test_an_ensemble_stops_by_its_mean_and_keeps_the_deviation_of_its_best(problem: Problem, tiny: Make) -> None:
    steps = list(tiny(members=3, steps=60, averaging=0.5, held_out=0.2).fit(problem))
    best = steps[int(steps[-1].chosen) - 1]
    assert torch.equal(steps[-1].image, best.image)
    assert torch.equal(steps[-1].deviation, best.deviation)


def test_an_ensemble_is_closer_to_the_truth_than_its_members(
    noisy: np.ndarray, truth: np.ndarray, tiny: Make, pose: Callable[..., Problem]
) -> None:
    problem, frame = pose(noisy), canonical(noisy, "YX", device=CPU)[2]

    def error(**changes: int) -> float:
        return metrics.mse(frame.to_image(last(tiny(steps=150, averaging=0.9, **changes), problem).image), truth)

    single = np.mean([error(seed=seed) for seed in (0, 1, 2)])
    assert error(members=3) < single


def test_more_members_need_more_memory(problem: Problem, tiny: Make) -> None:
    assert tiny(members=4).memory(problem) > tiny().memory(problem)

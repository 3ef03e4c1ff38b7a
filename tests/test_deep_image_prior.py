from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior import metrics
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.methods.deep_image_prior import _Backtracking, _Code
from napari_deep_prior.methods.precision import working_dtype
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.networks.hourglass import initialise
from napari_deep_prior.problem import Problem, Step
from napari_deep_prior.restoration import restore
from napari_deep_prior.tasks import Denoise

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


def test_noise_is_removed_by_a_clear_margin(noisy: np.ndarray, truth: np.ndarray, tiny: Make) -> None:
    network = Hourglass(channels=(16, 16, 16), skip=(2, 2, 2))
    method = tiny(network=network, code_channels=16, steps=500, averaging=0.97)
    image = restore(noisy, Denoise(), method, device="cpu", dtype="float32").finish()
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 3
    assert metrics.ssim(image, truth) > metrics.ssim(noisy, truth) + 0.1


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
    # The average of two outputs, weighted equally at the start.
    torch.testing.assert_close((first.image + second.image) / 2, output)


@pytest.mark.parametrize(("source", "shape"), [("pooled", (9, 8)), ("fresh", (9, 8)), ("pooled", (3, 5, 4))])
def test_the_jitter_has_the_strength_asked_for_and_is_new_in_every_step(
    tiny: Make, source: str, shape: tuple[int, ...]
) -> None:
    code = _Code(tiny(jitter=0.5, jitter_source=source), shape, CPU, torch.Generator().manual_seed(0))
    draws = torch.stack([code.draw() - code.fixed for _ in range(60)])
    assert draws.shape[1:] == (1, 4, *shape)
    assert float(draws.std()) == pytest.approx(0.5, rel=0.1)
    assert not torch.equal(draws[0], draws[1])
    assert 0 <= float(code.fixed.min()) < float(code.fixed.max()) <= 0.1


def test_without_jitter_the_code_stays_the_same(tiny: Make) -> None:
    code = _Code(tiny(jitter=0.0), (9, 8), CPU, torch.Generator().manual_seed(0))
    assert torch.equal(code.draw(), code.draw())


@pytest.fixture
def watched(tiny: Make) -> tuple[_Backtracking, Callable[[int], None]]:
    """Backtracking over a real network, and a function that takes some steps of its optimizer."""
    network = Hourglass(channels=(8,), skip=(2,)).build(inputs=4, outputs=1, shape=(8, 8), device=CPU)
    generator = torch.Generator().manual_seed(0)
    initialise(network, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            (network(torch.rand(1, 4, 8, 8, generator=generator)) - 0.3).square().mean().backward()
            optimizer.step()

    return _Backtracking(network, optimizer, 2.0), train


def state(backtracking: _Backtracking) -> dict[str, torch.Tensor]:
    weights = backtracking.network.state_dict()
    moments = {
        f"{name} {number}": value
        for number, entry in backtracking.optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }
    assert {name.split()[0] for name in moments} == {"step", "exp_avg", "exp_avg_sq"}
    return copy.deepcopy(weights | moments)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("loss", [100.0, float("nan"), float("inf")])
def test_a_diverged_fit_goes_back_to_its_good_weights_and_moments(
    watched: tuple[_Backtracking, Callable[[int], None]], loss: float
) -> None:
    backtracking, train = watched
    train(3)
    backtracking.watch(100, torch.tensor(1.0))
    good = state(backtracking)
    # Twice: what was stored must not have been handed to the optimizer to change.
    for number in (200, 300):
        train(3)
        assert not same(good, state(backtracking))
        backtracking.watch(number, torch.tensor(loss))
        assert same(good, state(backtracking))


def test_a_good_fit_goes_on_and_is_remembered(watched: tuple[_Backtracking, Callable[[int], None]]) -> None:
    backtracking, train = watched
    train(1)
    backtracking.watch(100, torch.tensor(1.0))
    train(1)
    better = state(backtracking)
    # Larger, but not by the factor.
    backtracking.watch(200, torch.tensor(1.9))
    assert same(better, state(backtracking))
    train(1)
    backtracking.watch(300, torch.tensor(9.0))
    assert same(better, state(backtracking))


def test_the_fit_is_looked_at_every_hundredth_step_only(
    watched: tuple[_Backtracking, Callable[[int], None]],
) -> None:
    backtracking, train = watched
    train(1)
    backtracking.watch(100, torch.tensor(1.0))
    train(1)
    worse = state(backtracking)
    backtracking.watch(199, torch.tensor(100.0))
    assert same(worse, state(backtracking))


def test_a_factor_of_zero_never_goes_back(watched: tuple[_Backtracking, Callable[[int], None]]) -> None:
    backtracking, train = watched
    backtracking.factor = 0
    train(1)
    backtracking.watch(100, torch.tensor(1.0))
    train(1)
    worse = state(backtracking)
    backtracking.watch(200, torch.tensor(float("nan")))
    assert same(worse, state(backtracking))


def test_the_clipped_gradient_is_never_longer_than_the_limit(problem: Problem, tiny: Make) -> None:
    # Adam does not see the length of all gradients, but their changes: only clipping of some has an effect.
    losses = [[float(step.loss) for step in tiny(steps=6, clipping=limit).fit(problem)] for limit in (0.0, 1e-6, 1e9)]
    assert losses[0] == losses[2] != losses[1]


def test_single_precision_is_kept_when_asked_for() -> None:
    assert working_dtype("float32", CPU) == torch.float32
    assert working_dtype("auto", CPU) in (torch.float32, torch.bfloat16)


def test_automatic_precision_restores_as_well(noisy: np.ndarray, truth: np.ndarray, tiny: Make) -> None:
    image = restore(noisy, Denoise(), tiny(steps=300, averaging=0.97, precision="auto"), device="cpu").finish()
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 2

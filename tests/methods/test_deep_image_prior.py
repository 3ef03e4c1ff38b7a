from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera
from napari_deep_prior.methods import DeepImagePrior, Method, NLRidge
from napari_deep_prior.methods.deep_image_prior import AVERAGING_GROWTH, _Member
from napari_deep_prior.networks import Autoencoder, Hourglass, Network
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.training import backtracking
from napari_deep_prior.training.stopping import choose_rule

Make = Callable[..., DeepImagePrior]
CPU = torch.device("cpu")


@pytest.fixture
def problem(noisy: np.ndarray, pose: Callable[..., Problem]) -> Problem:
    return pose(noisy[:16, :16])


def last(method: DeepImagePrior, problem: Problem) -> Step:
    return list(method.fit(problem))[-1]


@pytest.mark.parametrize("source", ["pooled", "fresh"])
def test_the_seed_decides_the_jitter_too(problem: Problem, tiny: Make, source: str) -> None:
    losses = [last(tiny(steps=4, seed=seed, jitter_source=source), problem).loss for seed in (7, 7, 8)]
    assert losses[0] == losses[1] != losses[2]


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


@pytest.mark.parametrize(
    ("network", "rate"),
    [(Hourglass(channels=(8,), skip=(2,)), 0.02), (Autoencoder(channels=(8,), bottleneck=4), 0.006)],
)
def test_networks_without_normalisation_take_a_share_of_the_learning_rate(
    problem: Problem, tiny: Make, network: Network, rate: float
) -> None:
    member = _Member(tiny(network=network, rate=0.02), problem, problem.weight, torch.Generator().manual_seed(0))
    for state in member.optimizer.state_dict():
        assert state["param_groups"][0]["lr"] == pytest.approx(rate)


def test_the_fit_comes_closer_to_the_measurement(problem: Problem, tiny: Make) -> None:
    losses = [float(step.loss) for step in tiny(steps=60).fit(problem)]
    assert losses[-1] < 0.5 * losses[0]


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().mean())


def test_the_fit_stops_by_itself_when_the_held_out_error_has_not_improved(
    pose: Callable[..., Problem], rng: np.random.Generator, tiny: Make
) -> None:
    # Pure noise cannot be predicted: the held-out error soon grows.
    problem = pose(rng.normal(0, 1, (24, 24)))
    steps = list(tiny(steps=2000, patience=20, averaging=0.5, held_out=0.2).fit(problem))
    chosen = int(steps[-1].chosen)
    assert steps[-1].number < 1000
    assert steps[-1].number - chosen > 20
    assert steps[-1].criterion_name == "held-out error"
    smallest = min(steps, key=lambda step: float(step.criterion))
    assert chosen == smallest.number
    # The answer is a mean in which this one counts most: 115 pixels hardly tell it from its neighbours.
    answer, best = steps[-1].image, smallest.image
    assert 0 < distance(answer, best) < 0.5 * distance(steps[0].image, best)


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


def test_held_out_pixels_do_not_change_the_fit(pose: Callable[..., Problem], tiny: Make) -> None:
    values = np.random.default_rng(0).permutation(64).reshape(8, 8).astype(np.float32)
    method = tiny(held_out=0.5, steps=2)
    problem = pose(values)

    def outcome(measured: torch.Tensor) -> tuple[float, float]:
        changed = Problem(measured=measured, weight=problem.weight, operator=problem.operator, misfit=problem.misfit)
        step = last(method, changed)
        return float(step.loss), float(step.criterion)

    loss, criterion = outcome(problem.measured)
    fitted, held_out = 0, 0
    for pixel in range(64):
        measured = problem.measured.clone()
        # Less than the distance to the next brightness, so that the same pixels are held out.
        measured.view(-1)[pixel] += 0.005
        now = outcome(measured)
        assert (now[0] != loss) != (now[0] == loss and now[1] != criterion)
        fitted += now[0] != loss
        held_out += now[0] == loss
    assert fitted == held_out == 32


def test_the_value_of_a_missing_pixel_does_not_matter(problem: Problem, tiny: Make) -> None:
    weight = problem.weight.clone()
    weight[..., 3:6, 4:9] = 0
    images = []
    for value in (0.1, 0.9):
        measured = torch.where(weight > 0, problem.measured, torch.tensor(value))
        holed = Problem(measured=measured, weight=weight, operator=problem.operator, misfit=problem.misfit)
        images.append(last(tiny(stop="none"), holed).image)
    assert torch.equal(images[0], images[1])


def test_missing_pixels_are_filled_from_their_neighbours(pose: Callable[..., Problem], tiny: Make) -> None:
    # A smooth picture with holes of three pixels.
    rows, columns = np.mgrid[:24, :24]
    picture = (100 + 20 * np.sin(rows / 4) + 20 * np.cos(columns / 5)).astype(np.float32)
    holed = picture.copy()
    holed[4:7, 4:7] = holed[15:18, 9:12] = np.nan
    holes = np.isnan(holed)
    method = tiny(steps=150, averaging=0.9)
    frame = canonical(holed, "YX", device=CPU, missing="fill")[2]
    image = frame.to_image(last(method, pose(holed, missing="fill")).image)
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
    image = frame.to_image(last(tiny(steps=300, **ABLE, **changes), problem).image)
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 3
    assert metrics.ssim(image, truth) > metrics.ssim(noisy, truth) + 0.1


def test_intensities_come_back_with_a_slope_of_one(
    rng: np.random.Generator, pose: Callable[..., Problem], tiny: Make
) -> None:
    ramp = np.tile(np.linspace(100, 1100, 32), (32, 1))
    measured = (ramp + rng.normal(0, 20, ramp.shape)).astype(np.float32)
    frame = canonical(measured, "YX", device=CPU)[2]
    image = frame.to_image(last(tiny(steps=400, averaging=0.97), pose(measured)).image)
    slope, offset = np.polyfit(ramp.ravel(), image.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.02)
    assert offset == pytest.approx(0, abs=15)


def test_without_averaging_the_answer_is_a_single_output(problem: Problem, tiny: Make) -> None:
    first, second = list(tiny(steps=2, averaging=0.0, stop="none").fit(problem))
    output = last(tiny(steps=2, averaging=0.9999, stop="none"), problem).image
    # A short memory at the start, however long it is later.
    torch.testing.assert_close(first.image.lerp(second.image, 1 / (1 + 2 * AVERAGING_GROWTH)), output)


def test_the_fit_starts_at_the_median_of_the_pixels_that_it_may_use(pose: Callable[..., Problem], tiny: Make) -> None:
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


def test_a_fit_that_diverges_is_restored_without_a_step_by_its_gradient(
    problem: Problem, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = _Member(tiny(jitter=0.0), problem, problem.weight, torch.Generator().manual_seed(0))
    monkeypatch.setattr(backtracking, "EVERY", 1)
    first = float(member.iterate(1, problem, problem.weight))
    with torch.no_grad():
        member.network.get_parameter("head.bias").fill_(float("nan"))
    member.iterate(2, problem, problem.weight)
    assert not torch.isfinite(member.average).any()
    assert float(member.iterate(3, problem, problem.weight)) == first
    # Outputs of the weights that were given up are in no average.
    assert torch.equal(member.average, member.output)
    member.iterate(4, problem, problem.weight)
    assert torch.isfinite(member.average).all()
    assert not torch.equal(member.average, member.output)


def test_members_are_averaged_and_give_the_deviation(problem: Problem, tiny: Make) -> None:
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


def test_an_ensemble_stops_by_its_mean_and_has_the_deviation_of_its_best_steps(problem: Problem, tiny: Make) -> None:
    steps = list(tiny(members=3, steps=60, averaging=0.5, held_out=0.2).fit(problem))
    best = steps[int(steps[-1].chosen) - 1]
    for name in ("image", "deviation"):
        answer, nearest, first = (getattr(step, name) for step in (steps[-1], best, steps[0]))
        assert distance(answer, nearest) < 0.2 * distance(answer, first)


@pytest.mark.slow
def test_an_ensemble_is_closer_to_the_truth_than_its_members(
    noisy: np.ndarray, truth: np.ndarray, tiny: Make, pose: Callable[..., Problem]
) -> None:
    noisy, truth = noisy[8:36, 8:36], truth[8:36, 8:36]
    problem, frame = pose(noisy), canonical(noisy, "YX", device=CPU)[2]

    def error(**changes: int) -> float:
        return metrics.mse(frame.to_image(last(tiny(steps=100, averaging=0.9, **changes), problem).image), truth)

    single = np.mean([error(seed=seed) for seed in (0, 1)])
    assert error(members=2) < single


def test_more_members_need_more_memory(problem: Problem, tiny: Make) -> None:
    assert tiny(members=4).memory(problem) > tiny().memory(problem)


def posed(noisy: np.ndarray, pose: Callable[..., Problem]) -> Problem:
    camera = Camera()
    return pose(noisy, noise=[NoiseModel(gain=camera.gain, offset=camera.offset, read_noise=camera.read_noise)])


def test_a_fit_that_is_mixed_with_similar_patches_is_not_far_below_them(
    noisy: np.ndarray, truth: np.ndarray, tiny: Make, pose: Callable[..., Problem]
) -> None:
    problem, frame = posed(noisy, pose), canonical(noisy, "YX", device=CPU)[2]

    def ratio(method: Method) -> float:
        *_, step = method.fit(problem)
        return metrics.psnr(frame.to_image(step.image), truth)

    # After ten steps the network has drawn hardly anything.
    alone, patches, mixed = (ratio(each) for each in (tiny(steps=10), NLRidge(), tiny(steps=10, patches=True)))
    assert alone < patches - 3
    assert mixed > patches - 0.3


def test_a_mixed_image_lies_between_the_fit_and_similar_patches_by_the_share_that_is_told(
    noisy: np.ndarray, tiny: Make, pose: Callable[..., Problem]
) -> None:
    problem = posed(noisy, pose)
    *_, by_patches = NLRidge().fit(problem)
    settings = tiny(steps=40, **ABLE, patches=True)
    mixed = last(settings, problem)
    told = float(mixed.remark.split()[-2]) / 100
    assert 0 < told < 1
    # The same fit, alone and up to the best step; those beside it, which count as well, have nearly the same average.
    generator = settings.generator(problem)
    rule = choose_rule("held-out", problem, fraction=settings.held_out, patience=1, generator=generator)
    member = _Member(settings, problem, rule.fit_weight, generator)
    for number in range(1, int(mixed.chosen) + 1):
        member.iterate(number, problem, rule.fit_weight)
    difference = member.average - by_patches.image
    torch.testing.assert_close(
        mixed.image, by_patches.image + told * difference, atol=0.02 * float(difference.abs().max()), rtol=0
    )


def test_where_similar_patches_are_impossible_the_fit_is_the_answer(pose: Callable[..., Problem], tiny: Make) -> None:
    problem = pose(np.random.default_rng(0).random((7, 60)).astype(np.float32))
    alone, mixed = (last(tiny(steps=12, patches=patches), problem) for patches in (False, True))
    assert torch.equal(alone.image, mixed.image)
    assert not mixed.remark


def test_the_uncertainty_of_a_mixture_is_that_of_the_share_of_the_networks(
    noisy: np.ndarray, tiny: Make, pose: Callable[..., Problem]
) -> None:
    problem = posed(noisy, pose)
    alone, mixed = (last(tiny(steps=1, members=2, patches=patches), problem) for patches in (False, True))
    share = float(mixed.deviation.sum() / alone.deviation.sum())
    assert 0 < share < 1
    torch.testing.assert_close(mixed.deviation, share * alone.deviation)

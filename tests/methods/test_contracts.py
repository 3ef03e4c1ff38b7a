"""What holds for every method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from napari_deep_prior.methods import METHODS, DeepImagePrior, Method, NLDeblocking, PlugAndPlay, SelfDistillation
from napari_deep_prior.methods.zero_shot_sr import ZeroShotSR
from napari_deep_prior.networks import Hourglass, Plain, UNet
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Downsample, Identity
from napari_deep_prior.physics.quantised_misfit import QuantisedMisfit
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step

from ..models import tiny_model

QUICK: dict[str, Method] = {
    "deep-image-prior": DeepImagePrior(
        steps=3, code_channels=4, precision="float32", network=Hourglass(channels=(8, 8), skip=(2, 2))
    ),
    "self-distillation": SelfDistillation(
        steps=3, crop=16, examples=2, precision="float32", network=UNet(channels=(8, 8))
    ),
    "nl-ridge": METHODS["nl-ridge"](),
    "nl-deblocking": NLDeblocking(passes=2, group_size=8, search_radius=4),
    "plug-and-play": PlugAndPlay(passes=2, group_size=8, search_radius=4),
    "trained-network": METHODS["trained-network"](),
    "zero-shot-sr": ZeroShotSR(steps=3, crop=16, examples=2, precision="float32", network=Plain(channels=(8, 8))),
}
"""Every method with settings that take milliseconds."""

SMALLEST = {"self-distillation": 8, "nl-ridge": 8, "nl-deblocking": 8, "plug-and-play": 8, "zero-shot-sr": 4}
"""Pixels along a side below which a method refuses an image, with a sentence."""


def problem(name: str, shape: tuple[int, ...] = (12, 12)) -> Problem:
    """Return a problem that a method can solve."""
    generator = torch.Generator().manual_seed(0)
    return problem_of(name, torch.rand(1, 1, *shape, generator=generator) * 0.9 + 0.05)


def problem_of(name: str, measured: torch.Tensor) -> Problem:
    weight, misfit, operator = torch.ones_like(measured), GaussianMisfit(0.05), Identity()
    if name == "zero-shot-sr":
        operator = Downsample((1.0,) * (measured.ndim - 4) + (2.0, 2.0), Bicubic())
    if name == "nl-deblocking":
        channels = measured.shape[1]
        units = (np.full(channels, 255.0), np.zeros(channels))
        misfit = QuantisedMisfit(tables_of_quality(50, colour=channels == 3), units, measured)
    model = tiny_model() if name == "trained-network" else None
    return Problem(measured=measured, weight=weight, operator=operator, misfit=misfit, model=model)


def solve(method: Method, posed: Problem) -> Step:
    *_, step = method.fit(posed)
    return step


def test_every_method_is_tested_here() -> None:
    assert {name: type(method) for name, method in QUICK.items()} == METHODS


@pytest.mark.parametrize("shape", [(1, 2), (3, 3), (17, 13), (2, 8, 9)])
@pytest.mark.parametrize("name", QUICK)
def test_any_size_goes_in_and_the_same_size_comes_out(name: str, shape: tuple[int, ...]) -> None:
    if name == "nl-deblocking" and len(shape) == 3:
        pytest.skip("JPEG compresses planes only")
    posed = problem(name, shape)
    if (side := min(shape[-2:])) < SMALLEST.get(name, 0):
        with pytest.raises(ValueError, match=f"is only {side} pixels wide, and .* need.* {SMALLEST[name]}: choose"):
            solve(QUICK[name], posed)
        return
    image = solve(QUICK[name], posed).image
    assert image.shape == (1, 1, *posed.operator.image_shape(shape))
    assert torch.isfinite(image).all()


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_and_number_of_threads_give_the_same_bits(
    name: str, count: int, threads: Callable[[int], None]
) -> None:
    threads(count)
    # Large enough that PyTorch shares the work between the threads.
    first, second = (solve(QUICK[name], problem(name, (48, 44))).image for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", QUICK)
def test_the_random_numbers_of_the_process_are_neither_used_nor_changed(name: str) -> None:
    images = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (the state of the process is what this is about)
        before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
        images.append(solve(QUICK[name], problem(name)).image)
        assert torch.equal(torch.get_rng_state(), before[0])
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(*images)


@pytest.mark.parametrize("name", QUICK)
def test_steps_are_counted_and_their_tensors_never_change_later(name: str) -> None:
    posed = problem(name)
    given = [posed.measured.clone(), posed.weight.clone()]
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    numbers = []
    for step in QUICK[name].fit(posed):
        tensors = [value for value in vars(step).values() if isinstance(value, torch.Tensor)]
        assert len(tensors) >= 3
        assert not any(tensor.requires_grad for tensor in tensors)
        assert 1 <= int(step.chosen) <= step.number <= step.total
        kept += [(tensor, tensor.clone()) for tensor in tensors]
        numbers.append(step.number)
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(torch.equal(tensor, copied) for tensor, copied in kept)
    assert torch.equal(posed.measured, given[0])
    assert torch.equal(posed.weight, given[1])


@pytest.mark.parametrize("shape", [(1024, 1024), (16, 256, 256)])
@pytest.mark.parametrize("name", METHODS)
def test_more_pixels_take_more_memory_and_not_less_time(name: str, shape: tuple[int, ...]) -> None:
    if name == "nl-deblocking" and len(shape) == 3:
        pytest.skip("JPEG compresses planes only")
    method = METHODS[name]()
    # Shapes without data: an expanded tensor takes the memory of one value.
    small, large = (
        problem_of(name, torch.zeros(()).expand(1, 1, *shape[:-1], factor * shape[-1])) for factor in (1, 4)
    )
    assert method.memory(large) > 1.5 * method.memory(small) > 4 * small.measured.numel()
    assert method.seconds(large) > 1.1 * method.seconds(small) > 1


TWICE: dict[str, Callable[[Method], Method]] = {
    "steps": lambda method: dataclasses.replace(method, steps=2 * method.steps),
    "passes": lambda method: dataclasses.replace(method, passes=2 * method.passes),
}


@pytest.mark.parametrize("name", [name for name in QUICK if name not in ("nl-ridge", "trained-network")])
def test_twice_the_steps_take_longer(name: str) -> None:
    more = TWICE["passes" if name in ("nl-deblocking", "plug-and-play") else "steps"]
    posed = problem(name, (64, 64))
    method = METHODS[name]()
    if name == "self-distillation":
        # It ends soon after its patience, which is what it counts with.
        method = dataclasses.replace(method, patience=10 * method.steps)
    assert more(method).seconds(posed) > 1.5 * method.seconds(posed)

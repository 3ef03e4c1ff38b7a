"""What holds for every operator, network, method and task, also for those that are added."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import napari_deep_prior
from napari_deep_prior.arrays.pieces import enlarged_shape, plan
from napari_deep_prior.methods import METHODS, Method
from napari_deep_prior.methods.method import SeededMethod
from napari_deep_prior.networks import NETWORKS
from napari_deep_prior.networks.network import initialise
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import weighted_mean
from napari_deep_prior.physics.operators import OPERATORS, Downsample, Identity, Operator
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.runs.efforts import methods_of, name_of
from napari_deep_prior.runs.recommend import Wish, asked
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.runs.run import restore
from napari_deep_prior.runs.source import SourceArray
from napari_deep_prior.settings import Settings, fields, flat_fields, replace_flat
from napari_deep_prior.tasks import TASKS, Task
from napari_deep_prior.tasks.inputs import Inputs

from .models import tiny_model

CPU = torch.device("cpu")

EXAMPLES: dict[str, Callable[[tuple[int, ...]], Operator]] = {
    "identity": lambda _shape: Identity(),
    "downsample": lambda shape: Downsample((2.0,) * len(shape), Bicubic()),
}
"""An operator of every kind, for an image of some spatial shape."""

TASK_OF = {name: next(task for task in TASKS if name in methods_of(TASKS[task]())) for name in METHODS}
"""A task of every method."""

PLANES_ONLY = {"remove-artifacts"}
"""Tasks that are not for volumes."""

CHANNELS = {"remove-artifacts": (3,)}
"""Numbers of channels, besides 1, that a task can have, where it is not any."""


def quick(method: Method) -> Method:
    """Return the method with settings, as far as it has them, that take milliseconds."""
    small = {"steps": 3, "channels": (8, 8), "skip": (2, 2), "code_channels": 4, "precision": "float32"}
    return replace_flat(method, small | {"examples": 2, "crop": 16, "passes": 2, "group_size": 8, "search_radius": 4})


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05


# Operators


def test_every_operator_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(OPERATORS)


@pytest.mark.parametrize("shape", [(8, 12), (4, 6, 8)])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_linear(name: str, shape: tuple[int, ...]) -> None:
    operator = EXAMPLES[name](shape)
    first, second = random(1, 2, *shape), random(1, 2, *shape, seed=1)
    together = operator(3 * first - 0.5 * second)
    torch.testing.assert_close(together, 3 * operator(first) - 0.5 * operator(second))


@pytest.mark.parametrize("shape", [(8, 12), (4, 6, 8)])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_keep_channels_apart_and_know_the_shape_of_the_image(name: str, shape: tuple[int, ...]) -> None:
    operator = EXAMPLES[name](shape)
    image = random(1, 3, *shape)
    measured = operator(image)
    assert measured.shape[:2] == (1, 3)
    assert operator.image_shape(tuple(measured.shape[2:])) == shape
    assert operator.interpolate(measured).shape == image.shape
    torch.testing.assert_close(measured[:, 1:2], operator(image[:, 1:2]))


@pytest.mark.parametrize("shape", [(8, 12), (4, 6, 8)])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_pass_gradients_and_only_of_measured_values(name: str, shape: tuple[int, ...]) -> None:
    operator = EXAMPLES[name](shape)
    image = random(1, 1, *shape).requires_grad_()
    measured = operator(image)
    nothing = torch.zeros_like(measured)
    nothing[..., 0] = 1
    weighted_mean(measured, nothing).backward()
    assert 0 < int((image.grad != 0).sum()) < image.numel()
    image.grad = None
    measured = operator(image)
    weighted_mean(measured, torch.ones_like(measured)).backward()
    assert float(image.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_cannot_be_changed(name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXAMPLES[name]((8, 8)).anything = 1


# Networks


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (16, 17), (2, 2, 2), (3, 4, 7)])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_any_size_and_give_it_back(name: str, shape: tuple[int, ...]) -> None:
    settings = NETWORKS[name]()
    shape = tuple(max(length, settings.smallest_side) for length in shape)
    network = settings.build(inputs=3, outputs=2, shape=shape, device=CPU)
    initialise(network, torch.Generator().manual_seed(0))
    image = network(random(1, 3, *shape))
    assert image.shape == (1, 2, *shape)
    assert image.dtype == torch.float32
    assert torch.isfinite(image).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_draw_all_their_weights_from_the_generator(name: str) -> None:
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = NETWORKS[name]().build(inputs=3, outputs=2, shape=(8, 8), device=CPU)
        initialise(network, torch.Generator().manual_seed(0))
        drawn.append(torch.cat([parameter.flatten() for parameter in network.parameters()]))
    assert torch.equal(drawn[0], drawn[1])


# Methods


def problem(name: str, shape: tuple[int, ...], channels: int = 1, seed: int = 0) -> Problem:
    """Return a problem of a task that a method can do, of some spatial shape."""
    task = example(TASK_OF[name])
    image = (random(channels, *shape, seed=seed).numpy() * 255).astype(np.float32)
    if "mask" in task.takes and math.prod(shape) > 10:
        image[:, np.random.default_rng(0).random(shape) < 0.25] = np.nan
    axes = "C" + "ZYX"[-len(shape) :]
    (piece,) = plan(image.shape, axes, volume=True)
    _, measured = SourceArray(image, axes, volume=True, mask=None).measured(piece, device=CPU, missing="fill")
    inputs = Inputs(model=tiny_model() if name == "trained-network" else None)
    return task.problem(measured, task.prepare(measured, (), Inputs()), inputs).problem


def example(name: str) -> Task:
    """Return a task for which any image will do."""
    kind = TASKS[name]
    return kind(quality=30) if "jpeg" in kind.takes else kind()  # type: ignore[call-arg]


def steps_of(name: str, small: Problem, **changes: Any) -> list[Step]:
    return list(replace_flat(quick(METHODS[name]()), changes).fit(small))


SIZES = [
    (name, shape)
    for name in METHODS
    for shape in [(1, 2), (2, 1), (17, 13), (1, 1, 3), (3, 9, 11)]
    if len(shape) == 2 or TASK_OF[name] not in PLANES_ONLY
]


@pytest.mark.parametrize(("name", "shape"), SIZES)
def test_methods_take_any_size_and_give_it_back_or_say_why_not(name: str, shape: tuple[int, ...]) -> None:
    small = problem(name, shape)
    if reason := METHODS[name]().why_not(small):
        assert f"is only {min(shape[-2:])} pixels wide, and " in reason
        with pytest.raises(ValueError, match=reason):
            steps_of(name, small)
        return
    image = steps_of(name, small)[-1].image
    assert image.shape == (1, 1, *small.operator.image_shape(shape))
    assert torch.isfinite(image).all()


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_any_number_of_channels(name: str) -> None:
    for channels in CHANNELS.get(TASK_OF[name], (2, 5)):
        small = problem(name, (9, 11), channels)
        image = steps_of(name, small)[-1].image
        assert image.shape == (1, channels, *small.operator.image_shape((9, 11)))
        assert not torch.equal(image[:, 0], image[:, 1])
        assert torch.isfinite(image).all()


@pytest.mark.parametrize("name", METHODS)
def test_methods_depend_on_their_seed_and_on_the_piece_alone(name: str) -> None:
    method, small = quick(METHODS[name]()), problem(name, (12, 12))
    before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002  (it is about the process)
    first = list(method.fit(small))[-1].image
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before[1], np.random.get_state()[1])  # noqa: NPY002
    torch.manual_seed(5)
    assert torch.equal(first, list(method.fit(small))[-1].image)
    other_piece = list(method.fit(dataclasses.replace(small, piece=1)))[-1].image
    if isinstance(method, SeededMethod):
        other_seed = list(dataclasses.replace(method, seed=4).fit(small))[-1].image
        assert not torch.equal(first, other_seed)
        assert not torch.equal(first, other_piece)
    else:
        assert torch.equal(first, other_piece)


# Tasks


def inputs_of(task: Task, image: np.ndarray, axes: str) -> dict[str, Any]:
    """Return what a task needs besides the image, and what shows it what to do."""
    spatial = [length for length, letter in zip(image.shape, axes, strict=True) if letter not in "CS"]
    given: dict[str, Any] = {}
    if "mask" in task.takes:
        given["mask"] = np.arange(math.prod(spatial)).reshape(spatial) % 3 == 0
    if "guide" in task.needs:
        given["guide"] = random(*spatial, seed=1).numpy()
    return given


@pytest.mark.parametrize(
    ("shape", "axes", "volume"),
    [((1, 5), "YX", False), ((9, 13, 3), "YXS", False), ((3, 7, 9), "ZYX", True)],
)
@pytest.mark.parametrize("name", TASKS)
def test_tasks_restore_any_image(name: str, shape: tuple[int, ...], axes: str, volume: bool) -> None:
    task = example(name)
    image = (random(*shape).numpy() * 250).astype(np.uint8)
    if volume and name in PLANES_ONLY:
        with pytest.raises(ValueError, match="restore plane by plane"):
            restore(image, task, axes=axes, volume=True, device="cpu")
        return
    method = quick(asked(task, Wish(volume=volume))[0])
    run = restore(image, task, method, axes=axes, volume=volume, device="cpu", **inputs_of(task, image, axes))
    untouched = run.image
    for step in run:
        if step.number == 3:
            # What stands in, or takes a guide, is not quick.
            break
    run.close()
    assert run.image.shape == run.shape == enlarged_shape(shape, axes, run.factors)
    assert run.image.dtype == image.dtype
    assert (run.image != untouched).any()
    assert Recipe.from_json(json.loads(json.dumps(run.record.to_json()))).task == task


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_listed_by_their_command_and_say_what_they_do(name: str) -> None:
    kind = TASKS[name]
    assert kind.command == name
    assert kind.result
    assert kind.needs <= kind.takes
    assert name_of(asked(kind(), Wish())[0]) in methods_of(kind())


# Settings

SETTINGS = [pytest.param(kind(), id=name) for table in (TASKS, METHODS, NETWORKS) for name, kind in table.items()]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_json(settings: Settings) -> None:
    assert type(settings).from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_are_frozen_and_given_by_name_only(settings: Settings) -> None:
    for name in [field.name for field in fields(type(settings))]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, name, getattr(settings, name))
        with pytest.raises(TypeError, match="positional"):
            type(settings)(getattr(settings, name))


@pytest.mark.parametrize("settings", SETTINGS)
def test_unknown_settings_and_kinds_are_refused(settings: Settings) -> None:
    record = settings.to_json()
    with pytest.raises(ValueError, match="has no setting flavour"):
        type(settings).from_json(record | {"flavour": 1})
    with pytest.raises(ValueError, match="is needed"):
        type(settings).from_json(record | {"kind": "Dream"})


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_has_a_label_a_help_and_a_default_within_its_limits(settings: Settings) -> None:
    for field in flat_fields(settings):
        assert field.about.label, field.name
        assert field.about.help, field.name
        assert field.kind in (int, float, bool, str, tuple), field.name
        if field.default is None:
            assert field.optional, field.name
            continue
        numbers: Any = field.default if field.kind is tuple else [field.default]
        if field.kind in (int, float, tuple):
            assert all(field.about.low <= number <= field.about.high for number in numbers), field.name


# The package


def test_importing_the_package_loads_no_torch_and_a_run_needs_no_viewer(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = "import sys, napari_deep_prior as n; print('torch' in sys.modules); n.restore; print(*sys.modules)"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    first, then = done.stdout.splitlines()
    assert first == "False"
    loaded = set(then.split())
    assert "torch" in loaded
    assert loaded.isdisjoint({"napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy"})


def test_every_public_name_can_be_imported() -> None:
    names = napari_deep_prior.__all__
    assert len(names) == len(set(names)) > 20
    assert names == dir(napari_deep_prior)
    for name in names:
        found = getattr(napari_deep_prior, name)
        if isinstance(found, type) or callable(found):
            assert found.__name__ == name


def test_a_public_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dream'"):
        napari_deep_prior.Dream  # noqa: B018

"""What holds for every operator, task, method and preset, and for the modules among themselves."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_deep_prior
from napari_deep_prior.arrays.axes import Frame
from napari_deep_prior.methods import METHODS, Method
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import weighted_mean
from napari_deep_prior.physics.operators import OPERATORS, Downsample, Identity, Operator
from napari_deep_prior.problem import Problem
from napari_deep_prior.runs.posing import pose
from napari_deep_prior.runs.presets import DEFAULT_PRESET, PRESETS, preset
from napari_deep_prior.runs.restoration import restore
from napari_deep_prior.settings import replace_flat
from napari_deep_prior.tasks import TASKS, from_record, task_name

PACKAGE = Path(napari_deep_prior.__file__).parent
SHAPES = [(1, 2), (2, 1), (3, 3), (5, 8), (17, 13), (1, 1, 3), (2, 5, 7), (3, 8, 5)]
EXAMPLES: dict[str, Callable[[tuple[int, ...]], Operator]] = {
    "identity": lambda _shape: Identity(),
    "downsample": lambda shape: Downsample((2.0,) * len(shape), Bicubic()),
}
"""An operator of every kind, for an image of some spatial shape."""

SMALLEST = {"non-local-ridge": 8, "non-local-filling": 8, "distillation": 8, "zero-shot-sr": 4}
"""Pixels along a side below which a method refuses an image, with a sentence."""

ONLY_FOR = {"zero-shot-sr": "super-resolve"}
"""The task of methods that do not denoise."""

GENERAL = [name for name in METHODS if name != "non-local-deblocking"]
"""Methods for any measurement of any image; what holds for one for JPEGs alone is tested with it."""

WITHOUT_CHANCE = {"non-local-ridge"}
"""Methods in which nothing is random."""

ALL_PRESETS = [(task, name) for task in PRESETS for name in PRESETS[task]]


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


# Methods


def problem(name: str, shape: tuple[int, ...], channels: int = 1, seed: int = 0) -> Problem:
    return posed(name, random(1, channels, *shape, seed=seed))


def posed(name: str, measured: torch.Tensor) -> Problem:
    """Return a problem that a method is for."""
    task = TASKS[ONLY_FOR.get(name, "denoise")]()
    channels = measured.shape[1]
    axes = "CZYX" if measured.ndim == 5 else "CYX"
    frame = Frame(axes, np.zeros(channels), np.ones(channels))
    operator = task.operator(axes[1:])
    return pose(task, measured, torch.ones_like(measured), frame, (), operator=operator)[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", GENERAL)
def test_methods_take_any_size_and_give_it_back(name: str, shape: tuple[int, ...]) -> None:
    if min(shape[-2:]) < SMALLEST.get(name, 0):
        with pytest.raises(ValueError, match=f"is only {min(shape[-2:])} pixels wide, .*: choose a preset"):
            list(quick(METHODS[name]()).fit(problem(name, shape)))
        return
    steps = list(quick(METHODS[name]()).fit(problem(name, shape)))
    assert steps[-1].image.shape == (1, 1, *problem(name, shape).operator.image_shape(shape))
    assert torch.isfinite(steps[-1].image).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", GENERAL)
def test_methods_take_any_number_of_channels(name: str, channels: int) -> None:
    steps = list(quick(METHODS[name]()).fit(problem(name, (9, 11), channels)))
    shape = problem(name, (9, 11)).operator.image_shape((9, 11))
    assert steps[-1].image.shape == (1, channels, *shape)


@pytest.mark.parametrize("name", GENERAL)
def test_methods_give_the_same_image_for_the_same_seed_only(name: str) -> None:
    images = [
        list(dataclasses.replace(quick(METHODS[name]()), seed=seed).fit(problem(name, (12, 12))))[-1].image
        for seed in (3, 3, 4)
    ]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2]) == (name in WITHOUT_CHANCE)


@pytest.mark.parametrize("name", GENERAL)
def test_methods_leave_the_random_numbers_of_torch_alone(name: str) -> None:
    before = torch.get_rng_state()
    list(quick(METHODS[name]()).fit(problem(name, (12, 12))))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", GENERAL)
def test_methods_leave_the_random_numbers_of_numpy_alone(name: str) -> None:
    before = np.random.get_state()  # noqa: NPY002  (the state of the process is what this is about)
    list(quick(METHODS[name]()).fit(problem(name, (12, 12))))
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


@pytest.mark.parametrize("name", GENERAL)
def test_methods_yield_detached_tensors_that_never_change_later(name: str) -> None:
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    for step in replace_flat(quick(METHODS[name]()), {"steps": 12}).fit(problem(name, (12, 12))):
        tensors = [value for value in vars(step).values() if isinstance(value, torch.Tensor)]
        assert len(tensors) >= 3
        assert not any(tensor.requires_grad for tensor in tensors)
        kept += [(tensor, tensor.clone()) for tensor in tensors]
    assert all(torch.equal(tensor, copied) for tensor, copied in kept)


@pytest.mark.parametrize("name", GENERAL)
def test_methods_count_their_steps_and_leave_the_problem_alone(name: str) -> None:
    small = problem(name, (12, 12))
    measured, weight = small.measured.clone(), small.weight.clone()
    steps = list(quick(METHODS[name]()).fit(small))
    numbers = [step.number for step in steps]
    # A last touch to the image of the last step is no step of its own.
    fitted = numbers[:-1] if numbers[-2:-1] == numbers[-1:] else numbers
    assert fitted == list(range(1, len(fitted) + 1))
    assert all(1 <= int(step.chosen) <= step.number <= step.total for step in steps)
    assert torch.equal(small.measured, measured)
    assert torch.equal(small.weight, weight)


@pytest.mark.parametrize("shape", [(1024, 1024), (16, 256, 256)])
@pytest.mark.parametrize("name", GENERAL)
def test_methods_estimate_more_memory_for_more_pixels(name: str, shape: tuple[int, ...]) -> None:
    blank = torch.zeros(())
    needed = []
    for factor in (1, 4):
        larger = blank.expand(1, 1, *shape[:-1], factor * shape[-1])
        needed.append(METHODS[name]().memory(posed(name, larger)))
    assert needed[1] > 1.5 * needed[0] > 4 * math.prod(shape)


# Tasks and presets


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_known_by_their_name_and_have_a_balanced_preset(name: str) -> None:
    task = TASKS[name]()
    assert task_name(task) == name
    assert DEFAULT_PRESET in PRESETS[name]
    assert preset(task) is PRESETS[name][DEFAULT_PRESET]


def test_presets_are_for_tasks_that_exist() -> None:
    assert set(PRESETS) == set(TASKS)


@pytest.mark.parametrize(("task", "name"), ALL_PRESETS)
def test_presets_can_be_done_again_from_their_record(task: str, name: str) -> None:
    record = json.loads(json.dumps({"task": TASKS[task]().to_json(), "method": PRESETS[task][name].to_json()}))
    assert from_record(record) == (TASKS[task](), PRESETS[task][name])


@pytest.mark.parametrize(
    ("shape", "axes", "volume"),
    [((1, 2), "YX", False), ((17, 13), "YX", False), ((9, 8, 3), "YXS", False), ((3, 7, 5), "ZYX", True)],
)
@pytest.mark.parametrize(("task", "name"), ALL_PRESETS)
def test_presets_restore_any_image(task: str, name: str, shape: tuple[int, ...], axes: str, volume: bool) -> None:
    image = (random(*shape).numpy() * 250).astype(np.uint8)
    kind = TASKS[task]
    if volume and "jpeg" in kind.takes:
        with pytest.raises(ValueError, match="JPEG compresses planes, and no volumes: restore plane by plane"):
            restore(image, kind(), axes=axes, volume=True, device="cpu")
        return
    mask, guide = None, None
    if "mask" in kind.takes:
        # What is left must not be constant, also of two pixels.
        image = np.concatenate([image, image], axis=axes.index("X"))
        mask = np.zeros(image.shape[: len(axes.rstrip("S"))], bool)
        mask[..., : shape[axes.index("X")] // 2] = True
    if kind.needs == "guides":
        guide = random(*image.shape[: len(axes.rstrip("S"))], seed=1).numpy()
    method = quick(PRESETS[task][name])
    run = restore(
        image, kind(), method, axes=axes, volume=volume, mask=mask, guide=() if guide is None else guide, device="cpu"
    )
    for step in run:
        if step.number == 12:
            # What stands in, or takes a guide, is a preset of its own, and not quick.
            break
    run.close()
    restored = run.image
    assert restored.shape == run.shape
    assert run.shape == tuple(
        round(length * run.factors.get(letter, 1)) for letter, length in zip(axes, image.shape, strict=True)
    )
    assert restored.dtype == image.dtype


# Modules

LEVELS = (
    {
        "settings",
        "axes",
        "noise",
        "kernels",
        "devices",
        "metrics",
        "io",
        "phantom",
        "collaborative",
        "alignment",
    },
    {"networks", "misfit", "stacks", "failures", "operators", "masks", "spectrum"},
    {"problem", "jpeg", "canvas", "guides", "resolution", "blur_estimation"},
    {"inputs", "jpeg_traces"},
    {"methods", "posing", "diagnostics"},
    {"tasks"},
    {"presets", "traces"},
    {"restoration"},
    {"cli"},
    {"__main__"},
)
"""Folders and files of the core: each may import only from lower levels. New ones find their place here."""

LEAVES = {"metrics", "io", "phantom"}
"""Leaves that need to know what an array with axes is."""


def imports(module: Path) -> Iterator[str]:
    """Yield the first part of every name of this package that a module imports when it runs."""
    inside = module.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            path = (*inside[: len(inside) - node.level + 1],) if node.level else ()
            full = [*path, *(node.module or "").split(".")] if node.module else list(path)
            if not node.level:
                if full[0] != "napari_deep_prior":
                    continue
                full = full[1:]
            yield from [full[0]] if full else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                head, *rest = alias.name.split(".")
                if head == "napari_deep_prior" and rest:
                    yield rest[0]


CORE = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "plugin" not in path.relative_to(PACKAGE).parts and path != PACKAGE / "__init__.py"
]


@pytest.mark.parametrize("module", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_below(module: Path) -> None:
    levels = {name: number for number, level in enumerate(LEVELS) for name in level}
    own = module.relative_to(PACKAGE).with_suffix("").parts[0]
    assert own in levels, f"{own} is new: give it a place in LEVELS"
    for name in imports(module):
        allowed = levels.get(name, math.inf) < levels[own] or name == own or (own in LEAVES and name == "axes")
        assert allowed, f"{own} may not import {name}"


def test_the_parser_of_imports_finds_them() -> None:
    assert {"axes", "stacks", "tasks", "problem"} <= set(imports(PACKAGE / "restoration.py"))
    assert {"networks", "misfit"} <= set(imports(PACKAGE / "methods" / "deep_image_prior.py"))
    assert {"io", "metrics"} <= set(imports(PACKAGE / "cli.py"))


VIEWERS = ("napari", "qtpy", "PyQt6", "PyQt5", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy")


@pytest.mark.parametrize("module", ["napari_deep_prior", "napari_deep_prior.cli", "napari_deep_prior.runs.restoration"])
def test_the_core_loads_neither_viewer_nor_qt(
    module: str, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_python("-c", f"import sys, {module}; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(VIEWERS)
    assert ("torch" in loaded) == (module != "napari_deep_prior")


def test_every_public_name_can_be_imported() -> None:
    assert sorted(napari_deep_prior.__all__) == sorted(napari_deep_prior._HOMES)
    assert set(napari_deep_prior.__all__) <= set(dir(napari_deep_prior))
    for name in napari_deep_prior.__all__:
        assert getattr(napari_deep_prior, name).__name__ == name


def test_a_public_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dream'"):
        napari_deep_prior.Dream  # noqa: B018

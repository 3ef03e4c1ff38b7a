"""What the tests share: tiny settings, a tiny picture with its truth, other Pythons."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

# Read when PyTorch is loaded. Threads that wait for each other would do so in a loop, which takes the processor from
# those that they wait for wherever there are more threads than cores, as in tests with two threads beside other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest
import torch
from hypothesis import settings

import napari_deep_prior.runs
from napari_deep_prior import Restoration, restore
from napari_deep_prior.arrays.frame import canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.networks import Hourglass
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.tasks import Denoise
from napari_deep_prior.tasks.inputs import Inputs
from napari_deep_prior.tasks.task import Measured, Prepared

# The problems here are so small that threads only wait for each other, the more so beside other work.
torch.set_num_threads(1)

# The same examples on every run, and no folder of those that failed; no deadline beside other work.
settings.register_profile("same", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("same")


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules: every run ends with a collection, which would look through them all."""
    gc.freeze()


TINY = Hourglass(channels=(8, 8), skip=(2, 2))


@pytest.fixture
def tiny() -> Callable[..., DeepImagePrior]:
    """Makes a method that takes milliseconds, with some settings changed."""

    def make(**changes: object) -> DeepImagePrior:
        settings = {"network": TINY, "code_channels": 4, "steps": 3, "precision": "float32"}
        return DeepImagePrior(**(settings | changes))

    return make


@pytest.fixture
def pose() -> Callable[..., Problem]:
    """Makes the denoising problem of an array; nothing is known of its noise but what is given."""

    def make(image: np.ndarray, axes: str = "YX", missing: str = "refuse", noise: Sequence[NoiseModel] = ()) -> Problem:
        measured, weight, frame = canonical(image, axes, device=torch.device("cpu"), missing=missing)
        (piece,) = plan(image.shape, axes, volume="Z" in axes)
        prepared = Prepared(Identity(), tuple(noise))
        return Denoise().problem(Measured(measured, weight, frame, piece), prepared, Inputs()).problem

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def noisy(rng: np.random.Generator) -> np.ndarray:
    """16-bit picture of 48 × 48 pixels."""
    return Camera().expose(cells((48, 48)), rng)


@pytest.fixture
def truth() -> np.ndarray:
    return Camera().expected(cells((48, 48)))


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs another Python, on the interpreter's arguments, and returns what it said."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"} | environment,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def restore_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets code that imports ``restore`` in a test take the effort "fast", whatever it asks for."""

    def fast(*arguments: Any, **options: Any) -> Restoration:
        return restore(*arguments, **options | {"effort": "fast"})

    monkeypatch.setattr(napari_deep_prior.runs, "restore", fast)

"""Failures of a run become sentences, and what was restored so far is kept."""

from __future__ import annotations

import re
import subprocess
import sys
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.runs.errors import OutOfMemoryError, RestorationError, errors_as_sentences
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise

from .toys import Look, dimmed, dimming

Make = Callable[..., DeepImagePrior]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((9, 11)) * 1000).astype(np.float32)


@pytest.mark.parametrize("error", [RuntimeError("the kernel\nwas lost"), NotImplementedError("the kernel")])
def test_a_failing_device_becomes_a_sentence_and_keeps_the_image(image: np.ndarray, error: Exception) -> None:
    run = restore(image, Look(), dimming(error), device="cpu")
    with pytest.raises(RestorationError, match=r"^the run on cpu failed: the kernel$") as caught:
        run.finish()
    # superqt takes any RuntimeError for a deleted worker.
    assert not isinstance(caught.value, RuntimeError | OutOfMemoryError)
    assert caught.value.__cause__ is error
    np.testing.assert_allclose(run.image, dimmed(image, 2), rtol=1e-3)
    assert list(run) == []


ENFORCE = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (MemoryError(), "the run asked for more than there is"),
        (RuntimeError("std::bad_alloc"), "the run asked for more than there is"),
        (MemoryError("Unable to allocate 3.64 TiB for an array with shape (4, 4)"), "the run asked for 3.64 TiB more"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore"), "asked for 2.00 GiB more"),
        (RuntimeError(f"{ENFORCE}4194304000 bytes. Error code 12 (Cannot allocate memory)"), "asked for 3.9 GiB more"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."), "for 0.0 GiB more"),
    ],
)
def test_lack_of_memory_during_a_run_says_how_much_and_what_helps(
    image: np.ndarray, error: Exception, asked: str
) -> None:
    run = restore(image, Look(), dimming(error), device="cpu")
    sentence = rf"^not enough memory on cpu: .*{asked}, .*GiB are free\. Crop.*channels"
    with pytest.raises(OutOfMemoryError, match=sentence) as caught:
        run.finish()
    said = str(caught.value)
    assert "\n" not in said
    assert "enforce fail" not in said
    assert "Allocator" not in said
    np.testing.assert_allclose(run.image, dimmed(image, 2), rtol=1e-3)


def test_an_image_is_kept_where_there_is_no_memory_to_check_it(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_deep_prior.tasks.task.checked", no_memory)
    run = restore((rng.random((24, 24)) * 1000).astype(np.float32), Denoise(sigma=100), tiny(), device="cpu")
    image = run.finish()
    assert image.std() < 300
    assert run.record.remarks == ["there was no memory left to look for structure in what was removed"]


def test_an_error_that_is_held_does_not_hold_the_memory_of_the_failed_step() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def step() -> None:
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        raise MemoryError

    with pytest.raises(OutOfMemoryError) as caught, errors_as_sentences(torch.device("cpu")):
        step()
    assert isinstance(caught.value.__cause__, MemoryError)
    assert held[0]() is None


@pytest.mark.parametrize("value", [np.uint8(1), np.float32(3)])
def test_a_run_that_cannot_fit_is_refused_before_a_pixel_is_read(value: np.generic) -> None:
    huge = np.broadcast_to(value, (400_000, 400_000))
    with pytest.raises(OutOfMemoryError, match=r"this run needs about \d+\.\d GiB, .* GiB are free"):
        restore(huge, Denoise(), device="cpu")


def test_a_result_that_cannot_fit_is_refused_before_the_run() -> None:
    stack = np.broadcast_to(np.uint8(1), (100_000, 8192, 8192))
    with pytest.raises(OutOfMemoryError, match=r"not enough memory on cpu: this run needs about \d{4}\.\d GiB"):
        restore(stack, Look(), dimming(), axes="TYX", device="cpu")


def test_a_huge_stack_of_small_slices_is_not_refused(tiny: Make) -> None:
    stack = np.broadcast_to(np.uint8(1), (10_000, 32, 32))
    assert restore(stack, Denoise(), tiny(), axes="TYX", device="cpu").piece_count == 10_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the address space can be limited on Linux only")
def test_the_limit_of_the_address_space_counts_and_a_run_that_meets_it_ends_with_a_sentence(run_python: Run) -> None:
    code = """
import resource
import numpy as np, psutil, torch
from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, OutOfMemoryError, restore
from napari_deep_prior.runs.devices import free_memory

image = np.random.default_rng(0).integers(0, 200, (256, 256)).astype(np.uint8)
network = Hourglass(channels=(32, 32), skip=(4, 4))
runs = [restore(image, Denoise(), DeepImagePrior(network=network, precision="float32"), device="cpu") for _ in "12"]
# OpenBLAS takes its memory when it is first used, and ends the process itself if there is none: let it have it.
np.linalg.pinv(np.random.default_rng(0).random((300, 300)))
# The allocator of PyTorch is the first to notice, or a library under it.
for run, megabytes in zip(runs, (30, 60)):
    limit = psutil.Process().memory_info().vms + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    assert megabytes * 2**19 < free_memory(torch.device("cpu")) <= megabytes * 2**20
    try:
        run.finish()
    except OutOfMemoryError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(not enough memory on cpu: .*Crop the image.*\n){2}", done.stdout)

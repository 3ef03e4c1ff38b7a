"""No step of a fit waits for the device: a GPU computes while Python prepares the next step.

Reading a value (``float(loss)``, ``if error < best``) or copying it to the processor waits until everything before it
is computed, and so does a transfer to the device from ordinary memory. Here both are counted on the processor, where
they cost nothing; with an NVIDIA GPU PyTorch counts the waits itself. What is allowed is the look every so many steps
at which a fit decides something.
"""

from __future__ import annotations

import dataclasses
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_deep_prior import Denoise, Guided, RemoveArtifacts, SuperResolve, Task, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import DeepImagePrior, Method, SelfDistillation, ZeroShotSR
from napari_deep_prior.methods.transfers import to_device
from napari_deep_prior.networks import Hourglass, Plain, UNet
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.training.stopping import CHECK_EVERY

FIRST, LAST = 3, 20
"""The steps that are watched: before them tables are built and memory is allocated."""

COPIES = {"cpu", "numpy", "tolist", "__array__"}
"""Functions of a tensor that copy it to the processor."""

TRANSFERS = {"to", "tensor", "as_tensor"}
"""Functions that send values to the device, and wait for it unless the values lie in page-locked memory."""

WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "is_nonzero", "bincount"}
"""Operations, also inside of others and on the way back, of which a value or a shape depends on the values."""


@dataclass(frozen=True)
class Case:
    """A fit, and the steps after which it may look at a value."""

    method: Method
    task: Task = field(default_factory=Denoise)
    looks: Callable[[int], bool] = lambda _: False
    shape: tuple[int, ...] = (32, 30)


HOURGLASS = Hourglass(channels=(8, 8), skip=(2, 2))
PRIOR = DeepImagePrior(steps=22, code_channels=4, network=HOURGLASS)
DISTILLED = SelfDistillation(steps=8, crop=16, examples=2, network=UNet(channels=(8, 8)))
ENLARGING = ZeroShotSR(steps=8, crop=16, gradual=0, denoising="no", network=Plain(channels=(8, 8)))


def at_checks(number: int) -> bool:
    """Return whether the deep image prior looks whether to stop: after every tenth step.

    Every hundredth it also compares the loss with that of the last good weights (``training/backtracking.py``). A U-Net
    is only looked at every 200 steps, and a network for super-resolution as rarely.
    """
    return number % CHECK_EVERY == 0


CASES = {
    "deep image prior": Case(PRIOR, looks=at_checks),
    "mixed with similar patches": Case(dataclasses.replace(PRIOR, patches=True), looks=at_checks),
    "all steps": Case(DeepImagePrior(steps=22, code_channels=4, stop="none", network=HOURGLASS)),
    "variance, members": Case(
        DeepImagePrior(steps=12, code_channels=4, stop="variance", members=2, network=HOURGLASS), looks=at_checks
    ),
    "fresh jitter, adam": Case(
        DeepImagePrior(steps=12, code_channels=4, jitter_source="fresh", optimizer="adam", network=HOURGLASS),
        looks=at_checks,
    ),
    "noise on examples": Case(dataclasses.replace(ENLARGING, example_noise=0.1), SuperResolve(factor=2.0, blur="area")),
    "guide": Case(PRIOR, Guided(), looks=at_checks),
    "larger": Case(PRIOR, SuperResolve(factor=2.0, blur="area"), looks=at_checks),
    "JPEG": Case(PRIOR, RemoveArtifacts(), looks=at_checks),
    "volume": Case(PRIOR, looks=at_checks, shape=(4, 16, 16)),
    "self-distillation": Case(DISTILLED),
    "self-distillation of a volume": Case(DISTILLED, shape=(4, 16, 16)),
    "zero-shot super-resolution": Case(ENLARGING, SuperResolve(factor=2.0, blur="area")),
}


def run_of(case: Case, device: str) -> Restoration:
    photons = 20 * cells(case.shape)
    image = Camera().expose(photons, np.random.default_rng(0))
    given: dict[str, Any] = {}
    if isinstance(case.task, Guided):
        given["guide"] = np.sqrt(photons)
    if isinstance(case.task, RemoveArtifacts):
        image = np.clip(255 * (image / image.max()), 0, 255).astype(np.uint8)
        given["jpeg"] = tables_of_quality(50, colour=False)
    volume = len(case.shape) == 3
    return restore(image, case.task, case.method, axes="ZYX" if volume else "YX", volume=volume, device=device, **given)


class _Python(TorchFunctionMode):
    """Keeps which tensors belong to Python's side, and the copies of all others.

    On the processor nothing else tells the two apart. Random numbers that choose the place of a crop are made without a
    device; what is computed from such tensors alone can be read at any time.
    """

    def __init__(self, reads: list[str]) -> None:
        super().__init__()
        self.reads = reads
        # The tensors themselves are kept as well, so that no other one gets the identity of an earlier one.
        self.own: dict[int, torch.Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given, options = tensors((args, kwargs)), [*args, *kwargs.values()]
        name = getattr(func, "__name__", "")
        moved = any(isinstance(option, torch.device) for option in options)
        if name in COPIES and not self.owns(given):
            self.reads.append(f"{name} {where()}")
        if name in TRANSFERS and moved and self.owns(given) and to_device.__module__.split(".")[-1] not in where():
            self.reads.append(f"{name} {where()}")
        result = func(*args, **kwargs)
        for tensor in tensors(result):
            if self.owns(given) and not moved:
                self.own[id(tensor)] = tensor
            else:
                self.own.pop(id(tensor), None)
        return result

    def owns(self, given: list[torch.Tensor]) -> bool:
        return all(id(tensor) in self.own for tensor in given)


class _Device(TorchDispatchMode):
    """Keeps the operations that wait for a value of a tensor that is not Python's own."""

    def __init__(self, python: _Python) -> None:
        super().__init__()
        self.python = python

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        waits = name in WAITS or str(func) == "aten.repeat_interleave.Tensor"
        if name in ("index", "index_put_"):
            waits |= any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors(args[1]))
        if waits and not self.python.owns(tensors((args, kwargs))):
            self.python.reads.append(f"{name} {where()}")
        return func(*args, **(kwargs or {}))


def tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def where() -> str:
    """Return the innermost line of the package that is under way."""
    frames = [frame for frame in traceback.extract_stack() if "napari_deep_prior" in frame.filename]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


Take = Callable[[], list[str]]
"""Returns what was found since the last call."""

Watch = Callable[[], AbstractContextManager[Take]]


@contextmanager
def reads_of_device_values() -> Iterator[Take]:
    """Find reads of values that would be on the device, and transfers to it from ordinary memory."""
    reads: list[str] = []

    def take() -> list[str]:
        found = list(reads)
        reads.clear()
        return found

    with _Python(reads) as python, _Device(python):
        yield take


@contextmanager
def waits_for_the_gpu() -> Iterator[Take]:
    """Find the waits for the GPU that PyTorch knows of; it warns of each of them."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        def take() -> list[str]:
            # Another warning says that this mode does not find everything.
            waits = [each for each in warned if "called a synchronizing" in str(each.message)]
            warned.clear()
            return [f"{each.filename}:{each.lineno}" for each in waits]

        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield take
        finally:
            torch.cuda.set_sync_debug_mode("default")


def unexpected_reads(case: Case, device: str, watch: Watch) -> dict[int, list[str]]:
    """Return what was read, by the step that was asked for, where it may not be."""
    run = run_of(case, device)
    for _ in range(FIRST - 1):
        next(run)
    found: dict[int, list[str]] = {}
    with watch() as take:
        for step in run:
            reads = take()
            # A fit looks at a step when it is asked for the next one.
            if not case.looks(step.number - 1):
                found[step.number] = reads
            if step.number == min(step.total - 1, LAST):
                break
    assert len(found) >= 5
    return {number: reads for number, reads in found.items() if reads}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_step_reads_a_value_of_the_device(case: Case) -> None:
    assert not unexpected_reads(case, "cpu", reads_of_device_values)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_step_waits_for_the_gpu(case: Case) -> None:
    assert not unexpected_reads(case, "cuda", waits_for_the_gpu)


READS: dict[str, Callable[[torch.Tensor], object]] = {
    "item": lambda values: values[0].item(),
    "if": lambda values: bool(values[0] > 0),
    "float": lambda values: float(values.sum()),
    "cpu": lambda values: values.cpu(),
    "numpy": lambda values: values.numpy(),
    "tolist": lambda values: values.tolist(),
    "mask": lambda values: values[values > 0],
    "inside of another function": lambda values: torch.nn.functional.one_hot(values.long()),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_way_to_read_a_value_is_found(read: Callable[[torch.Tensor], object]) -> None:
    values = torch.arange(4.0)
    with reads_of_device_values() as take:
        read(values)
        assert take()


def test_a_transfer_from_ordinary_memory_is_found() -> None:
    with reads_of_device_values() as take:
        values = torch.rand((2,), generator=torch.Generator().manual_seed(0))
        values.to(torch.device("cpu"))
        assert take()


def test_what_belongs_to_python_may_be_read() -> None:
    generator = torch.Generator().manual_seed(0)
    with reads_of_device_values() as take:
        rows = [int(row) for row in torch.randint(9, (2,), generator=generator)]
        kept = float(torch.rand((), generator=generator) > 0.5)
        sent = to_device(torch.rand((2,), generator=generator), torch.device("cpu"))
        assert not take()
        assert rows[0] + kept + float(sent[0]) > 0
        assert len(take()) == 1

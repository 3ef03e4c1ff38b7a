"""GPU benchmark: the time of a step beside the least that the GPU needs, and whole runs; images are made here.

    python benchmarks/gpu.py [--device cuda] [--sides 512,2048] [--efforts fast,balanced,best] [--quick]

Without a GPU it says so and ends with exit code 1; ``--device cpu --quick`` tries it on the processor. Tables are
printed in Markdown, and everything goes to ``benchmarks/results/gpu.json``.

The least time of a step (the "roofline") is the larger one of two: its floating-point operations over those that the
device does in a second, and the bytes that its operations read and write over those that the device moves in a second.
Both rates are measured here, with a product of matrices in the number format of the method and with a copy. Bytes are
those of the operations as they are, one after the other: to join several of them could move fewer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine
import psutil
import torch
from pairs import generated
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from ways import HELP, way

from napari_deep_prior import Denoise, SuperResolve, Task, restore, settings_for
from napari_deep_prior.arrays import metrics
from napari_deep_prior.runs.devices import available_devices, describe_device, resolve_device, why_no_gpu
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.training.precision import working_dtype

EFFORTS = "fast,balanced,best,deep-image-prior/balanced"
"""Ways to denoise of which whole runs are measured."""

RESULTS = Path(__file__).parent / "results"

FITS: dict[str, tuple[Task, str, str]] = {
    "deep-image-prior/balanced": (Denoise(), "deep-image-prior", "balanced"),
    "deep-image-prior/published": (Denoise(), "deep-image-prior", "published"),
    "self-distillation/balanced": (Denoise(), "self-distillation", "balanced"),
    "zero-shot-sr/balanced": (SuperResolve(factor=2.0, blur="area"), "zero-shot-sr", "balanced"),
}
"""Methods whose steps are measured: the only ones that train a network."""

FIRST = 5
"""Steps before the measured ones: tables are built, memory is allocated, algorithms are chosen."""

MEASURED = 50
"""Steps that are measured, at most; in the quick benchmark only ``FIRST``."""

SECONDS = 60.0
"""After so long fewer steps than ``MEASURED`` have to do."""


def main() -> int:
    """Print both tables and write them down; return 1 where there is no GPU to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="", help="cuda, cuda:1, mps or cpu; default the fastest GPU")
    parser.add_argument("--sides", default="", help="pixels along a side, comma separated; default 512,2048")
    parser.add_argument("--efforts", default="", help=f"{HELP}; default {EFFORTS}")
    parser.add_argument("--quick", action="store_true", help="64 and 96 pixels, few steps, effort fast")
    options = parser.parse_args()
    if not options.device and available_devices() == ["cpu"]:
        print(why_no_gpu(), file=sys.stderr)
        return 1
    device = resolve_device(options.device or "auto")
    sides = [int(side) for side in (options.sides or ("64,96" if options.quick else "512,2048")).split(",")]
    efforts = (options.efforts or ("fast" if options.quick else EFFORTS)).split(",")
    about = machine.facts(device)
    print(f"{describe_device(device)}. {machine.in_words(about)}\n")
    rates = measured_rates(device, quick=options.quick)
    print("; ".join(f"{name} {value / 1e12:.3g}" for name, value in rates.items()) + " (10¹² per second)\n")
    steps = list(_printed(STEP_COLUMNS, step_rows(sides, device, rates, quick=options.quick)))
    runs = list(_printed(RUN_COLUMNS, run_rows(sides, efforts, device)))
    RESULTS.mkdir(exist_ok=True)
    found = {"machine": about, "device": str(device), "rates": rates, "steps": steps, "runs": runs}
    target = RESULTS / ("gpu-quick.json" if options.quick else "gpu.json")
    target.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"written to {target}")
    return 0


Columns = dict[str, Callable[[dict], str]]

STEP_COLUMNS: Columns = {
    "fit": lambda row: row["fit"],
    "pixels": lambda row: f"{row['side']}²",
    "ms per step": lambda row: f"{row['ms']:.2f}",
    "least ms": lambda row: f"{row['least ms']:.2f} ({row['limit']})",
    "share of the roofline": lambda row: f"{row['least ms'] / row['ms']:.0%}",
    "operations": lambda row: f"{row['operations']}",
    "µs per operation": lambda row: f"{1000 * row['ms'] / row['operations']:.1f}",
    "all steps, seconds": lambda row: f"{row['ms'] * row['steps'] / 1000:.0f}",
}
RUN_COLUMNS: Columns = {
    "denoise, effort": lambda row: row["effort"],
    "pixels": lambda row: f"{row['side']}²",
    "method": lambda row: row["method"],
    "seconds": lambda row: f"{row['seconds']:.1f}",
    "memory, MiB": lambda row: f"{row['MiB']:.0f} (said before: {row['forecast MiB']:.0f})",
    "PSNR before → after, dB": lambda row: f"{row['psnr before']:.2f} → {row['psnr']:.2f}",
    "SSIM": lambda row: f"{row['ssim']:.4f}",
}


def step_rows(sides: list[int], device: torch.device, rates: dict[str, float], *, quick: bool) -> Iterator[dict]:
    """Yield the time of a step of every method that trains a network, beside the least time."""
    for side in sides:
        noisy, _ = generated("generated cells", side)
        for fit, (task, method, effort) in FITS.items():
            settings: Any = settings_for(task, method, effort)
            dtype = working_dtype(settings.precision, device, dimensions=2)
            run = restore(noisy, task, settings, device=str(device), axes="YX")
            ms = 1000 * seconds_per_step(run, device, count=FIRST if quick else MEASURED)
            counted = counts(run)
            run.close()
            times = {
                "arithmetic": 1000 * counted["flops"] / rates[_rate(dtype)],
                "memory": 1000 * counted["bytes"] / rates["bytes"],
            }
            limit = max(times, key=times.__getitem__)
            about = {"fit": fit, "side": side, "format": str(dtype).removeprefix("torch."), "steps": settings.steps}
            yield about | {"ms": ms, "least ms": times[limit], "limit": limit} | counted


def run_rows(sides: list[int], efforts: list[str], device: torch.device) -> Iterator[dict]:
    """Yield seconds, memory and quality of whole runs of denoising, with the method that "auto" takes."""
    for side in sides:
        noisy, truth = generated("generated cells", side)
        span = metrics.data_range(truth)
        for effort in efforts:
            _forget_peak(device)
            began = time.perf_counter()
            run = restore(noisy, Denoise(), **way(effort), device=str(device), axes="YX", dtype="float32")
            said = run.setup.forecast().memory
            image = run.finish()
            seconds = time.perf_counter() - began
            yield {
                "effort": effort,
                "side": side,
                "method": type(run.record.method).__name__,
                "seconds": seconds,
                "MiB": _peak(device) / 2**20,
                "forecast MiB": said / 2**20,
                "psnr before": metrics.psnr(noisy, truth, span=span),
                "psnr": metrics.psnr(image, truth, span=span),
                "ssim": metrics.ssim(image, truth, span=span),
            }


def seconds_per_step(run: Restoration, device: torch.device, *, count: int) -> float:
    """Return the mean time of a step, the queue of the device empty before the first and after the last one."""
    for _ in range(FIRST):
        next(run)
    wait(device)
    began = time.perf_counter()
    done = 0
    while done < count and time.perf_counter() - began < SECONDS:
        next(run)
        done += 1
    wait(device)
    return (time.perf_counter() - began) / done


def counts(run: Restoration) -> dict[str, int]:
    """Return the floating-point operations of the next step, the bytes that it moves, and its operations."""
    moved = _Moved()
    with FlopCounterMode(display=False) as flops, moved:
        next(run)
    return {"flops": flops.get_total_flops(), "bytes": moved.bytes, "operations": moved.operations}


class _Moved(TorchDispatchMode):
    """Counts operations that compute, and the bytes that they read and write; views do neither."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given, made = (
            {id(leaf): leaf for leaf in tree_leaves(each) if isinstance(leaf, torch.Tensor)}
            for each in ((args, kwargs), result)
        )
        if not func.is_view and not func.overloadpacket.__name__.startswith(("empty", "detach")):
            self.operations += 1
            # What is changed in place is read and written; operations on lists of tensors return nothing.
            touched = (*given.values(), *(made or given).values())
            self.bytes += sum(each.numel() * each.element_size() for each in touched)
        return result


def measured_rates(device: torch.device, *, quick: bool) -> dict[str, float]:
    """Return the floating-point operations of each number format, and the bytes, that the device does in a second."""
    side = 512 if quick else 8192
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.full((side, side), 0.01, device=device, dtype=dtype)
        found[_rate(dtype)] = 2 * side**3 / _least_seconds(lambda matrix=matrix: matrix @ matrix, device)
    values = torch.zeros((2**22 if quick else 2**28), device=device)
    copy = torch.empty_like(values)
    found["bytes"] = 2 * 4 * values.numel() / _least_seconds(lambda: copy.copy_(values), device)
    return found


def _rate(dtype: torch.dtype) -> str:
    return f"operations in {str(dtype).removeprefix('torch.')}"


def _least_seconds(work: Callable[[], object], device: torch.device, *, repeats: int = 10) -> float:
    times = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - began)
    return min(times)


def wait(device: torch.device) -> None:
    """Wait until the device has done all that was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int:
    """Return the bytes of the run at its peak; where no peak is kept, those that the process has now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return int(psutil.Process().memory_info().rss)


def _printed(columns: Columns, rows: Iterator[dict]) -> Iterator[dict]:
    """Yield rows as they come, each printed as that of a table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(column(row) for column in columns.values())} |", flush=True)
        yield row
    print()


if __name__ == "__main__":
    sys.exit(main())

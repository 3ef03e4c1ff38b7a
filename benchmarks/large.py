"""Stacks in Zarr: memory and time as they grow, and what is left of a run that is killed again and again.

    python benchmarks/large.py growth [--planes 4,16,64] [--side 1024] [--threads 1] [options of denoise]
    python benchmarks/large.py kills [--times 10] [--planes 12] [--side 96] [--threads 1] [options of denoise]

``growth``: a generated stack of 16-bit planes is denoised (``--effort fast``) from one Zarr into another, each size in
a process of its own. The peak is that of its resident memory (VmHWM) above what it had when everything was imported,
and the seconds are those of the whole command. For Linux, whose kernel keeps the peak.

``kills``: the command is killed (SIGKILL) at random moments, and begun again, until it has come to its end; result and
record are compared with those of a run that was left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import main as deep_prior
from napari_deep_prior.files import images
from napari_deep_prior.runs.peak_memory import OWN

EARLY = 0.2
"""Share of the kills that come before anything is done; the others come some time after the next piece is finished."""


def main() -> int:
    """Run the benchmark and print its table; return 1 if a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["growth", "kills"])
    parser.add_argument("--planes", default="")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("IN", "OUT"), help=argparse.SUPPRESS)
    options, more = parser.parse_known_args()
    if options.one:
        print(json.dumps(measure(*options.one, more)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "growth":
            growth(Path(folder), options, more)
            return 0
        return kills(Path(folder), options, more)


def growth(folder: Path, options: argparse.Namespace, more: list[str]) -> None:
    """Print memory and time of stacks of some lengths."""
    side = options.side or 1024
    print(f"{'planes':>6} {'side':>5} {'peak above start':>17} {'seconds':>8} {'s per megapixel':>16}")
    for planes in map(int, (options.planes or "4,16,64").split(",")):
        stack(folder / f"{planes}.zarr", planes, side)
        output = folder / f"{planes}-restored.zarr"
        command = [sys.executable, __file__, "growth", "--one", str(folder / f"{planes}.zarr"), str(output), *more]
        done = subprocess.run(command, env=environment(options.threads), capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        megapixels = planes * side**2 / 1e6
        peak = f"{found['peak'] / 2**20:.0f} MiB"
        seconds = found["seconds"]
        print(f"{planes:6} {side:5} {peak:>17} {seconds:8.1f} {seconds / megapixels:16.2f}", flush=True)


def measure(source: str, output: str, more: list[str]) -> dict[str, float]:
    """Return the seconds that a command takes in this process, and its peak of memory above the start."""
    before, started = memory("VmRSS"), time.monotonic()
    assert deep_prior(["denoise", source, output, *fast(more)]) == 0
    return {"seconds": time.monotonic() - started, "peak": memory("VmHWM") - before}


def kills(folder: Path, options: argparse.Namespace, more: list[str]) -> int:
    """Kill a command again and again; print what came of it, and return 1 if its result differs."""
    stack(folder / "in.zarr", int(options.planes or 12), options.side or 96)
    command = [sys.executable, "-m", "napari_deep_prior", "denoise", str(folder / "in.zarr")]
    started = time.monotonic()
    subprocess.run(
        [*command, str(folder / "whole.zarr"), *fast(more)],
        env=environment(options.threads),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - started
    chance, killed = np.random.default_rng(0), 0
    for _ in range(options.times):
        process = subprocess.Popen(
            [*command, str(folder / "killed.zarr"), *fast(more)],
            env=environment(options.threads),
            stderr=subprocess.DEVNULL,
        )
        killed += kill(process, folder / "killed.zarr", chance, longest=seconds / (2 * options.times))
    subprocess.run(
        [*command, str(folder / "killed.zarr"), *fast(more)],
        env=environment(options.threads),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    same = differences(folder / "whole.zarr", folder / "killed.zarr")
    print(f"{killed} of {options.times} times in the middle of a run; {same or 'result and record are the same'}")
    return int(bool(same))


def kill(process: subprocess.Popen[bytes], output: Path, chance: np.random.Generator, *, longest: float) -> bool:
    """Kill a process at a random moment; return whether it was in the middle of its run."""
    before = finished(output)
    if chance.random() > EARLY:
        while process.poll() is None and finished(output) <= before:
            time.sleep(0.005)
    try:
        process.wait(chance.uniform(0, longest))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"killed; {finished(output)} pieces are finished", flush=True)
        return True
    return False


def finished(output: Path) -> int:
    """Return how many pieces of a result are finished."""
    return len(list(output.glob("deep-prior-pieces/[0-9]*.json")))


def differences(first: Path, second: Path) -> str:
    """Return what differs between two results; empty if nothing does."""
    one, two = images.read(first), images.read(second)
    found = [] if np.array_equal(one.pixels, two.pixels) else ["the pixels"]
    found += [name for name in one.record if one.record[name] != two.record.get(name)]
    return f"{', '.join(found)} differ" if found else ""


def stack(path: Path, planes: int, side: int) -> None:
    """Write a stack of 16-bit planes, each with cells of its own."""
    array: Any = zarr.create_array(str(path), shape=(planes, side, side), dtype="uint16", chunks=(1, side, side))
    camera, generator = Camera(), np.random.default_rng(0)
    for number in range(planes):
        photons = cells((min(side, 256),) * 2, seed=number % 8)
        repeats = -(-side // len(photons))
        array[number] = camera.expose(np.tile(photons, (repeats, repeats))[:side, :side], generator)


def fast(more: list[str]) -> list[str]:
    """Return the options of the command: others come after them and count."""
    return ["--axes", "ZYX", "--effort", "fast", "--device", "cpu", *more]


def memory(name: str) -> int:
    """Return a line of what Linux shows of the memory of this process, in bytes."""
    lines = (OWN / "status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process with so many threads."""
    return os.environ | {"OMP_NUM_THREADS": str(threads)}


if __name__ == "__main__":
    sys.exit(main())

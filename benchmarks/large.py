"""Stacks in Zarr: memory and time as they grow, and what is left of a run that is killed again and again.

    python benchmarks/large.py growth [--planes 4,16,64] [--side 1024] [--threads 1] [options of denoise]
    python benchmarks/large.py kills [--times 10] [--planes 12] [--side 96] [--threads 1] [options of denoise]
    python benchmarks/large.py workers [--planes 10] [--side 512]
    python benchmarks/large.py worker-kills [--times 5] [--planes 30] [--side 96]

``growth``: a generated stack of 16-bit planes is denoised (``--effort fast``) from one Zarr into another, each size in
a process of its own. The peak is that of its resident memory (VmHWM) above what it had when everything was imported,
and the seconds are those of the processor (user and system) for the whole command. For Linux, whose kernel keeps the
peak.

``kills``: the command is killed (SIGKILL) at random moments, and begun again, until it has come to its end; result and
record are compared with those of a run that was left alone.

``workers``: pieces per hour (``fast``) of two worker processes of dask beside those of one, with a core and a thread
for each; after a piece for each that is not counted.

``worker-kills``: of two workers one is killed (SIGKILL) while it is at work, again and again; the result is compared
with that of a run whose workers were left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import zarr

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import main as deep_prior
from napari_deep_prior.files import images
from napari_deep_prior.runs.peak_memory import OWN

FRAMES = Denoise(neighbours=0)

EARLY = 0.2
"""Share of the kills that come before anything is done; the others come some time after the next piece is finished."""


def main() -> int:
    """Run the benchmark and print its table; return 1 if a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["growth", "kills", "workers", "worker-kills"])
    parser.add_argument("--planes", default="")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--times", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("IN", "OUT"), help=argparse.SUPPRESS)
    options, more = parser.parse_known_args()
    if options.one:
        print(json.dumps(measure(*options.one, more)))
        return 0
    if options.what == "workers":
        return workers(options)
    if options.what == "worker-kills":
        return worker_kills(options)
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
    """Return the seconds of processor time of a command in this process, and its peak of memory above the start."""
    before, started = memory("VmRSS"), time.process_time()
    assert deep_prior(["denoise", source, output, *fast(more)]) == 0
    return {"seconds": time.process_time() - started, "peak": memory("VmHWM") - before}


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
    times = options.times or 10
    for _ in range(times):
        process = subprocess.Popen(
            [*command, str(folder / "killed.zarr"), *fast(more)],
            env=environment(options.threads),
            stderr=subprocess.DEVNULL,
        )
        killed += kill(process, folder / "killed.zarr", chance, longest=seconds / (2 * times))
    subprocess.run(
        [*command, str(folder / "killed.zarr"), *fast(more)],
        env=environment(options.threads),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    same = differences(folder / "whole.zarr", folder / "killed.zarr")
    print(f"{killed} of {times} times in the middle of a run; {same or 'result and record are the same'}")
    return int(bool(same))


def workers(options: argparse.Namespace) -> int:
    """Print how many pieces an hour one and two workers restore."""
    rates = []
    cores, planes = sorted(os.sched_getaffinity(0)), int(options.planes or 10)
    for count in (1, 2):
        # Workers have as many threads as there are cores for each of them.
        os.sched_setaffinity(0, cores[:count])
        with begun(count) as client:
            frames = noisy(planes, options.side or 512)
            restore(frames[:count], FRAMES, "nl-ridge", axes="ZYX", device="cpu", client=client).finish()
            run = restore(frames, FRAMES, "nl-ridge", axes="ZYX", device="cpu", client=client)
            started = time.monotonic()
            run.finish()
            rates.append(3600 * planes / (time.monotonic() - started))
        print(f"{count} workers: {rates[-1]:.0f} pieces an hour, {rates[-1] / rates[0]:.2f} times", flush=True)
    return 0


def worker_kills(options: argparse.Namespace) -> int:
    """Kill workers while they are at work; return 1 if the result differs from that of workers that were left alone."""
    times, planes = options.times or 5, int(options.planes or 30)
    frames, chance = noisy(planes, options.side or 96), np.random.default_rng(0)
    kill_at = set(chance.choice(np.arange(1, planes - 2), times, replace=False).tolist())
    with begun(2) as client:
        whole = restore(frames, FRAMES, "nl-ridge", axes="ZYX", device="cpu", client=client).finish()
        done = 0
        with restore(frames, FRAMES, "nl-ridge", axes="ZYX", device="cpu", client=client) as run:
            for done, _ in enumerate(run, 1):
                if done in kill_at:
                    client.wait_for_workers(2)
                    nannies = list(client.cluster.workers.values())
                    os.kill(int(nannies[chance.integers(2)].pid), signal.SIGKILL)
                    print(f"killed a worker after {done} pieces", flush=True)
        same = bool(np.array_equal(run.image, whole))
    print(f"{times} workers killed; {done} pieces; the result is {'the same' if same else 'another one'}")
    return int(not same)


@contextmanager
def begun(count: int) -> Iterator[Any]:
    """Begin so many workers of a thread each, and give their client."""
    # On a busy computer it takes longer than 15 seconds until a worker is begun again, which then would count as lost.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}):
        local = distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        )
        with local, distributed.Client(local, set_as_default=False) as client:
            yield client


def noisy(planes: int, side: int) -> np.ndarray:
    """Return planes with generated cells and the noise of a camera."""
    generator = np.random.default_rng(0)
    return np.stack([Camera().expose(cells((side, side), seed=number % 4), generator) for number in range(planes)])


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

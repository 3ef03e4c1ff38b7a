"""Memory: the peak of every method beside what is said before the run, at three sizes.

    python benchmarks/memory.py [--cases denoise,inpaint/plug-and-play] [--sides 128,256,512] [--threads 1]

Every run has a process of its own. Its peak is that of the resident memory above what the process had when everything
was imported and the image was loaded, without the files of libraries. It is to lie between 0.8 and 1.0 of the estimate.
Few steps are made: more need no more memory. For Linux, whose kernel keeps the peak.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from ways import without_model

from napari_deep_prior import restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.runs.efforts import TABLE
from napari_deep_prior.runs.preparation import look_ahead
from napari_deep_prior.settings import replace_flat
from napari_deep_prior.tasks import TASKS

FEW = {"steps": 4, "passes": 2}
"""Settings that keep a run short; everything else is as in the table of efforts."""

SIDES = (128, 256, 512)
LOWEST, HIGHEST = 0.8, 1.0
"""Share of the estimate between which the peak is to lie."""


def main() -> int:
    """Run the benchmark and print its table; return 1 if a peak lies outside of what was promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", help="parts of task/method/effort, comma separated; default all")
    parser.add_argument("--sides", default=",".join(map(str, SIDES)), help="pixels along a side, comma separated")
    parser.add_argument("--threads", type=int, default=1, help="of each run")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        case, folder = options.one
        print(json.dumps(measure(case, Path(folder))))
        return 0
    print(f"{'case':44} {'side':>5} {'estimate':>9} {'peak':>9} {'share':>6}   (MiB)")
    failed = False
    for case in cases():
        for side in map(int, options.sides.split(",")):
            if any(part in case for part in options.cases.split(",")):
                estimate, peak = in_a_process(case, side, threads=options.threads)
                share = peak / estimate
                failed |= not LOWEST <= share <= HIGHEST
                print(f"{case:44} {side:5} {estimate / 2**20:9.1f} {peak / 2**20:9.1f} {share:6.2f}", flush=True)
    return int(failed)


def cases() -> Iterator[str]:
    """Yield the names of all cases: task/method/effort; methods whose efforts need the same memory once."""
    for command, methods in TABLE.items():
        for method, efforts in without_model(methods).items():
            for effort in efforts:
                yield f"{command}/{method}/{effort}"
    yield "denoise/self-distillation/colours"
    yield "denoise/deep-image-prior/colours"
    yield "denoise/deep-image-prior/volume"


def in_a_process(case: str, side: int, *, threads: int = 1) -> tuple[int, int]:
    """Return the estimate and the measured peak of a case, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, values in inputs(case, side).items():
            np.save(Path(folder) / f"{name}.npy", values)
        done = subprocess.run(
            [sys.executable, __file__, "--one", case, folder],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{case} at {side} failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return found["estimate"], found["peak"]


def inputs(case: str, side: int) -> dict[str, np.ndarray]:
    """Return the image of a case, and what is given beside it."""
    command, _, effort = case.split("/")
    shape = (16, side, side) if effort == "volume" else (side, side)
    photons = cells(shape)
    image = Camera().expose(photons, np.random.default_rng(1))
    if effort == "colours":
        image = np.stack([image] * 3, axis=-1)
    if command == "remove-artifacts":
        grey = np.clip(image / image.max() * 255, 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "JPEG", quality=15)
        return {"image": np.asarray(Image.open(file))}
    if command == "inpaint":
        mask = np.random.default_rng(5).random(shape) < 0.5
        return {"image": image, "mask": mask}
    return {"image": image} | ({"guide": np.sqrt(photons)} if command == "guide" else {})


def measure(case: str, folder: Path) -> dict[str, int]:
    """Run a case in this process; return the estimate and the peak, in bytes."""
    command, method, effort = case.split("/")
    given: dict[str, Any] = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    axes = {"volume": "ZYX", "colours": "YXS"}.get(effort, "YX")
    settings = TABLE[command][method][effort if effort in TABLE[command][method] else "balanced"]
    before, files = _status("VmRSS"), _status("RssFile")
    # The peak so far is forgotten.
    Path("/proc/self/clear_refs").write_text("5")
    run = restore(
        given.pop("image"),
        TASKS[command](),
        replace_flat(settings, FEW),
        axes=axes,
        volume=effort == "volume",
        device="cpu",
        **given,
    )
    estimate = look_ahead(run.setup).plan.memory
    run.finish()
    # Of the files of libraries the system maps as much as it likes.
    peak = _status("VmHWM") - before - (_status("RssFile") - files)
    return {"estimate": estimate, "peak": peak, "threads": torch.get_num_threads()}


def _status(name: str) -> int:
    """Return a number of bytes that the kernel keeps of this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, name
    return int(found[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())

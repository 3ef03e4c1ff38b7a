"""Denoising benchmark: our methods beside what a user would pick instead, on pairs of noisy and true images.

    python benchmarks/denoising.py [--data FOLDER] [--images fish,mice] [--methods fast,balanced,...] [--quick]

Every row runs in a process of its own, so that its memory is its own. Run it while nothing else runs: what ran at the
start is written down. Results go to ``benchmarks/results/`` as JSON, as a page and as two plots (see ``page.py``); what
was done is in the JSON after every row. Generated images are used beside those of the folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import machine
import numpy as np
import others
import page
from pairs import CORRELATED, DEFAULT_DATA, GENERATED, SIDE, load, matched, names
from ways import way

from napari_deep_prior import Denoise, restore, settings_for
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array

RESULTS = Path(__file__).parent / "results"
MEASURED_STEPS = 4
"""Steps of a method whose full run would be too long; its time is that of a step, times its steps."""

PUBLISHED = "deep-image-prior/published"
OURS = ("fast", "balanced", "best", "deep-image-prior/balanced", PUBLISHED)
METHODS = ("noisy", *OURS, *others.OTHERS)
QUICK = ("noisy", "fast", "balanced", others.BM3D, others.BM3D_PSD, "anscombe + nlm", "anscombe + tv")
QUICK_IMAGES = ("confocal_fish", "set12_01", "generated dim cells", CORRELATED)
"""Parts of the names of what ``make bench-quick`` restores: in some minutes on two cores."""


def main() -> None:
    """Run the benchmark, print its table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with a folder denoise/ of pairs")
    parser.add_argument("--images", default="", help="parts of the names of the images, comma separated; default all")
    parser.add_argument("--methods", default="", help=f"some of: {', '.join(METHODS)}")
    parser.add_argument("--side", type=int, default=SIDE, help=f"pixels of generated images; default {SIDE}")
    parser.add_argument("--quick", action="store_true", help="some methods, on four images")
    parser.add_argument("--one", nargs=2, metavar=("IMAGE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(*options.one, options)))
        return
    methods = [name for name in options.methods.split(",") if name] or (QUICK if options.quick else METHODS)
    wanted = [part for part in options.images.split(",") if part]
    images = [*names(options.data), *GENERATED]
    if options.quick and not wanted:
        wanted = list(QUICK_IMAGES)
    images = [name for name in images if not wanted or any(part in name for part in wanted)]
    _run_all(images, methods, options)


def _run_all(images: list[str], methods: list[str], options: argparse.Namespace) -> None:
    about = machine.facts()
    print(machine.in_words(about), flush=True)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / ("denoising-quick.json" if options.quick else "denoising.json")
    command = "make bench-quick" if options.quick else "make bench"
    found = {"command": command, "machine": about, "ours": OURS, "rows": [], "skipped": []}
    for image in images:
        for method in methods:
            row = _run(image, method, options)
            found["skipped" if "skipped" in row else "rows"].append(row)
            # A run takes hours: what was measured is kept when it is ended.
            target.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("\n" + page.text(found))
    page.write(target, target.with_suffix(".md"))
    print(f"written to {target}, and as a page beside it")


def _run(image: str, method: str, options: argparse.Namespace) -> dict:
    command = [sys.executable, __file__, "--data", str(options.data), "--side", str(options.side)]
    done = subprocess.run([*command, "--one", image, method], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"{image:34} {method:26} skipped: {reason}", flush=True)
        return {"image": image, "method": method, "skipped": reason}
    row = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{image:34} {method:26} PSNR {row['psnr']:6.2f}  SSIM {row['ssim']:.4f}  {row['seconds']:8.1f} s  "
        f"{row['peak MiB']:6.0f} MiB  {row['note']}",
        flush=True,
    )
    return row


def _measure(image: str, method: str, options: argparse.Namespace) -> dict:
    noisy, truth = load(options.data, image, side=options.side)
    if method in others.OTHERS:
        others.prepare(method)
    began, before = time.perf_counter(), time.process_time()
    result, extrapolated, note = _restored(noisy, method)
    seconds, busy = time.perf_counter() - began, time.process_time() - before
    if extrapolated:
        seconds, busy = extrapolated, busy / seconds * extrapolated
    span = metrics.data_range(truth)
    result, said = matched(image, result, truth)
    return {
        "image": image,
        "shape": noisy.shape,
        "method": method,
        "psnr": metrics.psnr(result, truth, span=span),
        "ssim": metrics.ssim(result, truth, span=span, channel_axis=2 if truth.ndim == 3 else None),
        "seconds": seconds,
        "processor seconds": busy,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "extrapolated": bool(extrapolated),
        "note": (note + said).strip(),
    }


def _restored(noisy: Array, method: str) -> tuple[Array, float, str]:
    """Return the result of a method, its seconds if they are not simply those that it took, and a note."""
    if method == "noisy":
        return noisy.astype(np.float32), 0.0, ""
    if method in others.OTHERS:
        result, note = others.denoise(noisy, method)
        return result, 0.0, note
    axes = "YXS" if noisy.ndim == 3 else "YX"
    if method == PUBLISHED:
        settings = settings_for(Denoise(), "deep-image-prior", "published")
        started = [time.perf_counter()]
        run = restore(noisy, Denoise(), dataclasses.replace(settings, steps=MEASURED_STEPS), axes=axes)
        for _ in run:
            started.append(time.perf_counter())
        seconds = settings.steps * float(np.median(np.diff(started)[1:]))
        return run.image, seconds, f"seconds: {MEASURED_STEPS} steps measured, × {settings.steps}; image not done"
    run = restore(noisy, Denoise(), **way(method), axes=axes, dtype="float32")
    image = run.finish()
    return image, 0.0, f"step {run.record.chosen_steps[0]}; {run.record.noise.in_words}"


if __name__ == "__main__":
    main()

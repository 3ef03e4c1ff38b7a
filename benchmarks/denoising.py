"""Denoising benchmark: our methods beside what a user would pick instead, on pairs of noisy and true images.

    python benchmarks/denoising.py [--data FOLDER] [--images fish,mice] [--methods fast,balanced,...] [--quick]

Every row runs in a process of its own, so that its memory is its own. Speeds are ratios within one run. Results go to
``benchmarks/results/`` as JSON and as a plot. Without a folder of images two generated ones are used.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ways import way

from napari_deep_prior import Denoise, restore, settings_for
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.channels import GivenNoise, estimate_windows
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.files import images as io
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.physics.photon_misfits import AnscombeMisfit

RESULTS = Path(__file__).parent / "results"
DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data" / "dev"
ENDINGS = ("_noisy", "_sigma25", "_rep1")
"""Endings of the names of noisy images; their truth has the same name and the ending "_gt"."""

MEASURED_STEPS = 4
"""Steps of a method whose full run would be too long; its time is that of a step, times its steps."""

OURS = ("fast", "balanced", "best", "deep-image-prior/balanced", "deep-image-prior/published")
PUBLISHED = "deep-image-prior/published"
OTHERS = ("nlm", "tv", "wavelet")
METHODS = ("noisy", *OURS, *OTHERS, *(f"anscombe + {name}" for name in (*OTHERS, "bm3d")))
QUICK = ("noisy", "fast", "anscombe + nlm", "anscombe + tv")


def main() -> None:
    """Run the benchmark, print its table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with a folder denoise/ of pairs")
    parser.add_argument("--images", default="", help="parts of the names of the images, comma separated; default all")
    parser.add_argument("--methods", default="", help=f"some of: {', '.join(METHODS)}")
    parser.add_argument("--quick", action="store_true", help="fast methods, on few images")
    parser.add_argument("--one", nargs=2, metavar=("IMAGE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.data, *options.one)))
        return
    methods = [name for name in options.methods.split(",") if name] or (QUICK if options.quick else METHODS)
    wanted = [part for part in options.images.split(",") if part]
    images = [name for name in _pairs(options.data) if not wanted or any(part in name for part in wanted)]
    if options.quick and not wanted:
        images = images[:2]
    rows = [row for image in images for method in methods if (row := _run(options.data, image, method))]
    _report(rows, RESULTS / ("denoising-quick" if options.quick else "denoising"))


def _run(data: Path, image: str, method: str) -> dict | None:
    command = [sys.executable, __file__, "--data", str(data), "--one", image, method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{image:24} {method:18} skipped: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    row = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{row['image']:24} {row['method']:18} PSNR {row['psnr']:6.2f}  SSIM {row['ssim']:.4f}  "
        f"{row['seconds']:8.1f} s  {row['peak MiB']:6.0f} MiB  {row['note']}",
        flush=True,
    )
    return row


def _measure(data: Path, image: str, method: str) -> dict:
    noisy, truth = _load(data, image)
    started = time.perf_counter()
    result, seconds, note = _restored(noisy, method)
    seconds = seconds or time.perf_counter() - started
    span = metrics.data_range(truth)
    if image.startswith("w2s"):
        # Each image of a pair was stretched on its own: the best gain and offset are found first.
        result, note = _matched(result, truth), f"{note} (affine match)".strip()
    measured = {"psnr": metrics.psnr(result, truth, span=span)}
    channel = 2 if truth.ndim == 3 else None
    measured["ssim"] = metrics.ssim(result, truth, span=span, channel_axis=channel)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"image": image, "method": method, **measured, "seconds": seconds, "peak MiB": peak, "note": note}


def _restored(noisy: Array, method: str) -> tuple[Array, float, str]:
    """Return the result of a method, its seconds if they are not simply those that it took, and a note."""
    if method == "noisy":
        return noisy.astype(np.float32), 0.0, ""
    axes = "YXS" if noisy.ndim == 3 else "YX"
    if method in OURS:
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
    inside, _, name = method.rpartition(" + ")
    channels = [noisy] if noisy.ndim == 2 else list(np.moveaxis(noisy, -1, 0))
    done = [_classical(channel.astype(np.float64), name, stabilised=bool(inside)) for channel in channels]
    return (done[0] if noisy.ndim == 2 else np.stack(done, axis=-1)), 0.0, ""


def _classical(channel: Array, name: str, *, stabilised: bool) -> Array:
    if not stabilised:
        return _denoiser(name, None)(channel)
    (model,), _ = estimate_windows(windows_of(channel, "YX"), GivenNoise())
    grey = torch.from_numpy(channel)[None, None]
    misfit = AnscombeMisfit([model], (np.ones(1), np.zeros(1)), grey)
    denoised = _denoiser(name, model)(misfit.stabilise(grey)[0, 0].numpy())
    return misfit.unstabilise(torch.from_numpy(denoised)[None, None])[0, 0].numpy()


def _denoiser(name: str, model: NoiseModel | None) -> Callable[[Array], Array]:
    """Return a denoiser whose parameter is chosen on the image itself (J-invariance), as a careful user would."""
    if name == "bm3d":
        from bm3d import bm3d

        return lambda image: bm3d(image, 1.0)
    from skimage.restoration import (
        calibrate_denoiser,
        denoise_nl_means,
        denoise_tv_chambolle,
        denoise_wavelet,
        estimate_sigma,
    )

    def calibrated(image: Array) -> Array:
        low, span = image.min(), np.ptp(image)
        unit = (image - low) / span
        sigma = estimate_sigma(unit) if model is None else 1 / span
        grids: dict[str, tuple[Callable, dict]] = {
            "nlm": (denoise_nl_means, {"h": sigma * np.array([0.6, 0.8, 1.0]), "sigma": [sigma], "fast_mode": [True]}),
            "tv": (denoise_tv_chambolle, {"weight": sigma * np.array([0.5, 1.0, 1.5, 2.0])}),
            "wavelet": (denoise_wavelet, {"sigma": sigma * np.array([0.75, 1.0, 1.5]), "rescale_sigma": [True]}),
        }
        function, parameters = grids[name]
        return calibrate_denoiser(unit, function, denoise_parameters=parameters)(unit) * span + low

    return calibrated


def _pairs(data: Path) -> list[str]:
    folder = data / "denoise"
    found = [file.name for file in sorted(folder.glob("*")) if file.stem.endswith(ENDINGS)] if folder.is_dir() else []
    return [name for name in found if _truth_of(folder / name)] or ["phantom cells", "phantom dim cells"]


def _truth_of(noisy: Path) -> Path | None:
    stem = next(noisy.stem.removesuffix(ending) for ending in ENDINGS if noisy.stem.endswith(ending))
    return next(iter(sorted(noisy.parent.glob(f"{stem}_gt.*"))), None)


def _load(data: Path, image: str) -> tuple[Array, Array]:
    if image.startswith("phantom"):
        camera = Camera()
        photons = cells((256, 256)) * (0.2 if "dim" in image else 1.0)
        return camera.expose(photons, np.random.default_rng(0)), camera.expected(photons)
    noisy = data / "denoise" / image
    truth = _truth_of(noisy)
    assert truth is not None
    return io.read(noisy).pixels, io.read(truth).pixels


def _matched(image: Array, truth: Array) -> Array:
    slope, shift = np.polyfit(image.astype(float).ravel(), truth.astype(float).ravel(), 1)
    return slope * image + shift


def _report(rows: list[dict], target: Path) -> None:
    RESULTS.mkdir(exist_ok=True)
    published = {row["image"]: row["seconds"] for row in rows if row["method"] == PUBLISHED}
    for row in rows:
        if row["image"] in published and row["seconds"]:
            row["times faster than published"] = published[row["image"]] / row["seconds"]
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    target.with_suffix(".json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))
    print(f"\n{'method':20} {'images':>6} {'mean PSNR':>10} {'mean SSIM':>10} {'median s':>9} {'× published':>11}")
    for method in dict.fromkeys(row["method"] for row in rows):
        these = [row for row in rows if row["method"] == method]
        if "not done" in these[0]["note"]:
            continue
        ratios = [row["times faster than published"] for row in these if "times faster than published" in row]
        print(
            f"{method:20} {len(these):6} {np.mean([row['psnr'] for row in these]):10.2f} "
            f"{np.mean([row['ssim'] for row in these]):10.4f} {np.median([row['seconds'] for row in these]):9.1f} "
            + (f"{np.median(ratios):8.0f}" if ratios else "")
        )
    _plot(rows, target.with_suffix(".png"))


def _plot(rows: list[dict], target: Path) -> None:
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    images = list(dict.fromkeys(row["image"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 0.6 + 0.35 * len(images)))
    for method in dict.fromkeys(row["method"] for row in rows if "not done" not in row["note"]):
        these = [row for row in rows if row["method"] == method]
        strong = {"s": 60} if method in OURS else {"s": 18, "alpha": 0.7}
        axes.scatter(
            [row["psnr"] for row in these], [images.index(row["image"]) for row in these], label=method, **strong
        )
    axes.set_yticks(range(len(images)), images)
    axes.set_xlabel("PSNR (dB)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(target, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()

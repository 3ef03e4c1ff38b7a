"""What neighbours are worth: series and stacks restored frame by frame, and averaged with their neighbours before.

    python benchmarks/stacks.py [--data FOLDER] [--effort fast] [--frames 50] [--parts repeats,series,volumes]

FOLDER has the development images (``denoise/``, ``stack/``); what is not there is left out. Poisson-Gaussian noise is
added to images with little noise of their own (seed 0); "two real frames" have real noise. Mean PSNR of the frames in
dB, over the range of the truth (255 for 8-bit images), seconds per frame, and the mean difference of frames that follow
each other, as a share of that of the input.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from pairs import DEFAULT_DATA

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells

CAMERA = Camera(gain=10.0, offset=100.0, read_noise=10.0)

LIGHT = 100.0
"""Photons of the brightest pixels of a series."""

JUMPS = (5, 16)
"""Pixels by which a frame of the jumping series lies beside its place: at least, and fewer than."""

REPEATS = (2, 4, 8, 16)


@dataclass(frozen=True)
class Stack:
    """A stack, its truth, and whether its frames show the same."""

    name: str
    axes: str
    noisy: np.ndarray
    truth: np.ndarray
    span: float
    static: bool = False


def main() -> None:
    """Print a row for every stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--frames", type=int, default=50, help="most frames of a series")
    parser.add_argument("--parts", default="repeats,series,volumes", help="comma separated")
    options = parser.parse_args()
    parts = {"repeats": _repeats, "series": _series, "volumes": _volumes}
    for part in options.parts.split(","):
        for stack in parts[part](options.data, options.frames):
            _measure(stack, options.effort)


def _measure(stack: Stack, effort: str) -> None:
    row = [f"{stack.name:40}"]
    before = _flicker(stack.noisy)
    for words, count in (("alone", 0), ("with neighbours", None)):
        began = time.perf_counter()
        run = restore(stack.noisy, Denoise(neighbours=count), effort=effort, axes=stack.axes)
        image = run.finish()
        seconds = (time.perf_counter() - began) / len(stack.noisy)
        row.append(f"{words} {_mean_psnr(image, stack):.2f} dB {seconds:.1f} s flicker {_flicker(image) / before:.2f}")
    if stack.static:
        mean = restore(stack.noisy.mean(axis=0), Denoise(), effort=effort).finish()
        row.append(f"their mean {psnr(mean, stack.truth[0], span=stack.span):.2f} dB")
    print("   ".join(row), flush=True)


def _repeats(data: Path, _frames: int) -> Iterator[Stack]:
    frames = [data / "denoise" / f"fmd_fish3_rep{number}.tif" for number in (1, 2)]
    if all(file.exists() for file in frames):
        noisy = np.stack([tifffile.imread(file) for file in frames]).astype(np.float32)
        truth = np.stack([tifffile.imread(data / "denoise" / "fmd_fish3_gt.tif")] * 2).astype(np.float32)
        yield Stack("two real frames, confocal, 512²", "TYX", noisy, truth, 255.0, static=True)
    file = data / "denoise" / "confocal_fish_gt.tif"
    if file.exists():
        image = tifffile.imread(file)[128:384, 128:384].astype(float)
        photons = 60 * image / image.max()
        for count in REPEATS:
            yield _exposed(f"{count} repeats, confocal, 256²", "TYX", np.stack([photons] * count), static=True)


def _series(data: Path, frames: int) -> Iterator[Stack]:
    file = data / "stack" / "lysosome_1_tyx.tif"
    if not file.exists():
        return
    series = tifffile.imread(file)[:frames].astype(float)
    photons = LIGHT * (series - series.min()) / (np.quantile(series, 0.999) - series.min())
    yield _exposed(f"{len(series)} frames, lysosomes, 128²", "TYX", photons)
    rng = np.random.default_rng(1)
    jumps = rng.integers(*JUMPS, (len(series), 2)) * rng.choice([-1, 1], (len(series), 2))
    moved = np.stack([np.roll(frame, tuple(jump), (0, 1)) for frame, jump in zip(photons, jumps, strict=True)])
    yield _exposed("the same, each moved by 5 to 15 pixels", "TYX", moved)


def _volumes(data: Path, frames: int) -> Iterator[Stack]:
    yield _exposed("generated cells, 16 planes of 96²", "ZYX", cells((16, 96, 96)))
    file = data / "stack" / "brain_2ch_zcyx.ome.tif"
    if file.exists():
        volume = tifffile.imread(file)[:frames, 0].astype(float)
        photons = 60 * (volume - volume.min()) / (np.quantile(volume, 0.999) - volume.min())
        yield _exposed("brain, planes 5 µm apart, 256²", "ZYX", photons)


def _exposed(name: str, axes: str, photons: np.ndarray, *, static: bool = False) -> Stack:
    truth = CAMERA.expected(photons)
    noisy = CAMERA.expose(photons, np.random.default_rng(0))
    return Stack(name, axes, noisy, truth, float(truth.max() - truth.min()), static)


def _mean_psnr(images: np.ndarray, stack: Stack) -> float:
    pairs = zip(images, stack.truth, strict=True)
    return float(np.mean([psnr(image, truth, span=stack.span) for image, truth in pairs]))


def _flicker(images: np.ndarray) -> float:
    return float(np.abs(np.diff(images.astype(np.float64), axis=0)).mean())


if __name__ == "__main__":
    main()

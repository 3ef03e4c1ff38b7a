"""What neighbours are worth: series and stacks restored frame by frame, and averaged with their neighbours before.

    python benchmarks/stacks.py [--data FOLDER] [--effort fast] [--frames 50] [--parts repeats,series,volumes]
    python benchmarks/stacks.py --parts network [--frames 8] [--side 96]

FOLDER has the development images (``denoise/``, ``stack/``); what is not there is left out. Poisson-Gaussian noise is
added to images with little noise of their own (seed 0); "two real frames" have real noise. Mean PSNR of the frames in
dB, over the range of the truth (255 for 8-bit images), seconds per frame, and the mean difference of frames that follow
each other, as a share of that of the input.

``network``: one network for all slices (``balanced``) beside a network for each, without neighbours: mean PSNR, and
seconds of processor time (user and system) for a slice. With ``--frames 8`` slices are taken from all over a stack.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
from pairs import DEFAULT_DATA

from napari_deep_prior import Denoise, restore, settings_for
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells

FRAMES = Denoise(neighbours=0)

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
    parser.add_argument("--side", type=int, default=96, help="pixels along a side of the crops of 'network'")
    options = parser.parse_args()
    parts = {"repeats": _repeats, "series": _series, "volumes": _volumes}
    for part in options.parts.split(","):
        if part == "network":
            for stack in _crops(options.data, options.frames, options.side):
                _compare_networks(stack)
            continue
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


def _compare_networks(stack: Stack) -> None:
    row = [f"{stack.name:40}"]
    seconds, scores = [], []
    for words, shared in (("one network", True), ("one for each slice", False)):
        method = replace(settings_for(FRAMES, "self-distillation", "balanced"), shared=shared)
        began = time.process_time()
        image = restore(stack.noisy, FRAMES, method, axes=stack.axes, device="cpu").finish()
        seconds.append((time.process_time() - began) / len(stack.noisy))
        scores.append(_mean_psnr(image, stack))
        row.append(f"{words} {scores[-1]:.2f} dB {seconds[-1]:.2f} s")
    row.append(f"{scores[0] - scores[1]:+.2f} dB, {seconds[1] / seconds[0]:.1f} times as fast")
    print("   ".join(row), flush=True)


def _crops(data: Path, frames: int, side: int) -> Iterator[Stack]:
    """Yield dim and bright generated cells, and crops of the middle of real stacks with generated noise."""
    yield _exposed("generated cells", "ZYX", cells((frames, side, side)))
    yield _exposed("the same, ten times as bright", "ZYX", 10 * cells((frames, side, side)))
    files = {
        "lysosomes": (data / "stack" / "lysosome_1_tyx.tif", LIGHT, "TYX"),
        "brain": (data / "stack" / "brain_2ch_zcyx.ome.tif", 60.0, "ZYX"),
    }
    for name, (file, light, axes) in files.items():
        if file.exists():
            stack = tifffile.imread(file).astype(float)
            stack = stack[:, 0] if stack.ndim == 4 else stack
            chosen = stack[np.linspace(0, len(stack) - 1, min(frames, len(stack))).round().astype(int)]
            top, left = ((length - side) // 2 if length > side else 0 for length in chosen.shape[1:])
            crop = chosen[:, top : top + side, left : left + side]
            yield _exposed(name, axes, light * (crop - stack.min()) / (np.quantile(stack, 0.999) - stack.min()))


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

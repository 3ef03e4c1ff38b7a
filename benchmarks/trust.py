"""What a result can be trusted for: clean images, light, spots, stacks with dark planes.

    python benchmarks/trust.py [--efforts fast,balanced] [--method auto] [--parts clean,light,spots,stack]
        [--size 192] [--width 1.2]

All images are made here. A clean image should come back as it is; no light should be lost; faint spots should still be
found, and be as bright; a dark first plane of a stack should change nothing for the others. The table for
docs/trust.md is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import skimage.data
from scipy.ndimage import gaussian_laplace, maximum_filter

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import cells

SPOT = 1.2
"""Standard deviation of a diffraction-limited spot, in pixels."""

SIZE, SPOTS = 192, 100
"""Pixels along a side of an image of spots, and how many it has."""

FALSE_POSITIVES = 0.05


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--efforts", default="fast,balanced")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--parts", default="clean,light,spots,stack")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels along a side of the images of spots")
    parser.add_argument("--width", type=float, default=SPOT, help="standard deviation of the spots, in pixels")
    options = parser.parse_args()
    parts = {
        "clean": clean_rows,
        "light": light_rows,
        "spots": partial(spot_rows, size=options.size, width=options.width),
        "stack": stack_rows,
    }
    method = "" if options.method == "auto" else f"{options.method}, "
    print("| what | effort | result | seconds |\n|---|---|---|---|")
    for part in options.parts.split(","):
        for effort in options.efforts.split(","):
            for what, result, seconds in parts[part](options.method, effort):
                print(f"| {what} | {method}{effort} | {result} | {seconds:.0f} |", flush=True)


def clean_images() -> dict[str, Array]:
    """Return pictures without noise."""
    random = np.random.default_rng(0)
    row, column = np.indices((128, 128))
    single = np.zeros((128, 128), np.uint8)
    single.flat[random.choice(single.size, 60, replace=False)] = 200
    page = skimage.data.page()[:160, :160]
    light = cells((160, 160))
    return {
        "text of two grey levels": np.where(page > 128, 230, 20).astype(np.uint8),
        "scanned page": page,
        "single bright pixels": single,
        "chequerboard of 2 pixels": (((row // 2 + column // 2) % 2) * 200 + 20).astype(np.uint8),
        "chequerboard of 4 pixels": (((row // 4 + column // 4) % 2) * 200 + 20).astype(np.uint8),
        "gravel": skimage.data.gravel()[:192, :192],
        "grass": skimage.data.grass()[:192, :192],
        "fluorescence without noise": (1000 * light / np.max(light)).astype(np.float32),
    }


def clean_rows(method: str, effort: str) -> Iterator[tuple[str, str, float]]:
    """Yield how far clean images are from themselves."""
    for name, image in clean_images().items():
        restored, seconds = _restored(image, method, effort)
        truth = image.astype(np.float64)
        error = min(psnr(restored, truth, span=float(np.ptp(truth))), 99.0)
        yield f"clean: {name}", f"{error:.1f} dB, mean {_percent(restored, truth)}", seconds


def light_rows(method: str, effort: str) -> Iterator[tuple[str, str, float]]:
    """Yield by how much the sum of the light differs from the measured one."""
    shape = (64, 64)
    scene = np.asarray(cells(shape)) / np.max(cells(shape))
    for offset in (0, 100):
        for peak in (0.1, 1, 5, 18, 100, 10_000):
            image = (np.random.default_rng(1).poisson(scene * peak) + offset).astype(np.uint16)
            restored, seconds = _restored(image, method, effort)
            what = f"light: {peak:g} photons, offset {offset}"
            yield what, f"sum {_percent(restored - offset, image.astype(float) - offset)}", seconds


def spot_rows(method: str, effort: str, *, size: int = SIZE, width: float = SPOT) -> Iterator[tuple[str, str, float]]:
    """Yield how many faint spots are found, before and after, and how much of their light is left."""
    for background in (0.5, 2.0):
        for peak in (5, 10, 20):
            truth, places = spots(peak, background, size=size, number=round(SPOTS * (size / SIZE) ** 2), width=width)
            noisy = np.random.default_rng(2).poisson(truth).astype(np.uint16)
            restored, seconds = _restored(noisy, method, effort)
            before, after = (recall(image, places, width=width) for image in (noisy, restored))
            found = f"found {before:.0%} before, {after:.0%} after"
            light = light_of(restored, places).mean() / light_of(truth, places).mean()
            yield f"spots: {peak} photons on {background:g}", f"{found}; light {light:.0%}", seconds


def stack_rows(method: str, effort: str) -> Iterator[tuple[str, str, float]]:
    """Yield how the bright planes of a stack fare whose first plane is dark."""
    scene = np.asarray(cells((96, 96))) / np.max(cells((96, 96)))
    for dark in (1.0, 0.01, 0.0001):
        truth = np.stack([scene * 100 * dark, *(scene * 100,) * 3])
        noisy = np.random.default_rng(3).poisson(truth).astype(np.uint16)
        started = time.perf_counter()
        run = restore(noisy, Denoise(), method, effort=effort, axes="ZYX", dtype="float32")
        restored = run.finish()
        before, after = (psnr(each[1:].astype(float), truth[1:], span=100) for each in (noisy, restored))
        yield (
            f"stack: first plane with {dark:g} of the light",
            f"others {before:.1f} → {after:.1f} dB",
            time.perf_counter() - started,
        )


def spots(
    peak: float, background: float, *, size: int = SIZE, number: int = SPOTS, width: float = SPOT
) -> tuple[Array, Array]:
    """Return an image of spots at least 8 pixels apart, and their places (number, 2)."""
    random = np.random.default_rng(0)
    places: list[Array] = []
    while len(places) < number:
        place = random.uniform(8, size - 8, 2)
        if all(np.hypot(*(place - other)) > 8 for other in places):
            places.append(place)
    row, column = np.indices((size, size))
    image = np.full((size, size), float(background))
    for r, c in places:
        image += peak * np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * width**2))
    return image, np.array(places)


def recall(image: Array, places: Array, *, width: float = SPOT) -> float:
    """Return the share of spots that are found with at most ``FALSE_POSITIVES`` among what is found."""
    strength = -gaussian_laplace(image.astype(float), width)
    peaks = np.argwhere(maximum_filter(strength, 5) == strength)
    peaks = peaks[np.argsort(-strength[tuple(peaks.T)])]
    found: set[int] = set()
    best = wrong = 0.0
    for peak in peaks:
        distance = np.hypot(*(places - peak).T)
        nearest = int(distance.argmin())
        if distance[nearest] <= 2 and nearest not in found:
            found.add(nearest)
        else:
            wrong += 1
        if wrong <= FALSE_POSITIVES * (wrong + len(found)):
            best = len(found) / len(places)
    return best


def light_of(image: Array, places: Array, *, radius: float = 4) -> Array:
    """Return the light of each spot above its surroundings."""
    row, column = np.indices(image.shape)
    sums = []
    for r, c in places:
        distance = np.hypot(row - r, column - c)
        inside = distance <= radius
        around = image[(distance > radius + 1) & (distance <= radius + 4)].mean()
        sums.append(image[inside].sum() - around * inside.sum())
    return np.array(sums)


def _restored(image: Array, method: str, effort: str) -> tuple[Array, float]:
    started = time.perf_counter()
    restored = restore(image, Denoise(), method, effort=effort, dtype="float32").finish()
    return restored.astype(np.float64), time.perf_counter() - started


def _percent(restored: Array, measured: Array) -> str:
    return f"{100 * (restored.sum() / max(measured.sum(), 1e-12) - 1):+.2f} %"


if __name__ == "__main__":
    main()

"""Benchmark of guides: dim fluorescence restored with and without the bright field of the same bacteria.

    python benchmarks/guided.py [--data FOLDER] [--fields "E. coli 1"] [--way balanced]

A recorded frame is taken for the truth and degraded to few photons. PSNR against that frame, whose own noise nobody can
predict; data range: its largest grey level less its smallest. The filters beside ours have the parameters that the
truth says are best. Also a guide that shows the same in another way, and one of another field. Without a folder of
pictures generated cells are used.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pairs import DEFAULT_DATA
from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter
from skimage.restoration import denoise_bilateral, denoise_nl_means
from ways import HELP, way

from napari_deep_prior import Denoise, Guided, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files import images as io

FIELDS = {"E. coli 1": ("00001", 80, 228), "E. coli 2": ("00002", 30, 110)}
"""Name in the files, and the first row and column that are used, so that some bacteria are seen."""

SIDE = 192
PHOTONS = 6.0
"""At the 99th percentile of the frame."""

SENSOR = Camera(gain=100.0, offset=500.0, read_noise=50.0)
"""Its read noise is half a photon."""

RADII, SOFTNESSES = (1, 2, 4, 8), (1e-3, 1e-2, 1e-1, 1.0, 10.0)
DISTANCES, CONTRASTS = (1.0, 1.5, 2.0, 3.0), (0.05, 0.1, 0.2, 0.4)
STRENGTHS = (0.05, 0.07, 0.1, 0.14, 0.2)
"""Parameters among which the truth chooses: those of guided filter, bilateral filter and non-local means."""


@dataclass(frozen=True)
class Scene:
    """A truth in photons, a guide of the same place, and one of another place."""

    photons: Array
    guide: Array
    elsewhere: Array


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with a folder guided/ of pairs")
    parser.add_argument("--fields", default="", help="parts of their names, comma separated; default all")
    parser.add_argument("--way", default="balanced", help=HELP)
    options = parser.parse_args()
    print(f"{'field':10} {'restored by':16} {'guide':22} {'PSNR':>6} {'seconds':>8}  remark")
    for name, scene in _scenes(options.data).items():
        if any(part in name for part in options.fields.split(",")):
            _measure(name, scene, options.way)


def _measure(name: str, scene: Scene, name_of_way: str) -> None:
    truth = SENSOR.expected(scene.photons)
    dim = SENSOR.expose(scene.photons, np.random.default_rng(0))
    # Another stain of the same: other contrast, three pixels off.
    stain = np.roll(np.sqrt(scene.photons), (3, 0), axis=(0, 1))
    guides = {"bright field": scene.guide, "other stain, 3 px off": stain, "other field": scene.elsewhere}
    _row(name, "-", "", dim, truth)
    _filter(name, dim, guides, truth)
    began = time.perf_counter()
    alone = restore(dim, Denoise(), **way(name_of_way)).finish()
    _row(name, name_of_way, "", alone, truth, time.perf_counter() - began)
    for about, guide in guides.items():
        began = time.perf_counter()
        run = restore(dim, Guided(), **way(name_of_way), guide=guide)
        _row(name, name_of_way, about, run.finish(), truth, time.perf_counter() - began, run.record.remarks[-1])


def _filter(name: str, dim: Array, guides: dict[str, Array], truth: Array) -> None:
    """Print what other filters make of an image, with the parameters that the truth says are best."""
    lowest, span = float(dim.min()), metrics.data_range(dim)
    levels = (dim - lowest) / span

    def best(kind: str, about: str, filtered: Callable[..., Array], **choices: tuple[float, ...]) -> None:
        parameters = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
        images = [filtered(levels, **given) * span + lowest for given in parameters]
        image, given = max(zip(images, parameters, strict=True), key=lambda one: metrics.psnr(one[0], truth))
        words = ", ".join(f"{key} {value:g}" for key, value in given.items())
        _row(name, kind, about, image, truth, remark=f"best of {words}")

    best("bilateral", "", denoise_bilateral, sigma_spatial=DISTANCES, sigma_color=CONTRASTS)
    best("non-local means", "", denoise_nl_means, h=STRENGTHS)
    for about, guide in guides.items():
        best("guided filter", about, partial(guided_filter, guide), radius=RADII, softness=SOFTNESSES)


def _row(name: str, kind: str, guide: str, image: Array, truth: Array, seconds: float = 0.0, remark: str = "") -> None:
    psnr = metrics.psnr(image, truth)
    print(f"{name:10} {kind:16} {guide:22} {psnr:6.2f} {seconds:8.1f}  {remark}", flush=True)


def guided_filter(guide: Array, image: Array, *, radius: int, softness: float) -> Array:
    """Return an image that is linear in a guide within every square (He, Sun & Tang 2013, doi 10.1109/TPAMI.2012.213).

    Parameters
    ----------
    radius : int
        Pixels from the middle of a square to its side.
    softness : float
        Variance of the guide, of standard deviation 1, below which it is taken for flat.
    """

    def mean(values: Array) -> Array:
        return uniform_filter(values, 2 * radius + 1)

    normal = (guide - guide.mean()) / guide.std()
    level, shade = mean(image), mean(normal)
    slope = (mean(normal * image) - shade * level) / (mean(normal**2) - shade**2 + softness)
    return mean(slope) * normal + mean(level - slope * shade)


def _scenes(folder: Path) -> dict[str, Scene]:
    found = {}
    for name, (number, row, column) in FIELDS.items():
        other = next(each for each, *_ in FIELDS.values() if each != number)
        window = slice(row, row + SIDE), slice(column, column + SIDE)
        files = [folder / "guided" / f"coli_ds1_{file}.tif" for file in
                 (f"{number}_fluorescence", f"{number}_brightfield", f"{other}_brightfield")]  # fmt: skip
        if all(file.is_file() for file in files):
            frame, guide, elsewhere = (io.read(file).pixels.astype(np.float64) for file in files)
            photons = PHOTONS * frame / np.percentile(frame, 99)
            found[name] = Scene(photons[window], guide[window], elsewhere[window])
    if found:
        return found
    photons, elsewhere = (0.2 * cells((SIDE, SIDE), seed=seed) for seed in (0, 1))
    # Like bright field they show edges, and not how bright something is.
    edges = [gaussian_gradient_magnitude(scene, 1.0) for scene in (photons, elsewhere)]
    return {"cells": Scene(photons, *edges)}


if __name__ == "__main__":
    main()

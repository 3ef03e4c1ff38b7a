"""Inpainting benchmark: our methods beside the biharmonic filling, on pictures whose hidden pixels are known.

    python benchmarks/inpainting.py [--data FOLDER] [--images barbara,kate] [--ways fast,balanced,best]

PSNR of the whole picture and inside of the hole, data range 255. Without a folder of pictures two of scikit-image's are
used. A mask is an image beside its picture, 0 where pixels are missing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from pairs import DEFAULT_DATA
from skimage.data import brick, camera
from skimage.restoration import inpaint_biharmonic
from ways import HELP, way

from napari_deep_prior import Inpaint, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.files import images as io

PICTURES = {
    "barbara, half of the pixels": ("inpaint/barbara.png", "inpaint/barbara_bernoulli50_mask.png"),
    "kate, text": ("inpaint/kate.png", "inpaint/kate_mask.png"),
    "mice, defects": ("denoise/confocal_mice_gt.tif", "inpaint/confocal_mice_defects_mask.png"),
}
SPAN = 255.0


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with the pictures")
    parser.add_argument("--images", default="", help="parts of their names, comma separated; default all")
    parser.add_argument("--ways", default="fast,balanced,best", help=HELP)
    options = parser.parse_args()
    print(f"{'picture':28} {'filled by':14} {'whole':>7} {'hole':>7} {'seconds':>8}  known pixels")
    for name, (truth, mask) in _pictures(options.data).items():
        if any(part in name for part in options.images.split(",")):
            _measure(name, truth, mask, options.ways.split(","))


def _measure(name: str, truth: Array, mask: Array, ways: list[str]) -> None:
    damaged = truth.copy()
    damaged[mask] = 0
    colour = truth.ndim == 3
    began = time.perf_counter()
    smooth = inpaint_biharmonic(damaged / SPAN, mask, channel_axis=-1 if colour else None) * SPAN
    _row(name, "biharmonic", smooth, truth, mask, time.perf_counter() - began)
    for each in ways:
        began = time.perf_counter()
        run = restore(damaged, Inpaint(), **way(each), mask=mask, axes="YXS" if colour else "YX")
        _row(name, each, run.finish(), truth, mask, time.perf_counter() - began)


def _row(name: str, method: str, image: Array, truth: Array, mask: Array, seconds: float) -> None:
    whole = metrics.psnr(image, truth, span=SPAN)
    hole = metrics.psnr(image[mask], truth[mask], span=SPAN)
    kept = "identical" if np.array_equal(image[~mask], truth[~mask]) else "changed"
    print(f"{name:28} {method:14} {whole:7.2f} {hole:7.2f} {seconds:8.1f}  {kept}", flush=True)


def _pictures(data: Path) -> dict[str, tuple[Array, Array]]:
    found = {}
    for name, (truth, mask) in PICTURES.items():
        if (data / truth).is_file() and (data / mask).is_file():
            found[name] = io.read(data / truth).pixels, io.read(data / mask).pixels == 0
    if found:
        return found
    rng = np.random.default_rng(0)
    lines = np.zeros((192, 192), bool)
    lines[40:43] = lines[:, 100:102] = True
    return {
        "brick, half of the pixels": (brick()[:192, :192], rng.random((192, 192)) < 0.5),
        "camera, scratches": (camera()[100:292, 140:332], lines),
    }


if __name__ == "__main__":
    main()

"""Super-resolution benchmark: our methods beside bicubic interpolation, on pictures reduced by Pillow's bicubic.

    python benchmarks/super_resolution.py [--data FOLDER] [--images zebra,mice] [--ways fast,balanced]

PSNR and SSIM of the luminance (ITU-R BT.601, as the field reports it) without a border as wide as the factor, data
range 255; seconds, and the largest memory of the process so far.
Without a folder of pictures one of scikit-image's is used.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from pairs import DEFAULT_DATA
from PIL import Image
from skimage.data import camera
from ways import HELP, way

from napari_deep_prior import SuperResolve, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.files import images as io

FACTORS = {
    "denoise/confocal_mice_gt.tif": (2, 4),
    "sr/zebra_GT.png": (4,),
    "sr/set14_barbara.png": (2,),
    "sr/set14_comic.png": (2,),
    "sr/set14_pepper.png": (2,),
    "sr/set14_ppt3.png": (2,),
    "sr/set14_zebra.png": (2,),
}
SPAN = 255.0


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with the pictures")
    parser.add_argument("--images", default="", help="parts of their names, comma separated; default all")
    parser.add_argument("--ways", default="fast,balanced,zero-shot-sr/published", help=HELP)
    options = parser.parse_args()
    print(f"{'picture':24} {'factor':>6}  {'enlarged by':18} {'PSNR':>6} {'SSIM':>6} {'gain':>6} {'sec':>8} {'GiB':>6}")
    files = {name: factors for name, factors in FACTORS.items() if (options.data / name).is_file()}
    pictures = [(name, io.read(options.data / name).pixels, factors) for name, factors in files.items()]
    for name, truth, factors in pictures or [("camera", camera()[100:292, 140:332], (2,))]:
        if any(part in name for part in options.images.split(",")):
            for factor in factors:
                _measure(name, truth, factor, options.ways.split(","))


def _measure(name: str, truth: Array, factor: int, ways: list[str]) -> None:
    rows, columns = (length - length % factor for length in truth.shape[:2])
    truth = truth[:rows, :columns]
    small = _reduced(truth, factor)
    task = SuperResolve(factor=float(factor))
    before = None
    for each in ways:
        began = time.perf_counter()
        run = restore(small, task, **way(each), axes="YXS" if truth.ndim == 3 else "YX")
        if before is None:
            before = run.image
            print(f"{name:24} {factor:6}  {'bicubic':18} {_scores(before, truth, factor)}", flush=True)
        image = run.finish()
        seconds = time.perf_counter() - began
        gain = _psnr(image, truth, factor) - _psnr(before, truth, factor)
        # The peak of the whole process so far, in kilobytes on Linux.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        scores = _scores(image, truth, factor)
        print(f"{name:24} {factor:6}  {each:18} {scores} {gain:+6.2f} {seconds:8.1f} {peak:6.1f}", flush=True)


def _scores(image: Array, truth: Array, border: int) -> str:
    inside = (slice(border, -border),) * 2
    ssim = metrics.ssim(_luminance(image)[inside], _luminance(truth)[inside], span=SPAN)
    return f"{_psnr(image, truth, border):6.2f} {ssim:6.4f}"


def _reduced(truth: Array, factor: int) -> Array:
    size = truth.shape[1] // factor, truth.shape[0] // factor
    if truth.ndim == 3:
        return np.asarray(Image.fromarray(truth).resize(size, Image.Resampling.BICUBIC))
    return np.asarray(Image.fromarray(truth.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))


def _psnr(image: Array, truth: Array, border: int) -> float:
    inside = (slice(border, -border),) * 2
    error = np.mean((_luminance(image)[inside] - _luminance(truth)[inside]) ** 2)
    return float(10 * np.log10(SPAN**2 / error))


def _luminance(image: Array) -> Array:
    image = image.astype(np.float64)
    return image if image.ndim == 2 else 16 + image[..., :3] @ np.array([65.481, 128.553, 24.966]) / SPAN


if __name__ == "__main__":
    main()

"""Benchmark of JPEG artefacts: pictures are compressed, restored, and compared with what they were.

    python benchmarks/artifacts.py [--data FOLDER] [--images camera,kate] [--qualities 10,20,40] [--crop 256] [--blind]

PSNR and SSIM, data range 255; all colours together, chrominances shared by 2 × 2 pixels. Without a folder of pictures
some of scikit-image's are used. How coarsely a picture was rounded is told by its file; with --blind it has to be found
in the picture. The column "tables" says for either whether that would find it.
"""

from __future__ import annotations

import argparse
import io as memory
import time
from pathlib import Path

import numpy as np
from pairs import DEFAULT_DATA
from PIL import Image
from skimage import data
from ways import HELP, way

from napari_deep_prior import RemoveArtifacts, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.estimation.jpeg_tables import estimate_tables
from napari_deep_prior.files import images as io
from napari_deep_prior.physics.jpeg import BLOCK, tables_of_quality

PICTURES = {
    "mice": "denoise/confocal_mice_gt.tif",
    "F16": "denoise/F16_GT.png",
    "kate": "inpaint/kate.png",
    "barbara": "sr/set14_barbara.png",
    "comic": "sr/set14_comic.png",
    "ppt3": "sr/set14_ppt3.png",
}
SPAN = 255.0


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with the pictures")
    parser.add_argument("--images", default="", help="parts of their names, comma separated; default all")
    parser.add_argument("--qualities", default="10,20,40")
    parser.add_argument("--ways", default="fast,balanced", help=HELP)
    parser.add_argument("--crop", type=int, default=0, help="pixels along a side of the middle that is used; 0: all")
    parser.add_argument("--blind", action="store_true", help="do not tell how the pictures were compressed")
    options = parser.parse_args()
    print(f"{'picture':10} {'quality':>7} {'tables':8} {'image':10} {'PSNR':>7} {'SSIM':>7} {'seconds':>8}")
    for name, truth in _pictures(options.data).items():
        if not any(part in name for part in options.images.split(",")):
            continue
        for quality in map(int, options.qualities.split(",")):
            _measure(name, _middle(truth, options.crop), quality, options.ways.split(","), blind=options.blind)


def _measure(name: str, truth: Array, quality: int, ways: list[str], *, blind: bool) -> None:
    file = memory.BytesIO()
    Image.fromarray(truth).save(file, "JPEG", quality=quality)
    measured = np.asarray(Image.open(file))
    colour = truth.ndim == 3
    tables = tables_of_quality(quality, colour=colour)
    found = "found" if estimate_tables(measured) == tables else "missed"
    _row(name, quality, found, "jpeg", measured, truth, 0.0)
    task = RemoveArtifacts()
    for each in ways:
        began = time.perf_counter()
        run = restore(measured, task, **way(each), jpeg=None if blind else tables, axes="YXS" if colour else "YX")
        _row(name, quality, found, each, run.finish(), truth, time.perf_counter() - began)


def _row(name: str, quality: int, found: str, kind: str, image: Array, truth: Array, seconds: float) -> None:
    psnr = metrics.psnr(image, truth, span=SPAN)
    ssim = metrics.ssim(image, truth, span=SPAN, channel_axis=None if truth.ndim == 2 else -1)
    print(f"{name:10} {quality:7} {found:8} {kind:10} {psnr:7.2f} {ssim:7.4f} {seconds:8.1f}", flush=True)


def _middle(picture: Array, side: int) -> Array:
    """Return the middle of a picture, as wide as whole blocks of shared chrominances."""
    period = 2 * BLOCK
    rows, columns = (min(side or length, length) // period * period for length in picture.shape[:2])
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return np.ascontiguousarray(picture[top : top + rows, left : left + columns])


def _pictures(folder: Path) -> dict[str, Array]:
    found = {name: io.read(folder / file).pixels for name, file in PICTURES.items() if (folder / file).is_file()}
    return {"camera": data.camera(), "cell": data.cell(), "astronaut": data.astronaut()} | found


if __name__ == "__main__":
    main()

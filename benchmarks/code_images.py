"""What a network sees in two images: the principal components of its code in colours, beside the image.

    python benchmarks/code_images.py docs/images/codes.png [--side 320]

Generated cells with the noise of a camera, and the cameraman of scikit-image; an autoencoder is trained on each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.runs.encode import encode

GAP = 6
"""Pixels between the images."""


def main() -> None:
    """Encode the images and write them with their codes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="PNG to be written")
    parser.add_argument("--side", type=int, default=320, help="pixels along a side")
    options = parser.parse_args()
    side = options.side
    camera = data.camera()[40 : 40 + side, 90 : 90 + side]
    noisy = Camera().expose(cells((side, side), seed=4), np.random.default_rng(0))
    parts = []
    for name, image in (("cells", noisy), ("cameraman", camera)):
        code = encode(image)
        print(f"{name}: {code.in_words()}")
        low, high = np.quantile(image, [0.001, 0.999])
        grey = np.rint(255 * ((image - low) / (high - low)).clip(0, 1)).astype(np.uint8)
        parts += [np.stack([grey] * 3, axis=-1), _enlarged(code.colours, side)]
    white = np.full((side, GAP, 3), 255, np.uint8)
    row = [each for part in parts for each in (part, white)][:-1]
    Image.fromarray(np.concatenate(row, axis=1)).save(options.picture, optimize=True)


def _enlarged(colours: Array, side: int) -> Array:
    factor = -(-side // len(colours))
    return np.repeat(np.repeat(colours, factor, axis=0), factor, axis=1)[:side, :side]


if __name__ == "__main__":
    main()

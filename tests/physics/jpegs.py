"""Photographs as JPEG files, and their coefficients in double precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.fft
from PIL import Image
from skimage import data

from napari_deep_prior.physics.jpeg import JpegTables

SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}
"""Pillow's numbers for subsampling, and the rows and columns that share a chrominance."""

ROUNDING = 0.5
"""Standard deviation, in grey levels, of the error of a colour after the roundings of encoder and decoder: at most 3
of 1 / sqrt(12), to luminance and chrominance, out of the blocks, and to red, green and blue."""

SKEW = tuple(tuple(5 + 3 * row + 40 * (column > row) for column in range(8)) for row in range(8))
"""A table that differs from its transpose and from itself in any other order."""


def photograph(colour: bool, shape: tuple[int, int] = (96, 112)) -> np.ndarray:
    """Return a part of a photograph, 8 bits, without black and white, at which decoders clip."""
    whole = data.chelsea() if colour else data.camera()
    return (whole[150 : 150 + shape[0], 180 : 180 + shape[1]] * 0.8 + 25).astype(np.uint8)


def saved(path: Path, image: np.ndarray, **options: object) -> Path:
    Image.fromarray(image).save(path, "JPEG", **options)
    return path


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def reference(image: np.ndarray, tables: JpegTables) -> list[np.ndarray]:
    """Return the coefficients in steps, (block row, row, block column, column), in double precision, one by one."""
    planes, factors, steps = [image.astype(np.float64)], [(1, 1)], [tables.luminance]
    if image.ndim == 3:
        red, green, blue = np.moveaxis(planes[0], 2, 0)
        luminance = 0.299 * red + 0.587 * green + 0.114 * blue
        planes = [luminance, (blue - luminance) / 1.772, (red - luminance) / 1.402]
        factors += [tables.subsampling] * 2
        steps += [tables.chrominance] * 2
    coefficients = []
    for plane, (rows, columns), table in zip(planes, factors, steps, strict=True):
        full = np.pad(plane, ((0, -plane.shape[0] % rows), (0, -plane.shape[1] % columns)), mode="edge")
        small = np.mean([full[i::rows, j::columns] for i in range(rows) for j in range(columns)], axis=0)
        small = np.pad(small, ((0, -small.shape[0] % 8), (0, -small.shape[1] % 8)))
        blocks = small.reshape(small.shape[0] // 8, 8, small.shape[1] // 8, 8)
        coefficients.append(scipy.fft.dctn(blocks, axes=(1, 3), norm="ortho") / np.array(table)[:, None])
    return coefficients

"""Sample data for every task: images that lack something, each with its truth. Nothing is downloaded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from ..arrays.axes import Array
from ..arrays.phantom import Camera
from ..arrays.phantom import cells as phantom_cells

LayerData = tuple[Array, dict[str, Any], str]

SIGMA = 25.0
"""Noise of the cameraman, in grey levels of 255: the strength that denoising papers report."""

BRIGHT, DIM = 20.0, 0.2
"""Light as a multiple of that of the noisy cells: enough for hardly any noise, and far too little."""

QUALITY = 10
"""Quality of the JPEG: blocks and rings are visible at once."""

FACTOR = 2
"""Pixels of the truth in one large pixel, along rows and columns."""

FIELDS, GAP = 6, 8
"""Images to train on, in two rows, and pixels between them."""

PIXEL = 0.1
"""Width of a pixel, in micrometres."""


def cells() -> list[LayerData]:
    """Return a noisy image of fluorescent cells, 256 × 256, and its truth."""
    return _exposed((256, 256), _plane(PIXEL), "cells")


def cells_3d() -> list[LayerData]:
    """Return a noisy stack of fluorescent cells, 24 × 128 × 128, and its truth."""
    scale = {"scale": (2 * PIXEL, PIXEL, PIXEL), "units": ("um", "um", "um"), "axis_labels": ("z", "y", "x")}
    return _exposed((24, 128, 128), scale, "cells 3D")


def camera() -> list[LayerData]:
    """Return scikit-image's cameraman with Gaussian noise of strength ``SIGMA``, not clipped, and its truth."""
    truth = data.camera().astype(np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, SIGMA, truth.shape).astype(np.float32)
    return _pair(noisy, truth, {"axis_labels": ("y", "x")}, "camera")


def damaged() -> list[LayerData]:
    """Return cells, 192 × 192, with dead rows and scratches (label 1) and dead pixels (label 2), mask and truth."""
    generator = np.random.default_rng(0)
    truth = Camera().expose(BRIGHT * phantom_cells((192, 192)), generator)
    mask = (2 * (generator.random(truth.shape) < 0.05)).astype(np.uint8)
    mask[60:63] = mask[:, 120:122] = 1
    rows = np.arange(20, 150)
    mask[rows, rows + 15] = mask[rows, rows + 16] = 1
    image = np.where(mask > 0, 0, truth).astype(truth.dtype)
    place = _plane(PIXEL)
    first, last = _pair(image, truth, place, "cells", "damaged")
    return [first, last, (mask, {**place, "name": "cells (mask)"}, "labels")]


def two_stains() -> list[LayerData]:
    """Return dim cells, 192 × 192, a bright stain of the same cells for a guide, three pixels off, and the truth."""
    generator = np.random.default_rng(0)
    photons, sensor = phantom_cells((192, 192)), Camera()
    dim, truth = sensor.expose(DIM * photons, generator), sensor.expected(DIM * photons)
    bright = sensor.expose(BRIGHT * np.roll(np.sqrt(photons), (3, -2), axis=(0, 1)), generator)
    place = _plane(PIXEL)
    first, last = _pair(dim, truth, place, "stain", "dim")
    return [(bright, {**place, "name": "other stain (guide)", "visible": False}, "image"), first, last]


def jpeg() -> list[LayerData]:
    """Return a part of scikit-image's astronaut, 256 × 256, after JPEG compression of quality 10, and its truth."""
    truth = np.ascontiguousarray(data.astronaut()[:256, 96:352])
    file = io.BytesIO()
    Image.fromarray(truth).save(file, "JPEG", quality=QUALITY)
    return _pair(np.asarray(Image.open(file)), truth, {"rgb": True, "axis_labels": ("y", "x")}, "astronaut", "JPEG")


def large_pixels() -> list[LayerData]:
    """Return cells on a camera with pixels of twice the width, 96 × 96, and the truth, 192 × 192, where it lies."""
    photons, sensor = BRIGHT * phantom_cells((192, 192)), Camera()
    side = 192 // FACTOR
    binned = photons.reshape(side, FACTOR, side, FACTOR).sum(axis=(1, 3))
    small, truth = (sensor.expose(binned, np.random.default_rng(0)), sensor.expected(FACTOR**2 * photons))
    first, last = _pair(small, truth, _plane(PIXEL), "cells", "large pixels")
    first[1].update(scale=(FACTOR * PIXEL,) * 2, translate=((FACTOR - 1) * PIXEL / 2,) * 2)
    return [first, last]


def fields() -> list[LayerData]:
    """Return noisy images of six fields of fluorescent cells, 128 × 128, side by side: to train a network on."""
    sensor, generator, side = Camera(), np.random.default_rng(0), 128
    found = []
    for number in range(FIELDS):
        noisy = sensor.expose(phantom_cells((side, side), seed=number), generator)
        row, column = divmod(number, FIELDS // 2)
        place = _plane(PIXEL) | {"translate": (PIXEL * (side + GAP) * row, PIXEL * (side + GAP) * column)}
        found.append((noisy, {**place, "name": f"field {number + 1} (noisy)"}, "image"))
    return found


def _plane(pixel: float) -> dict[str, Any]:
    return {"scale": (pixel, pixel), "units": ("um", "um"), "axis_labels": ("y", "x")}


def _exposed(shape: tuple[int, ...], placement: dict[str, Any], name: str) -> list[LayerData]:
    sensor = Camera()
    photons = phantom_cells(shape)
    noisy = sensor.expose(photons, np.random.default_rng(0))
    return _pair(noisy, sensor.expected(photons), placement, name)


def _pair(image: Array, truth: Array, placement: dict[str, Any], name: str, state: str = "noisy") -> list[LayerData]:
    """Return an image and its truth, hidden; both have the limits in which the truth fits."""
    limits = (float(truth.min()), float(truth.max()))
    common = {**placement, "contrast_limits": limits}
    return [
        (image, {**common, "name": f"{name} ({state})"}, "image"),
        (truth, {**common, "name": f"{name} (truth)", "visible": False}, "image"),
    ]

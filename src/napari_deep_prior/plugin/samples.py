"""Sample data: images with noise of a known camera, each with its truth. Nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import data

from ..axes import Array
from ..phantom import Camera
from ..phantom import cells as phantom_cells

LayerData = tuple[Array, dict[str, Any], str]

SIGMA = 25.0
"""Noise of the cameraman, in grey levels of 255: the strength that denoising papers report."""


def cells() -> list[LayerData]:
    """Return a noisy picture of fluorescent cells, 256 × 256, and its truth."""
    scale = {"scale": (0.1, 0.1), "units": ("um", "um"), "axis_labels": ("y", "x")}
    return _exposed((256, 256), scale, "cells")


def cells_3d() -> list[LayerData]:
    """Return a noisy stack of fluorescent cells, 24 × 128 × 128, and its truth."""
    scale = {"scale": (0.2, 0.1, 0.1), "units": ("um", "um", "um"), "axis_labels": ("z", "y", "x")}
    return _exposed((24, 128, 128), scale, "cells 3D")


def camera() -> list[LayerData]:
    """Return scikit-image's cameraman with Gaussian noise of strength ``SIGMA``, not clipped, and its truth."""
    truth = data.camera().astype(np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, SIGMA, truth.shape).astype(np.float32)
    return _pair(noisy, truth, {"axis_labels": ("y", "x")}, "camera")


def _exposed(shape: tuple[int, ...], placement: dict[str, Any], name: str) -> list[LayerData]:
    sensor = Camera()
    photons = phantom_cells(shape)
    noisy = sensor.expose(photons, np.random.default_rng(0))
    return _pair(noisy, sensor.expected(photons), placement, name)


def _pair(noisy: Array, truth: Array, placement: dict[str, Any], name: str) -> list[LayerData]:
    """Return the noisy image and the truth, hidden; both have the limits in which the truth fits."""
    limits = (float(truth.min()), float(truth.max()))
    common = {**placement, "contrast_limits": limits}
    return [
        (noisy, {**common, "name": f"{name} (noisy)"}, "image"),
        (truth, {**common, "name": f"{name} (truth)", "visible": False}, "image"),
    ]

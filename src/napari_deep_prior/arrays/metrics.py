"""How close an image is to a reference. Every measure is of scikit-image or as its paper defines it."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_laplace
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .axes import Array

LOG_SIGMA = 1.5
LOG_RADIUS = 7
"""Laplacian of Gaussian of 15 × 15 pixels, sigma 1.5."""


def data_range(reference: Array) -> float:
    """Return the range of intensities that errors are compared to: 255 for 8-bit, else that of the reference."""
    if reference.dtype == np.uint8:
        return 255.0
    return float(reference.max()) - float(reference.min())


def mse(image: Array, reference: Array) -> float:
    """Return the mean squared error, in squared intensity units."""
    return float(np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2))


def psnr(image: Array, reference: Array, *, span: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB; ``span`` is the data range (see :func:`data_range`).

    Equal images have an infinite one.
    """
    span = data_range(reference) if span is None else span
    if mse(image, reference) == 0:
        return math.inf
    return float(peak_signal_noise_ratio(reference.astype(np.float64), image.astype(np.float64), data_range=span))


def ssim(image: Array, reference: Array, *, span: float | None = None, channel_axis: int | None = None) -> float:
    """Return the structural similarity with the Gaussian window of Wang et al. 2004 (11 pixels, sigma 1.5).

    doi 10.1109/TIP.2003.819861. Images smaller than the window raise a ValueError.
    """
    span = data_range(reference) if span is None else span
    return float(
        structural_similarity(
            reference.astype(np.float64),
            image.astype(np.float64),
            data_range=span,
            channel_axis=channel_axis,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def hfen(image: Array, reference: Array) -> float:
    """Return the high-frequency error norm: ‖LoG(image) − LoG(reference)‖ / ‖LoG(reference)‖; 0 means equal."""
    filtered = [
        gaussian_laplace(array.astype(np.float64), LOG_SIGMA, radius=LOG_RADIUS) for array in (image, reference)
    ]
    return float(np.linalg.norm(filtered[0] - filtered[1]) / np.linalg.norm(filtered[1]))

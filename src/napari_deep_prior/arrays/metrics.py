"""Measures of how close an image is to a reference."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_laplace
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .axes import Array

LOG_SIGMA, LOG_RADIUS = 1.5, 7
"""Pixels: standard deviation and radius of the Laplacian of Gaussian of 15 × 15 pixels in :func:`hfen`."""


def data_range(reference: Array) -> float:
    """Return the data range of PSNR and SSIM: 255 for an 8-bit reference, else its maximum less its minimum."""
    if reference.dtype == np.uint8:
        return 255.0
    return float(reference.max()) - float(reference.min())


def mse(image: Array, reference: Array) -> float:
    """Return the mean squared error, in squared intensity units."""
    return float(np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2))


def psnr(image: Array, reference: Array, *, span: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal images.

    Parameters
    ----------
    span : float, optional
        Data range, by default :func:`data_range` of the reference.
    """
    span = data_range(reference) if span is None else span
    if mse(image, reference) == 0:
        return math.inf
    return float(peak_signal_noise_ratio(reference.astype(np.float64), image.astype(np.float64), data_range=span))


def ssim(image: Array, reference: Array, *, span: float | None = None, channel_axis: int | None = None) -> float:
    """Return the structural similarity with the Gaussian window of 11 pixels and sigma 1.5.

    Wang et al. 2004, doi 10.1109/TIP.2003.819861.

    Parameters
    ----------
    span : float, optional
        Data range, by default :func:`data_range` of the reference.
    channel_axis : int, optional
        Axis of the channels, over which the mean is taken.

    Raises
    ------
    ValueError
        If the image is smaller than the window.
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
    """Return the high-frequency error norm, 0 for equal images.

    It is ‖LoG(image) − LoG(reference)‖ / ‖LoG(reference)‖ with the Laplacian of Gaussian (LoG) of Ravishankar & Bresler
    2011, doi 10.1109/TMI.2010.2090538.
    """
    filtered = [
        gaussian_laplace(array.astype(np.float64), LOG_SIGMA, radius=LOG_RADIUS) for array in (image, reference)
    ]
    return float(np.linalg.norm(filtered[0] - filtered[1]) / np.linalg.norm(filtered[1]))

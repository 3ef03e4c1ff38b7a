"""Measures of how close an image is to a reference."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_laplace

from .axes import Array

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
"""Pixels: side and standard deviation of the window of :func:`ssim`."""

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
    # It loads scipy.stats, which takes a fifth of the start of a program, and few runs need it.
    from skimage.metrics import peak_signal_noise_ratio

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
    return float(_similarity(image, reference, span, channel_axis)[0])


def ssim_map(image: Array, reference: Array, *, span: float) -> Array:
    """Return the structural similarity around every pixel of a plane.

    Its mean without the pixels along the edges whose window reaches beyond the image is :func:`ssim`.

    Raises
    ------
    ValueError
        If the image is smaller than the window.
    """
    return np.asarray(_similarity(image, reference, span, None)[1])


def hfen(image: Array, reference: Array) -> float:
    """Return the high-frequency error norm, 0 for equal images.

    It is ‖LoG(image) − LoG(reference)‖ / ‖LoG(reference)‖ with the Laplacian of Gaussian (LoG) of Ravishankar & Bresler
    2011, doi 10.1109/TMI.2010.2090538.
    """
    true = high_frequencies(reference)
    return float(np.linalg.norm(high_frequencies(image) - true) / np.linalg.norm(true))


def high_frequencies(image: Array) -> Array:
    """Return the Laplacian of Gaussian of an image, of which :func:`hfen` is the norm."""
    values = image.astype(np.float64)
    # The weights of the filter do not quite sum up to 0: a part of the brightness, 9e-6, would pass it.
    return np.asarray(gaussian_laplace(values - values.mean(), LOG_SIGMA, radius=LOG_RADIUS))


def _similarity(image: Array, reference: Array, span: float, channel_axis: int | None) -> tuple[float, Array]:
    """Return the structural similarity: its mean, and around every pixel."""
    from skimage.metrics import structural_similarity

    mean, every = structural_similarity(
        reference.astype(np.float64),
        image.astype(np.float64),
        data_range=span,
        channel_axis=channel_axis,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    return mean, every

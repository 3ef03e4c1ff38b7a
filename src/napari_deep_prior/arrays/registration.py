"""The shift of a guide against the image, estimated from the edges that both show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import fft, ndimage

from .axes import Array
from .resampling import filled

EDGE_SIGMAS = (1.0, 2.0)
"""Pixels of smoothing of the gradients that are correlated: fine edges are exact, coarse ones are robust to noise."""

EDGE_POWER = 0.75
"""Power of the gradient magnitudes; below 1, so that a few bright objects do not decide alone."""

PEAK_SIGMA, PEAK_RADIUS = 1.0, 4
"""Pixels: standard deviation of a peak of the correlation, and distance from it beyond which another peak counts."""

TRUSTED = 2.0
"""Height of the highest peak over the next one from which a shift is trusted; unrelated images hardly ever reach it."""

MOST_PIXELS = 2**24
"""Pixels from the middle of an image that suffice to estimate its shift."""


@final
@dataclass(frozen=True)
class Registration:
    """The shift of a guide.

    Parameters
    ----------
    shift : tuple of float
        Pixels along each axis by which the guide must be moved; zeros when not trusted.
    trusted : bool
        Whether one shift stands out: ``score`` is at least ``TRUSTED``.
    score : float
        Height of the correlation's peak over the next highest peak, wherever that is.
    """

    shift: tuple[float, ...]
    trusted: bool
    score: float


def registration_shift(target: Array, guide: Array, *, largest: int = 20, spatial: int | None = None) -> Registration:
    """Return by how many pixels a guide must be moved to lie on a target.

    Gradient magnitudes are registered by phase correlation (Kuglin & Hines 1975). An edge counts whichever of its
    sides is brighter, so bright field can be registered to fluorescence. The shift is not found for images that
    share no edges, such as different stains in different parts of a cell, and for periodic ones. With few objects
    it can be off by two pixels although it is trusted.

    Parameters
    ----------
    target, guide : ndarray
        Planes or volumes of the same shape; one axis of channels may precede. Values that are not finite are
        ignored.
    largest : int
        Largest shift along an axis, in pixels; never more than a quarter of the image.
    spatial : int, optional
        How many of the last axes are spatial, 2 or 3; by default all of the target's.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    spatial = target.ndim if spatial is None else spatial
    shape = target.shape[-spatial:]
    fits = all(image.ndim - spatial in (0, 1) and image.shape[-spatial:] == shape for image in (target, guide))
    if spatial not in (2, 3) or not fits:
        raise ValueError(
            f"the image has shape {target.shape}, the guide {guide.shape}: planes or volumes of the same shape are "
            "needed, with at most one axis of channels before; resample the guide first"
        )
    fixed, moving = _edges_at_all_scales(target, spatial), _edges_at_all_scales(guide, spatial)
    coarse, score = _highest_peak(_correlation(fixed, moving), largest)
    if score < TRUSTED:
        return Registration((0.0,) * spatial, trusted=False, score=score)
    # The overlap alone is correlated again, because the window of the whole image biases the peak towards zero.
    overlaps = [_overlap(step, length) for step, length in zip(coarse, fixed.shape[1:], strict=True)]
    correlation = _correlation(
        fixed[:, *(in_target for in_target, _ in overlaps)],
        moving[:, *(in_guide for _, in_guide in overlaps)],
    )
    fine, _ = _highest_peak(correlation, 1)
    fractions = (_vertex(correlation, fine, axis) for axis in range(spatial))
    shift = tuple(float(sum(parts)) for parts in zip(coarse, fine, fractions, strict=True))
    return Registration(shift, trusted=True, score=score)


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the middle of an image, all of it if it has no more than ``MOST_PIXELS``."""
    lengths = list(shape)
    while math.prod(lengths) > MOST_PIXELS:
        longest = lengths.index(max(lengths))
        lengths[longest] //= 2
    starts = [(whole - part) // 2 for whole, part in zip(shape, lengths, strict=True)]
    return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))


def _edges_at_all_scales(image: Array, spatial: int) -> Array:
    """Return the edges in the middle of a plane or volume, (scales, *S), averaged over channels."""
    channels = image.reshape(-1, *image.shape[-spatial:])
    middle = _middle(channels.shape[1:])
    scales = [sum(_edges(channel[middle], sigma) for channel in channels) / len(channels) for sigma in EDGE_SIGMAS]
    return np.stack(scales)


def _edges(values: Array, sigma: float) -> Array:
    """Return gradient magnitudes (float32) of mean 0 and variance 1; 0 where values are missing or all are equal."""
    image = values.astype(np.float64)
    nothing = np.zeros(image.shape, np.float32)
    finite = np.isfinite(image)
    if not finite.any() or image[finite].min() == image[finite].max():
        return nothing
    if not finite.all():
        image = filled(image, ~finite)
    image = ((image - image.mean()) / image.std()).astype(np.float32)
    gradient = ndimage.gaussian_gradient_magnitude(image, sigma, mode="nearest") ** EDGE_POWER
    known = gradient[finite]
    return np.where(finite, (gradient - known.mean()) / known.std(), nothing) if known.std() > 0 else nothing


def _correlation(fixed: Array, moving: Array) -> Array:
    """Return the phase correlation for every cyclic shift of ``moving``, summed over the scales (scales, *S).

    Its peaks are Gaussians of standard deviation ``PEAK_SIGMA``.
    """
    shape = fixed.shape[1:]
    correlation = np.zeros(shape, np.float32)
    for pair in zip(fixed, moving, strict=True):
        ours, theirs = (fft.rfftn(_windowed(edges)) for edges in pair)
        spectrum = ours * theirs.conj()
        spectrum /= np.maximum(np.abs(spectrum), np.finfo(np.float32).tiny)
        correlation += fft.irfftn(ndimage.fourier_gaussian(spectrum, PEAK_SIGMA, n=shape[-1]), shape)
    return correlation


def _windowed(edges: Array) -> Array:
    """Return edges that fade to 0 at the borders, so that the borders themselves are not registered."""
    for axis, length in enumerate(edges.shape):
        window = np.hanning(length + 2)[1:-1].astype(np.float32)
        edges = edges * np.expand_dims(window, [other for other in range(edges.ndim) if other != axis])
    return edges


def _highest_peak(correlation: Array, largest: int) -> tuple[tuple[int, ...], float]:
    """Return the allowed shift with the highest correlation, and its height over the highest one elsewhere."""
    limits = [min(largest, (length - 1) // 4) for length in correlation.shape]
    allowed = correlation[np.ix_(*(np.arange(-limit, limit + 1) for limit in limits))]
    index = np.unravel_index(allowed.argmax(), allowed.shape)
    peak = tuple(int(at) - limit for at, limit in zip(index, limits, strict=True))
    around = np.ix_(
        *(
            np.arange(at - PEAK_RADIUS, at + PEAK_RADIUS + 1) % length
            for at, length in zip(peak, correlation.shape, strict=True)
        )
    )
    # Where the allowed shift is on the slope of a peak beyond the allowed ones, that peak is the rival.
    rival = float(correlation[around].max())
    if rival <= allowed.max():
        elsewhere = correlation.copy()
        elsewhere[around] = 0
        rival = float(elsewhere.max())
    # An image no larger than a peak has no other shift to compare with.
    return peak, float(allowed.max()) / rival if rival > 0 else 0.0


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Return the pixels along an axis of a target that the moved guide covers, and the guide's pixels that do so."""
    return slice(max(shift, 0), length + min(shift, 0)), slice(max(-shift, 0), length - max(shift, 0))


def _vertex(correlation: Array, peak: tuple[int, ...], axis: int) -> float:
    """Return the offset along an axis of the vertex of the parabola through a peak and its neighbours, in pixels."""
    length = correlation.shape[axis]
    if length < 5:
        return 0.0
    below, top, above = (
        float(correlation[tuple(at + step * (axis == own) for own, at in enumerate(peak))]) for step in (-1, 0, 1)
    )
    curvature = below - 2 * top + above
    return 0.0 if curvature >= 0 else min(max((below - above) / (2 * curvature), -0.5), 0.5)

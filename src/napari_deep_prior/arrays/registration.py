"""Another image brought onto the grid of a target: a mask or a guide, by the transforms of both and by what it shows.

Coordinates are those of arrays: the centre of the first pixel is 0, that of the next one 1; a pixel is its centre
plus and minus a half.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

ROUNDING = 1e-3
"""Pixels: transforms of which the coordinates of a target are this close to whole numbers are meant to be."""

FINER_IMAGE, FINER_MASK = 1.5, 1.01
"""Source pixels per target pixel from which on a source is summed up over the target's pixels, not just sampled."""

EDGE_SIGMAS = (1.0, 2.0)
"""Pixels of smoothing of the gradients that are compared: fine edges place exactly, coarse ones stand noise."""

EDGE_POWER = 0.75
"""Power of the gradients that are compared: a few bright objects must not decide alone."""

PEAK_SIGMA, APART = 1.0, 4
"""Pixels: the width that peaks of the correlation are given, and how far away another peak is another place."""

TRUSTED = 2.0
"""How many times higher than any other peak one has to be; those of unrelated pictures hardly ever are."""

MOST_PIXELS = 2**24
"""The middle of a larger image says enough about its shift."""


@final
@dataclass(frozen=True)
class Registration:
    """Where a guide lies on a target.

    Parameters
    ----------
    shift : tuple of float
        Pixels along each axis by which the guide must be moved; zeros when not trusted.
    trusted : bool
        Whether one place stands out: ``score`` is at least ``TRUSTED``.
    score : float
        Height of the correlation at the best place over that at the next best one, wherever that is.
    """

    shift: tuple[float, ...]
    trusted: bool
    score: float


def resample(values: Array, *, transform: Array, shape: tuple[int, ...], order: int) -> tuple[Array, Mask]:
    """Return a source on the grid of a target, and where it covers it.

    Parameters
    ----------
    values : ndarray, n axes
        A mask or labels (order 0), or an image. Values of an image that are not finite stay NaN where they are, and
        do not spread.
    transform : ndarray, (n + 1, n + 1)
        Homogeneous matrix from coordinates of the target to coordinates of the source. The identity, and shifts by
        whole pixels, give the values exactly.
    shape : tuple of int
        Pixels of the target along its n axes.
    order : {0, 1, 3}
        0 for masks and labels: the value of the nearest pixel, 0 beyond the source. Where the source is finer than
        the target it is the largest value of any pixel that reaches into the area of the target's pixel, so that
        thin lines are not lost. 1 (linear) or 3 (cubic) for images: float32, edges replicated beyond the source.
        A source that is much finer is smoothed before, with sigma (pixels per pixel - 1) / 2.

    Returns
    -------
    resampled : ndarray, ``shape``
        Of the type of ``values`` for order 0.
    covered : ndarray of bool, ``shape``
        Where the centre of the target's pixel lies within a pixel of the source.

    Raises
    ------
    ValueError
        If the source has no pixels, or numbers of axes, transform or order do not fit.
    """
    matrix = _checked(values, np.asarray(transform, np.float64), shape, order)
    # World coordinates leave rounding behind, and what is meant to be a whole pixel must not be interpolated.
    extent = np.array([*shape, 1])
    matrix = np.where(np.abs(matrix - np.rint(matrix)) * extent < ROUNDING, np.rint(matrix), matrix)
    resampled = _marked(values, matrix, shape) if order == 0 else _interpolated(values, matrix, shape, order)
    return resampled, _covered(values.shape, matrix, shape)


def refuse_no_overlap(covered: Mask, what: str) -> None:
    """Raise a ValueError if a source, called ``what`` in the sentence, covers no pixel of the target."""
    if not covered.any():
        raise ValueError(
            f"{what} does not overlap the image in world coordinates: check scale and translate of the layers"
        )


def shifted(values: Array, shift: Sequence[float] | Array, *, order: int = 1) -> Array:
    """Return an array moved by a shift in pixels, whole or not, edges replicated.

    Parameters
    ----------
    values : ndarray
        Order 0 keeps its type, 1 and 3 make float32.
    shift : sequence of float
        Along the last axes; those before, such as channels, are left alone.
    order : {0, 1, 3}
        0 for masks and labels, 1 (linear) or 3 (cubic) for images.

    Raises
    ------
    ValueError
        If the shift has more numbers than the array has axes, or the order is another one.
    """
    if len(shift) > values.ndim:
        raise ValueError(
            f"a shift along {len(shift)} axes, {list(shift)}, is too long for an array of {values.ndim} axes"
        )
    matrix = np.eye(values.ndim + 1)
    matrix[values.ndim - len(shift) : -1, -1] = -np.asarray(shift, np.float64)
    matrix = _checked(values, matrix, values.shape, order)
    if order == 0:
        return _sampled(values, matrix, values.shape, 0, mode="nearest")
    return _interpolated(values, matrix, values.shape, order)


def registration_shift(target: Array, guide: Array, *, largest: int = 20, spatial: int | None = None) -> Registration:
    """Return by how many pixels a guide must be moved to lie on a target.

    The phases of gradient magnitudes are correlated (Kuglin & Hines 1975): where there is an edge in both, it does
    not matter which side is brighter, so bright field can be registered to fluorescence. Images that share no edges,
    such as different stains in different parts of a cell, are not found, and nor are periodic ones. Where few objects
    decide, the shift can be off by two pixels although it is trusted.

    Parameters
    ----------
    target, guide : ndarray
        Planes or volumes of the same shape; one axis of channels may be before. Values that are not finite are left
        out.
    largest : int
        Pixels along an axis that a shift may have; never more than a quarter of the image.
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
    fixed, moving = _outlines(target, spatial), _outlines(guide, spatial)
    place, score = _best_place(_correlation(fixed, moving), largest)
    if score < TRUSTED:
        return Registration((0.0,) * spatial, trusted=False, score=score)
    # What both show is compared once more, so that the windows do not pull the peak towards zero.
    overlaps = [_overlap(step, length) for step, length in zip(place, fixed.shape[1:], strict=True)]
    again = _correlation(
        fixed[:, *(mine for mine, _ in overlaps)],
        moving[:, *(other for _, other in overlaps)],
    )
    rest, _ = _best_place(again, 1)
    parts = (_vertex(again, rest, axis) for axis in range(spatial))
    shift = tuple(float(whole + step + part) for whole, step, part in zip(place, rest, parts, strict=True))
    return Registration(shift, trusted=True, score=score)


def _checked(values: Array, transform: Array, shape: tuple[int, ...], order: int) -> Array:
    """Return the transform if everything fits."""
    axes = values.ndim
    if values.size == 0:
        raise ValueError(f"an array of shape {values.shape} has no pixels to bring onto another image")
    if transform.shape != (axes + 1, axes + 1) or len(shape) != axes:
        raise ValueError(
            f"an array of {axes} axes cannot be brought onto {len(shape)} axes by a transform of shape "
            f"{transform.shape}: {axes} axes and a transform of shape {(axes + 1, axes + 1)} are needed"
        )
    if not np.isfinite(transform).all() or not np.array_equal(transform[-1], [0] * axes + [1]):
        raise ValueError(f"the transform {transform.tolist()} is not affine: its last row must be 0, ..., 0, 1")
    if order not in (0, 1, 3):
        raise ValueError(f"the order of interpolation is {order}; it must be 0 (masks), 1 (linear) or 3 (cubic)")
    return transform


def _marked(values: Array, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return the largest value of all pixels that reach into the areas of the target's; the nearest if not finer."""
    linear = matrix[:-1, :-1]
    scales = np.linalg.norm(linear, axis=0)
    aligned = (np.count_nonzero(linear, axis=0) <= 1).all()
    # Places a source pixel apart find every pixel; turned, they must be closer than the diagonal of one.
    closeness = 1 if aligned else math.sqrt(len(shape))
    places = []
    for scale in scales:
        if scale <= FINER_MASK:
            places.append(np.zeros(1))
            continue
        # From edge to edge of the area, just inside: a pixel that only touches it does not count.
        end = 0.5 - ROUNDING / scale
        places.append(np.linspace(-end, end, math.ceil(scale * closeness - ROUNDING) + 1))
    samples = (
        _sampled(values, _moved(matrix, linear @ np.array(place)), shape, 0, mode="grid-constant")
        for place in itertools.product(*places)
    )
    marked = next(samples)
    for sample in samples:
        np.maximum(marked, sample, out=marked)
    return marked


def _moved(matrix: Array, shift: Array) -> Array:
    moved = matrix.copy()
    moved[:-1, -1] += shift
    return moved


def _interpolated(values: Array, matrix: Array, shape: tuple[int, ...], order: int) -> Array:
    """Return an image on the grid of a target, float32."""
    image = values.astype(np.float32)
    if np.array_equal(matrix, np.eye(len(matrix))) and shape == values.shape:
        return image
    missing = ~np.isfinite(image)
    if missing.all():
        return np.full(shape, np.nan, np.float32)
    if missing.any():
        image = _filled(image, missing)
    scales = np.linalg.norm(matrix[:-1, :-1], axis=1)
    if (scales > FINER_IMAGE).any():
        image = ndimage.gaussian_filter(image, np.where(scales > FINER_IMAGE, (scales - 1) / 2, 0), mode="nearest")
    whole = np.array_equal(matrix, np.rint(matrix))
    resampled = _sampled(image, matrix, shape, 0 if whole else order, mode="nearest")
    if missing.any():
        resampled[_sampled(missing, matrix, shape, 0, mode="nearest")] = np.nan
    return resampled


def _filled(values: Array, missing: Mask) -> Array:
    """Return an array with the nearest other value where values are missing, which makes no edge."""
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def _sampled(
    values: Array, matrix: Array, shape: tuple[int, ...], order: int, *, mode: Literal["nearest", "grid-constant"]
) -> Array:
    """Return values at the places of a target; beyond the source its edges, or 0."""
    return np.asarray(ndimage.affine_transform(values, matrix, output_shape=shape, order=order, mode=mode, cval=0))


def _covered(source: tuple[int, ...], matrix: Array, shape: tuple[int, ...]) -> Mask:
    """Return where the centres of a target's pixels lie within pixels of a source of that shape."""
    covered = np.ones(shape, bool)
    grid = np.ogrid[tuple(slice(length) for length in shape)]
    for length, row in zip(source, matrix[:-1], strict=True):
        # One after the other, so that axes that are not mixed stay vectors.
        place = row[-1] + sum(weight * along for weight, along in zip(row[:-1], grid, strict=True) if weight != 0)
        covered &= (place >= -0.5 - ROUNDING) & (place <= length - 0.5 + ROUNDING)
    return covered


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the middle of an image, all of it if it has no more than ``MOST_PIXELS``."""
    lengths = list(shape)
    while math.prod(lengths) > MOST_PIXELS:
        longest = lengths.index(max(lengths))
        lengths[longest] //= 2
    starts = [(whole - part) // 2 for whole, part in zip(shape, lengths, strict=True)]
    return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))


def _outlines(image: Array, spatial: int) -> Array:
    """Return the edges in the middle of a plane or volume at every scale, (scales, ...), the mean over channels."""
    channels = image.reshape(-1, *image.shape[-spatial:])
    middle = _middle(channels.shape[1:])
    scales = [sum(_edges(channel[middle], sigma) for channel in channels) / len(channels) for sigma in EDGE_SIGMAS]
    return np.stack(scales)


def _edges(values: Array, sigma: float) -> Array:
    """Return where gradients are (float32), of mean 0 and deviation 1; 0 where no image is, or nothing in it."""
    image = values.astype(np.float64)
    nothing = np.zeros(image.shape, np.float32)
    finite = np.isfinite(image)
    if not finite.any() or image[finite].min() == image[finite].max():
        return nothing
    if not finite.all():
        image = _filled(image, ~finite)
    image = ((image - image.mean()) / image.std()).astype(np.float32)
    gradient = ndimage.gaussian_gradient_magnitude(image, sigma, mode="nearest") ** EDGE_POWER
    seen = gradient[finite]
    return np.where(finite, (gradient - seen.mean()) / seen.std(), nothing) if seen.std() > 0 else nothing


def _correlation(fixed: Array, moving: Array) -> Array:
    """Return the phase correlation for every cyclic shift of ``moving``, the sum over all scales (scales, ...).

    Its peaks get the width ``PEAK_SIGMA``.
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
    """Return edges that fade to nothing at the borders, which both images share but which show nothing."""
    for axis, length in enumerate(edges.shape):
        window = np.hanning(length + 2)[1:-1].astype(np.float32)
        edges = edges * np.expand_dims(window, [other for other in range(edges.ndim) if other != axis])
    return edges


def _best_place(correlation: Array, largest: int) -> tuple[tuple[int, ...], float]:
    """Return the shift of the highest value among the allowed ones, and how many times higher it is than elsewhere."""
    limits = [min(largest, (length - 1) // 4) for length in correlation.shape]
    allowed = np.ix_(*(np.arange(-limit, limit + 1) for limit in limits))
    near = correlation[allowed]
    index = np.unravel_index(near.argmax(), near.shape)
    place = tuple(int(at) - limit for at, limit in zip(index, limits, strict=True))
    around = np.ix_(
        *(np.arange(at - APART, at + APART + 1) % length for at, length in zip(place, correlation.shape, strict=True))
    )
    # On the slope of a peak beyond the allowed shifts, that one is the rival.
    rival = float(correlation[around].max())
    if rival <= near.max():
        elsewhere = correlation.copy()
        elsewhere[around] = 0
        rival = float(elsewhere.max())
    # An image that is no larger than a peak has no other place.
    return place, float(near.max()) / rival if rival > 0 else 0.0


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Return the pixels along an axis of a target that a moved guide covers, and those of the guide."""
    return slice(max(shift, 0), length + min(shift, 0)), slice(max(-shift, 0), length - max(shift, 0))


def _vertex(correlation: Array, place: tuple[int, ...], axis: int) -> float:
    """Return how far along an axis the top of a peak is from its highest pixel: that of the parabola through three."""
    length = correlation.shape[axis]
    if length < 5:
        return 0.0
    below, top, above = (
        float(correlation[tuple(at + step * (axis == own) for own, at in enumerate(place))]) for step in (-1, 0, 1)
    )
    curvature = below - 2 * top + above
    return 0.0 if curvature >= 0 else min(max((below - above) / (2 * curvature), -0.5), 0.5)

"""Images and masks on the pixel grid of another image.

Coordinates are those of arrays: the centre of the first pixel is 0, that of the next one 1, and a pixel reaches half
a pixel to each side of its centre. The *source* is the array that is resampled, the *target* the grid that it is
resampled onto.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .axes import Array

Mask = npt.NDArray[np.bool_]

ROUNDING = 1e-3
"""Pixels by which target coordinates may differ from whole numbers and still count as whole."""

FINER_IMAGE, FINER_MASK = 1.5, 1.01
"""Source pixels per target pixel above which all source pixels are taken into account and not only the nearest ones."""


def resample(values: Array, *, transform: Array, shape: tuple[int, ...], order: int) -> tuple[Array, Mask]:
    """Return a source on the grid of a target, and where the source covers the target.

    Parameters
    ----------
    values : ndarray, n axes
        The source: a mask or labels (order 0), or an image. Values of an image that are not finite become NaN at
        their place and do not spread.
    transform : ndarray, (n + 1, n + 1)
        Homogeneous matrix from target coordinates to source coordinates. The identity and shifts by whole pixels
        return the values exactly.
    shape : tuple of int
        Pixels of the target along its n axes.
    order : {0, 1, 3}
        0 for masks and labels: the value of the nearest pixel, 0 beyond the source. Where the source is finer than
        the target, the largest value of all source pixels that overlap the target pixel, so that thin lines are not
        lost. 1 (linear) or 3 (cubic) for images: float32, edges replicated beyond the source. A source that is much
        finer is first smoothed with a Gaussian of sigma (source pixels per target pixel - 1) / 2.

    Returns
    -------
    resampled : ndarray, ``shape``
        With the type of ``values`` for order 0.
    covered : ndarray of bool, ``shape``
        Where the centre of the target pixel lies within a source pixel.

    Raises
    ------
    ValueError
        If the source has no pixels, or the number of axes, the transform or the order do not fit.
    """
    matrix = _checked(values, np.asarray(transform, np.float64), shape, order)
    # Products of world coordinates are rounded; what is meant to be a whole pixel must not be interpolated.
    extent = np.array([*shape, 1])
    matrix = np.where(np.abs(matrix - np.rint(matrix)) * extent < ROUNDING, np.rint(matrix), matrix)
    resampled = _resampled_mask(values, matrix, shape) if order == 0 else _resampled_image(values, matrix, shape, order)
    return resampled, _covered(values.shape, matrix, shape)


def refuse_no_overlap(covered: Mask, source: str) -> None:
    """Raise a ValueError that names the source if it covers no pixel of the image."""
    if not covered.any():
        raise ValueError(
            f"{source} does not overlap the image in world coordinates: check scale and translate of the layers"
        )


def shifted(values: Array, shift: Sequence[float] | Array, *, order: int = 1) -> Array:
    """Return an array moved by a shift in pixels, whole or not; edges are replicated.

    Parameters
    ----------
    values : ndarray
        Order 0 keeps its type, orders 1 and 3 return float32.
    shift : sequence of float
        Along the last axes; the axes before them, such as channels, are not shifted.
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
    return _resampled_image(values, matrix, values.shape, order)


def filled(values: Array, missing: Mask) -> Array:
    """Return an array whose missing values are replaced by the nearest other ones, which makes no new edge."""
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def _checked(values: Array, transform: Array, shape: tuple[int, ...], order: int) -> Array:
    """Return the transform, or raise a ValueError if something does not fit."""
    axes = values.ndim
    if values.size == 0:
        raise ValueError(f"an array of shape {values.shape} has no pixels that could be resampled")
    if transform.shape != (axes + 1, axes + 1) or len(shape) != axes:
        raise ValueError(
            f"an array of {axes} axes cannot be resampled onto {len(shape)} axes by a transform of shape "
            f"{transform.shape}: {axes} axes and a transform of shape {(axes + 1, axes + 1)} are needed"
        )
    if not np.isfinite(transform).all() or not np.array_equal(transform[-1], [0] * axes + [1]):
        raise ValueError(f"the transform {transform.tolist()} is not affine: its last row must be 0, ..., 0, 1")
    if order not in (0, 1, 3):
        raise ValueError(f"the order of interpolation is {order}; it must be 0 (masks), 1 (linear) or 3 (cubic)")
    return transform


def _resampled_mask(values: Array, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return the largest source value in each target pixel, or the nearest one where the source is not finer."""
    linear = matrix[:-1, :-1]
    scales = np.linalg.norm(linear, axis=0)
    aligned = (np.count_nonzero(linear, axis=0) <= 1).all()
    # Samples one source pixel apart find every pixel of an aligned source; of a rotated one they must be closer, by
    # the diagonal of a pixel.
    density = 1 if aligned else math.sqrt(len(shape))
    offsets = []
    for scale in scales:
        if scale <= FINER_MASK:
            offsets.append(np.zeros(1))
            continue
        # From edge to edge of the target pixel, just inside: a source pixel that only touches it does not count.
        end = 0.5 - ROUNDING / scale
        offsets.append(np.linspace(-end, end, math.ceil(scale * density - ROUNDING) + 1))
    samples = (
        _sampled(values, _translated(matrix, linear @ np.array(offset)), shape, 0, mode="grid-constant")
        for offset in itertools.product(*offsets)
    )
    largest = next(samples)
    for sample in samples:
        np.maximum(largest, sample, out=largest)
    return largest


def _translated(matrix: Array, shift: Array) -> Array:
    translated = matrix.copy()
    translated[:-1, -1] += shift
    return translated


def _resampled_image(values: Array, matrix: Array, shape: tuple[int, ...], order: int) -> Array:
    """Return an image on the grid of a target, float32."""
    image = values.astype(np.float32)
    if np.array_equal(matrix, np.eye(len(matrix))) and shape == values.shape:
        return image
    missing = ~np.isfinite(image)
    if missing.all():
        return np.full(shape, np.nan, np.float32)
    if missing.any():
        image = filled(image, missing)
    scales = np.linalg.norm(matrix[:-1, :-1], axis=1)
    if (scales > FINER_IMAGE).any():
        image = ndimage.gaussian_filter(image, np.where(scales > FINER_IMAGE, (scales - 1) / 2, 0), mode="nearest")
    whole = np.array_equal(matrix, np.rint(matrix))
    resampled = _sampled(image, matrix, shape, 0 if whole else order, mode="nearest")
    if missing.any():
        resampled[_sampled(missing, matrix, shape, 0, mode="nearest")] = np.nan
    return resampled


def _sampled(
    values: Array, matrix: Array, shape: tuple[int, ...], order: int, *, mode: Literal["nearest", "grid-constant"]
) -> Array:
    """Return values at the pixel centres of a target; beyond the source, its edge values or 0."""
    return np.asarray(ndimage.affine_transform(values, matrix, output_shape=shape, order=order, mode=mode, cval=0))


def _covered(source: tuple[int, ...], matrix: Array, shape: tuple[int, ...]) -> Mask:
    """Return where the pixel centres of a target lie within the pixels of a source of that shape."""
    covered = np.ones(shape, bool)
    grid = np.ogrid[tuple(slice(length) for length in shape)]
    for length, row in zip(source, matrix[:-1], strict=True):
        # Axes without a weight are left out, so that the sum of those that are not mixed stays a vector.
        position = row[-1] + sum(weight * axis for weight, axis in zip(row[:-1], grid, strict=True) if weight != 0)
        covered &= (position >= -0.5 - ROUNDING) & (position <= length - 0.5 + ROUNDING)
    return covered

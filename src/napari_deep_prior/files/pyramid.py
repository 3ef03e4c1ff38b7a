"""The smaller arrays of an OME-Zarr, by which a viewer shows large planes fast."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays.axes import Array
from ..arrays.frame import to_dtype
from .ngff import Level

SMALLEST = 256
"""Pixels along Y or X up to which no smaller array is needed."""


def add_levels(group: Any, largest: str, axes: str) -> tuple[list[Level], list[tuple[float, float]]]:
    """Write means over 2 × 2 pixels of an array of a group, and of those again, until they are small.

    Parameters
    ----------
    group : zarr.Group
        The arrays are written into it; older ones are replaced.
    largest : str
        Path of the array.
    axes : str
        One letter per axis.

    Returns
    -------
    levels : list of Level
        All arrays, the largest one first.
    limits : list of (float, float)
        Smallest and largest finite value of each channel, in the smallest array.
    """
    levels, array = [Level(path=largest)], group[largest]
    while max(array.shape[axes.index(letter)] for letter in "YX") > SMALLEST:
        array, fewer = _halved(group, str(len(levels)), array, axes)
        factors = {letter: levels[-1].factors.get(letter, 1) * (2 if letter in fewer else 1) for letter in "YX"}
        levels.append(Level(path=str(len(levels)), factors=factors))
    return levels, _limits(array, axes)


def _halved(group: Any, path: str, array: Any, axes: str) -> tuple[Any, str]:
    """Write the means of an array, and return them and the axes that have half as many pixels."""
    # A line of one pixel cannot be halved.
    fewer = "".join(letter for letter in "YX" if array.shape[axes.index(letter)] > 1)
    shape = tuple(length // 2 if letter in fewer else length for letter, length in zip(axes, array.shape, strict=True))
    chunks = tuple(map(min, array.chunks, shape))
    names = array.metadata.dimension_names
    smaller = group.create_array(
        path, shape=shape, dtype=array.dtype, chunks=chunks, fill_value=0, dimension_names=names, overwrite=True
    )
    for part in _parts(shape, chunks):
        source = tuple(
            slice(2 * each.start, 2 * each.stop) if letter in fewer else each
            for letter, each in zip(axes, part, strict=True)
        )
        smaller[part] = to_dtype(_means(np.asarray(array[source]), axes, fewer), array.dtype)
    return smaller, fewer


def _parts(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield where the chunks of an array lie."""
    along = [
        [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]
        for length, chunk in zip(shape, chunks, strict=True)
    ]
    yield from itertools.product(*along)


def _means(values: Array, axes: str, fewer: str) -> Array:
    means = values.astype(np.float64)
    for letter in fewer:
        axis = axes.index(letter)
        even, odd = (np.take(means, range(start, means.shape[axis], 2), axis) for start in (0, 1))
        means = (even + odd) / 2
    return means


def _limits(array: Any, axes: str) -> list[tuple[float, float]]:
    channel = axes.index("C") if "C" in axes else None
    found = [(np.inf, -np.inf)] * (1 if channel is None else array.shape[channel])
    for part in _parts(array.shape, array.chunks):
        values = np.asarray(array[part])
        values = values[np.isfinite(values)]
        number = 0 if channel is None else part[channel].start
        if values.size:
            low, high = found[number]
            found[number] = (min(low, float(values.min())), max(high, float(values.max())))
    return [(low, high) if low <= high else (0.0, 0.0) for low, high in found]

"""Stacks: which parts of a larger array are restored one after another."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .axes import Array, stack_axes

MOST_FRAMES = 8
"""Frames of a time lapse from which the noise is told."""

Index = tuple[int | slice, ...]


def slices(shape: tuple[int, ...], axes: str, *, volume: bool) -> list[Index]:
    """Return the index of every plane (or volume) of an array, in order; channels stay together.

    An array without stack axes is one slice, all of it.
    """
    stacked = stack_axes(axes, volume=volume)
    ranges = [range(shape[axes.index(letter)]) for letter in stacked]
    indices = []
    for position in itertools.product(*ranges):
        at = dict(zip(stacked, position, strict=True))
        indices.append(tuple(at.get(letter, slice(None)) for letter in axes))
    return indices


def sample(image: Any, axes: str, *, frames: int = MOST_FRAMES) -> Array:
    """Return some neighbouring frames from the middle of the ``T`` axis, all of the other axes at their middle.

    Enough to tell the noise by the differences of neighbours; a lazy array is read only there.
    """
    index: list[slice] = []
    for letter, length in zip(axes, image.shape, strict=True):
        if letter == "T":
            first = max(0, (length - frames) // 2)
            index.append(slice(first, first + frames))
        elif letter in stack_axes(axes, volume=False):
            index.append(slice(length // 2, length // 2 + 1))
        else:
            index.append(slice(None))
    return np.asarray(image[tuple(index)])


def slice_axes(axes: str, *, volume: bool) -> str:
    """Return the letters of the axes that one slice has."""
    stacked = stack_axes(axes, volume=volume)
    return "".join(letter for letter in axes if letter not in stacked)

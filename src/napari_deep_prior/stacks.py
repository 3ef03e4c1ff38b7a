"""Stacks: which parts of a larger array are restored one after another."""

from __future__ import annotations

import itertools

from .axes import stack_axes

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


def slice_axes(axes: str, *, volume: bool) -> str:
    """Return the letters of the axes that one slice has."""
    stacked = stack_axes(axes, volume=volume)
    return "".join(letter for letter in axes if letter not in stacked)

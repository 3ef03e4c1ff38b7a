"""Slices that are compared where an image of one slice is compared with a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from napari.layers import Image

from ..arrays.axes import CHANNEL_AXES, Array, stack_axes
from ..runs.source import ArrayLike
from .crop import cropped
from .layers import axes_of, pixels_of

NEAR = 0.01
"""Slices by which the place of a slice may differ from that of one of the stack's."""


@final
@dataclass(frozen=True)
class Aligned:
    """What is compared of a reference and of results.

    Parameters
    ----------
    spans : tuple of slice
        Of the reference, one for each of its axes.
    layers, pixels : mapping of str to Image, mapping of str to array
        The results by their names, and what is compared of them, with the axes of the reference.
    is_part : bool
        Whether that is not all of the reference.
    words : str
        Which slices these are; empty if they are all.
    """

    spans: tuple[slice, ...]
    layers: Mapping[str, Image]
    pixels: Mapping[str, ArrayLike]
    is_part: bool
    words: str = ""


def aligned(reference: Image, results: Sequence[Image], point: Sequence[float]) -> Aligned:
    """Return the slices of a reference that results show, and those that are shown now where there is a choice.

    A result of fewer slices counts where it lies in the world; one without an axis of the stack at the slice that is
    shown. Of a result that is a stack the slice is taken that is shown, if the reference has no such axis.

    Parameters
    ----------
    point : sequence of float
        Where the sliders of the viewer stand.

    Raises
    ------
    ValueError
        If results show different slices.
    """
    axes, shape = axes_of(reference), tuple(pixels_of(reference).shape)
    found: dict[tuple[tuple[int, int], ...], str] = {}
    pixels, words = {}, []
    for result in results:
        spans, own, surplus = _aligned(reference, axes, result, point)
        found.setdefault(tuple((span.start, span.stop) for span in spans), result.name)
        pixels[result.name] = own
        if surplus:
            words.append(f"Of {result.name!r} {_in_words(surplus)} is compared, which is shown.")
    if len(found) > 1:
        one, other, *_ = found.values()
        raise ValueError(
            f"{one!r} and {other!r} show different slices of {reference.name!r}: compare them one after the other"
        )
    chosen = tuple(slice(*each) for each in next(iter(found)))
    parts = {letter: span for letter, span, length in zip(axes, chosen, shape, strict=True) if span != slice(0, length)}
    if parts:
        words.insert(0, f"Compared with {_in_words(parts)} of {reference.name!r}.")
    layers = {result.name: result for result in results}
    return Aligned(chosen, layers, pixels, is_part=bool(parts), words=" ".join(words))


def _in_words(spans: Mapping[str, slice]) -> str:
    return ", ".join(
        f"{letter} {span.start}" if span.stop - span.start == 1 else f"{letter} {span.start} to {span.stop - 1}"
        for letter, span in spans.items()
    )


def _aligned(
    reference: Image, axes: str, result: Image, point: Sequence[float]
) -> tuple[tuple[slice, ...], ArrayLike, dict[str, slice]]:
    """Return the part of a reference that a result shows, the result with its axes, and which slice of it that is."""
    pixels, own_axes = pixels_of(result), axes_of(result)
    lengths = dict(zip(axes, pixels_of(reference).shape, strict=True))
    own = dict(zip(own_axes, pixels.shape, strict=True))
    stack, own_stack = stack_axes(axes, volume=False), stack_axes(own_axes, volume=False)
    spans = {letter: slice(0, length) for letter, length in lengths.items()}
    surplus = {
        letter: _shown(result, own_axes, letter, own[letter], point) for letter in own_stack if letter not in stack
    }
    if surplus:
        pixels = cropped(pixels, [surplus.get(letter, slice(0, own[letter])) for letter in own_axes])
    for letter in stack:
        if letter not in own_stack:
            spans[letter] = _shown(reference, axes, letter, lengths[letter], point)
        elif own[letter] < lengths[letter]:
            start = _place(reference, axes, result, letter)
            if start is not None and 0 <= start <= lengths[letter] - own[letter]:
                spans[letter] = slice(start, start + own[letter])
    return tuple(spans.values()), _with_axes(pixels, own_axes, axes, surplus), surplus


def _with_axes(pixels: ArrayLike, own: str, axes: str, surplus: Mapping[str, slice]) -> ArrayLike:
    """Return pixels without axes of one slice that the reference lacks, and with those that it has besides."""
    kept = [letter for letter in own if letter not in surplus]
    added = [letter for letter in axes if letter not in kept]
    if (not surplus and not added) or kept != list(axes)[len(added) :] or set(added) & set(CHANNEL_AXES):
        return pixels
    index: list[Any] = [0 if letter in surplus else slice(None) for letter in own]
    # One slice: it is shown, or an image of its own.
    plane: Array = np.asarray(pixels)[tuple(index)]
    return plane.reshape([1] * len(added) + list(plane.shape))


def _shown(layer: Image, axes: str, letter: str, length: int, point: Sequence[float]) -> slice:
    """Return the slice of a layer along an axis at which the sliders stand, or the nearest one."""
    place = layer.world_to_data(list(point)[-layer.ndim :])[axes.index(letter)]
    at = int(np.clip(np.rint(place), 0, length - 1))
    return slice(at, at + 1)


def _place(reference: Image, axes: str, result: Image, letter: str) -> int | None:
    """Return the slice of a reference at which the first one of a result lies; None if it lies between slices."""
    if reference.ndim != result.ndim:
        return None
    place = reference.world_to_data(result.data_to_world([0.0] * result.ndim))[axes.index(letter)]
    return round(place) if abs(place - round(place)) < NEAR else None

"""Windows of an array: the parts of a stack from which is estimated what all of its slices share.

They come from all over the stack. Half of them are where there is the most light, and at least half show some: a dark
slice tells nothing about the others, whether it is the first or most of them are dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..arrays.axes import Array, channel_position, sample_count, stack_axes
from ..physics.noise_model import Floats

WINDOW = 512
"""Pixels along a side: enough to tell correlated noise from texture."""

MOST_WINDOWS = 16
"""Windows of each channel that are used, and of a lazy array also the most that are read."""

MOST_PROBED, PROBE = 512, 64
"""Windows of an array in memory of which the light is looked at, and the pixels along a side for that."""

LIT, EQUALLY_LIT = 0.1, 0.5
"""Share of the brightest window's light from which a window is lit: above that of the darkest one, or above the darkest
pixels where all windows are equally bright."""

STEADY, DARK = 0.2, 0.01
"""Share of the light by which neighbouring frames may differ, and quantile of the grey levels that counts as none."""

SATURATED = 0.05
"""Share of pixels at the largest value of all from which a window tells little."""


@final
@dataclass(frozen=True)
class Window:
    """A plane or a part of one, or of two planes that follow each other in time.

    Parameters
    ----------
    place : mapping of str to int
        Its index along each axis of the stack; of two planes the first one's.
    values : ndarray, (rows, columns) or (2, rows, columns)
        Grey levels; NaN where nothing was measured.
    """

    place: Mapping[str, int]
    values: Floats

    @property
    def light(self) -> float:
        """Mean grey level; NaN if all of the window is the same or not measured, and nothing can be estimated."""
        known = self.known
        return float(known.mean()) if known.size and known.min() < known.max() else math.nan

    @property
    def known(self) -> Floats:
        """What was measured, in one row."""
        known: Floats = self.values[np.isfinite(self.values)]
        return known


def windows_of(array: Any, axes: str, mask: Array | None = None) -> list[list[Window]]:
    """Return windows of each channel of an array; opacity is none. Of a single plane in memory it is all of it.

    Parameters
    ----------
    array : array
        NumPy, dask or zarr; of a lazy one at most ``MOST_WINDOWS`` windows are read for each channel.
    axes : str
        One letter per axis. Along ``T`` neighbours show almost the same: a window has two of them.
    mask : ndarray of bool, optional
        Of the array's shape: True where nothing was measured.
    """
    position = channel_position(axes)
    if position is None:
        return [_of_channel(_WindowReader(array, axes, mask))]
    count = array.shape[position]
    count = sample_count(count) if axes[position] == "S" else count
    return [_of_channel(_WindowReader(array, axes, mask, channel)) for channel in range(count)]


def lit_windows(windows: Sequence[Window]) -> list[Window]:
    """Return the windows with at least a tenth of the brightest one's light, the brightest first."""
    order, lit = _ranked(np.array([window.light for window in windows]), _darkest(windows))
    return [windows[index] for index in order[:lit]]


def _of_channel(reader: _WindowReader) -> list[Window]:
    places = reader.places(MOST_PROBED if reader.in_memory else MOST_WINDOWS // (1 + reader.paired))
    if reader.in_memory and len(places) > MOST_WINDOWS:
        places = [places[index] for index in _chosen([reader.window(place, coarse=True) for place in places])]
    windows = [reader.window(place) for place in places]
    windows = _steady(windows) if reader.paired else windows
    return [windows[index] for index in _chosen(windows)]


def _steady(windows: list[Window]) -> list[Window]:
    """Return the windows of which both frames are equally bright; if none of them is bright, one frame of each window.

    Where the light changes between two frames, their difference shows the scene and not the noise alone.
    """
    dark = _darkest(windows)
    kept, alone = [], []
    steady = brightest = 0.0
    for window in windows:
        frames = [Window(window.place, frame) for frame in window.values]
        one, two = (float(frame.known.mean()) - dark if frame.known.size else 0.0 for frame in frames)
        alone.append(frames[int(two > one)])
        brightest = max(brightest, one, two)
        if abs(one - two) <= STEADY * max(one, two):
            kept.append(window)
            steady = max(steady, one, two)
    return kept if 2 * steady > brightest else alone


def _chosen(windows: list[Window]) -> list[int]:
    """Return the numbers of those that tell the most, in order."""
    light = np.array([window.light for window in windows])
    brightest = np.nanmax([np.nanmax(window.values, initial=-np.inf) for window in windows])
    saturated = np.array([np.mean(window.values == brightest) > SATURATED for window in windows])
    if np.isfinite(light[~saturated]).any():
        light[saturated] = math.nan
    order, lit = _ranked(light, _darkest(windows))
    first, rest = order[: min(lit, MOST_WINDOWS // 2)], order[min(lit, MOST_WINDOWS // 2) :]
    # As many again of every other brightness: bright ones alone do not show the noise of dim parts.
    number = min(len(rest), max(lit, 1), MOST_WINDOWS - len(first))
    others = [rest[index] for index in np.linspace(0, len(rest) - 1, number).round().astype(int)] if number else []
    return sorted({*first, *others}) or [0]


def _darkest(windows: Sequence[Window]) -> float:
    """Return the grey level of the darkest pixels."""
    return min((float(np.quantile(window.known, DARK)) for window in windows if window.known.size), default=0.0)


def _ranked(light: Floats, dark: float) -> tuple[list[int], int]:
    """Return the numbers of windows that have any light, the brightest first, and how many of them are lit."""
    usable = np.flatnonzero(np.isfinite(light))
    order = usable[np.argsort(-light[usable], kind="stable")]
    if order.size == 0:
        return [], 0
    brightest, darkest = light[order[0]], light[order[-1]]
    limit = min(darkest + LIT * (brightest - darkest), dark + EQUALLY_LIT * (brightest - dark))
    return order.tolist(), int(np.count_nonzero(light[order] >= limit))


@final
class _WindowReader:
    """Reads windows of one channel."""

    def __init__(self, array: Any, axes: str, mask: Array | None, channel: int | None = None) -> None:
        self._array, self._axes, self._mask, self._channel = array, axes, mask, channel
        self._lengths = dict(zip(axes, array.shape, strict=True))
        self._stacked = stack_axes(axes, volume=False)
        self.paired = self._lengths.get("T", 1) > 1
        self.in_memory = isinstance(array, np.ndarray)
        alone = math.prod(self._lengths[letter] for letter in self._stacked) == 1
        self._side = max(array.shape) if alone and self.in_memory else WINDOW

    def places(self, most: int) -> list[dict[str, int]]:
        """Return where windows are, evenly over the array: along Y and X the number of the window."""
        counts = {letter: self._lengths[letter] for letter in self._stacked}
        if self.paired:
            counts["T"] -= 1
        counts |= {letter: math.ceil(self._lengths[letter] / self._side) for letter in "YX"}
        lengths = tuple(counts.values())
        total = math.prod(lengths)
        numbers = np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(np.int64))
        along = np.unravel_index(numbers, lengths)
        return [dict(zip(counts, map(int, place), strict=True)) for place in zip(*along, strict=True)]

    def window(self, place: Mapping[str, int], *, coarse: bool = False) -> Window:
        """Return a window; a coarse one has only some of its rows and columns."""
        index: list[int | slice] = []
        kept = ""
        for letter in self._axes:
            if letter in "YX":
                index.append(self._span(letter, place[letter], coarse=coarse))
            elif letter == "T" and self.paired:
                index.append(slice(place["T"], place["T"] + 2))
            else:
                index.append(place.get(letter, self._channel or 0))
                continue
            kept += letter
        values = np.asarray(self._array[tuple(index)]).astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        if self._mask is not None:
            values[self._mask[tuple(index)]] = np.nan
        order = [kept.index(letter) for letter in "TYX" if letter in kept]
        return Window({letter: at for letter, at in place.items() if letter not in "YX"}, values.transpose(order))

    def _span(self, letter: str, number: int, *, coarse: bool) -> slice:
        length = self._lengths[letter]
        size, count = min(length, self._side), math.ceil(length / self._side)
        start = round(number * (length - size) / (count - 1)) if count > 1 else 0
        return slice(start, start + size, max(1, size // PROBE) if coarse else 1)

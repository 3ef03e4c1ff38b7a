"""The type of the pixels of a result: that of the input where it can hold the result, else float32.

Whole numbers are too coarse for photon counts: what is 0.3 photons everywhere would be rounded to 0. Whether they are
is found out by an average over a few pixels, which stands for the result before there is one. Slices that are nearly
dark beside the others do not decide; what rounding has done to them is looked at once they are restored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

from ..arrays.axes import Array
from ..arrays.frame import to_dtype
from ..estimation.sampling import WINDOW, Window
from ..physics.noise_model import Floats

SINGLE = np.dtype(np.float32)

AVERAGED = 9
"""Pixels along a side that are averaged: about as many as a restoration takes together."""

MOST_LIGHT, MOST_ERROR = 0.02, 0.1
"""Share of the light that rounding may add or take, and rounding error as a share of the standard deviation."""

DARK = 0.01
"""Quantile of the grey levels from which on light is counted: an offset of the camera is none."""

FAINT = 0.001
"""Share of the brightest window's light below which a window does not decide on the type."""

TOLD = 0.1
"""Share of the mean of a finished plane from which its change by rounding is told."""


def type_that_holds(windows: Sequence[Sequence[Window]], dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type, or float32 where the type would round away what a restoration finds.

    Parameters
    ----------
    windows : sequence of sequence of Window
        Of every channel.
    """
    coarse = any(_loses(_planes(each), dtype) for each in windows)
    # Far from zero float32 can be the coarser one.
    return SINGLE if coarse and not any(_loses(_planes(each), SINGLE) for each in windows) else dtype


def changed_mean(exact: Array, rounded: Array, axes: str) -> tuple[float, float] | None:
    """Return the mean of the plane that rounding has changed the most, before and after; None if that is little.

    Parameters
    ----------
    exact, rounded : ndarray
        A finished piece as floating point, and as it goes into the result.
    axes : str
        One letter per axis of the piece.
    """
    before, after = (each.mean(axis=(axes.index("Y"), axes.index("X")), dtype=np.float64) for each in (exact, rounded))
    share = _change(before, after)
    most = np.unravel_index(np.argmax(share), share.shape)
    return (float(before[most]), float(after[most])) if share[most] > TOLD else None


def faintest_window(
    windows: Sequence[Sequence[Window]], dtype: np.dtype[Any]
) -> tuple[Mapping[str, int], tuple[float, float]] | None:
    """Return where the darkest plane is of which a type would change the mean, and its mean before and after.

    None if there is none, or a channel has a single plane, for which the type was chosen.
    """
    found = []
    for window in (window for of_channel in windows if len(of_channel) > 1 for window in of_channel):
        for plane in _planes([window]):
            means = _averages(plane)
            before, after = float(means.mean()), float(to_dtype(means, dtype).mean())
            if _change(before, after) > TOLD:
                found.append((window.place, (before, after)))
    return min(found, key=lambda pair: abs(pair[1][0]), default=None)


def _planes(windows: Sequence[Window]) -> list[Floats]:
    """Return the planes of windows, of large ones parts, as far as they show something."""
    planes = [plane for window in windows for plane in window.values.reshape(-1, *window.values.shape[-2:])[:1]]
    parts = [part for plane in planes for part in _parts(plane)]
    return [part for part in parts if np.isfinite(part).any() and np.nanmin(part) < np.nanmax(part)]


def _parts(plane: Floats) -> list[Floats]:
    """Return a small plane, or of a large one four by four parts."""
    if max(plane.shape) <= WINDOW:
        return [plane]
    rows, columns = (np.linspace(0, max(0, length - WINDOW), 4).astype(int) for length in plane.shape)
    return [plane[row : row + WINDOW, column : column + WINDOW] for row in rows for column in columns]


def _loses(planes: Sequence[Floats], dtype: np.dtype[Any]) -> bool:
    """Return whether a type loses light or detail of planes of a channel."""
    if not planes:
        return False
    zero = min(float(np.nanquantile(plane, DARK)) for plane in planes)
    light = [float(np.nanmean(plane)) - zero for plane in planes]
    return any(
        _is_lost(plane, own, dtype) for plane, own in zip(planes, light, strict=True) if own >= FAINT * max(light)
    )


def _is_lost(plane: Floats, light: float, dtype: np.dtype[Any]) -> bool:
    means = _averages(plane)
    error = to_dtype(means, dtype).astype(np.float64) - means
    return bool(
        abs(error.mean()) > MOST_LIGHT * light or np.sqrt(np.mean(error**2)) > MOST_ERROR * float(np.nanstd(plane))
    )


def _averages(plane: Floats) -> Floats:
    """Return the averages that stand for the pixels of a result, in one row."""
    known = np.isfinite(plane)
    share = uniform_filter(known.astype(np.float64), AVERAGED)
    averages: Floats = uniform_filter(np.where(known, plane, 0.0), AVERAGED)[known] / share[known]
    return averages


def _change(before: Any, after: Any) -> Any:
    """Return by which share of it a mean changes."""
    return np.abs(after - before) / np.maximum(np.abs(before), np.finfo(np.float64).tiny)

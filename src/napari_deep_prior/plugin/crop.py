"""A part of the plane of a layer: what the viewer shows of it, or a rectangle that was drawn on it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from napari.layers import Image, Shapes

from ..arrays.axes import Array
from ..files.lazy_pixels import read_places
from ..runs.source import ArrayLike

if TYPE_CHECKING:
    from napari.viewer import Viewer

PLANE = "YX"

SMALLEST_SIDE = 16
"""Pixels along a side of a crop: patches of eight pixels need some to be compared with, and so does their noise."""

TOLERANCE = 0.5
"""Pixels by which a rectangle may lie askew: nobody draws more exactly."""

ROUNDING = 1e-6
"""Pixels by which a corner may be off after the transforms of two layers."""


@final
@dataclass(frozen=True)
class Crop:
    """Rows and columns of a layer.

    Parameters
    ----------
    name : str
        What people call it.
    spans : mapping of str to slice
        From where to where, in pixels of the layer, by axis letter.
    """

    name: str
    spans: Mapping[str, slice]

    def on_blocks(self, side: int, lengths: Mapping[str, int]) -> Crop:
        """Return the crop with as many pixels more as make it begin and end between blocks of an image."""
        spans = {
            letter: slice(span.start // side * side, min(-(-span.stop // side) * side, lengths[letter]))
            for letter, span in self.spans.items()
        }
        return Crop(self.name, spans)

    def in_words(self, layer: str) -> str:
        """Return a sentence on what was restored of a layer, for the record."""
        rows, columns = self.spans["Y"], self.spans["X"]
        return (
            f"only {rows.stop - rows.start} × {columns.stop - columns.start} pixels of {layer!r} were restored, from "
            f"row {rows.start} and column {columns.start} on (counted from 0)"
        )


@final
class CroppedArray:
    """A part of an array, of which nothing is read before it is sliced: neither by Zarr nor by others.

    Parameters
    ----------
    array : array
        The array.
    spans : sequence of slice
        From where to where, one for each axis, without steps.
    """

    def __init__(self, array: ArrayLike, spans: Sequence[slice]) -> None:
        self._array, self._starts = array, [span.start for span in spans]
        self.shape = tuple(span.stop - span.start for span in spans)
        self.dtype, self.ndim = np.dtype(array.dtype), len(self.shape)

    def __getitem__(self, index: Any) -> Array:
        """Return what lies at an index of numbers and slices, of at most as many as there are axes."""
        given = index if isinstance(index, tuple) else (index,)
        given = (*given, *(slice(None),) * (self.ndim - len(given)))
        moved = tuple(map(_moved, given, self._starts, self.shape))
        return np.asarray(self._array[moved])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all of it in memory."""
        return np.asarray(self[()], dtype)


def cropped(array: ArrayLike, spans: Sequence[slice]) -> ArrayLike:
    """Return a part of an array: a view of one in memory; of a lazy one nothing is read."""
    return array[tuple(spans)] if isinstance(array, np.ndarray) else CroppedArray(array, spans)


@final
class SomePlaces:
    """Some places of an axis of an array, of which nothing is read before it is sliced.

    Parameters
    ----------
    array : array
        The array.
    axis : int
        The axis.
    numbers : sequence of int
        Its places, rising.
    """

    def __init__(self, array: ArrayLike, axis: int, numbers: Sequence[int]) -> None:
        self._array, self._axis, self._numbers = array, axis, tuple(numbers)
        self.shape = (*array.shape[:axis], len(numbers), *array.shape[axis + 1 :])
        self.dtype, self.ndim = np.dtype(array.dtype), len(self.shape)

    def __getitem__(self, index: Any) -> Array:
        """Return what lies at an index of numbers and slices, of at most as many as there are axes."""
        given = index if isinstance(index, tuple) else (index,)
        given = (*given, *(slice(None),) * (self.ndim - len(given)))
        return read_places(lambda whole: np.asarray(self._array[whole]), self._axis, self._numbers, given)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all of it in memory."""
        return np.asarray(self[()], dtype)


def with_places(array: ArrayLike, axis: int, numbers: Sequence[int]) -> ArrayLike:
    """Return some places of an axis of an array: of one in memory at once; of a lazy one nothing is read."""
    return np.take(array, numbers, axis) if isinstance(array, np.ndarray) else SomePlaces(array, axis, numbers)


def view_of(viewer: Viewer, layer: Image, axes: str) -> Crop:
    """Return the rows and columns of a layer that the viewer shows.

    Raises
    ------
    ValueError
        If it shows none of them, or too few.
    """
    if viewer.dims.ndisplay != 2:
        raise ValueError("the current view can only be restored in 2D: leave the 3D view, or choose another region")
    if getattr(viewer, "canvas", viewer).grid.enabled:
        raise ValueError("in the grid every layer has a view of its own: switch it off, or choose another region")
    shown = {axis - viewer.dims.ndim + layer.ndim for axis in viewer.dims.displayed}
    if shown != {axes.index(letter) for letter in PLANE}:
        raise ValueError(
            f"the viewer does not show rows and columns of {layer.name!r} (Y and X of {axes}): change the order of the "
            "axes, or choose another region"
        )
    camera = camera_of(viewer)
    half, centre = np.divide(_canvas_size(viewer), 2 * camera.zoom), np.array(camera.center[-2:])
    world = np.array(viewer.dims.point, dtype=float)
    corners = []
    for signs in itertools.product((-1, 1), repeat=2):
        world[list(viewer.dims.displayed)] = centre + np.multiply(signs, half)
        corners.append(layer.world_to_data(world[-layer.ndim :]))
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    # Pixels of which only a part is shown are restored, too.
    return _clipped("view", layer, axes, (np.floor(low + 0.5), np.ceil(high - 0.5)))


def rectangle_of(shapes: Shapes, layer: Image, axes: str) -> Crop:
    """Return the rows and columns of a layer whose middles lie within the rectangle of a Shapes layer.

    Of several rectangles it is the one that is selected. On which slice of a stack it was drawn makes no difference.

    Raises
    ------
    ValueError
        If there is no rectangle, or one of several is to be selected; or it is rotated against the layer, lies beside
        it, or is too small.
    """
    rectangles = [at for at, kind in enumerate(shapes.shape_type) if kind == "rectangle"]
    chosen = [at for at in rectangles if at in shapes.selected_data] if len(rectangles) > 1 else rectangles
    if not rectangles:
        raise ValueError(f"there is no rectangle in {shapes.name!r}: draw one, or choose another region")
    if len(chosen) != 1:
        raise ValueError(f"{shapes.name!r} has {len(rectangles)} rectangles: select one of them, or delete the others")
    drawn = np.asarray(shapes.data[chosen[0]])
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    worlds = [np.asarray(shapes.data_to_world(corner)) for corner in drawn]
    corners = np.array([layer.world_to_data([*origin[: -len(world)], *world][-layer.ndim :]) for world in worlds])
    sides = np.abs(np.diff(corners, axis=0))[:, [axes.index(letter) for letter in PLANE]]
    if sides.min(axis=1).max() > TOLERANCE:
        raise ValueError(
            f"the rectangle in {shapes.name!r} is rotated against {layer.name!r}: draw one along its rows and columns"
        )
    low, high = corners.min(axis=0), corners.max(axis=0)
    return _clipped("rectangle", layer, axes, (np.ceil(low - ROUNDING), np.floor(high + ROUNDING)))


def _moved(index: int | slice, start: int, length: int) -> int | slice:
    """Return an index of a part of an axis as one of the whole axis."""
    if not isinstance(index, slice):
        return start + int(index)
    first, last, step = index.indices(length)
    return slice(start + first, start + last, step)


def _clipped(name: str, layer: Image, axes: str, corners: tuple[Array, Array]) -> Crop:
    """Return the part of a layer from one pixel to another, both included, as far as it lies on the layer."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    spans = {}
    for letter in PLANE:
        axis = axes.index(letter)
        start, stop = max(0, int(corners[0][axis])), min(shape[axis], int(corners[1][axis]) + 1)
        if stop <= start:
            remedy = "move the image into view" if name == "view" else "draw it on the image"
            raise ValueError(f"the {name} lies beside the image {layer.name!r}: {remedy}, or choose another region")
        spans[letter] = slice(start, stop)
    rows, columns = (span.stop - span.start for span in spans.values())
    if any(span.stop - span.start < min(SMALLEST_SIDE, shape[axes.index(letter)]) for letter, span in spans.items()):
        remedy = "zoom out" if name == "view" else "draw a larger one"
        raise ValueError(
            f"the {name} has {rows} × {columns} pixels of {layer.name!r}; {SMALLEST_SIDE} × {SMALLEST_SIDE} are needed "
            f"to tell its noise from its structure: {remedy}, or choose another region"
        )
    return Crop(name, spans)


def camera_of(viewer: Viewer) -> Any:
    """Return the camera of a viewer."""
    # Before napari 0.9 the viewer itself had it, as below; goes when that is required.
    return getattr(viewer, "scene", viewer).camera


def _canvas_size(viewer: Viewer) -> tuple[int, int]:
    """Return the rows and columns of the screen that the viewer has for its layers."""
    canvas = getattr(viewer, "canvas", None)
    size = getattr(viewer, "__wrapped__", viewer)._canvas_size if canvas is None else canvas.size  # noqa: SLF001
    return int(size[0]), int(size[1])

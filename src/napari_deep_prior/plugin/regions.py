"""Where images are compared: what is drawn on a Shapes layer or painted on a Labels layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from napari.layers import Image, Labels, Shapes
from skimage.draw import polygon2mask

from ..arrays.axes import Array
from ..runs.reference import Region
from .layers import matrix_between, pixels_of
from .resampled import mask_of

ELLIPSE_POINTS = 180
"""Corners of the polygon that stands for an ellipse."""

AREAS = ("rectangle", "ellipse", "polygon")
"""Shapes that enclose something."""


def region_of(layer: Labels | Shapes, reference: Image) -> Callable[[], Region]:
    """Return a function that makes the region on the pixels of a reference, in any thread; lazy labels wait for it.

    Labels and shapes may lie anywhere in the world, at another scale. They may have fewer axes: along the others the
    region is the same.

    Raises
    ------
    ValueError
        If the shapes have more axes than the reference, enclose nothing, or lie across its planes.
    """
    name = layer.name
    if isinstance(layer, Labels):
        return lambda: Region(name, mask_of(layer, reference))
    outlines = _outlines(layer, reference)
    shape = pixels_of(reference).shape[reference.ndim - layer.ndim : reference.ndim]
    whole = pixels_of(reference).shape[: reference.ndim]
    return partial(_drawn, name, outlines, shape, whole)


def _outlines(layer: Shapes, reference: Image) -> list[Array]:
    """Return the corners of all areas, in data coordinates of the reference along the axes that the shapes have."""
    if layer.ndim > reference.ndim:
        raise ValueError(
            f"the shapes {layer.name!r} have {layer.ndim} axes, the reference {reference.name!r} only "
            f"{reference.ndim}: draw them on a layer of as many axes, or of fewer"
        )
    areas = [
        _ellipse(corners) if kind == "ellipse" else np.asarray(corners)
        for corners, kind in zip(layer.data, layer.shape_type, strict=True)
        if kind in AREAS
    ]
    if not areas:
        raise ValueError(f"nothing is enclosed in {layer.name!r}: draw a rectangle, an ellipse or a polygon")
    matrix = np.linalg.inv(matrix_between(reference, layer))
    outlines = [corners @ matrix[:-1, :-1].T + matrix[:-1, -1] for corners in areas]
    if any((np.ptp(outline[:, :-2], axis=0) > 0.5).any() for outline in outlines):
        raise ValueError(
            f"a shape in {layer.name!r} lies across the planes of {reference.name!r}: draw it on one plane"
        )
    return outlines


def _ellipse(corners: Array) -> Array:
    """Return points on the ellipse within a rectangle of four corners."""
    centre = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(centre + np.cos(angles) * first + np.sin(angles) * second)


def _drawn(name: str, outlines: list[Array], shape: tuple[int, ...], whole: tuple[int, ...]) -> Region:
    """Return the pixels whose centres lie within an outline, repeated along the axes that the shapes do not have."""
    mask = np.zeros(shape, bool)
    for outline in outlines:
        place = tuple(np.rint(outline[:, :-2].mean(axis=0)).astype(int))
        if all(0 <= at < length for at, length in zip(place, shape[:-2], strict=True)):
            mask[place] |= polygon2mask(shape[-2:], outline[:, -2:])
    return Region(name, np.broadcast_to(mask, whole))

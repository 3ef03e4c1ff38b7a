"""Layers in and out: what is restored, and how the result stands where its input stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from napari.utils.transforms import Affine

from ..axes import Array, parse_axes, stack_axes
from ..posing import Noise, estimate_channels
from ..problem import Task
from ..restoration import ArrayLike

if TYPE_CHECKING:
    from napari.layers import Image

Extent = Literal["slice", "stack", "volume"]

LABELS = {"time": "T", "t": "T", "z": "Z", "depth": "Z", "y": "Y", "x": "X", "c": "C", "channel": "C", "channels": "C"}
"""Axis labels that people use, in lower case, and the letter each means."""

NOISE_SIDE = 1024
"""Pixels along a side from which the noise is told; more would only take longer."""

LOOK = ("colormap", "blending", "opacity", "gamma", "interpolation2d", "interpolation3d", "rendering")
"""What a result layer takes over from its input besides the transform."""


@final
@dataclass(frozen=True)
class Source:
    """What is to be restored of a layer.

    Parameters
    ----------
    pixels : array
        The part of the layer's data; as many axes as the layer has. Read when it is sliced.
    axes : str
        One letter per axis of ``pixels``.
    offset : tuple of int
        Where ``pixels`` starts in the layer, in data coordinates.
    """

    pixels: ArrayLike
    axes: str
    offset: tuple[int, ...]


def pixels_of(layer: Image) -> Any:
    """Return the full-resolution data of an image layer, not yet read if it is lazy."""
    return layer.data[0] if layer.multiscale else layer.data


def axes_of(layer: Image) -> str:
    """Return one letter per axis of a layer, from its axis labels and rgb flag; guessed where labels say nothing."""
    return axes_of_metadata({"axis_labels": layer.axis_labels, "rgb": layer.rgb}, pixels_of(layer).shape)


def axes_of_metadata(metadata: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    """Return one letter per axis of layer data of that shape, from a layer's metadata."""
    rgb = bool(metadata.get("rgb"))
    labels: Sequence[str] = metadata.get("axis_labels", ())
    letters = "".join(LABELS.get(str(label).lower(), "?") for label in labels) + "S" * rgb
    if "?" not in letters and len(letters) == len(shape) == len(set(letters)) and {"Y", "X"} <= set(letters):
        return letters
    # A plain guess, without taking a short last axis for colour: the layer would say so.
    spatial = len(shape) - rgb
    if spatial > 5:
        return "PTCZYX"[-spatial:] + "S" * rgb
    guess = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}[spatial]
    return parse_axes(guess + "S" * rgb, shape)


def take(layer: Image, axes: str, extent: Extent, point: Sequence[float]) -> Source:
    """Return the part of a layer to restore; ``point`` is where the viewer's sliders stand, in world coordinates.

    Raises
    ------
    ValueError
        If the axes do not fit the layer, or the sliders stand outside of it.
    """
    pixels = pixels_of(layer)
    letters = parse_axes(axes, tuple(pixels.shape))
    offset = [0] * layer.ndim
    if extent != "slice":
        return Source(pixels, letters, tuple(offset))
    position = np.rint(layer.world_to_data(list(point)[-layer.ndim :])).astype(int)
    index: list[slice] = [slice(None)] * len(letters)
    for axis, letter in enumerate(letters):
        if letter in stack_axes(letters, volume=False):
            if not 0 <= position[axis] < pixels.shape[axis]:
                raise ValueError(
                    f"the sliders stand outside of the layer {layer.name!r} along {letter}: move them onto it"
                )
            offset[axis] = int(position[axis])
            index[axis] = slice(offset[axis], offset[axis] + 1)
    return Source(pixels[tuple(index)], letters, tuple(offset))


def appearance(layer: Image, offset: Sequence[int]) -> dict[str, Any]:
    """Return the keyword arguments with which a result looks and lies like the part of ``layer`` at ``offset``."""
    # The part starts at another corner than the layer: the layer's own transform of that corner says where.
    to_physical = Affine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate, ndim=layer.ndim
    )
    return {
        "scale": layer.scale,
        "translate": to_physical(np.asarray(offset, dtype=float)),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
        "contrast_limits": layer.contrast_limits,
        "rgb": layer.rgb,
        **{name: getattr(layer, name) for name in LOOK if not (layer.rgb and name == "colormap")},
    }


def first_image(source: Source) -> Array:
    """Return what a preview shows before the first step: the input, as float32."""
    return np.array(source.pixels, dtype=np.float32)


def noise_in_words(layer: Image, axes: str, task: Task, point: Sequence[float]) -> str:
    """Return a sentence on the noise of the slice at ``point``, told from its middle; empty if it cannot be told."""
    try:
        source = take(layer, axes, "slice", point)
        middle = []
        for letter, length in zip(source.axes, source.pixels.shape, strict=True):
            start = max(0, (length - NOISE_SIDE) // 2) if letter in "YX" else 0
            middle.append(slice(start, start + NOISE_SIDE))
        part = np.asarray(source.pixels[tuple(middle)])
        return f"Noise: {Noise(estimate_channels(part, source.axes, task)).in_words()}."
    except ValueError:
        # What is wrong with the image or the axes is said when Run is pressed.
        return ""

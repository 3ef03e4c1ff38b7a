"""Layers in and out: what is restored, and how the result stands where its input stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine

from ..arrays.axes import Array, parse_axes, stack_axes
from ..files.channels import chosen_channels, planes_of_channels
from ..files.images import read_as_stored
from ..files.jpeg import read_tables
from ..physics.jpeg import JpegTables
from ..runs.source import ArrayLike
from .crop import Crop, cropped, with_places

if TYPE_CHECKING:
    from napari.layers import Labels, Layer, Shapes
    from napari.viewer import Viewer

Extent = Literal["slice", "stack", "volume", "one volume"]
"""What of a layer is restored: the slice that is shown, all slices one by one, or Z, Y and X together; of several
volumes all of them, or the one that is shown."""

LABELS = {"time": "T", "t": "T", "z": "Z", "depth": "Z", "y": "Y", "x": "X", "c": "C", "channel": "C", "channels": "C"}
"""Axis labels that people use, in lower case, and the letter of each."""

PREVIEW = "deep-prior preview"
"""Key in the metadata of a layer that a run is still writing into."""

FILE = "deep-prior-file"
"""Key, in the metadata of a layer, of what was said of its file and of what the file said besides."""

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Where a layer lies."""

LOOK = ("colormap", "blending", "opacity", "gamma", "interpolation2d", "interpolation3d", "rendering")
"""What a result layer takes over from its input besides the transform."""


@final
@dataclass(frozen=True)
class Part:
    """What is to be restored of a layer.

    Parameters
    ----------
    layer : Image
        The layer.
    pixels : array
        The part of the layer's data; as many axes as the layer has. If it is lazy, it is read when it is sliced.
    axes : str
        One letter per axis of ``pixels``.
    offset : tuple of int
        Where ``pixels`` starts in the layer, in data coordinates; 0 along channels that do not follow each other.
    channels : tuple of int
        Numbers of the channels in ``pixels``, if these are not all that the layer has.
    """

    layer: Image
    pixels: ArrayLike
    axes: str
    offset: tuple[int, ...]
    channels: tuple[int, ...] = ()

    def of_array(self, array: Array) -> Array:
        """Return the same part of an array in memory that has the shape of the layer, without colour samples."""
        index: list[Any] = [
            slice(start, start + length) for start, length in zip(self.offset, self.pixels.shape, strict=False)
        ]
        if self.channels:
            axis = self.axes.index("C")
            index[axis] = slice(None)
            array = np.take(array, self.channels, axis)
        return np.asarray(array[tuple(index)])


def images_of(viewer: Viewer) -> list[Image]:
    """Return the image layers of a viewer that can be an input: previews of runs under way cannot."""
    return [layer for layer in viewer.layers if isinstance(layer, Image) and PREVIEW not in layer.metadata]


def pixels_of(layer: Image) -> Any:
    """Return the full-resolution data of an image layer, not yet read if it is lazy."""
    return layer.data[0] if layer.multiscale else layer.data


def axes_of(layer: Image) -> str:
    """Return one letter per axis of a layer, from its axis labels and rgb flag; guessed where labels are not known."""
    return axes_of_metadata({"axis_labels": layer.axis_labels, "rgb": layer.rgb}, pixels_of(layer).shape)


def axes_of_metadata(metadata: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    """Return one letter per axis of layer data of that shape, from a layer's metadata."""
    rgb = bool(metadata.get("rgb"))
    labels: Sequence[str] = metadata.get("axis_labels", ())
    letters = "".join(map(_letter_of, labels)) + "S" * rgb
    if "?" not in letters and len(letters) == len(shape) == len(set(letters)) and {"Y", "X"} <= set(letters):
        return letters
    # A plain guess, without taking a short last axis for colour: the layer would say so.
    spatial = len(shape) - rgb
    if spatial > 5:
        return "PTCZYX"[-spatial:] + "S" * rgb
    usual = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}[spatial]
    return parse_axes(usual + "S" * rgb, shape)


def _letter_of(label: object) -> str:
    """Return the letter of an axis label: of a word that people use, or a letter by itself."""
    text = str(label).lower()
    return LABELS.get(text, text.upper() if len(text) == 1 and text.isalpha() else "?")


def channels_of(layer: Image) -> Sequence[Mapping[str, str]]:
    """Return what its file said of each channel of a layer; empty if that is not known."""
    said = layer.metadata.get(FILE)
    return tuple(said.get("channels", ())) if isinstance(said, Mapping) else ()


def take(
    layer: Image,
    axes: str,
    extent: Extent,
    point: Sequence[float],
    crop: Crop | None = None,
    *,
    channels: str = "",
) -> Part:
    """Return the part of a layer to restore; nothing lazy is read.

    Parameters
    ----------
    point : sequence of float
        Where the viewer's sliders stand, in world coordinates.
    crop : Crop, optional
        The rows and columns; all if not given.
    channels : str
        Numbers or names (see :func:`.chosen_channels`); empty: all. An image without channels has none to choose.

    Raises
    ------
    ValueError
        If the axes do not fit the layer, the sliders stand outside of it, or there is no such channel.
    """
    pixels = pixels_of(layer)
    letters = parse_axes(axes, tuple(pixels.shape))
    spans = {letter: slice(0, length) for letter, length in zip(letters, pixels.shape, strict=True)}
    if crop is not None:
        spans |= crop.spans
    if extent in ("slice", "one volume"):
        spans |= _shown(layer, letters, point, volume=extent == "one volume")
    whole = all(span == slice(0, length) for span, length in zip(spans.values(), pixels.shape, strict=True))
    pixels = pixels if whole else cropped(pixels, [*spans.values()])
    count = pixels.shape[letters.index("C")] if "C" in letters else 1
    numbers = chosen_channels(channels, channels_of(layer), count) if channels and "C" in letters else ()
    if len(numbers) in (0, count):
        return Part(layer, pixels, letters, tuple(span.start for span in spans.values())[: layer.ndim])
    together = numbers == tuple(range(numbers[0], numbers[-1] + 1))
    spans["C"] = slice(numbers[0] if together else 0, None)
    offset = tuple(span.start for span in spans.values())[: layer.ndim]
    return Part(layer, with_places(pixels, letters.index("C"), numbers), letters, offset, numbers)


def _shown(layer: Image, letters: str, point: Sequence[float], *, volume: bool) -> dict[str, slice]:
    """Return where the slice or volume lies that is shown, by the letters of the axes of the stack."""
    position = np.rint(layer.world_to_data(list(point)[-layer.ndim :])).astype(int)
    spans = {}
    for axis, letter in enumerate(letters):
        if letter in stack_axes(letters, volume=volume):
            at = int(position[axis])
            if not 0 <= at < pixels_of(layer).shape[axis]:
                raise ValueError(
                    f"the sliders stand outside of the layer {layer.name!r} along {letter}: move them onto it"
                )
            spans[letter] = slice(at, at + 1)
    return spans


def place_of(layer: Layer) -> dict[str, Any]:
    """Return where a layer lies, as keywords of a new one."""
    place = {name: getattr(layer, name) for name in PLACE}
    return place | {"affine": layer.affine.affine_matrix}


def appearance(part: Part, factors: Mapping[str, float]) -> dict[str, Any]:
    """Return the keyword arguments with which a result looks and lies like the part of a layer that it was made from.

    ``factors`` are how many pixels of the result lie in one of the layer, by axis letter: the outer edges of both lie
    on each other.
    """
    layer, offset = part.layer, part.offset[: part.layer.ndim]
    wide = np.array([factors.get(letter, 1.0) for letter in part.axes[: layer.ndim]])
    # The part starts at another corner than the layer: the layer's own transform of that corner says where.
    to_physical = Affine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate, ndim=layer.ndim
    )
    return {
        **place_of(layer),
        "scale": layer.scale / wide,
        "translate": to_physical(np.asarray(offset, dtype=float) + (1 / wide - 1) / 2),
        "contrast_limits": layer.contrast_limits,
        "rgb": layer.rgb,
        "metadata": {FILE: _said_of(part)} if FILE in layer.metadata else {},
        **{name: getattr(layer, name) for name in LOOK if not (layer.rgb and name == "colormap")},
    }


def _said_of(part: Part) -> dict[str, Any]:
    """Return what the file of a layer said, of the channels that are restored."""
    said = dict(part.layer.metadata[FILE])
    if part.channels:
        known = channels_of(part.layer)
        said["channels"] = [known[number] for number in part.channels if number < len(known)]
        said["planes"] = planes_of_channels(said.get("planes", {}), part.channels)
    return said


def tables_of(layer: Image) -> JpegTables | None:
    """Return the quantisation tables of the file that a layer was opened from; None if it is no JPEG of its size."""
    path = layer.source.path
    if path is None or not Path(path).is_file():
        return None
    tables = read_tables(path)
    fits = tables is not None and read_as_stored(path, turned=False).pixels.shape == pixels_of(layer).shape
    return tables if fits else None


def matrix_between(target: Image, source: Image | Labels | Shapes) -> Array:
    """Return the matrix from the data coordinates of one layer to those of another, of the other's axes."""
    outer = target.ndim - source.ndim

    def moved(point: Array) -> Array:
        world = np.asarray(target.data_to_world([*np.zeros(outer), *point]))
        return np.asarray(source.world_to_data(world[outer:]))

    origin = moved(np.zeros(source.ndim))
    matrix = np.eye(source.ndim + 1)
    matrix[:-1, -1] = origin
    for axis, unit in enumerate(np.eye(source.ndim)):
        matrix[:-1, axis] = moved(unit) - origin
    return matrix

"""Values as the format of a file means them: palettes, inks, inverted greys, pictures that are stored turned."""

from __future__ import annotations

import numpy as np

from ..arrays.axes import Array

TABLE_COLOURS = 64
"""Different colours that a palette has at least, if it is a table for showing measured values."""

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Share of red, green and blue in how bright a colour looks (ITU-R BT.601)."""

TURNS = {
    2: (False, False, True), 3: (False, True, True), 4: (False, True, False), 5: (True, False, False),
    6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip
"""For each orientation of EXIF and TIFF but the first: whether to transpose, and then to reverse rows and columns."""

GREYS, TABLE = (
    "its palette of greys was converted to grey values",
    "its colours are a table for showing: the values were kept",
)
RGB = "palette colours were converted to RGB"
INKS = "inks (CMYK) were converted to RGB, without a colour profile"
INVERTED = "0 is white in it: its values were inverted, so that larger is brighter"
OPAQUE = "its opacity, which is full everywhere, was left out"
TRANSPARENT = "one of its values is shown as transparent: it was kept as a value"
OPACITY = "its opacity was kept as it is: it is no measurement"
NOT_INVERTED = "0 is shown as white in it: its values were kept"


def resolve_palette(indices: Array, colours: Array) -> tuple[Array, str]:
    """Return what indices into a palette mean, and a sentence on that.

    A palette of greys gives grey values. A palette that gets steadily brighter is a table for showing measured values,
    which stay as they are. Of all others the colours are what was meant: they become the last axis of the result.

    Parameters
    ----------
    colours : ndarray, (entries, 3) uint8 or uint16
        Red, green and blue of each index.

    Raises
    ------
    IndexError
        If an index has no colour.
    """
    used = colours[np.unique(indices)]
    if (used == used[:, :1]).all():
        greys = colours[:, 0][indices]
        return greys, "" if np.array_equal(greys, indices) else GREYS
    brightness = colours @ LUMINANCE
    if len(np.unique(colours, axis=0)) >= TABLE_COLOURS and (np.diff(brightness) >= 0).all():
        return indices, TABLE
    return colours[indices], RGB


def palette_of_tiff(colormap: Array) -> Array:
    """Return the palette of a TIFF, (3, entries) of 16 bits, as (entries, 3), of 8 bits if it has no more."""
    colours = np.asarray(colormap).T
    for scale in (257, 256):
        if (colours % scale == 0).all():
            return (colours // scale).astype(np.uint8)
    return colours


def inks_to_rgb(inks: Array) -> Array:
    """Return red, green and blue of cyan, magenta, yellow and black, on the last axis: unsigned integers."""
    largest = np.iinfo(inks.dtype).max
    light = largest - inks.astype(np.float64)
    return np.rint(light[..., :3] * light[..., 3:] / largest).astype(inks.dtype)


def upright(pixels: Array, axes: str, orientation: int) -> Array:
    """Return an image as it is to be shown, by its orientation in EXIF or TIFF."""
    if orientation not in TURNS:
        return pixels
    transpose, *reverse = TURNS[orientation]
    place = [axes.index("Y"), axes.index("X")]
    turned = np.swapaxes(pixels, *place) if transpose else pixels
    flipped = tuple(axis for axis, flip in zip(place, reverse, strict=True) if flip)
    return np.ascontiguousarray(np.flip(turned, flipped))


def without_full_opacity(pixels: Array) -> tuple[Array, str]:
    """Return grey values or RGB without an opacity that says nothing, and a sentence on the opacity of an image.

    Parameters
    ----------
    pixels : ndarray, (rows, columns, 2 or 4), or more axes before
        Unsigned integers; of all other shapes nothing is said.
    """
    if pixels.ndim < 3 or pixels.shape[-1] not in (2, 4):
        return pixels, ""
    if (pixels[..., -1] < np.iinfo(pixels.dtype).max).any():
        return pixels, OPACITY
    return (pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :3]), OPAQUE

"""OME-TIFF files with all that is known of an image."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tifffile

from .image_file import RECORD, ImageFile
from .kinds import SHOWS_KEY
from .sizes import MICRONS, OME_TIMES, OME_UNITS
from .tiff_metadata import SPACING
from .tiff_reader import AXES_KEY, PLACE_KEY

OME_ORDER = "TZCYXS"
"""Order in which an OME-TIFF stores its axes."""

FURTHER_AXES = "PRAHE"
"""Letters of the axes that OME can store inside of T, Z or C: phase, tile, angle, lifetime, lambda."""

OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "float32", "float64")
"""Pixel types that an OME-TIFF can hold; half precision is written as single precision."""

LARGEST_DENSITY = 2.0**31
"""Pixels in a centimetre, up to which a TIFF can say it."""


def ome_order(axes: str) -> tuple[str, list[int]]:
    """Return the axes in OME's order, and the position at which each of them was.

    A letter that OME does not have is replaced by the first of T, Z and C that is free; if none of them is, by a letter
    of its further axes, of which it can store one inside of each of T, Z and C.

    Raises
    ------
    ValueError
        If there are more axes than that.
    """
    # Colour samples take the place of channels.
    carriers = "TZ" if "S" in axes else "TZC"
    free = [letter for letter in carriers if letter not in axes]
    further = [letter for letter in FURTHER_AXES if letter not in axes]
    inside: dict[str, str] = {}
    renamed = ""
    for letter in axes:
        if letter not in OME_ORDER and free:
            letter = free.pop(0)
        elif letter not in OME_ORDER:
            letter = letter if letter in FURTHER_AXES else further.pop(0)
            carrier = next((each for each in carriers if each not in inside), None)
            if carrier is None:
                raise ValueError(
                    f"an OME-TIFF holds at most {2 * len(carriers)} axes besides rows, columns and colours; the image "
                    f"has the axes {axes}"
                )
            inside[carrier] = letter
        renamed += letter
    ordered = "".join(letter + inside.get(letter, "") for letter in OME_ORDER if letter in renamed)
    return ordered, [renamed.index(letter) for letter in ordered]


def write_tiff(name: str, image: ImageFile) -> None:
    """Write an OME-TIFF."""
    axes, order = ome_order(image.axes)
    pixels = np.transpose(image.pixels, order)
    colour = "rgb" if axes.endswith("S") and pixels.shape[-1] in (3, 4) else "minisblack"
    # The samples of a pixel are stored together, which tifffile assumes of colours only.
    layout = "contig" if axes.endswith("S") else None
    # OME has no half-precision floats.
    pixels = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
    tifffile.imwrite(
        name,
        pixels,
        ome=True,
        metadata=_metadata(image, axes, dict(zip(axes, pixels.shape, strict=True))),
        photometric=colour,
        planarconfig=layout,
        compression="zlib",
        iccprofile=image.profile or None,
        **_resolution(image),
    )


def _metadata(image: ImageFile, axes: str, lengths: dict[str, int]) -> dict[str, Any]:
    """Return what tifffile is to write besides the pixels."""
    texts: dict[str, str] = {AXES_KEY: axes, SHOWS_KEY: image.shows}
    if image.record:
        texts[RECORD] = json.dumps(image.record)
    if image.place:
        renamed = dict(zip(image.axes, _renamed(image.axes, axes), strict=True))
        place = {**image.place, "axes": "".join(renamed.get(letter, letter) for letter in image.place.get("axes", ""))}
        texts[PLACE_KEY] = json.dumps(place)
    metadata: dict[str, Any] = {"axes": axes, "MapAnnotation": texts, **image.about}
    for letter, what in SPACING.items():
        size, unit = abs(image.spacing.get(letter, 0.0)), _unit(image, letter)
        if letter in axes and 0 < size < math.inf and unit:
            metadata[what], metadata[f"{what}Unit"] = size, unit
    if len(image.channels) == lengths.get("C", 1):
        metadata["Channel"] = list(image.channels)
    if planes := _planes(image, lengths):
        metadata["Plane"] = planes
    return metadata


def _planes(image: ImageFile, lengths: dict[str, int]) -> list[Mapping[str, str]]:
    """Return what is known of each plane in the order in which they are stored; empty if the planes are others."""
    outer = {letter: length for letter, length in lengths.items() if letter not in "YXS"}
    if not image.planes or set(outer) - set("TZC"):
        return []
    numbers = [dict(zip(outer, index, strict=True)) for index in np.ndindex(*outer.values())]
    keys = [" ".join(str(each.get(letter, 0)) for letter in "TZC") for each in numbers]
    return [image.planes.get(key, {}) for key in keys] if set(image.planes) <= set(keys) else []


def _renamed(axes: str, stored: str) -> str:
    """Return the axes of an image by the letters by which they are stored."""
    order = ome_order(axes)[1]
    return "".join(stored[order.index(at)] for at in range(len(axes)))


def _unit(image: ImageFile, letter: str) -> str:
    """Return OME's unit of the pixels along an axis; empty if that is time, and its unit is none of time."""
    if letter == "T":
        return OME_TIMES.get(image.units.get(letter, "s").lower(), "")
    return OME_UNITS.get(image.units.get(letter, "µm").lower(), "pixel")


def _resolution(image: ImageFile) -> dict[str, Any]:
    """Return the size of a pixel as programs read it that do not know OME."""
    microns = [image.spacing.get(letter, 0.0) * MICRONS.get(_unit(image, letter), 0.0) for letter in "XY"]
    densities = [MICRONS["cm"] / size if size else 0.0 for size in microns]
    if not all(1 / LARGEST_DENSITY < density < LARGEST_DENSITY for density in densities):
        return {}
    return {"resolution": tuple(densities), "resolutionunit": "CENTIMETER"}

"""Axes and pixel sizes as OME-TIFF and ImageJ files store them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import tifffile

OME_ORDER = "TZCYXS"
"""Order in which an OME-TIFF stores its axes."""

OME_UNITS = {
    "micrometer": "µm", "um": "µm", "micron": "µm", "microns": "µm", "\\u00b5m": "µm", "μm": "µm", "µm": "µm",
    "nanometer": "nm", "nm": "nm", "millimeter": "mm", "mm": "mm", "meter": "m", "m": "m", "centimeter": "cm",
    "cm": "cm", "angstrom": "Å", "pixel": "pixel", "inch": "in",
}  # fmt: skip
"""OME's unit for each name that programs give to a unit of length."""

OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "float32", "float64")
"""Pixel types that an OME-TIFF can hold; half precision is written as single precision."""


def ome_order(axes: str) -> tuple[str, list[int]]:
    """Return the axes in OME's order, and the position at which each of them was.

    A letter that OME does not have is replaced by the first of T, Z and C that is free.

    Raises
    ------
    ValueError
        If none of these is free.
    """
    free = [letter for letter in "TZC" if letter not in axes]
    renamed = "".join(letter if letter in OME_ORDER else (free.pop(0) if free else letter) for letter in axes)
    if unknown := [letter for letter in renamed if letter not in OME_ORDER]:
        raise ValueError(f"an OME-TIFF has no place for the axes {', '.join(unknown)} of an image with axes {axes}")
    ordered = "".join(letter for letter in OME_ORDER if letter in renamed)
    return ordered, [renamed.index(letter) for letter in ordered]


def ome_metadata(text: str) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    """Return pixel sizes and their units per axis, and the annotations (key and value), of an OME-XML text."""
    root = ET.fromstring(text)  # noqa: S314  (the person's own file; expat refuses entity bombs)
    pixels = next((element for element in root.iter() if element.tag.endswith("}Pixels")), None)
    spacing, units = {}, {}
    for letter in "ZYX":
        size = None if pixels is None else pixels.get(f"PhysicalSize{letter}")
        if pixels is not None and size is not None and float(size) > 0:
            spacing[letter] = float(size)
            units[letter] = pixels.get(f"PhysicalSize{letter}Unit", "µm")
    annotations = {entry.get("K", ""): entry.text or "" for entry in root.iter() if entry.tag.endswith("}M")}
    return spacing, units, annotations


def imagej_metadata(tiff: tifffile.TiffFile) -> tuple[dict[str, float], dict[str, str]]:
    """Return pixel sizes and their units per axis of an ImageJ file, both empty if it has no unit of length."""
    metadata = tiff.imagej_metadata or {}
    unit = OME_UNITS.get(str(metadata.get("unit", "")).lower(), "")
    if not unit:
        return {}, {}
    spacing = {}
    tags = tiff.pages.first.tags
    for letter in "YX":
        if (tag := tags.get(f"{letter}Resolution")) and tag.value[0]:
            spacing[letter] = tag.value[1] / tag.value[0]
    if "spacing" in metadata:
        spacing["Z"] = float(metadata["spacing"])
    return spacing, dict.fromkeys(spacing, unit)

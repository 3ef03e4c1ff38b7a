"""What OME-TIFF, ImageJ and other TIFF files say about their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from .sizes import MICRONS, checked_size, checked_unit

SPACING = {"Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX", "T": "TimeIncrement"}
"""OME's name for the size of a pixel along each axis."""

CHANNEL_ATTRIBUTES = (
    "Name", "AcquisitionMode", "Color", "ContrastMethod", "EmissionWavelength", "EmissionWavelengthUnit",
    "ExcitationWavelength", "ExcitationWavelengthUnit", "Fluor", "IlluminationType", "NDFilter", "PinholeSize",
    "PinholeSizeUnit", "PockelCellSetting",
)  # fmt: skip
"""What OME says about a channel, as far as it stands by itself."""

PLANE_ATTRIBUTES = (
    "DeltaT", "DeltaTUnit", "ExposureTime", "ExposureTimeUnit", "PositionX", "PositionXUnit", "PositionY",
    "PositionYUnit", "PositionZ", "PositionZUnit",
)  # fmt: skip
"""What OME says about a plane."""

ABOUT = ("Name", "Description", "AcquisitionDate")
"""What OME says about an image."""

OPAQUE = 255
"""The last byte of a colour in OME."""

RESOLUTION_UNITS = {2: MICRONS["in"], 3: MICRONS["cm"]}
"""Micrometres in the units of a resolution, by TIFF's numbers for them."""

LONGEST = 60
"""Letters of a damaged value that are repeated."""


@final
@dataclass
class Description:
    """What a file says about its pixels, see :class:`.ImageFile`; ``annotations`` are OME's texts by their key."""

    spacing: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    channels: tuple[Mapping[str, str], ...] = ()
    planes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def swap_rows_and_columns(self) -> None:
        """Exchange rows and columns."""
        sizes = {letter: self.spacing.pop(letter) for letter in "YX" if letter in self.spacing}
        units = {letter: self.units.pop(letter) for letter in sizes}
        self.spacing |= {{"Y": "X", "X": "Y"}[letter]: size for letter, size in sizes.items()}
        self.units |= {{"Y": "X", "X": "Y"}[letter]: unit for letter, unit in units.items()}

    def add(self, letter: str, value: Any, unit: str) -> None:
        """Add the size of a pixel along an axis, or a remark if it is none."""
        what = SPACING[letter]
        size = checked_size(value, what, self.remarks)
        known = checked_unit(unit, of_time=letter == "T", remarks=self.remarks)
        if size is not None and known is not None:
            self.spacing[letter], self.units[letter] = size, known


def ome_description(text: str) -> Description:
    """Return what an OME-XML text says about its first image."""
    root = ET.fromstring(text)  # noqa: S314  (the person's own file; expat refuses entity bombs)
    result = Description()
    image = next((element for element in root.iter() if _name(element) == "Image"), root)
    pixels = next((element for element in image.iter() if _name(element) == "Pixels"), None)
    result.annotations = {entry.get("K", ""): entry.text or "" for entry in root.iter() if _name(entry) == "M"}
    result.about = {name: text for name in ABOUT if (text := _about(image, name))}
    if pixels is None:
        return result
    for letter, what in SPACING.items():
        if (size := pixels.get(what)) is not None:
            result.add(letter, size, pixels.get(f"{what}Unit", "s" if letter == "T" else "µm"))
    result.channels = tuple(_chosen(each, CHANNEL_ATTRIBUTES) for each in pixels if _name(each) == "Channel")
    for plane in pixels:
        if _name(plane) == "Plane" and (chosen := _chosen(plane, PLANE_ATTRIBUTES)):
            result.planes[" ".join(plane.get(f"The{letter}", "0") for letter in "TZC")] = chosen
    return result


def imagej_description(tiff: tifffile.TiffFile) -> Description:
    """Return what an ImageJ file says."""
    metadata = tiff.imagej_metadata or {}
    result = Description()
    unit, scale = str(metadata.get("unit", "")).strip(), 1.0
    if not unit:
        # ImageJ then measures in the unit of the resolution; without one its sizes are of no unit.
        unit, scale = _unit_of_resolution(tiff) or ("pixel", 1.0)
    sizes = _pixel_sizes(tiff, result.remarks)
    if "spacing" in metadata and (depth := checked_size(metadata["spacing"], "spacing", result.remarks)):
        sizes["Z"] = depth
    if unit != "pixel" or set(sizes.values()) != {1.0}:
        for letter, size in sizes.items():
            result.add(letter, size * scale, unit)
    if metadata.get("finterval"):
        result.add("T", metadata["finterval"], "s")
    result.channels = _imagej_channels(metadata)
    return result


def tiff_description(tiff: tifffile.TiffFile) -> Description:
    """Return what the resolution of a TIFF says, if it is in inches or centimetres."""
    result = Description()
    if unit := _unit_of_resolution(tiff):
        for letter, size in _pixel_sizes(tiff, result.remarks).items():
            result.add(letter, size * unit[1], unit[0])
    return result


def ome_colour(red: int, green: int, blue: int) -> str:
    """Return an opaque colour of 8 bits per part as OME writes it: one signed number of 32 bits."""
    return str(int.from_bytes(bytes((red, green, blue, OPAQUE)), "big", signed=True))


def _unit_of_resolution(tiff: tifffile.TiffFile) -> tuple[str, float] | None:
    """Return micrometres, and how many of them are in the unit of the resolution; None if it has none."""
    microns = RESOLUTION_UNITS.get(tiff.pages.first.tags.valueof("ResolutionUnit", default=2))
    return None if microns is None else ("µm", microns)


def _pixel_sizes(tiff: tifffile.TiffFile, remarks: list[str]) -> dict[str, float]:
    """Return the size of a pixel along Y and X, in the unit of the resolution, as far as the file gives it."""
    sizes = {}
    for letter in "YX":
        what = f"{letter}Resolution"
        match tiff.pages.first.tags.valueof(what):
            case None:
                continue
            case (int(count), int(length)) if count and length:
                sizes[letter] = length / count
            case other:
                remarks.append(f"its {what} is {str(other)[:LONGEST]!r}, which is no size: it was left out")
    return sizes


def _imagej_channels(metadata: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
    """Return the colours of channels: the brightest of their tables, where it is not white."""
    tables = metadata.get("LUTs")
    if not isinstance(tables, list) or metadata.get("mode") not in ("composite", "color"):
        return ()
    brightest = [np.asarray(table)[:, -1].tolist() for table in tables]
    return tuple({} if len(set(last)) == 1 else {"Color": ome_colour(*last)} for last in brightest)


def _chosen(element: ET.Element, names: Sequence[str]) -> dict[str, str]:
    """Return the attributes of an element that have these names."""
    return {name: value for name in names if (value := element.get(name)) is not None}


def _about(image: ET.Element, name: str) -> str:
    inside = next((child.text or "" for child in image if _name(child) == name), "")
    return image.get(name, inside).strip()


def _name(element: ET.Element) -> str:
    """Return the name of an element without the address of OME's schema."""
    return element.tag.rpartition("}")[2]

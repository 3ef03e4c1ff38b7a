"""What OME-Zarr says about an image, as attributes of a Zarr group: axes, sizes, units, channels (OME-NGFF 0.1 to 0.5).

The specification: https://ngff.openmicroscopy.org/0.5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from .image_file import ImageFile
from .sizes import checked_size, checked_unit
from .tiff_metadata import ome_colour

VERSION = "0.5"
"""Of the specification that is written."""

ORDER = "TCZYX"
"""Axes that can be written, in the order that the specification asks for."""

TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
"""Type of each of them."""

UNITS = {
    "µm": "micrometer", "nm": "nanometer", "mm": "millimeter", "m": "meter", "cm": "centimeter", "Å": "angstrom",
    "pm": "picometer", "km": "kilometer", "in": "inch", "ft": "foot", "s": "second", "ms": "millisecond",
    "µs": "microsecond", "ns": "nanosecond", "min": "minute", "h": "hour", "d": "day",
}  # fmt: skip
"""The specification's name for each unit that it knows."""

RED_GREEN_BLUE = ("FF0000", "00FF00", "0000FF")
"""Colours of the samples of a colour image, which are stored as channels."""

WHITE = "FFFFFF"
"""Colour of a channel of which none is known."""

DAMAGED = "its OME-Zarr metadata are damaged"


@final
@dataclass(frozen=True, kw_only=True)
class Multiscale:
    """An image as its attributes describe it: paths of its arrays, the largest one first, and what is known of it."""

    paths: tuple[str, ...]
    axes: str
    spacing: Mapping[str, float]
    units: Mapping[str, str]
    channels: tuple[Mapping[str, str], ...]
    place: Mapping[str, Any]
    about: Mapping[str, str]
    remarks: tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Level:
    """An array of a pyramid: its path, and how many pixels of the largest one a pixel of it has along Y and X."""

    path: str
    factors: Mapping[str, int] = field(default_factory=dict)


def multiscale_of(attributes: Mapping[str, Any]) -> Multiscale | None:
    """Return what attributes say about the first image of a group; None if they tell of none.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, Mapping) or "multiscales" not in ome:
        return None
    try:
        return _parsed(ome, ome["multiscales"][0])
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise ValueError(DAMAGED) from error


def _parsed(ome: Mapping[str, Any], image: Mapping[str, Any]) -> Multiscale:
    paths = tuple(str(each["path"]) for each in image["datasets"])
    # Versions before 0.4 name the axes without saying more, and those before 0.3 always have all five.
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in image.get("axes", ORDER.lower())]
    letters = "".join(map(_letter, axes))
    scale, translate = np.ones(len(axes)), np.zeros(len(axes))
    for steps in (image["datasets"][0].get("coordinateTransformations", ()), image.get("coordinateTransformations")):
        for step in steps or ():
            factors = np.array(step.get("scale", np.ones(len(axes))), float)
            shifts = np.array(step.get("translation", np.zeros(len(axes))), float)
            if not factors.shape == shifts.shape == scale.shape:
                raise ValueError(f"{DAMAGED}: it has {len(axes)} axes, and sizes of pixels for another number")
            scale, translate = scale * factors, translate * factors + shifts
    remarks: list[str] = []
    spacing, units = {}, {}
    for letter, axis, size in zip(letters, axes, scale.tolist(), strict=True):
        unit = axis.get("unit")
        if letter not in "TZYX" or (unit is None and size == 1):
            continue
        checked = checked_size(size, f"size of a pixel along {letter}", remarks)
        known = "pixel" if unit is None else checked_unit(str(unit), of_time=letter == "T", remarks=remarks)
        if unit is None and letter == "T":
            remarks.append(f"its time step of {size:g} has no unit: an OME-Zarr keeps it, an OME-TIFF cannot")
        if checked is not None and known is not None:
            spacing[letter], units[letter] = checked, known
    return Multiscale(
        paths=paths,
        axes=letters,
        spacing=spacing,
        units=units,
        channels=tuple(map(_channel, (ome.get("omero") or {}).get("channels", ()))),
        place=_place(letters, scale, translate) if translate.any() else {},
        about={"Name": str(image["name"])} if image.get("name") else {},
        remarks=tuple(remarks),
    )


def order_of(axes: str) -> list[int]:
    """Return the positions of an image's axes in the order in which they are written; colours are written as channels.

    Raises
    ------
    ValueError
        If OME-Zarr has no place for one of them.
    """
    names = axes.replace("S", "C")
    if unknown := [letter for letter in axes if letter not in f"{ORDER}S"]:
        raise ValueError(
            f"an OME-Zarr has the axes {', '.join(ORDER)}, and no {', '.join(unknown)}: name the axes of the image "
            "with --axes, or write an .ome.tif"
        )
    return sorted(range(len(axes)), key=lambda axis: ORDER.index(names[axis]))


def attributes_of(image: ImageFile, levels: Sequence[Level], limits: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return the attributes of the group of an image.

    Parameters
    ----------
    image : ImageFile
        What is known of it; its pixels are not looked at.
    levels : sequence of Level
        Its arrays, the largest one first.
    limits : sequence of (float, float)
        Smallest and largest value of each channel; empty if they are not known yet.
    """
    letters = [image.axes[axis] for axis in order_of(image.axes)]
    axes: list[dict[str, str]] = []
    for letter in letters:
        name = letter.replace("S", "C")
        axis = {"name": name.lower(), "type": TYPES[name]}
        unit = UNITS.get(image.units.get(letter, ""))
        axes.append({**axis, "unit": unit} if unit and letter in image.spacing else axis)
    multiscale: dict[str, Any] = {"axes": axes, "datasets": _datasets(image, letters, levels)}
    if image.about.get("Name"):
        multiscale["name"] = image.about["Name"]
    if len(levels) > 1:
        multiscale["type"] = "mean"
    ome: dict[str, Any] = {"version": VERSION, "multiscales": [multiscale]}
    if limits and ("S" in image.axes or any(image.channels)):
        ome["omero"] = {"channels": _written_channels(image, limits)}
    return ome


def _datasets(image: ImageFile, letters: Sequence[str], levels: Sequence[Level]) -> list[dict[str, Any]]:
    at = str(image.place.get("axes", ""))
    shift = dict(zip(at, image.place.get("translate", ()), strict=False))
    datasets = []
    for level in levels:
        sizes = [image.spacing.get(letter, 1.0) for letter in letters]
        factors = [level.factors.get(letter, 1) for letter in letters]
        # The middle of the first pixel lies further in, the larger the pixel is.
        moved = [
            float(shift.get(letter, 0.0)) + size * (factor - 1) / 2
            for letter, size, factor in zip(letters, sizes, factors, strict=True)
        ]
        steps: list[dict[str, Any]] = [
            {"type": "scale", "scale": [size * factor for size, factor in zip(sizes, factors, strict=True)]}
        ]
        if any(moved):
            steps.append({"type": "translation", "translation": moved})
        datasets.append({"path": level.path, "coordinateTransformations": steps})
    return datasets


def _letter(axis: Mapping[str, Any]) -> str:
    """Return the letter of an axis; Q stands for one that cannot be told."""
    known = {"time": "T", "channel": "C"}
    name, kind = str(axis["name"]), axis.get("type")
    return known.get(str(kind)) or known.get(name.lower()) or (name.upper() if len(name) == 1 else "Q")


def _channel(channel: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a channel's attributes as OME names them."""
    found = {"Name": str(channel["label"])} if channel.get("label") else {}
    try:
        red, green, blue = bytes.fromhex(str(channel.get("color", ""))[:6])
    except ValueError:
        return found
    return {**found, "Color": ome_colour(red, green, blue)}


def _written_channels(image: ImageFile, limits: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    written = []
    for number, (low, high) in enumerate(limits):
        known = image.channels[number] if number < len(image.channels) else {}
        colour = RED_GREEN_BLUE[number] if "S" in image.axes and number < len(RED_GREEN_BLUE) else WHITE
        if known.get("Color", "").lstrip("-").isdigit():
            # Red, green, blue and opacity, one byte each, as one signed number.
            colour = f"{int(known['Color']) & 0xFFFFFFFF:08X}"[:6]
        window = {"min": low, "max": high, "start": low, "end": high}
        name = known.get("Name", f"channel {number}")
        written.append({"label": name, "color": colour, "window": window, "active": True})
    return written


def _place(axes: str, scale: Any, translate: Any) -> dict[str, Any]:
    """Return where an image lies, as a viewer keeps it."""
    letters = [axis for axis, letter in enumerate(axes) if letter != "S"]
    count = len(letters)
    return {
        "axes": "".join(axes[axis] for axis in letters),
        "scale": scale[letters].tolist(),
        "translate": translate[letters].tolist(),
        "rotate": np.eye(count).tolist(),
        "shear": np.eye(count).tolist(),
        "affine": np.eye(count + 1).tolist(),
    }

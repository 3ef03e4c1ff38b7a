"""Sizes, units and records that a file gives: taken if they make sense, and else left out with a word."""

from __future__ import annotations

import json
import math
from typing import Any

import psutil

OME_UNITS = {
    "micrometer": "µm", "um": "µm", "micron": "µm", "microns": "µm", "\\u00b5m": "µm", "μm": "µm", "µm": "µm",
    "nanometer": "nm", "nm": "nm", "millimeter": "mm", "mm": "mm", "meter": "m", "m": "m", "centimeter": "cm",
    "cm": "cm", "angstrom": "Å", "å": "Å", "picometer": "pm", "pm": "pm", "kilometer": "km", "km": "km", "inch": "in",
    "in": "in", "foot": "ft", "ft": "ft", "thou": "thou", "pixel": "pixel", "pixels": "pixel",
    "reference frame": "pixel",
}  # fmt: skip
"""OME's unit for each name that programs give to a unit of length."""

OME_TIMES = {
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "ms": "ms", "millisecond": "ms", "msec": "ms", "µs": "µs",
    "us": "µs", "microsecond": "µs", "ns": "ns", "nanosecond": "ns", "min": "min", "minute": "min", "h": "h",
    "hour": "h", "d": "d", "day": "d",
}  # fmt: skip
"""OME's unit for each name that programs give to a unit of time."""

MICRONS = {
    "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "km": 1e9, "in": 25400.0,
    "ft": 304800.0, "thou": 25.4,
}  # fmt: skip
"""Micrometres in each unit of length."""


def checked_size(value: Any, what: str, remarks: list[str]) -> float | None:
    """Return a size as a number, or None and a remark if it is none that an image can have."""
    try:
        size = float(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        size = math.nan
    if 0 < size < math.inf:
        return size
    remarks.append(f"its {what} is {str(value)!r}, which is no size: it was left out")
    return None


def size_in_microns(density: Any, microns: float, what: str, remarks: list[str]) -> float | None:
    """Return the size of a pixel from how many of them lie in a length of some micrometres."""
    checked = checked_size(density, what, remarks)
    return None if checked is None else checked_size(microns / checked, what, remarks)


def checked_unit(name: str, *, of_time: bool, remarks: list[str]) -> str | None:
    """Return OME's unit of a name; if there is none, a remark, and of a length the unit of those without one."""
    unit = (OME_TIMES if of_time else OME_UNITS).get(name.strip().lower())
    if unit is not None:
        return unit
    kept = "the time was left out" if of_time else "the sizes were kept without a unit"
    remarks.append(f"it measures in {name!r}, which is no unit that is known: {kept}")
    return None if of_time else "pixel"


def checked_record(text: Any, remarks: list[str]) -> dict[str, Any]:
    """Return the record in a text, or an empty one and a remark if it is damaged."""
    try:
        record = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        record = None
    if isinstance(record, dict):
        return record
    remarks.append("its record of a restoration is damaged: it was left out")
    return {}


def refuse_without_room(shape: tuple[int, ...], size: int) -> None:
    """Raise a ValueError if an image of some bytes does not fit into the memory."""
    available = psutil.virtual_memory().available
    if size > available:
        raise ValueError(
            f"its shape is {' × '.join(map(str, shape))}, which needs {size / 2**30:.1f} GiB of memory, and "
            f"{available / 2**30:.1f} GiB are free: crop it, or restore it piece by piece into a .zarr"
        )

"""An image with what its file says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from .kinds import Shown

RECORD = "deep-prior"
"""Key of the record of the restoration, in a file and in the metadata of a layer."""


@final
@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image with what its file says about it.

    Parameters
    ----------
    pixels : ndarray or LazyPixels
        The values; lazy ones only where they were asked for.
    axes : str
        One letter per axis (see :mod:`napari_deep_prior.arrays.axes`).
    spacing : dict of str to float
        Size of a pixel along the axes for which the file gives one; of T the time between two frames.
    units : dict of str to str
        Unit of those sizes, as OME writes it ("µm", "s"); "pixel" if the file gives sizes without a unit.
    channels : tuple of dict
        For each channel its attributes as OME names them, such as "Name" and "Color"; empty if the file gives none.
    planes : dict of str to dict
        For each plane, by its numbers in T, Z and C as "0 2 1", its attributes as OME names them, such as
        "ExposureTime" and "PositionX".
    about : dict
        Name, Description and AcquisitionDate of the image, as far as the file gives them.
    place : dict
        Where the image lies in a viewer: "axes" and for those "scale", "translate", "rotate", "shear" and "affine".
    profile : bytes
        ICC profile that says which colours the values mean; empty if there is none.
    record : dict
        Record of the restoration that made the image; empty if there was none.
    shows : str
        What a file is written as, by which later runs know what they may replace.
    remarks : tuple of str
        Sentences for people on how the file was read: what was converted, guessed, left out or is missing.
    """

    pixels: Any
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Mapping[str, str], ...] = ()
    planes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    profile: bytes = b""
    record: Mapping[str, Any] = field(default_factory=dict)
    shows: Shown = "result"
    remarks: tuple[str, ...] = ()

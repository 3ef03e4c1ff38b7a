"""Files in and out: TIFF, OME-TIFF and PNG, with axes, voxel size and the record of what was done."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final
from xml.etree import ElementTree as ET

import imageio.v3 as imageio
import numpy as np
import tifffile
from PIL import Image

from ..arrays.axes import Array, parse_axes

TIFF_ENDINGS = (".tif", ".tiff")
PLAIN_ENDINGS = (".png", ".jpg", ".jpeg")
OME_ORDER = "TZCYXS"
"""Order in which an OME-TIFF stores its axes."""

OME_UNITS = {
    "micrometer": "µm", "um": "µm", "micron": "µm", "microns": "µm", "\\u00b5m": "µm", "μm": "µm", "µm": "µm",
    "nanometer": "nm", "nm": "nm", "millimeter": "mm", "mm": "mm", "meter": "m", "m": "m", "centimeter": "cm",
    "cm": "cm", "angstrom": "Å", "pixel": "pixel", "inch": "in",
}  # fmt: skip
"""Names that programs give a unit of length, and the one that OME knows."""

OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "float32", "float64")
"""Types of pixels that an OME-TIFF can hold; half precision is written as single."""

RECORD, AXES_KEY = "deep-prior", "deep-prior-axes"
"""Keys of the record, in a file and in a layer's metadata, and of a file's axes: OME itself does not tell an axis of
length 1 from none."""

UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, struct.error, ET.ParseError, SyntaxError, tifffile.TiffFileError,
    Image.DecompressionBombError,
    RuntimeError,  # the decoders of imagecodecs
)  # fmt: skip
"""What the libraries raise for files that are damaged or no images."""


@final
@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image as it lies in a file.

    Parameters
    ----------
    pixels : ndarray
        The values.
    axes : str
        One letter per axis (see :mod:`napari_deep_prior.arrays.axes`).
    spacing : dict of str to float
        Size of a pixel along the axes for which the file gives one.
    units : dict of str to str
        Unit of those sizes, as OME writes it ("µm").
    record : dict
        What was done to the image by this program; empty if nothing was.
    """

    pixels: Array
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


def read(path: str | os.PathLike[str], *, axes: str | None = None) -> ImageFile:
    """Return the first image of a file; ``axes`` overrides the letters that the file gives.

    Raises
    ------
    ValueError
        If the file is not there or cannot be read, or the axes do not fit.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {str(file)!r}")
    try:
        picture = _read_tiff(file) if file.suffix.lower() in TIFF_ENDINGS else _read_plain(file)
    except UNREADABLE as error:
        raise ValueError(f"cannot read {str(file)!r} as an image: {error}") from error
    letters = parse_axes(axes, picture.pixels.shape) if axes else picture.axes
    return ImageFile(
        pixels=picture.pixels,
        axes=letters,
        spacing={letter: size for letter, size in picture.spacing.items() if letter in letters},
        units=picture.units,
        record=picture.record,
    )


def refuse_output(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise a ValueError, before any work is done, if a result could not be written to ``path``."""
    file = Path(path)
    if file.suffix.lower() not in (*TIFF_ENDINGS, ".png"):
        raise ValueError(f"cannot write {file.name!r}: the name must end in .tif, .tiff, .ome.tif or .png")
    if file.is_dir():
        raise ValueError(f"cannot write {str(file)!r}: it is a folder")
    if file.exists() and not overwrite:
        raise ValueError(f"{str(file)!r} exists already: choose another name, or allow it with --overwrite")
    if not file.parent.is_dir():
        raise ValueError(f"cannot write {str(file)!r}: there is no folder {str(file.parent)!r}")
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise ValueError(f"cannot write into the folder {str(file.parent)!r}: {error.strerror}") from error


def refuse_picture(path: str | os.PathLike[str], *, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise a ValueError, before any work is done, if the file of that name cannot hold such an image."""
    if Path(path).suffix.lower() == ".png":
        colour = axes == "YXS" and shape[-1] in (2, 3, 4) and dtype == np.uint8
        if not colour and not (axes == "YX" and dtype in (np.uint8, np.uint16)):
            raise ValueError(f"a PNG cannot hold a {dtype} image with axes {axes}: write an .ome.tif")
        return
    if dtype.name not in OME_TYPES:
        raise ValueError(f"an OME-TIFF cannot hold pixels of type {dtype}: write float32 (--dtype float32)")
    _ome_order(axes)


def write(path: str | os.PathLike[str], picture: ImageFile, *, overwrite: bool = False) -> None:
    """Write an OME-TIFF (or a PNG) that is complete or not there at all.

    An OME-TIFF keeps axes (in the order ``OME_ORDER``), spacing, units and record; a PNG keeps the pixels only.

    Raises
    ------
    ValueError
        If the file exists and ``overwrite`` is False, its folder cannot be written to, or it cannot hold the image.
    """
    refuse_output(path, overwrite=overwrite)
    refuse_picture(path, axes=picture.axes, shape=picture.pixels.shape, dtype=picture.pixels.dtype)
    file = Path(path)
    if file.suffix.lower() == ".png":
        _replace(file, lambda name: imageio.imwrite(name, picture.pixels, extension=".png"))
    else:
        _replace(file, lambda name: _write_tiff(name, picture))


def _replace(file: Path, write_to: Callable[[str], None]) -> None:
    """Write beside the file first, so that a crash or Ctrl-C leaves the old file or the new one, never a half."""
    handle, name = tempfile.mkstemp(suffix=file.suffix, prefix=f".{file.stem}-", dir=file.parent)
    os.close(handle)
    try:
        write_to(name)
        # mkstemp makes files private; give what any new file of this person would get.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)


def _read_plain(file: Path) -> ImageFile:
    if file.suffix.lower() not in PLAIN_ENDINGS:
        raise ValueError(f"its name ends in none of {', '.join((*TIFF_ENDINGS, *PLAIN_ENDINGS))}")
    # Without the name of a plugin imageio tries all of them on a broken file.
    pixels = np.asarray(imageio.imread(file, plugin="pillow"))
    return ImageFile(pixels=pixels, axes="YXS" if pixels.ndim == 3 else parse_axes(None, pixels.shape))


def _read_tiff(file: Path) -> ImageFile:
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        pixels, axes = series.asarray(), series.axes
        if "Y" not in axes or "X" not in axes:
            axes = parse_axes(None, pixels.shape)
        record: dict[str, Any] = {}
        if tiff.is_ome:
            spacing, units, notes = _ome_metadata(tiff.ome_metadata or "")
            record = json.loads(notes.get(RECORD, "{}"))
            pixels, axes = _with_single_axes(pixels, axes, notes.get(AXES_KEY, axes))
        elif tiff.is_imagej:
            spacing, units = _imagej_metadata(tiff)
        else:
            spacing, units = {}, {}
    return ImageFile(pixels=pixels, axes=axes, spacing=spacing, units=units, record=record)


def _with_single_axes(pixels: Array, axes: str, written: str) -> tuple[Array, str]:
    """Return an image with the axes of length 1 that it was written with, where all others are still there."""
    if [letter for letter in written if letter in axes] != list(axes):
        return pixels, axes
    return np.expand_dims(pixels, [at for at, letter in enumerate(written) if letter not in axes]), written


def _ome_metadata(text: str) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    """Return spacing, units and the notes (key and value) of an OME-XML text."""
    root = ET.fromstring(text)  # noqa: S314  (the person's own file; expat refuses entity bombs)
    pixels = next((element for element in root.iter() if element.tag.endswith("}Pixels")), None)
    spacing, units = {}, {}
    for letter in "ZYX":
        size = None if pixels is None else pixels.get(f"PhysicalSize{letter}")
        if pixels is not None and size is not None and float(size) > 0:
            spacing[letter] = float(size)
            units[letter] = pixels.get(f"PhysicalSize{letter}Unit", "µm")
    notes = {entry.get("K", ""): entry.text or "" for entry in root.iter() if entry.tag.endswith("}M")}
    return spacing, units, notes


def _imagej_metadata(tiff: tifffile.TiffFile) -> tuple[dict[str, float], dict[str, str]]:
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


def _write_tiff(name: str, picture: ImageFile) -> None:
    axes, order = _ome_order(picture.axes)
    pixels = np.transpose(picture.pixels, order)
    metadata: dict[str, Any] = {"axes": axes, "MapAnnotation": {AXES_KEY: axes}}
    for letter, size in picture.spacing.items():
        if letter in "ZYX":
            metadata[f"PhysicalSize{letter}"] = size
            metadata[f"PhysicalSize{letter}Unit"] = OME_UNITS.get(
                picture.units.get(letter, "µm"), picture.units.get(letter, "µm")
            )
    if picture.record:
        metadata["MapAnnotation"][RECORD] = json.dumps(picture.record)
    colour = "rgb" if axes.endswith("S") and pixels.shape[-1] in (3, 4) else "minisblack"
    # Samples of a pixel lie together; tifffile knows that by itself of colours only.
    layout = "contig" if axes.endswith("S") else None
    # OME knows no half-precision floats.
    pixels = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
    tifffile.imwrite(
        name, pixels, ome=True, metadata=metadata, photometric=colour, planarconfig=layout, compression="zlib",
    )  # fmt: skip


def _ome_order(axes: str) -> tuple[str, list[int]]:
    """Return the axes in OME's order, and where each of them was.

    Letters that OME has no place for take the first stack axes that are free.
    """
    free = [letter for letter in "TZC" if letter not in axes]
    renamed = "".join(letter if letter in OME_ORDER else (free.pop(0) if free else letter) for letter in axes)
    if strangers := [letter for letter in renamed if letter not in OME_ORDER]:
        raise ValueError(f"an OME-TIFF has no place for the axes {', '.join(strangers)} of an image with axes {axes}")
    ordered = "".join(letter for letter in OME_ORDER if letter in renamed)
    return ordered, [renamed.index(letter) for letter in ordered]

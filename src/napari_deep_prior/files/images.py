"""Images in and out: TIFF, OME-TIFF and PNG, with axes, pixel size and the record of the restoration."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final
from xml.etree import ElementTree as ET

import imageio.v3 as imageio
import numpy as np
import tifffile
from PIL import Image

from ..arrays.axes import Array, parse_axes
from .kinds import SHOWS_KEY, Shown
from .replacing import refuse_place, replace_file
from .tiff_metadata import OME_TYPES, OME_UNITS, imagej_metadata, ome_metadata, ome_order

TIFF_ENDINGS = (".tif", ".tiff")
PLAIN_ENDINGS = (".png", ".jpg", ".jpeg")

RECORD = "deep-prior"
"""Key of the record of the restoration, in a file and in the metadata of a layer."""

AXES_KEY = "deep-prior-axes"
"""Key of the axes of a file: OME itself does not distinguish an axis of length 1 from none."""

UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, struct.error, ET.ParseError, SyntaxError, tifffile.TiffFileError,
    Image.DecompressionBombError,
    RuntimeError,  # the decoders of imagecodecs
)  # fmt: skip
"""What the libraries raise for files that are damaged or no images."""


@final
@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image with what its file says about it.

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
        Record of the restoration that made the image; empty if there was none.
    shows : str
        What a file is written as, by which later runs know what they may replace.
    """

    pixels: Array
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    shows: Shown = "result"


def read(path: str | os.PathLike[str], *, axes: str | None = None) -> ImageFile:
    """Return the first image of a file; ``axes`` overrides the letters that the file gives.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or the axes do not fit.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {str(file)!r}")
    try:
        image = _read_tiff(file) if file.suffix.lower() in TIFF_ENDINGS else _read_plain(file)
    except UNREADABLE as error:
        raise ValueError(f"cannot read {str(file)!r} as an image: {error}") from error
    letters = parse_axes(axes, image.pixels.shape) if axes else image.axes
    spacing = {letter: size for letter, size in image.spacing.items() if letter in letters}
    return replace(image, axes=letters, spacing=spacing)


def refuse_output(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise a ValueError, before any work is done, if no image can be written to ``path``."""
    file = Path(path)
    if file.suffix.lower() not in (*TIFF_ENDINGS, ".png"):
        raise ValueError(f"cannot write {file.name!r}: the name must end in .tif, .tiff, .ome.tif or .png")
    refuse_place(file, overwrite=overwrite)


def refuse_image(path: str | os.PathLike[str], *, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise a ValueError, before any work is done, if the format of the file cannot hold such an image."""
    if Path(path).suffix.lower() == ".png":
        colour = axes == "YXS" and shape[-1] in (2, 3, 4) and dtype == np.uint8
        if not colour and not (axes == "YX" and dtype in (np.uint8, np.uint16)):
            raise ValueError(f"a PNG cannot hold a {dtype} image with axes {axes}: write an .ome.tif")
        return
    if dtype.name not in OME_TYPES:
        raise ValueError(f"an OME-TIFF cannot hold pixels of type {dtype}: write float32 (--dtype float32)")
    ome_order(axes)


def write(path: str | os.PathLike[str], image: ImageFile, *, overwrite: bool = False) -> None:
    """Write an OME-TIFF (or a PNG) that is either complete or not there at all.

    An OME-TIFF keeps axes (in OME's order), spacing, units and record; a PNG keeps the pixels only.

    Raises
    ------
    ValueError
        If the file exists and ``overwrite`` is False, its folder cannot be written to, or it cannot hold the image.
    """
    refuse_output(path, overwrite=overwrite)
    refuse_image(path, axes=image.axes, shape=image.pixels.shape, dtype=image.pixels.dtype)
    file = Path(path)
    if file.suffix.lower() == ".png":
        replace_file(file, lambda name: imageio.imwrite(name, image.pixels, extension=".png"))
    else:
        replace_file(file, lambda name: _write_tiff(name, image))


def _read_plain(file: Path) -> ImageFile:
    if file.suffix.lower() not in PLAIN_ENDINGS:
        raise ValueError(f"its name ends in none of {', '.join((*TIFF_ENDINGS, *PLAIN_ENDINGS))}")
    # Without the name of a plugin imageio tries all of them on a broken file.
    pixels = np.asarray(imageio.imread(file, plugin="pillow"))
    return ImageFile(pixels=pixels, axes="YXS" if pixels.ndim == 3 else parse_axes(None, pixels.shape))


def _read_tiff(file: Path) -> ImageFile:
    spacing: dict[str, float] = {}
    units: dict[str, str] = {}
    record: dict[str, Any] = {}
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        pixels, axes = series.asarray(), series.axes
        if "Y" not in axes or "X" not in axes:
            axes = parse_axes(None, pixels.shape)
        if tiff.is_ome:
            spacing, units, annotations = ome_metadata(tiff.ome_metadata or "")
            record = json.loads(annotations.get(RECORD, "{}"))
            pixels, axes = _with_single_axes(pixels, axes, annotations.get(AXES_KEY, axes))
        elif tiff.is_imagej:
            spacing, units = imagej_metadata(tiff)
    return ImageFile(pixels=pixels, axes=axes, spacing=spacing, units=units, record=record)


def _with_single_axes(pixels: Array, axes: str, written: str) -> tuple[Array, str]:
    """Return an image with the axes of length 1 that it was written with, if all of its axes are among those."""
    if [letter for letter in written if letter in axes] != list(axes):
        return pixels, axes
    return np.expand_dims(pixels, [at for at, letter in enumerate(written) if letter not in axes]), written


def _write_tiff(name: str, image: ImageFile) -> None:
    axes, order = ome_order(image.axes)
    pixels = np.transpose(image.pixels, order)
    metadata: dict[str, Any] = {"axes": axes, "MapAnnotation": {AXES_KEY: axes, SHOWS_KEY: image.shows}}
    for letter, size in image.spacing.items():
        if letter in "ZYX":
            unit = image.units.get(letter, "µm")
            metadata[f"PhysicalSize{letter}"] = size
            metadata[f"PhysicalSize{letter}Unit"] = OME_UNITS.get(unit, unit)
    if image.record:
        metadata["MapAnnotation"][RECORD] = json.dumps(image.record)
    colour = "rgb" if axes.endswith("S") and pixels.shape[-1] in (3, 4) else "minisblack"
    # The samples of a pixel are stored together, which tifffile assumes of colours only.
    layout = "contig" if axes.endswith("S") else None
    # OME has no half-precision floats.
    pixels = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
    tifffile.imwrite(
        name, pixels, ome=True, metadata=metadata, photometric=colour, planarconfig=layout, compression="zlib",
    )  # fmt: skip

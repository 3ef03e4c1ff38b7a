"""TIFF files, with what they say of axes, colours and sizes; what is missing in them is found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import tifffile

from ..arrays.axes import Array
from .colours import INKS, INVERTED, NOT_INVERTED, inks_to_rgb, palette_of_tiff, resolve_palette, upright
from .image_file import RECORD, ImageFile
from .lazy_pixels import LazyPixels
from .sizes import checked_record, refuse_without_room
from .tiff_metadata import Description, imagej_description, ome_description, tiff_description
from .tiff_pages import lazy_planes, opened_tiff

AXES_KEY = "deep-prior-axes"
"""Key of the axes of a file: OME itself does not distinguish an axis of length 1 from none."""

PLACE_KEY = "deep-prior-place"
"""Key of where an image lies in a viewer, for which OME has no words."""

GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MASK, tifffile.PHOTOMETRIC.CFA)
"""Kinds of values that are what they are."""

JPEGS = (tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.ALT_JPEG)
"""Compressions whose decoder converts luminance and chrominance to RGB."""


DENSEST = 50_000
"""Bytes of pixels that one stored byte can stand for in the densest compressions."""

SMALL = 2**24
"""Bytes of pixels that need no check."""


@final
@dataclass
class _Read:
    """Pixels on their way from a file, and what is to be said of them."""

    pixels: Any
    axes: str
    remarks: list[str] = field(default_factory=list)

    def add_samples(self, pixels: Array, remark: str) -> None:
        """Take other pixels, which may have an axis of colours more."""
        self.axes += "S" * (pixels.ndim - self.pixels.ndim)
        self.pixels = pixels
        self.remarks += [remark] if remark else []


def read_tiff(file: Path, *, lazily: bool = False) -> ImageFile:
    """Return the first image of a TIFF file; its axes may have letters that name no axis.

    Parameters
    ----------
    lazily : bool
        Leave the pixels in the file, if its planes can be read one by one as they are.
    """
    with opened_tiff(file) as tiff:
        series = tiff.series[0]
        _refuse_size(series)
        planes = lazy_planes(file) if lazily and _are_planes_as_they_are(tiff, series) else None
        read = _pixels(tiff, series) if planes is None else _Read(planes, series.axes, _sparse(series.keyframe))
        if len(tiff.series) > 1:
            read.remarks.append(
                f"it holds {len(tiff.series)} images of different shapes or pixel types: the first was read"
            )
        page = series.keyframe
        _convert_colours(read, page, is_imagej=tiff.is_imagej)
        described = _description(tiff)
        place, record = {}, {}
        if tiff.is_ome:
            written = described.annotations
            place = checked_record(written.get(PLACE_KEY, "{}"), described.remarks)
            record = checked_record(written.get(RECORD, "{}"), described.remarks)
            read.pixels, read.axes = _with_single_axes(read.pixels, read.axes, written.get(AXES_KEY, read.axes))
        _turn(read, described, page)
        profile = page.tags.valueof("InterColorProfile", default=b"")
    return ImageFile(
        pixels=read.pixels,
        axes=read.axes,
        spacing=described.spacing,
        units=described.units,
        channels=described.channels,
        planes=described.planes,
        about=described.about,
        place=place,
        profile=profile if isinstance(profile, bytes) and INKS not in read.remarks else b"",
        record=record,
        remarks=(*read.remarks, *dict.fromkeys(described.remarks)),
    )


def _are_planes_as_they_are(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    """Return whether an image is complete, upright, and of values that need no conversion."""
    page, kinds = series.keyframe, tifffile.PHOTOMETRIC
    kept = page.photometric in (*GREY, kinds.RGB, kinds.YCBCR) or (page.photometric == kinds.PALETTE and tiff.is_imagej)
    complete = math.prod(_promised(tiff, series)[0]) * math.prod(page.shape) <= math.prod(series.shape)
    turned = page.tags.valueof("Orientation", default=1) in range(2, 9)
    return kept and complete and not turned and 0 not in series.shape and all(each is not None for each in series)


def _description(tiff: tifffile.TiffFile) -> Description:
    if tiff.is_ome:
        return ome_description(tiff.ome_metadata or "")
    return imagej_description(tiff) if tiff.is_imagej else tiff_description(tiff)


def _pixels(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> _Read:
    """Return the pixels of an image, as many planes of it as there are."""
    page = series.keyframe
    refuse_without_room(series.shape, series.nbytes)
    if tiff.is_ome and (missing := sum(each is None for each in series)):
        raise ValueError(
            f"{missing} of its {len(series)} planes are missing: put all files of the set into one folder, or copy it "
            "again"
        )
    promised, axes = _promised(tiff, series)
    plane = math.prod(page.shape)
    planes = math.prod(promised)
    if planes * plane <= math.prod(series.shape):
        return _Read(series.asarray(), series.axes, _sparse(page))
    if len(tiff.pages) == 1 and page.is_final:
        there = min(planes, (tiff.filehandle.size - page.dataoffsets[0]) // page.nbytes)
        dtype = np.dtype(page.dtype or np.uint8).newbyteorder(page.parent.byteorder)
        pixels = tiff.filehandle.read_array(dtype, there * plane, offset=page.dataoffsets[0]).astype(page.dtype)
    else:
        there = min(planes, len(tiff.pages))
        pixels = tiff.asarray(key=slice(0, there))
    read = "only the first one was read" if there == 1 else f"the {there} that are there were read"
    remark = f"it was cut off: of {planes} planes that it tells of, {read}"
    remark = remark if there < planes else ""
    return _complete(pixels.reshape(there, *page.shape), promised, axes + page.axes, remark)


def _refuse_size(series: tifffile.TiffPageSeries) -> None:
    """Raise a ValueError for sizes that only a damaged file gives, before memory is taken for them."""
    page = series.keyframe
    shape = " × ".join(map(str, series.shape))
    if 0 in series.shape:
        raise ValueError(f"it has no pixels: its shape is {shape}")
    if len(page.dataoffsets) < math.prod(page.chunked):
        raise ValueError(f"of {math.prod(page.chunked)} parts of a plane only {len(page.dataoffsets)} are in the file")
    if page.nbytes > max(SMALL, DENSEST * page.parent.filehandle.size):
        raise ValueError(f"its shape, {shape}, is more than a file of its size can hold: it is damaged")


def _promised(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> tuple[tuple[int, ...], str]:
    """Return how many planes the description of a file tells of, by axis, and the letters of these axes."""
    page = series.keyframe
    metadata = tiff.imagej_metadata if tiff.is_imagej else None
    if metadata is None:
        shaped = tiff.shaped_metadata[0] if tiff.is_shaped and tiff.shaped_metadata else {}
        shape = [length for length in shaped.get("shape", ()) if isinstance(length, int)]
        outer = tuple(shape[: len(shape) - page.ndim])
        axes = str(shaped.get("axes", ""))[: len(outer)]
        return outer, axes if len(axes) == len(outer) else "Q" * len(outer)
    counts = {
        letter: metadata.get(name, 1) for letter, name in zip("TZC", ("frames", "slices", "channels"), strict=True)
    }
    for name in ("images", "frames", "slices", "channels"):
        if not isinstance(count := metadata.get(name, 1), int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"its ImageJ description gives {name}={count!r}, which is no number of planes")
    if counts["C"] in (page.shaped[0], page.shaped[4]):
        counts["C"] = 1
    if math.prod(counts.values()) == 1:
        return (metadata.get("images", 1),), "I"
    return tuple(counts.values()), "TZC"


def _complete(planes: Array, shape: tuple[int, ...], axes: str, remark: str) -> _Read:
    """Return the planes that fill outer axes of a shape completely: as many of the outermost as there are."""
    lengths, there = list(shape), len(planes)
    for axis in range(len(shape)):
        inner = math.prod(shape[axis + 1 :])
        lengths[axis] = min(shape[axis], there // inner)
        if lengths[axis]:
            break
        lengths[axis] = 1
    used = math.prod(lengths)
    if not used or not there:
        raise ValueError("it was cut off in its first plane")
    if used < there:
        remark += f", and {there - used} of them left out that belong to no complete set"
    pixels = planes[:used].reshape(*lengths, *planes.shape[1:])
    single = [axis for axis, length in enumerate(lengths) if length == 1]
    kept = "".join(letter for axis, letter in enumerate(axes) if axis not in single)
    return _Read(np.squeeze(pixels, tuple(single)), kept, [remark] if remark else [])


def _sparse(page: tifffile.TiffPage) -> list[str]:
    empty = sum(count == 0 for count in page.databytecounts)
    return [f"{empty} of its {len(page.databytecounts)} parts are not stored: they were read as 0"] if empty else []


def _convert_colours(read: _Read, page: tifffile.TiffPage, *, is_imagej: bool) -> None:
    """Convert values to grey values or to red, green and blue, and take down what was done."""
    kinds = tifffile.PHOTOMETRIC
    kind = kinds(page.photometric)
    if kind == kinds.PALETTE and not is_imagej:
        colours = palette_of_tiff(_colormap(page))
        read.add_samples(*resolve_palette(read.pixels, colours))
    elif kind == kinds.PALETTE:
        # ImageJ stores the table by which values are shown as a palette.
        pass
    elif kind == kinds.MINISWHITE:
        inverted = read.pixels.dtype.kind in "bu" and not is_imagej
        # All bits of a value that it has in the file.
        largest = read.pixels.dtype.type(2**page.bitspersample - 1)
        read.add_samples(read.pixels ^ largest if inverted else read.pixels, INVERTED if inverted else NOT_INVERTED)
    elif kind == kinds.SEPARATED:
        if page.samplesperpixel != 4 or read.pixels.dtype.kind != "u":
            raise ValueError(f"it has the values of {page.samplesperpixel} inks: save it as RGB")
        at = read.axes.index("S")
        read.pixels = np.moveaxis(inks_to_rgb(np.moveaxis(read.pixels, at, -1)), -1, at)
        read.remarks.append(INKS)
    elif kind not in (*GREY, kinds.RGB) and not (kind == kinds.YCBCR and page.compression in JPEGS):
        raise ValueError(f"its colours are stored as {kind.name}: save it as RGB or as grey values")
    elif kind in GREY and page.extrasamples and not any(page.extrasamples) and not page.parent.is_ome:
        # Samples of which the file does not say that they are opacity are channels.
        read.axes = read.axes.replace("S", "C") if "C" not in read.axes else read.axes


def _colormap(page: tifffile.TiffPage) -> Array:
    if page.colormap is None:
        raise ValueError("it has indices into a palette, and no palette")
    return page.colormap


def _turn(read: _Read, described: Description, page: tifffile.TiffPage) -> None:
    """Turn an image upright by the orientation that the file gives."""
    orientation: Any = page.tags.valueof("Orientation", default=1)
    if orientation not in range(2, 9) or not {"Y", "X"} <= set(read.axes):
        return
    read.pixels = upright(read.pixels, read.axes, orientation)
    read.remarks.append(f"it was turned upright, as its orientation ({int(orientation)}) says")
    if orientation > 4:
        described.swap_rows_and_columns()


def _with_single_axes(pixels: Any, axes: str, written: str) -> tuple[Any, str]:
    """Return an image with the axes of length 1 that it was written with, if all of its axes are among those."""
    if [letter for letter in written if letter in axes] != list(axes) or len(set(written)) != len(written):
        return pixels, axes
    single = [at for at, letter in enumerate(written) if letter not in axes]
    wider = pixels.with_single_axes(single) if isinstance(pixels, LazyPixels) else np.expand_dims(pixels, single)
    return wider, written

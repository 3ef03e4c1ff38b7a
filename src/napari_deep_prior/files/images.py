"""Images in and out: TIFF, OME-TIFF, PNG and JPEG, with axes, pixel size and the record of the restoration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.axes import named_axes, parse_axes
from .image_file import RECORD, ImageFile
from .pictures import read_picture, write_png
from .reading import reading, words_as_remarks
from .replacing import refuse_place, replace_file
from .sizes import refuse_without_room
from .tiff_reader import read_tiff
from .tiff_writer import OME_TYPES, ome_order, write_tiff
from .zarr_reader import is_zarr, read_zarr

__all__ = ["NAME_AXES", "RECORD", "ImageFile", "read", "read_as_stored", "refuse_image", "refuse_output", "write"]

TIFF_ENDINGS = (".tif", ".tiff")
NAME_AXES = "name them with --axes if not"
"""What is to be done on the command line about axes that were guessed wrongly."""

PLAIN_ENDINGS = (".png", ".jpg", ".jpeg")


def read(
    path: str | os.PathLike[str], *, axes: str | None = None, turned: bool = True, lazily: bool = False
) -> ImageFile:
    """Return the first image of a file, or of a Zarr folder.

    Parameters
    ----------
    axes : str, optional
        One letter per axis, instead of those that the file gives.
    turned : bool
        Turn a photograph upright, as its EXIF orientation says.
    lazily : bool
        Leave the pixels in the file where the format allows it: Zarr, and TIFF with planes that need no conversion.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or the axes do not fit.
    """
    image = read_as_stored(path, turned=turned, lazily=lazily)
    if axes:
        letters = parse_axes(axes, image.pixels.shape)
    else:
        letters = named_axes(image.axes, image.pixels.shape)
        if letters != image.axes:
            remark = f"it does not say what its axes are: they were taken for {letters}; {NAME_AXES}"
            image = replace(image, remarks=(*image.remarks, remark))
    spacing = {letter: size for letter, size in image.spacing.items() if letter in letters}
    return replace(image, axes=letters, spacing=spacing)


def read_as_stored(path: str | os.PathLike[str], *, turned: bool = True, lazily: bool = False) -> ImageFile:
    """Return the first image of a file or a Zarr folder; its axes may be letters that name no axis.

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read.
    """
    file = Path(path)
    if file.is_dir() and not is_zarr(file):
        raise ValueError(f"there is no file {str(file)!r}: it is a folder, and not a Zarr array or group")
    with reading(file, "an image") as words:
        ending = file.suffix.lower()
        if is_zarr(file):
            image = read_zarr(file)
        elif ending in TIFF_ENDINGS:
            image = read_tiff(file, lazily=lazily)
        elif ending in PLAIN_ENDINGS:
            image = read_picture(file, turned=turned)
        else:
            raise ValueError(f"its name ends in none of {', '.join((*TIFF_ENDINGS, *PLAIN_ENDINGS))}, nor is it Zarr")
        if 0 in image.pixels.shape:
            raise ValueError(f"it has no pixels: its shape is {' × '.join(map(str, image.pixels.shape))}")
        if image.pixels.ndim < 2:
            raise ValueError(f"it has {image.pixels.ndim} axes; at least rows and columns are needed")
        if is_zarr(file) and not lazily:
            refuse_without_room(image.pixels.shape, image.pixels.nbytes)
            image = replace(image, pixels=np.asarray(image.pixels))
    return replace(image, remarks=(*image.remarks, *words_as_remarks(words)))


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

    An OME-TIFF keeps all that an :class:`ImageFile` has, with its axes in OME's order; a PNG keeps pixels, resolution,
    colour profile and record.

    Raises
    ------
    ValueError
        If the file exists and ``overwrite`` is False, its folder cannot be written to, or it cannot hold the image.
    """
    refuse_output(path, overwrite=overwrite)
    refuse_image(path, axes=image.axes, shape=image.pixels.shape, dtype=image.pixels.dtype)
    file = Path(path)
    if file.suffix.lower() == ".png":
        replace_file(file, lambda name: write_png(name, image))
    else:
        replace_file(file, lambda name: write_tiff(name, image))

"""Zarr arrays, and images of OME-Zarr (0.1 to 0.5): read where they are asked for, in Zarr formats 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .image_file import RECORD, ImageFile
from .lazy_pixels import LazyPixels
from .ngff import Multiscale, multiscale_of
from .reading import reading

ZARR_ENDING, OME_ZARR_ENDING = ".zarr", ".ome.zarr"

METADATA = ("zarr.json", ".zarray", ".zgroup")
"""Files by which a folder is known as Zarr."""

NOT_INSTALLED = (
    "Zarr is read and written with the package zarr, which is not installed: pip install 'napari-deep-prior[zarr]'"
)


def zarr_library() -> Any:
    """Return the module ``zarr``.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise ValueError(NOT_INSTALLED) from error
    return zarr


def is_zarr_name(path: str | Path) -> bool:
    """Return whether an image of that name is, or will be, one in a Zarr folder."""
    return Path(path).suffix.lower() == ZARR_ENDING


def is_zarr(folder: Path) -> bool:
    """Return whether a folder is a Zarr array or group."""
    return folder.is_dir() and any((folder / name).is_file() for name in METADATA)


def read_zarr(folder: Path) -> ImageFile:
    """Return the image in a folder, its pixels not read; its axes may have letters that name no axis.

    Raises
    ------
    ValueError
        If there is no image in it, or several that nothing tells apart.
    """
    node = zarr_library().open(str(folder), mode="r")
    if _is_array(node):
        return _plain(folder, node, ())
    attributes = dict(node.attrs)
    found = multiscale_of(attributes)
    if found is not None:
        return _described(folder, node, found)
    inner = sorted(name for name, _ in node.members())
    if "0" in inner and not _is_array(node["0"]) and multiscale_of(dict(node["0"].attrs)):
        # Bio-Formats writes every image of a file into a group of its own.
        image = read_zarr(folder / "0")
        more = [f"it holds several images: the first, {str(folder / '0')!r}, was read"] if "1" in inner else []
        return replace(image, remarks=(*image.remarks, *more))
    arrays = [name for name in inner if _is_array(node[name])]
    if len(arrays) == 1:
        return _plain(folder / arrays[0], node[arrays[0]], (f"its array {arrays[0]!r} was read",))
    ome = attributes.get("ome", attributes)
    if isinstance(ome, Mapping) and "plate" in ome:
        raise ValueError("it is a plate: give the path of one of its images, as plate.zarr/A/1/0")
    names = ", ".join(map(repr, arrays or inner)) or "nothing"
    raise ValueError(f"it is a group that holds {names}: give the path of one of its arrays or images")


def levels_of(folder: Path) -> list[Any]:
    """Return the arrays of the pyramid of an OME-Zarr, the largest one first; without one, none."""
    group = zarr_library().open_group(str(folder), mode="r")
    found = multiscale_of(dict(group.attrs))
    return [] if found is None else [group[path] for path in found.paths]


def bytes_of_zarr(folder: Path) -> int:
    """Return the bytes of the pixels of an image in a folder by its metadata alone; 0 if they do not say it."""
    try:
        with reading(folder, "an image"):
            return _bytes_of(zarr_library().open(str(folder), mode="r"))
    except ValueError:
        return 0


def _bytes_of(node: Any) -> int:
    if _is_array(node):
        return int(node.nbytes)
    found = multiscale_of(dict(node.attrs))
    # Without a pyramid one array by itself, or the first of several images.
    inner = sorted(name for name, _ in node.members()) if found is None else found.paths
    return _bytes_of(node[inner[0]]) if inner else 0


def _described(folder: Path, group: Any, found: Multiscale) -> ImageFile:
    if found.paths[0] not in group:
        held = ", ".join(sorted(repr(name) for name, _ in group.members())) or "nothing"
        raise ValueError(f"its metadata name the array {found.paths[0]!r}, and it holds {held}: it is damaged")
    array = group[found.paths[0]]
    if len(found.axes) != array.ndim:
        raise ValueError(f"its metadata name {len(found.axes)} axes, and its array has {array.ndim}: it is damaged")
    record = dict(group.attrs).get(RECORD, {})
    return ImageFile(
        pixels=_pixels(folder, array),
        axes=found.axes,
        spacing=found.spacing,
        units=found.units,
        channels=found.channels,
        place=found.place,
        about=found.about,
        record=record if isinstance(record, dict) else {},
        remarks=(*found.remarks, *_missing(array)),
    )


def _plain(folder: Path, array: Any, remarks: tuple[str, ...]) -> ImageFile:
    """Return an array by itself; Zarr 3 may name its axes."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    axes = "".join(str(name or "q")[:1].upper() for name in names)
    axes = axes if axes.isalpha() and len(axes) == array.ndim else "Q" * array.ndim
    return ImageFile(pixels=_pixels(folder, array), axes=axes, remarks=(*remarks, *_missing(array)))


def _pixels(folder: Path, array: Any) -> LazyPixels:
    return LazyPixels(folder, tuple(array.shape), np.dtype(array.dtype), lambda index: np.asarray(array[index]))


def _missing(array: Any) -> tuple[str, ...]:
    """Return a remark if chunks are not stored: they may have been lost, or hold nothing but the fill value."""
    missing = array.nchunks - array.nchunks_initialized
    if not missing:
        return ()
    return (f"{missing} of its {array.nchunks} chunks are not stored: they are read as {array.fill_value}",)


def _is_array(node: Any) -> bool:
    return isinstance(node, zarr_library().Array)

"""Reader and writer of images that keep all that a file says of them, and where a layer lies.

napari's own TIFF writer loses all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_info

from ..arrays.axes import Array
from ..files import images as io
from ..files.zarr_reader import OME_ZARR_ENDING, ZARR_ENDING, levels_of
from ..runs.zarr_place import is_result
from .layers import FILE, Part, axes_of_metadata

LayerData = tuple[Any, dict[str, Any], str]

CORRECT_AXES = "correct them in the dock if not"
"""What is to be done in the viewer about axes that were guessed wrongly."""

ENDINGS = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
"""Endings of the names of files that are read and written; the longer ones first."""

FOLDER_ENDINGS = (OME_ZARR_ENDING, ZARR_ENDING)
"""Endings of the names of folders that are read."""


def reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return a function that reads the file, or None if it is not for us: a list of files, another's Zarr."""
    if isinstance(path, list):
        return None
    if path.lower().endswith(ENDINGS):
        return _read
    return _read_zarr if is_result(Path(path)) else None


def _read(path: str | list[str]) -> list[LayerData]:
    file = path[0] if isinstance(path, list) else path
    picture = io.read(file)
    return [(*_described(picture, file, ENDINGS), "image")]


def _read_zarr(path: str | list[str]) -> list[LayerData]:
    """Return a lazy layer of all arrays of a pyramid."""
    import dask.array  # napari has it, and a core without a viewer needs it not

    folder = path[0] if isinstance(path, list) else path
    picture = io.read(folder, lazily=True)
    _, metadata = _described(picture, folder, FOLDER_ENDINGS)
    levels = [dask.array.from_array(level, chunks=level.chunks) for level in levels_of(Path(folder))]
    multiscale = len(levels) > 1
    return [(levels if multiscale else levels[0], {**metadata, "multiscale": multiscale}, "image")]


def _described(picture: io.ImageFile, file: str, endings: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Return the data of a layer, colours last, and its metadata; what is to be known of the file is shown."""
    pixels, axes = picture.pixels, picture.axes
    if "S" in axes:
        pixels, axes = np.moveaxis(pixels, axes.index("S"), -1), axes.replace("S", "") + "S"
    rgb = axes.endswith("S") and pixels.shape[-1] in (3, 4)
    letters = axes.removesuffix("S") if rgb else axes
    name = Path(file).name
    ending = next((each for each in endings if name.lower().endswith(each)), "")
    remarks = [f"{name}: {remark.replace(io.NAME_AXES, CORRECT_AXES)}" for remark in picture.remarks]
    said = {"remarks": remarks, **_kept(picture)}
    metadata = {
        "name": name[: len(name) - len(ending)],
        "rgb": rgb,
        "units": [picture.units.get(letter, "pixel") for letter in letters],
        "axis_labels": list(letters.lower()),
        "metadata": {io.RECORD: dict(picture.record)} if picture.record else {},
        **_place_of(picture, letters),
    }
    if any(said.values()):
        metadata["metadata"][FILE] = said
    if picture.remarks:
        show_info("\n".join(said["remarks"]))
    return pixels, metadata


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer as OME-TIFF; an existing file is replaced, since the save dialog has asked."""
    io.write(path, image_of(data, meta), overwrite=True)
    return [path]


def image_of(data: Any, meta: dict[str, Any]) -> io.ImageFile:
    """Return the image of a layer as a file keeps it, from the data and the metadata of the layer; it is read."""
    pixels = np.asarray(data[0] if meta.get("multiscale") else data)
    return _kept_of(pixels, axes_of_metadata(meta, pixels.shape), meta)


def described(part: Part, look: Mapping[str, Any]) -> io.ImageFile:
    """Return what a file keeps of a part of a layer, whose pixels are not read, by the look of its result."""
    return _kept_of(None, part.axes, look)


def _kept_of(pixels: Any, axes: str, meta: Mapping[str, Any]) -> io.ImageFile:
    spatial = axes.removesuffix("S") if meta.get("rgb") else axes
    scale = meta.get("scale", [1.0] * len(spatial))
    units = meta.get("units", ["pixel"] * len(spatial))
    metadata = meta.get("metadata", {})
    said = metadata.get(FILE, {})
    return io.ImageFile(
        pixels=pixels,
        axes=axes,
        spacing={letter: abs(float(size)) for letter, size in zip(spatial, scale, strict=False)},
        units={letter: str(unit) for letter, unit in zip(spatial, units, strict=False)},
        channels=tuple(said.get("channels", ())),
        planes=said.get("planes", {}),
        about=said.get("about", {}),
        place=place_in_file(meta, spatial),
        record=metadata.get(io.RECORD, {}),
    )


def _kept(picture: io.ImageFile) -> dict[str, Any]:
    """Return what a layer has no place for but is written again."""
    channels = [dict(channel) for channel in picture.channels]
    planes = {numbers: dict(plane) for numbers, plane in picture.planes.items()}
    return {"channels": channels if any(channels) else [], "planes": planes, "about": dict(picture.about)}


def place_in_file(meta: Mapping[str, Any], axes: str) -> dict[str, Any]:
    """Return where a layer lies as lists of numbers, matrices of as many rows as it has axes."""
    count = len(axes)
    place: dict[str, Any] = {"scale": np.asarray(meta.get("scale", np.ones(count)), float)}
    place["translate"] = np.asarray(meta.get("translate", np.zeros(count)), float)
    place["rotate"] = np.asarray(meta.get("rotate", np.eye(count)), float)
    place["shear"] = _full_shear(np.asarray(meta.get("shear", np.eye(count)), float), count)
    affine = meta.get("affine")
    place["affine"] = np.asarray(np.eye(count + 1) if affine is None else affine, float)
    return {"axes": axes, **{name: values.tolist() for name, values in place.items()}}


def _full_shear(shear: Array, count: int) -> Array:
    """Return the matrix of a shear of which only the values above its diagonal are given."""
    if shear.ndim == 2:
        return shear
    matrix = np.eye(count)
    matrix[np.triu_indices(count, 1)] = shear
    return matrix


def _place_of(picture: io.ImageFile, letters: str) -> dict[str, Any]:
    """Return the scale of a layer, and where it lay when it was written, if the file says so of the same axes."""
    scale = np.array([picture.spacing.get(letter, 1.0) for letter in letters])
    place = picture.place
    if sorted(str(place.get("axes", ""))) != sorted(letters):
        return {"scale": scale}
    order = [place["axes"].index(letter) for letter in letters]
    count = len(letters)
    shapes = {"scale": (count,), "translate": (count,), "rotate": (count, count), "shear": (count, count)}
    shapes["affine"] = (count + 1, count + 1)
    values = {name: np.array(place.get(name, ()), float) for name in shapes}
    if any(values[name].shape != shape or not np.isfinite(values[name]).all() for name, shape in shapes.items()):
        return {"scale": scale}
    written = values["scale"][order]
    # Another program may have corrected the size of the pixels since.
    measured = np.array([letter in picture.spacing for letter in letters])
    scale = np.where(measured, np.copysign(scale, written), written)
    square, whole = np.ix_(order, order), np.ix_([*order, count], [*order, count])
    return {
        "scale": scale,
        "translate": values["translate"][order],
        "rotate": values["rotate"][square],
        "shear": values["shear"][square],
        "affine": values["affine"][whole],
    }

"""Reader and writer of OME-TIFF that keep pixel size, units, axis labels and the record of what was done.

napari's own TIFF writer loses all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..files import images as io
from .layers import axes_of_metadata

LayerData = tuple[Any, dict[str, Any], str]


def reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return a function that reads the file, or None if it is not for us (a list of files, a folder)."""
    if isinstance(path, list) or not path.lower().endswith((".ome.tif", ".ome.tiff")):
        return None
    return _read


def _read(path: str | list[str]) -> list[LayerData]:
    file = path[0] if isinstance(path, list) else path
    picture = io.read(file)
    axes = picture.axes
    rgb = axes.endswith("S") and picture.pixels.shape[-1] in (3, 4)
    letters = axes.removesuffix("S") if rgb else axes
    metadata = {
        "name": Path(file).name.removesuffix(".tiff").removesuffix(".tif").removesuffix(".ome"),
        "rgb": rgb,
        "scale": [picture.spacing.get(letter, 1.0) for letter in letters],
        "units": [picture.units.get(letter, "pixel") for letter in letters],
        "axis_labels": list(letters.lower()),
        "metadata": {io.RECORD: dict(picture.record)} if picture.record else {},
    }
    return [(picture.pixels, metadata, "image")]


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer as OME-TIFF; an existing file is replaced, since the save dialog has asked."""
    pixels = np.asarray(data[0] if meta.get("multiscale") else data)
    axes = axes_of_metadata(meta, pixels.shape)
    spatial = [letter for letter in axes if letter != "S" or not meta.get("rgb")]
    scale = meta.get("scale", [1.0] * len(spatial))
    units = meta.get("units", ["pixel"] * len(spatial))
    record = meta.get("metadata", {}).get(io.RECORD, {})
    picture = io.ImageFile(
        pixels=pixels,
        axes=axes,
        spacing={letter: float(size) for letter, size in zip(spatial, scale, strict=False)},
        units={letter: str(unit) for letter, unit in zip(spatial, units, strict=False)},
        record=record,
    )
    io.write(path, picture, overwrite=True)
    return [path]

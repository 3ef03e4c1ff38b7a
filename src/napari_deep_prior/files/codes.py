"""Files of codes: the code of an image, and its principal components in colours, with their place and pixel size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.axes import Array
from ..arrays.places import place_on, plain_place
from ..runs.encode import Code
from .image_file import ImageFile
from .images import write
from .results import with_spacing_of_result

COLOURS_ENDING = ".rgb.tif"
"""Of the file of the colours, beside that of the code."""


def name_of_colours(path: str) -> str:
    """Return the name of the file of the colours of a code, beside that of the code itself."""
    name = Path(path).name
    ending = next(each for each in (".ome.tif", ".ome.tiff", ".tif", ".tiff") if name.lower().endswith(each))
    return str(Path(path).with_name(name[: -len(ending)] + COLOURS_ENDING))


def write_code(path: str, code: Code, image: ImageFile, *, overwrite: bool) -> None:
    """Write a code and its colours, with what is known of the image.

    Raises
    ------
    ValueError, OSError
        If one of them cannot be written.
    """
    spatial = image.axes.replace("S", "")
    place = {name: values for name, values in image.place.items() if name != "axes"}
    if sorted(str(image.place.get("axes", ""))) == sorted(spatial):
        place = place_on(place, image.place["axes"], spatial)
    else:
        place = plain_place(spatial, image.spacing)
    known = dataclasses.replace(image, place=_listed(place, spatial), planes={}, record={}, profile=b"")
    known = with_spacing_of_result(known, code.factors)
    names = tuple({"Name": f"code {number}"} for number in range(1, code.pixels.shape[-3] + 1))
    files = (
        (path, code.pixels, code.axes, {"channels": names, "shows": "code"}),
        (name_of_colours(path), code.colours, code.colour_axes, {"channels": ()}),
    )
    for name, pixels, axes, about in files:
        own = axes.replace("S", "")
        arrays = {key: np.asarray(values) for key, values in known.place.items() if key != "axes"}
        spacing = {letter: size for letter, size in known.spacing.items() if letter in own}
        moved = _listed(place_on(arrays, spatial, own), own)
        write(name, dataclasses.replace(known, pixels=pixels, axes=axes, spacing=spacing, place=moved, **about),
              overwrite=overwrite)  # fmt: skip


def _listed(place: dict[str, Array], axes: str) -> dict[str, Any]:
    return {"axes": axes, **{name: values.tolist() for name, values in place.items()}}

"""What a file of a result says: what its input said, as far as it is true of the result."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .image_file import ImageFile
from .images import read_as_stored


def with_spacing_of_result(file: ImageFile, factors: Mapping[str, float]) -> ImageFile:
    """Return what is known of an input, with the size of the pixels of its result.

    Parameters
    ----------
    factors : mapping of str to float
        Pixels of the result in one of the input, by axis letter; what is not named is 1.
    """
    spacing = {letter: size / factors.get(letter, 1) for letter, size in file.spacing.items()}
    return dataclasses.replace(file, spacing=spacing, place=_place_of_result(file.place, factors))


def _place_of_result(place: Mapping[str, Any], factors: Mapping[str, float]) -> Mapping[str, Any]:
    """Return where a result lies whose outer edges are those of its input, which lay at a place."""
    if not factors:
        return place
    letters = str(place.get("axes", ""))
    count = len(letters)
    shapes = {"scale": (count,), "translate": (count,), "rotate": (count, count), "shear": (count, count)}
    values = {name: np.array(place.get(name, ()), float) for name in shapes}
    if any(values[name].shape != shape for name, shape in shapes.items()):
        return place
    wide = np.array([factors.get(letter, 1.0) for letter in letters])
    # The middle of the first pixel has moved, along axes that are sheared and rotated after they are scaled.
    moved = values["rotate"] @ values["shear"] @ (values["scale"] * (1 / wide - 1) / 2)
    scale, translate = values["scale"] / wide, values["translate"] + moved
    return {**place, "scale": scale.tolist(), "translate": translate.tolist()}


def part_of(file: ImageFile, shape: tuple[int, ...]) -> ImageFile:
    """Return what is known of an image without the planes that a result of that shape does not have."""
    lengths = dict(zip(file.axes, shape, strict=True))
    planes = {
        place: plane
        for place, plane in file.planes.items()
        if all(int(at) < lengths.get(letter, math.inf) for letter, at in zip("TZC", place.split(), strict=True))
    }
    return dataclasses.replace(file, planes=planes)


def read_result(path: Path) -> ImageFile | None:
    """Return an image that lies where a result is to go; None if it is none."""
    try:
        return read_as_stored(path)
    except ValueError:
        return None

"""The code of a layer as layers: its channels, and its principal components in colours, where the layer lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image

from ..arrays.places import place_on
from ..runs.encode import Code
from .files import place_in_file
from .layers import Part, appearance, pixels_of

SHOWN = (0.01, 0.99)
"""Quantiles of a code between which its layer is shown."""


def layers_of(code: Code, layer: Image, axes: str) -> list[tuple[Any, dict[str, Any]]]:
    """Return data and keywords of the two layers of the code of a layer.

    Parameters
    ----------
    axes : str
        One letter per axis of the layer's data.
    """
    before = axes[: layer.ndim]
    part = Part(layer, pixels_of(layer), axes, (0,) * len(axes))
    look = appearance(part, code.factors)
    place = {name: np.array(values) for name, values in place_in_file(look, before).items() if name != "axes"}
    units = dict(zip(before, layer.units, strict=True))
    others = code.colour_axes.removesuffix("S")
    # napari aligns the last axes of layers: before them the channels leave T and Z where those of the image are.
    channels = np.moveaxis(code.pixels, code.axes.index("C"), 0)
    found = []
    for name, pixels, letters in (("code", channels, f"C{others}"), ("code in colours", code.colours, others)):
        about: dict[str, Any] = {
            "name": f"{layer.name}: {name}",
            "rgb": name != "code",
            "axis_labels": tuple(letters.lower()),
            "units": tuple(units.get(letter, "pixel") for letter in letters),
            **place_on(place, before, letters),
        }
        if name == "code":
            about |= {"colormap": "viridis", "contrast_limits": tuple(np.quantile(pixels, SHOWN))}
        found.append((pixels, about))
    return found

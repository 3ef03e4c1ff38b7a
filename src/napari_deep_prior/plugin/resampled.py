"""Masks and guides on the pixels of the image: they may lie anywhere, at another scale, and have fewer axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from ..arrays.axes import Array
from ..arrays.resampling import refuse_no_overlap, resample
from .layers import Part, matrix_between, pixels_of

if TYPE_CHECKING:
    from napari.layers import Labels


def mask_of(labels: Labels, layer: Image, *, label: int = 0) -> Array:
    """Return which pixels of an image layer are painted, bool, of its shape without colour samples.

    The labels may lie anywhere in the world, at another scale, and have fewer axes than the image: along the others
    they are the same.

    Parameters
    ----------
    label : int
        The label that counts; 0: all of them.

    Raises
    ------
    ValueError
        If the labels have more axes than the image, or do not overlap it.
    """
    if labels.ndim > layer.ndim:
        raise ValueError(
            f"the mask {labels.name!r} has {labels.ndim} axes, the image {layer.name!r} only {layer.ndim}: use one of "
            "as many axes, or of fewer"
        )
    painted = np.asarray(labels.data[0] if labels.multiscale else labels.data)
    painted = painted == label if label else painted != 0
    shape = pixels_of(layer).shape[: layer.ndim]
    inner = shape[layer.ndim - labels.ndim :]
    mask, covered = resample(painted, transform=matrix_between(layer, labels), shape=inner, order=0)
    refuse_no_overlap(covered, f"the mask {labels.name!r}")
    return np.broadcast_to(mask.astype(bool), shape)


def guide_of(guide: Image, part: Part, factors: Mapping[str, float], shape: tuple[int, ...]) -> Array:
    """Return another image layer on the pixels of the result of a restoration, NaN where it shows nothing.

    The guide may lie anywhere in the world, at another scale, and have fewer axes: along the others it is the same.

    Parameters
    ----------
    part : Part
        What is restored.
    factors, shape : mapping of str to float, tuple of int
        Pixels of the result in one of the layer, by axis letter; lengths of the result's axes.

    Raises
    ------
    ValueError
        If the guide has more axes than the image, or does not overlap it, or the image has an axis of channels.
    """
    layer = part.layer
    if "C" in part.axes:
        raise ValueError(
            "an image with an axis of channels cannot be guided: make a layer of each, with Layer ▸ Split Stack"
        )
    if guide.ndim > layer.ndim:
        raise ValueError(
            f"the guide {guide.name!r} has {guide.ndim} axes, the image {layer.name!r} only {layer.ndim}: choose one "
            "of as many axes, or of fewer"
        )
    enlarged = np.array([factors.get(letter, 1) for letter in part.axes[: layer.ndim]])
    onto = np.diag([*1 / enlarged, 1])
    onto[:-1, -1] = (1 / enlarged - 1) / 2 + np.array(part.offset[: layer.ndim])
    outer = layer.ndim - guide.ndim
    transform = matrix_between(layer, guide) @ onto[outer:, outer:]
    pixels = np.asarray(pixels_of(guide))
    colours = np.moveaxis(pixels, -1, 0) if guide.rgb else pixels[None]
    planes = []
    for colour in colours[:3]:
        values, covered = resample(colour, transform=transform, shape=shape[outer : layer.ndim], order=1)
        refuse_no_overlap(covered, f"the guide {guide.name!r}")
        planes.append(np.where(covered, values, np.nan))
    return np.stack(planes, axis=-1) if guide.rgb else planes[0]

"""Masks: which pixels of an image are missing."""

from __future__ import annotations

import numpy as np

from .axes import Array, channel_position, inner_axes, sample_count


def spread_mask(mask: Array, shape: tuple[int, ...], axes: str) -> Array:
    """Return a mask as bool in the shape of an image, without copying it; values other than 0 mark missing pixels.

    Parameters
    ----------
    mask : ndarray
        In the shape of the image, of the image without channels, of one of its volumes (ZYX) or of one of its planes
        (YX). It is repeated along the axes that it does not have. Opacity is never missing.
    shape : tuple of int
        Shape of the image.
    axes : str
        Letters of the image's axes.

    Raises
    ------
    ValueError
        If the mask has none of these shapes, marks nothing, or leaves nothing to fill from.
    """
    lengths = dict(zip(axes, shape, strict=True))
    letters = _mask_axes(mask, lengths, axes)
    # Another copy would take the memory of the mask of a stack once more.
    marked = mask if mask.dtype == bool else mask != 0
    if not marked.any():
        raise ValueError("the mask is empty: paint what is to be filled, with a value that is not 0")
    if marked.all():
        raise ValueError("the mask covers everything: nothing is known from which the image could be filled")
    channel = channel_position(axes)
    if letters == axes and channel is not None:
        covered = marked.all(axis=tuple(axis for axis in range(len(axes)) if axis != channel))
        if covered.any():
            number = int(np.argmax(covered))
            raise ValueError(f"the mask covers channel {number} entirely: uncover some of it, or leave the channel out")
    spread = repeated(marked, shape, axes)
    if "S" in axes and sample_count(lengths["S"]) < lengths["S"]:
        colours = np.arange(lengths["S"]) < lengths["S"] - 1
        spread = spread & colours.reshape([-1 if letter == "S" else 1 for letter in axes])
    return spread


def repeated(mask: Array, shape: tuple[int, ...], axes: str) -> Array:
    """Return a mask in the shape of an image, repeated without a copy along the axes that it does not have.

    Raises
    ------
    ValueError
        If the mask has neither the shape of the image, nor of the image without channels, its volumes or its planes.
    """
    lengths = dict(zip(axes, shape, strict=True))
    letters = _mask_axes(mask, lengths, axes)
    return np.broadcast_to(mask.reshape(tuple(lengths[each] if each in letters else 1 for each in axes)), shape)


def _mask_axes(mask: Array, lengths: dict[str, int], axes: str) -> str:
    """Return the axes of the image that the mask has, by its shape."""
    inner = inner_axes(axes)
    for letters in (axes, *inner):
        if mask.shape == tuple(lengths[letter] for letter in letters):
            return letters
    raise ValueError(
        f"the mask has shape {mask.shape}; the image's is {tuple(lengths.values())} (axes {axes}): give a mask of that "
        f"shape, or of its planes, {tuple(lengths[letter] for letter in inner[-1])}"
    )

"""Masks: which pixels of an image are missing, spread over all its axes."""

from __future__ import annotations

import numpy as np

from .axes import Array, channel_position, inner_axes, sample_count


def spread_mask(mask: Array, shape: tuple[int, ...], axes: str) -> Array:
    """Return a mask as bool on all axes of an image, without copying it; what is not 0 is missing.

    Parameters
    ----------
    mask : ndarray
        Of the image's shape, of its shape without the channels, of its volumes (ZYX) or of its planes (YX); what it
        has not, it is the same along.
    shape, axes : tuple of int, str
        The image's shape, and a letter for each of its axes.

    Raises
    ------
    ValueError
        If the mask fits none of them, is empty, or leaves nothing known.
    """
    inner = inner_axes(axes)
    lengths = dict(zip(axes, shape, strict=True))
    for letters in (axes, *inner):
        if mask.shape == tuple(lengths[letter] for letter in letters):
            break
    else:
        raise ValueError(
            f"the mask has shape {mask.shape}; the image's is {shape} (axes {axes}): give a mask of that shape, or of "
            f"its planes, {tuple(lengths[letter] for letter in inner[-1])}"
        )
    marked = mask != 0
    if not marked.any():
        raise ValueError("the mask is empty: paint what is to be filled, it is marked by values that are not 0")
    if marked.all():
        raise ValueError("the mask covers everything: nothing is known that the image could be filled from")
    channel = channel_position(axes)
    if letters == axes and channel is not None:
        covered = marked.all(axis=tuple(axis for axis in range(len(axes)) if axis != channel))
        if covered.any():
            number = int(np.argmax(covered))
            raise ValueError(f"the mask covers channel {number} entirely: uncover some of it, or leave the channel out")
    whole = marked.reshape(tuple(lengths[letter] if letter in letters else 1 for letter in axes))
    spread = np.broadcast_to(whole, shape)
    if "S" in axes and sample_count(lengths["S"]) < lengths["S"]:
        # Opacity was not measured, and stays as it is.
        spread = spread & (np.arange(lengths["S"]) < lengths["S"] - 1).reshape([-1 if x == "S" else 1 for x in axes])
    return spread

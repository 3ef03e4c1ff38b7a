"""What is given besides an image, from an image file: where a mask is marked, and a guide."""

from __future__ import annotations

import numpy as np

from ..arrays.axes import Array, channel_position, sample_count
from .image_file import ImageFile


def mask_in(file: ImageFile) -> Array:
    """Return where a mask is not 0, bool; of one saved as a colour image any colour counts, opacity does not."""
    marked = file.pixels != 0
    if "S" in file.axes:
        axis = file.axes.index("S")
        marked = np.take(marked, range(sample_count(marked.shape[axis])), axis=axis).any(axis=axis)
    return np.asarray(marked)


def guide_in(file: ImageFile) -> Array:
    """Return the pixels of a guide, channels or colours last."""
    channel = channel_position(file.axes)
    return np.asarray(file.pixels if channel is None else np.moveaxis(file.pixels, channel, -1))

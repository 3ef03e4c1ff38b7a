"""Principal components of images of many channels: what differs most between their pixels, in three colours."""

from __future__ import annotations

import numpy as np

from .axes import Array

SHOWN = 0.005
"""Share of the pixels that is shown black, and white, in each colour."""


def principal_components(channels: Array, count: int = 3) -> tuple[Array, Array]:
    """Return the first principal components of the pixels of an image, and the share of the variance in each.

    Parameters
    ----------
    channels : ndarray, (C, ...)
        The image.
    count : int
        How many; of fewer channels those that lack are 0.

    Returns
    -------
    components : ndarray, (count, ...)
        Float64, with mean 0. Their signs are such that the channel that counts most counts with a plus.
    shares : ndarray, (count,)
        Shares of the whole variance; 0 for a constant image.
    """
    pixels = channels.reshape(len(channels), -1).astype(np.float64)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    variances, directions = np.linalg.eigh(pixels @ pixels.T / pixels.shape[1])
    # The largest last.
    variances, directions = variances[::-1][:count].clip(min=0), directions[:, ::-1][:, :count]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, range(directions.shape[1])])
    missing = count - directions.shape[1]
    components = np.concatenate([directions.T @ pixels, np.zeros((missing, pixels.shape[1]))])
    total = float((pixels**2).sum(axis=0).mean())
    shares = np.pad(variances / total if total > 0 else variances, (0, missing))
    return components.reshape(count, *channels.shape[1:]), shares


def as_colours(components: Array) -> Array:
    """Return three images (3, ...) as the red, green and blue of one, (..., 3) uint8, each over its own range."""
    colours = []
    for component in components:
        low, high = np.quantile(component, [SHOWN, 1 - SHOWN])
        span = float(high - low)
        colours.append(np.zeros_like(component) if span <= 0 else (component - low) / span)
    image: Array = np.rint(255 * np.stack(colours, axis=-1).clip(0, 1)).astype(np.uint8)
    return image

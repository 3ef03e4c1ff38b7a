"""Areas of an image that no camera has recorded: a rotation, a registration or a mosaic has filled them with black."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import binary_propagation
from torch import Tensor
from torch.nn import functional

from ..arrays.axes import Array
from ..physics.noise_model import NoiseModel

IMPOSSIBLE = 5.0
"""Standard deviations of the read noise, and one photon, by which a pixel must be darker than zero light."""

EQUAL = 3
"""Pixels along a side of the smallest area that must be equal."""

MOST_DEAD = 0.01
"""Share of the other pixels that may be as dark."""


def filled_with_black(values: Tensor, noise: Sequence[NoiseModel], units: tuple[Array, Array]) -> Tensor | None:
    """Return where an image was filled with black, (1, C, *S); None if nowhere.

    There are pixels far darker than zero light, and their neighbours are exactly as dark. Of noise that does not grow
    with the brightness zero light is unknown, and nothing is found.

    Parameters
    ----------
    values : Tensor, (1, C, *S)
        Canonical values.
    noise : sequence of NoiseModel
        One for each channel, in grey levels.
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    """
    if not any(model.gain > 0 for model in noise):
        return None
    factor, shift = units
    limits = [
        model.offset - IMPOSSIBLE * model.read_noise - model.gain if model.gain > 0 else -np.inf for model in noise
    ]
    limit = torch.as_tensor((np.array(limits) - shift) / factor).to(values).reshape(1, -1, *(1,) * (values.ndim - 2))
    impossible = values < limit
    if not bool(impossible.any()):
        return None
    planes = values.flatten(0, -3)[:, None]
    brightest, minus_darkest = (functional.max_pool2d(each, EQUAL, 1, EQUAL // 2) for each in (planes, -planes))
    below = impossible.flatten(0, -3).cpu().numpy()
    middle = (brightest == -minus_darkest)[:, 0].cpu().numpy() & below
    if not middle.any():
        return None
    # Where it is thin, or interpolation has mixed it with the image, it hangs together with the middle.
    neighbours = np.ones((1, 3, 3), bool)
    found = binary_propagation(middle, structure=neighbours, mask=below)
    filled = torch.from_numpy(found).to(values.device).reshape(values.shape)
    # Where all is as dark, or much of the rest, it is dark, and zero light lies lower.
    spatial = tuple(range(2, values.ndim))
    dark = (impossible & ~filled).sum(spatial, keepdim=True) >= MOST_DEAD * (~filled).sum(spatial, keepdim=True)
    filled &= ~dark
    return filled if bool(filled.any()) else None

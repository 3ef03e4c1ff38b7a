"""The noise of every channel of an image: estimated, or given by the person."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..arrays.axes import Array, channel_position, sample_count, stack_axes
from ..physics.noise_model import NoiseModel
from .noise import estimate_noise

STRONGLY_CORRELATED = 0.4
"""Correlation of neighbours from which also pixels two apart tell about each other."""

FEWEST_FOR_CORRELATION = 200 * 200
"""Pixels of a plane below which its own texture cannot be told from correlated noise, which is the rarer of the two."""

SMALLEST_PLANE = 10
"""Pixels along a side below which the noise cannot be estimated."""

MOST_FRAMES = 8
"""Frames of a time lapse from which the noise is estimated."""


@final
@dataclass(frozen=True, kw_only=True)
class GivenNoise:
    """What a person says of the noise, in grey levels; None where it is to be estimated."""

    gain: float | None = None
    offset: float | None = None
    sigma: float | None = None


def estimate_channels(image: Array, axes: str, given: GivenNoise) -> tuple[NoiseModel, ...]:
    """Return the noise of every channel of an image, estimated where it is not given.

    Parameters
    ----------
    image : ndarray
        Raw grey levels; a plane, a volume or some frames of a stack. NaN: not measured.
    axes : str
        One letter per axis. Along a ``T`` axis neighbours show almost the same, and their differences are used.
    """
    channel = channel_position(axes)
    parts = [image] if channel is None else list(np.moveaxis(image, channel, 0))
    if "S" in axes:
        parts = parts[: sample_count(len(parts))]
    letters = axes if channel is None else axes.replace(axes[channel], "")
    return tuple(_estimate(part, letters, given) for part in parts)


def correlation_length(noise: tuple[NoiseModel, ...]) -> int:
    """Return the pixels along a side over which noise is correlated; 1 where it is independent from pixel to pixel."""
    strongest = max((max(model.correlation) for model in noise), default=0.0)
    if not any(model.correlated for model in noise):
        return 1
    return 3 if strongest <= STRONGLY_CORRELATED else 5


def middle_frames(image: Any, axes: str, *, frames: int = MOST_FRAMES) -> Array:
    """Return some neighbouring frames from the middle of the ``T`` axis, all of the other axes at their middle.

    Enough to estimate the noise from the differences of neighbours; a lazy array is read only there.
    """
    index: list[slice] = []
    for letter, length in zip(axes, image.shape, strict=True):
        if letter == "T":
            first = max(0, (length - frames) // 2)
            index.append(slice(first, first + frames))
        elif letter in stack_axes(axes, volume=False):
            index.append(slice(length // 2, length // 2 + 1))
        else:
            index.append(slice(None))
    return np.asarray(image[tuple(index)])


def _estimate(part: Array, letters: str, given: GivenNoise) -> NoiseModel:
    planes = np.moveaxis(part, [letters.index("Y"), letters.index("X")], [-2, -1])
    rest = [letter for letter in letters if letter not in "YX"]
    values = np.where(np.isfinite(planes), planes, np.nan).astype(np.float64)
    if min(values.shape[-2:]) < SMALLEST_PLANE or np.isnan(values).all():
        model = NoiseModel(reliable=False, reasons=("the image is too small to estimate its noise",))
    else:
        repeats = rest.index("T") if "T" in rest and values.shape[rest.index("T")] > 1 else None
        model = estimate_noise(values, repeats_axis=repeats, offset=given.offset)
        if repeats is None and values.shape[-2] * values.shape[-1] < FEWEST_FOR_CORRELATION:
            model = dataclasses.replace(model, correlation=(0.0, 0.0))
    return dataclasses.replace(
        model,
        gain=model.gain if given.gain is None else given.gain,
        offset=model.offset if given.offset is None else given.offset,
        read_noise=model.read_noise if given.sigma is None else given.sigma,
        reliable=model.reliable or given.gain is not None,
        reasons=model.reasons if given.gain is None else (),
    )

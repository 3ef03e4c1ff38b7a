"""Arrays with named axes, to the canonical tensor and exactly back.

The canonical tensor is ``(1, C, *S)``, float32, its values mapped to about [0.05, 0.95]: inside the range
of a sigmoid without touching its flat ends. Only :class:`Frame` rescales; what leaves it has the intensities
of the input.

Axis letters: ``Y`` and ``X`` (required), ``Z`` (depth), ``C`` (channels), ``S`` (colour samples, RGB or RGBA);
every other letter (``T``, ``P``, ...) is an axis of a stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

CHANNEL_AXES = "CS"
"""Letters of the axes that go into the tensor's channel dimension: channels, colour samples."""

RANGE = (0.05, 0.95)
"""Where the smallest and the largest measured value go in the canonical tensor."""

Array = npt.NDArray[Any]
MissingPixels = Literal["refuse", "fill"]


def parse_axes(axes: str | None, shape: tuple[int, ...]) -> str:
    """Return the axis letters of an array in upper case, guessed when ``axes`` is None.

    The guess: ``YX``, ``ZYX``, ``TZYX``, ``TCZYX``; a last axis of 3 or 4 behind two larger ones is colour (``S``).

    Raises
    ------
    ValueError
        If the letters do not fit the shape, repeat, or lack ``Y`` or ``X``.
    """
    if len(shape) < 2:
        raise ValueError(f"the image has shape {shape}; at least the two axes Y and X are needed")
    if axes is None:
        colour = len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
        plain = len(shape) - colour
        # Channels beside colour samples are refused below, so they are not guessed either.
        if plain > 5 - colour:
            raise ValueError(f"the image has {len(shape)} axes; name them, for example axes='PTCZYX'")
        return "TCZYX"[-plain:] + "S" * colour if plain != 4 else "TZYX" + "S" * colour
    letters = axes.upper().strip()
    if len(letters) != len(shape):
        raise ValueError(
            f"axes {axes!r} names {len(letters)} axes, but the image has {len(shape)}, of lengths "
            f"{' × '.join(map(str, shape))}: give one letter per axis"
        )
    if not letters.isalpha() or len(set(letters)) != len(letters):
        raise ValueError(f"axes {axes!r} must be different letters, one per axis, such as 'ZYX' or 'CYX'")
    if lacking := [letter for letter in "YX" if letter not in letters]:
        raise ValueError(f"axes {axes!r} has no {' and no '.join(lacking)}: every image needs a Y and an X axis")
    if "C" in letters and "S" in letters:
        raise ValueError(f"axes {axes!r} has both channels (C) and colour samples (S): only one of them can be given")
    return letters


def stack_axes(axes: str, *, volume: bool) -> str:
    """Return the letters along which an image is taken apart: all but the plane (or volume) and the channels."""
    spatial = "ZYX" if volume else "YX"
    return "".join(letter for letter in axes if letter not in spatial + CHANNEL_AXES)


def spatial_axes(axes: str) -> str:
    """Return the letters of the axes that are neither channels nor colour samples."""
    return "".join(letter for letter in axes if letter not in CHANNEL_AXES)


def inner_axes(axes: str) -> tuple[str, str, str]:
    """Return the letters of an image without its channels, of its volumes, and of its planes."""
    spatial = spatial_axes(axes)
    return spatial, "".join(filter("ZYX".__contains__, spatial)), "".join(filter("YX".__contains__, spatial))


def sample_count(count: int) -> int:
    """Return how many of ``count`` colour samples were measured: the last of 2 or 4 is opacity."""
    return count - (count in (2, 4))


@final
class NothingToRestoreError(ValueError):
    """An image is constant or has no finite pixel."""


@final
class MissingPixelsError(ValueError):
    """An image has NaN or infinite pixels, and nobody has said that they may be filled."""


@final
@dataclass(frozen=True)
class Frame:
    """The way back from a canonical tensor to an array: where its axes, channels and intensities were.

    Parameters
    ----------
    axes : str
        Letters of the array, spatial ones and at most one of ``C`` and ``S``.
    low, span : ndarray
        Per channel, the value that maps to ``RANGE[0]`` and the distance to the one that maps to ``RANGE[1]``,
        in the image's intensity units.
    alpha : ndarray or None
        The opacity of an RGBA image, or of grey with opacity: not a measurement, given back untouched.
    """

    axes: str
    low: Array
    span: Array
    alpha: Array | None = None

    @property
    def units(self) -> tuple[Array, Array]:
        """Factor and shift per channel that turn canonical values into the image's intensities."""
        factor = self.span / (RANGE[1] - RANGE[0])
        return factor, self.low - RANGE[0] * factor

    def to_image(self, tensor: Tensor) -> Array:
        """Return the array of a canonical tensor ``(1, C, *S)``: float64, the input's axes and intensities.

        In float32 a small range far from zero would lose its grey levels.
        """
        return self._arranged(tensor, *self.units, alpha=self.alpha)

    def to_deviation(self, tensor: Tensor) -> Array:
        """Return differences of canonical values, (1, C, *S), in the input's axes and intensity units."""
        return self.to_plain(
            tensor * torch.from_numpy(self.units[0]).to(tensor).reshape(1, -1, *(1,) * (tensor.ndim - 2))
        )

    def to_plain(self, tensor: Tensor) -> Array:
        """Return values (1, C, *S) that have units of their own, unchanged, in the input's axes; for opacity 0."""
        alpha = None if self.alpha is None else np.zeros_like(self.alpha)
        return self._arranged(tensor, np.ones_like(self.span), np.zeros_like(self.span), alpha=alpha)

    def _arranged(self, tensor: Tensor, factor: Array, shift: Array, *, alpha: Array | None) -> Array:
        values = tensor.detach()[0].to("cpu", torch.float32).numpy().astype(np.float64)
        trailing = (-1,) + (1,) * (values.ndim - 1)
        image = values * factor.reshape(trailing) + shift.reshape(trailing)
        if alpha is not None:
            image = np.concatenate([image, alpha[None]])
        channel = channel_position(self.axes)
        return np.asarray(image[0] if channel is None else np.moveaxis(image, 0, channel))


def canonical(
    image: Array, axes: str, *, device: torch.device, missing: MissingPixels = "refuse"
) -> tuple[Tensor, Tensor, Frame]:
    """Return an array as canonical tensor, the weight of its values, and the way back.

    Parameters
    ----------
    image : ndarray
        Real numbers, with the axes that ``axes`` names: the plane or volume and at most one channel axis.
    device : torch.device
        Where the tensors are wanted.
    missing : {"refuse", "fill"}
        What NaN and infinite values are: an error, or missing pixels of weight 0 that a method fills in.

    Returns
    -------
    measured : Tensor, (1, C, *S) float32
    weight : Tensor, (1, C, *S) float32
        1 where a value was measured, 0 where it is missing.
    frame : Frame

    Raises
    ------
    MissingPixelsError
        If values are not finite and ``missing`` is "refuse".
    NothingToRestoreError
        If the image is constant or has no finite value.
    """
    channel = channel_position(axes)
    values = image[None] if channel is None else np.moveaxis(image, channel, 0)
    values = np.asarray(values, dtype=np.float64)
    alpha = None
    if "S" in axes and sample_count(len(values)) < len(values):
        alpha, values = values[-1], values[:-1]
    finite = np.isfinite(values)
    refuse_missing(int(finite.size - np.count_nonzero(finite)), finite.size, missing=missing)
    low, high = _limits(values, finite, jointly="S" in axes)
    if not (high > low).any():
        levels = ", ".join(f"{level:g}" for level in dict.fromkeys(low))
        raise NothingToRestoreError(f"the image is constant (every pixel is {levels}): there is nothing to restore")
    # A single constant channel has no range of its own: any positive span maps it there and back.
    span = np.where(high > low, high - low, 1.0)
    trailing = (-1,) + (1,) * (values.ndim - 1)
    unit = (values - low.reshape(trailing)) / span.reshape(trailing)
    scaled = np.where(finite, unit * (RANGE[1] - RANGE[0]) + RANGE[0], 0.5)
    measured = torch.from_numpy(scaled.astype(np.float32))[None].to(device)
    weight = torch.from_numpy(finite.astype(np.float32))[None].to(device)
    return measured, weight, Frame(axes, low, span, alpha)


def to_planes(image: Array, axes: str, function: Callable[[Tensor], Tensor]) -> Array:
    """Return means that ``function`` takes of an array as tensor (1, C, *S), in the array's axes; float64.

    A value is missing from the result where most of what it is the mean of is missing.
    """
    channel = channel_position(axes)
    values = np.array(image[None] if channel is None else np.moveaxis(image, channel, 0), np.float64, order="C")
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    # In float32 a small range far from zero would lose its grey levels.
    span = high - low or 1.0

    def means(part: Array) -> Array:
        return np.asarray(function(torch.from_numpy(part.astype(np.float32))[None])[0].numpy(), np.float64)

    done = means(np.where(finite, (values - low) / span, 0.0))
    if not finite.all():
        share = means(finite)
        done = np.where(share > 0.5, done / np.maximum(share, 0.5), np.nan)
    done = done * span + low
    return np.asarray(done[0] if channel is None else np.moveaxis(done, 0, channel))


def refuse_missing(count: int, size: int, *, missing: MissingPixels) -> None:
    """Raise an error if all of ``size`` values are not finite, or ``count`` of them and they are not to be filled."""
    if count == size:
        raise NothingToRestoreError("every pixel is NaN or infinite: there is nothing to restore")
    if count and missing == "refuse":
        raise MissingPixelsError(
            f"{count} of {size} pixels are NaN or infinite: set 'missing' to 'fill' to treat them as "
            "missing and fill them in, or replace them first"
        )


def to_dtype(image: Array, dtype: np.dtype[Any]) -> Array:
    """Return intensities as ``dtype``, limited to its finite range; rounded if it is an integer type."""
    if image.dtype == dtype:
        return image
    if dtype.kind not in "iu":
        largest = np.finfo(dtype).max
        return np.clip(image, -largest, largest).astype(dtype)
    limits = np.iinfo(dtype)
    # float64 first: the largest 32-bit integers have no float32 of their own and would wrap around.
    return np.clip(np.rint(image.astype(np.float64)), limits.min, limits.max).astype(dtype)


def channel_position(axes: str) -> int | None:
    """Return which of the axes is that of channels or colour samples, None if there is none."""
    positions = [axes.index(letter) for letter in CHANNEL_AXES if letter in axes]
    return positions[0] if positions else None


def _limits(values: Array, finite: npt.NDArray[np.bool_], *, jointly: bool) -> tuple[Array, Array]:
    """Smallest and largest finite value per channel; colour samples share one pair, so that grey stays grey."""
    spatial = tuple(range(0 if jointly else 1, values.ndim))
    low = np.min(values, axis=spatial, where=finite, initial=np.inf)
    high = np.max(values, axis=spatial, where=finite, initial=-np.inf)
    empty = ~np.isfinite(low)
    low, high = np.where(empty, 0.0, low), np.where(empty, 0.0, high)
    return np.broadcast_to(low, len(values)).copy(), np.broadcast_to(high, len(values)).copy()

"""Arrays as canonical tensors, and exactly back.

A canonical tensor is ``(1, C, *S)``, float32. Its values are mapped to [0.05, 0.95], which is inside the range of a
sigmoid and away from its flat ends. Only :class:`Frame` rescales; the arrays it returns have the intensities of the
input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .axes import Array, channel_position, sample_count

RANGE = (0.05, 0.95)
"""Canonical values of the smallest and the largest measured value."""

LARGEST = float(np.finfo(np.float32).max)
"""Largest value that single precision holds, in which results can be asked for."""

SMALLEST = 1e-60
"""Smallest difference of values of which double precision holds the fourth power, the square of a variance."""

Limits = tuple[Array, Array]
"""The smallest and the largest value of every channel."""

MissingPixels = Literal["refuse", "fill"]
"""What NaN and infinite values are: an error, or missing pixels that a method fills in."""


@final
class NothingToRestoreError(ValueError):
    """The image is constant or has no finite pixel."""


@final
class MissingPixelsError(ValueError):
    """The image has NaN or infinite pixels, and filling them was not asked for."""


@final
@dataclass(frozen=True)
class Frame:
    """The axes and intensities of an array, with which a canonical tensor becomes an array again.

    Parameters
    ----------
    axes : str
        Letters of the array's axes: spatial ones and at most one of ``C`` and ``S``.
    low, span : ndarray, (C,)
        Per channel, the value that maps to ``RANGE[0]`` and the distance from it to the value that maps to
        ``RANGE[1]``, in the image's intensity units.
    alpha : ndarray or None
        The opacity of an RGBA image or of grey with opacity. It is no measurement and is returned unchanged.
    """

    axes: str
    low: Array
    span: Array
    alpha: Array | None = None

    @property
    def units(self) -> tuple[Array, Array]:
        """Factor and shift per channel that convert canonical values into the image's intensities."""
        factor = self.span / (RANGE[1] - RANGE[0])
        return factor, self.low - RANGE[0] * factor

    def to_image(self, tensor: Tensor) -> Array:
        """Return the array of a canonical tensor (1, C, *S): float64, with the input's axes and intensities.

        In float32 a small range far from zero would lose its grey levels.
        """
        return self._to_array(tensor, *self.units, alpha=self.alpha)

    def to_deviation(self, tensor: Tensor) -> Array:
        """Return differences of canonical values, (1, C, *S), in the input's axes and intensity units."""
        return self.to_plain(
            tensor * torch.from_numpy(self.units[0]).to(tensor).reshape(1, -1, *(1,) * (tensor.ndim - 2))
        )

    def to_plain(self, tensor: Tensor) -> Array:
        """Return values (1, C, *S) in the input's axes without rescaling them; opacity gets the value 0."""
        alpha = None if self.alpha is None else np.zeros_like(self.alpha)
        return self._to_array(tensor, np.ones_like(self.span), np.zeros_like(self.span), alpha=alpha)

    def _to_array(self, tensor: Tensor, factor: Array, shift: Array, *, alpha: Array | None) -> Array:
        values = tensor.detach()[0].to("cpu", torch.float32).numpy().astype(np.float64)
        image = values * _per_channel(factor, values) + _per_channel(shift, values)
        if alpha is not None:
            image = np.concatenate([image, alpha[None]])
        return _channels_back(image, self.axes)


def canonical(
    image: Array, axes: str, *, device: torch.device, missing: MissingPixels = "refuse", limits: Limits | None = None
) -> tuple[Tensor, Tensor, Frame]:
    """Return an array as a canonical tensor, the weight of its values, and the way back.

    Parameters
    ----------
    image : ndarray
        Real numbers, with the axes that ``axes`` names: a plane or volume and at most one channel axis.
    device : torch.device
        Where the tensors are placed.
    missing : {"refuse", "fill"}
        Whether NaN and infinite values are an error or missing pixels of weight 0.
    limits : pair of ndarray, (C,), optional
        Smallest and largest value of every channel of the image that this is a tile of, by which it is scaled.

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
        If the image is constant, nearly so, or has no finite value.
    ValueError
        If values are too large.
    """
    values = np.asarray(_channels_first(image, axes), dtype=np.float64)
    alpha = None
    if "S" in axes and sample_count(len(values)) < len(values):
        alpha, values = values[-1], values[:-1]
    finite = np.isfinite(values)
    refuse_missing(int(finite.size - np.count_nonzero(finite)), finite.size, missing=missing)
    low, high = _without_infinite(*_limits(values, finite, jointly="S" in axes))
    refuse_large(float(max(np.abs(low).max(), np.abs(high).max())))
    if (high > low).any() and not (high - low > SMALLEST).any():
        raise NothingToRestoreError(
            f"the pixels differ by at most {(high - low).max():g}; at least {SMALLEST:g} is needed: multiply the image "
            "by a constant"
        )
    if not (high > low).any():
        levels = ", ".join(f"{level:g}" for level in dict.fromkeys(low))
        raise NothingToRestoreError(f"the image is constant (every pixel is {levels}): there is nothing to restore")
    # A constant channel beside others has no range of its own; any positive span maps it there and back.
    low, high = (low, high) if limits is None else limits
    span = np.where(high > low, high - low, 1.0)
    unit = (values - _per_channel(low, values)) / _per_channel(span, values)
    scaled = np.where(finite, unit * (RANGE[1] - RANGE[0]) + RANGE[0], 0.5)
    measured = torch.from_numpy(scaled.astype(np.float32))[None].to(device)
    weight = torch.from_numpy(finite.astype(np.float32))[None].to(device)
    return measured, weight, Frame(axes, low, span, alpha)


def limits_of(image: Array, axes: str) -> Limits:
    """Return the smallest and largest finite value of every channel; of colours those of all, so that grey stays grey.

    A channel without any has infinite limits, the smallest above the largest.
    """
    values = _channels_first(image, axes)
    if "S" in axes:
        values = values[: sample_count(len(values))]
    values = np.asarray(values, np.float64)
    return _limits(values, np.isfinite(values), jointly="S" in axes)


def limits_of_all(parts: Iterable[Limits]) -> Limits:
    """Return the limits of an image from those of its parts; of a channel without a finite value 0."""
    lows, highs = zip(*parts, strict=True)
    return _without_infinite(np.min(lows, axis=0), np.max(highs, axis=0))


def to_planes(image: Array, axes: str, function: Callable[[Tensor], Tensor]) -> Array:
    """Return the local means that ``function`` takes of an array as a tensor (1, C, *S): float64, the array's axes.

    A value of the result is NaN where at least half of what it is the mean of is missing.
    """
    values = np.array(_channels_first(image, axes), np.float64, order="C")
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    # In float32 a small range far from zero would lose its grey levels.
    span = high - low or 1.0

    def means(part: Array) -> Array:
        return np.asarray(function(torch.from_numpy(part.astype(np.float32))[None])[0].numpy(), np.float64)

    result = means(np.where(finite, (values - low) / span, 0.0))
    if not finite.all():
        share = means(finite)
        result = np.where(share > 0.5, result / np.maximum(share, 0.5), np.nan)
    return _channels_back(result * span + low, axes)


def refuse_missing(count: int, size: int, *, missing: MissingPixels) -> None:
    """Raise an error if all of ``size`` values are not finite, or ``count`` of them and they are not to be filled."""
    if count == size:
        raise NothingToRestoreError("every pixel is NaN or infinite: there is nothing to restore")
    if count and missing == "refuse":
        raise MissingPixelsError(
            f"{count} of {size} pixels are NaN or infinite: set 'missing' to 'fill' to treat them as "
            "missing and fill them in, or replace them first"
        )


def refuse_large(value: float) -> None:
    """Raise a ValueError if the largest absolute value of an image is more than can be restored."""
    if value > LARGEST:
        raise ValueError(
            f"the image has values up to {value:.3g}; at most {LARGEST:.3g} can be restored: divide it by a constant"
        )


def to_dtype(image: Array, dtype: np.dtype[Any]) -> Array:
    """Return intensities as ``dtype``, clipped to its finite range; rounded if it is an integer type."""
    if image.dtype == dtype:
        return image
    if dtype.kind not in "iu":
        largest = np.finfo(dtype).max
        return np.clip(image, -largest, largest).astype(dtype)
    limits = np.iinfo(dtype)
    # float64 first: the largest 32-bit integers are not float32 numbers and would wrap around.
    return np.clip(np.rint(image.astype(np.float64)), limits.min, limits.max).astype(dtype)


def _channels_first(image: Array, axes: str) -> Array:
    """Return an array (C, *S), with one channel if it has no axis of channels."""
    channel = channel_position(axes)
    return image[None] if channel is None else np.moveaxis(image, channel, 0)


def _channels_back(image: Array, axes: str) -> Array:
    """Return an array (C, *S) with the axes ``axes``."""
    channel = channel_position(axes)
    return np.asarray(image[0] if channel is None else np.moveaxis(image, 0, channel))


def _per_channel(numbers: Array, values: Array) -> Array:
    """Return one number per channel in a shape that broadcasts over ``values`` (C, *S)."""
    return numbers.reshape((-1,) + (1,) * (values.ndim - 1))


def _limits(values: Array, finite: npt.NDArray[np.bool_], *, jointly: bool) -> Limits:
    """Return the smallest and largest finite value per channel, or those of all of them, so that grey stays grey."""
    spatial = tuple(range(0 if jointly else 1, values.ndim))
    low = np.min(values, axis=spatial, where=finite, initial=np.inf)
    high = np.max(values, axis=spatial, where=finite, initial=-np.inf)
    return np.broadcast_to(low, len(values)).copy(), np.broadcast_to(high, len(values)).copy()


def _without_infinite(low: Array, high: Array) -> Limits:
    empty = ~np.isfinite(low)
    return np.where(empty, 0.0, low), np.where(empty, 0.0, high)

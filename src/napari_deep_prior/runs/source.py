"""The array that a run restores, read piece by piece."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Protocol, final

import numpy as np
import torch

from ..arrays.axes import Array, planned_axes, sample_count, spatial_axes
from ..arrays.frame import (
    MissingPixels,
    NothingToRestoreError,
    canonical,
    refuse_large,
    refuse_missing,
    to_dtype,
    to_planes,
)
from ..arrays.pieces import Piece, piece_axes
from ..estimation.sampling import Window, windows_of
from ..physics.operators import Operator
from ..progress.stages import run_stage
from ..tasks.task import Measured
from .limits import SliceLimits

READING = "Reading the image"
"""What a run says while it does so."""


class ArrayLike(Protocol):
    """NumPy, dask and zarr arrays: sliced before they are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ...

    @property
    def dtype(self) -> Any:
        """Type of the values."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """Return a part."""
        ...


@final
class SourceArray:
    """Reads pieces of an array; nothing else of it is read.

    Parameters
    ----------
    array : array
        What was measured: real numbers, at least one.
    axes : str
        One letter per axis.
    volume : bool
        Whether Z belongs to a piece.
    mask : ndarray of bool, or None
        Missing pixels, of the array's shape.
    separate_channels : bool
        Whether every channel is a piece of its own.

    Raises
    ------
    ValueError
        If the array has no pixels, or none that are real numbers.
    """

    def __init__(
        self, array: ArrayLike, axes: str, *, volume: bool, mask: Array | None, separate_channels: bool = False
    ) -> None:
        self.dtype = real_type(array)
        self.shape = tuple(array.shape)
        self.axes, self.volume, self.mask = axes, volume, mask
        self.separate_channels = separate_channels and "C" in axes
        self.planned_axes = planned_axes(axes, separate_channels=self.separate_channels)
        self.piece_axes = piece_axes(self.planned_axes, volume=volume)
        self._array = array
        self._limits = SliceLimits(array, axes, self.piece_axes, mask)

    def block(self, piece: Piece) -> Array:
        """Return a piece of the array as it is."""
        return run_stage(READING, lambda: np.asarray(self._array[piece.read]))

    @property
    def separate_count(self) -> int:
        """How many channels are restored one by one; 1 if they are restored together."""
        return self.shape[self.axes.index("C")] if self.separate_channels else 1

    def channel_of(self, piece: Piece) -> int | None:
        """Return the channel of a piece, counted from 0; None if it has all of them."""
        at = piece.read[self.axes.index("C")] if self.separate_channels else None
        return at if isinstance(at, int) else None

    def refuse_values(self, *, missing: MissingPixels) -> None:
        """Raise before the first piece where an array in memory has too large values or may not have missing ones."""
        array = self._array
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            # Plane by plane: what is compared must not take the memory of the array once more.
            planes = array.reshape(-1, *array.shape[-2:])
            count = sum(int((~np.isfinite(plane)).sum()) for plane in planes)
            refuse_missing(count, array.size, missing=missing)
            high = max(float(np.max(np.abs(plane), where=np.isfinite(plane), initial=0)) for plane in planes)
            refuse_large(high)

    def measured(
        self, piece: Piece, *, device: torch.device, missing: MissingPixels, fills: bool = False
    ) -> tuple[Array, Measured]:
        """Return a piece, NaN where it is masked, and the same as canonical tensors.

        Parameters
        ----------
        missing : {"refuse", "fill"}
            What pixels are that are missing besides masked ones.
        fills : bool
            Whether missing pixels are what is to be restored.

        Raises
        ------
        NothingToRestoreError
            If nothing is known, all is constant, or nothing is missing that could be filled.
        MissingPixelsError
            If pixels are missing and may not be filled.
        """
        block = self.block(piece)
        if self.mask is not None:
            mask = self.mask[piece.read]
            unmasked = int((~np.isfinite(block) & ~mask).sum())
            block = np.where(mask, np.nan, block.astype(np.float64))
            if not np.isfinite(block).any():
                raise NothingToRestoreError("every pixel is masked or missing: there is nothing to fill from")
            refuse_missing(unmasked, block.size, missing=missing)
            missing = "fill"
        limits = run_stage(READING, partial(self._limits.of, piece))
        values, weight, frame = run_stage(
            READING, partial(canonical, block, self.piece_axes, device=device, missing=missing, limits=limits)
        )
        if fills and bool((weight > 0).all()):
            raise NothingToRestoreError("no pixel is masked or missing: there is nothing to fill")
        return block, Measured(values, weight, frame, piece, channel=self.channel_of(piece))

    def windows(self, block: Array) -> list[list[Window]]:
        """Return windows of every channel, from which is estimated what all pieces share.

        Parameters
        ----------
        block : ndarray
            A piece that :meth:`measured` returned: nothing more is read if it is all of the array.
        """
        if block.size == math.prod(self.shape):
            return windows_of(block, self.piece_axes)
        return windows_of(self._array, self.axes, self.mask)

    def known_windows(self) -> list[list[Window]]:
        """Return windows of an array in memory; of a lazy one, of which nothing is read yet, there are none."""
        return windows_of(self._array, self.axes, self.mask) if isinstance(self._array, np.ndarray) else []

    def untouched(self, piece: Piece, operator: Operator, dtype: np.dtype[Any]) -> Array:
        """Return what stands for a piece, halo included, not restored: itself, interpolated if it is enlarged."""
        block = self.block(piece)
        if operator.factors:
            block = to_planes(block, self.piece_axes, operator.interpolate)
        return to_dtype(block, dtype)

    def with_known(self, piece: Piece, restored: Array) -> Array:
        """Return a restored piece with the pixels that were neither masked nor missing exactly as they were."""
        block = self.block(piece)
        known = np.isfinite(block) if self.mask is None else np.isfinite(block) & ~self.mask[piece.read]
        return np.where(known, to_dtype(block, restored.dtype), restored)

    def lengths(self, piece: Piece | None = None) -> tuple[int, tuple[int, ...]]:
        """Return the channels and the spatial lengths of a piece; without one, of a slice as a whole."""
        lengths = dict(zip(self.axes, self.shape, strict=True))
        for letter, at in zip(self.axes, () if piece is None else piece.read, strict=piece is not None):
            if isinstance(at, slice):
                lengths[letter] = at.stop - at.start
        channels = 1 if self.separate_channels else lengths.get("C", sample_count(lengths.get("S", 1)))
        return channels, tuple(lengths[letter] for letter in spatial_axes(self.piece_axes))


def real_type(array: ArrayLike, name: str = "the image") -> np.dtype[Any]:
    """Return the type of the pixels, which must be real numbers, and there must be some."""
    kind: np.dtype[Any] = np.dtype(array.dtype)
    if kind.kind not in "iuf":
        raise ValueError(f"{name} has pixels of type {kind}: real numbers are needed; convert it first")
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(array.shape)}")
    return kind

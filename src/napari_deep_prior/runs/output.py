"""The array that a run reads its slices from, and the one that it puts its results into."""

from __future__ import annotations

from typing import Any, Protocol, final

import numpy as np

from ..arrays.axes import Array, spatial_axes
from ..arrays.frame import to_dtype, to_planes
from ..arrays.pieces import Index
from ..physics.operators import Operator


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
class Canvas:
    """Where the slices of a run come from and go to.

    Parameters
    ----------
    source : array
        What was measured.
    letters : str
        The axes of a slice.
    indices : list of Index
        Where each slice lies.
    dtype : dtype
        Of the result.
    operator : Operator
        Tells the size of the result from that of the source.
    mask : ndarray of bool or None
        Missing pixels, of the source's shape.
    keep_known : bool
        Whether pixels that are not missing go into the result exactly as they were.
    """

    def __init__(
        self,
        source: ArrayLike,
        letters: str,
        indices: list[Index],
        *,
        axes: str,
        dtype: np.dtype[Any],
        operator: Operator,
        mask: Array | None,
        keep_known: bool,
    ) -> None:
        self.source, self.mask, self.dtype, self.indices = source, mask, dtype, indices
        self._letters, self._operator, self._keep_known = letters, operator, keep_known
        self._result: Array | None = None
        spatial = [axes.index(letter) for letter in spatial_axes(letters)]
        lengths = list(source.shape)
        for axis, length in zip(spatial, operator.image_shape(tuple(lengths[axis] for axis in spatial)), strict=True):
            lengths[axis] = length
        self.shape = tuple(lengths)

    def measured(self, index: Index) -> Array:
        """Return a slice as it was measured, NaN where it is masked."""
        block = np.asarray(self.source[index])
        if self.mask is None:
            return block
        return np.where(self.mask[index], np.nan, block.astype(np.float64))

    def finished(self, index: Index, image: Array) -> Array:
        """Return what goes into the result for the restored values of a slice."""
        values = to_dtype(image, self.dtype)
        if not self._keep_known:
            return values
        block = np.asarray(self.source[index])
        known = np.isfinite(block) if self.mask is None else np.isfinite(block) & ~self.mask[index]
        return np.where(known, to_dtype(block, self.dtype), values)

    def untouched(self, index: Index) -> Array:
        """Return what stands for a slice that is not restored: the slice itself, interpolated where pixels differ."""
        block = np.asarray(self.source[index])
        if self.shape != self.source.shape:
            block = to_planes(block, self._letters, self._operator.interpolate)
        return to_dtype(block, self.dtype)

    def put(self, index: Index, values: Array) -> None:
        """Write a slice into the result; the slices not reached yet are not even read."""
        if self._result is None:
            self._result = np.empty(self.shape, self.dtype)
        self._result[index] = values

    def image(self, reached: int, latest: tuple[Index, Array] | None) -> Array:
        """Return a copy of the result: ``reached`` slices of it, and the ``latest`` one; the rest untouched."""
        result = np.empty(self.shape, self.dtype) if self._result is None else self._result.copy()
        if latest is not None:
            result[latest[0]] = latest[1]
            reached += 1
        for index in self.indices[reached:]:
            result[index] = self.untouched(index)
        return result

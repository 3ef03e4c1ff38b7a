"""Sums over the pixels of a plane, of which MSE, SSIM and HFEN are made: those of many planes can be added."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from ..arrays import metrics
from ..arrays.axes import Array

TILE, HALO = 1024, 16
"""Pixels: side of the tiles that are filtered at once, and how far around them is read, more than the filters see."""

Box = tuple[slice, ...]

FLAT = 1e-5
"""High frequencies, in units of the data range, below which the reference is flat: what passes the filter of an even
brightness."""


@final
@dataclass(frozen=True)
class ErrorSums:
    """Sums over pixels, of which the measures are made.

    ``flat`` is the energy of the filtered reference that is rounding error.
    """

    count: int = 0
    squares: float = 0.0
    similarity: float = 0.0
    windows: int = 0
    error: float = 0.0
    detail: float = 0.0
    flat: float = 0.0

    def plus(self, other: ErrorSums) -> ErrorSums:
        """Return the sums of both."""
        return ErrorSums(
            self.count + other.count,
            self.squares + other.squares,
            self.similarity + other.similarity,
            self.windows + other.windows,
            self.error + other.error,
            self.detail + other.detail,
            self.flat + other.flat,
        )


def sums_of_plane(image: Array, true: Array, inside: Array, *, span: float) -> ErrorSums:
    """Return the sums over one plane; filters look beyond the region."""
    total = ErrorSums()
    edge = metrics.SSIM_WINDOW // 2
    whole_windows = np.zeros_like(inside)
    whole_windows[edge:-edge, edge:-edge] = inside[edge:-edge, edge:-edge]
    # Filters need many times the memory of what they filter: tile by tile a large plane fits, too.
    for read, inner in _tiles(true.shape):
        counts = inside[read][inner]
        if counts.any():
            windows = whole_windows[read][inner]
            total = total.plus(_sums_of_tile(image[read], true[read], inner, (counts, windows), span))
    return total


def _sums_of_tile(image: Array, true: Array, inner: Box, counts: tuple[Array, Array], span: float) -> ErrorSums:
    """Return the sums over the inner part of a tile, with the pixels and the windows that count in it."""
    pixels, windows = counts
    detail = metrics.high_frequencies(true)
    error = metrics.high_frequencies(image) - detail
    similarity = metrics.ssim_map(image, true, span=span)[inner][windows] if windows.any() else np.zeros(0)
    count = int(pixels.sum())
    return ErrorSums(
        count=count,
        squares=float(((image - true)[inner][pixels] ** 2).sum()),
        similarity=float(similarity.sum()),
        windows=similarity.size,
        error=float((error[inner][pixels] ** 2).sum()),
        detail=float((detail[inner][pixels] ** 2).sum()),
        flat=count * (FLAT * span) ** 2,
    )


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[Box, Box]]:
    """Yield tiles of a plane: what is read of the plane, and where in that the tile lies."""
    for starts in itertools.product(*(range(0, length, TILE) for length in shape)):
        before = [max(0, start - HALO) for start in starts]
        read = tuple(slice(first, start + TILE + HALO) for first, start in zip(before, starts, strict=True))
        inner = tuple(slice(start - first, start - first + TILE) for first, start in zip(before, starts, strict=True))
        yield read, inner

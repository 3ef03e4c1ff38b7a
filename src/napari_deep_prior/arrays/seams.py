"""Seams between tiles: where the halos of two tiles overlap, one passes smoothly into the other.

A tile is written as soon as it is restored. What it makes of the pixels around its borders is kept, and as soon as all
tiles of a slice are there, the bands around the borders are written anew as weighted means. The order of the tiles does
not matter, and what was joined already comes out the same when it is joined again.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from .axes import Array
from .pieces import Index, Piece

Bands = Mapping[str, Array]
"""What a tile makes of the pixels around its borders, by the names of these."""


class BandStore(ABC):
    """Keeps bands from the moment a tile is restored until its slice is joined."""

    @abstractmethod
    def put(self, number: int, bands: Bands) -> None:
        """Keep the bands of a tile."""

    @abstractmethod
    def get(self, number: int) -> Bands:
        """Return the bands of a tile."""

    @abstractmethod
    def drop(self, number: int) -> None:
        """Forget the bands of a tile, if there are any."""


@final
class BandsInMemory(BandStore):
    """Keeps bands as long as the process lives."""

    def __init__(self) -> None:
        self._bands: dict[int, Bands] = {}

    def put(self, number: int, bands: Bands) -> None:
        """Keep copies: the bands are parts of a whole tile."""
        self._bands[number] = {name: band.copy() for name, band in bands.items()}

    def get(self, number: int) -> Bands:
        """Return the bands of a tile."""
        return self._bands[number]

    def drop(self, number: int) -> None:
        """Forget the bands of a tile."""
        self._bands.pop(number, None)


@final
@dataclass(frozen=True)
class _Border:
    """A border of a tile: its axis, where it lies along it, and whether the tile begins there."""

    axis: int
    at: int
    begins: bool

    @property
    def name(self) -> str:
        """Name of the band around it."""
        return f"{self.axis}{'low' if self.begins else 'high'}"


@final
class Seams:
    """Joins the tiles of the slices of a result.

    Parameters
    ----------
    pieces : sequence of Piece
        All of them; of slices that are not cut into tiles nothing is kept.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._slices: dict[tuple[int, ...], list[Piece]] = {}
        for piece in pieces:
            self._slices.setdefault(piece.place, []).append(piece)
        self._half = _half_widths(pieces)

    @property
    def needed(self) -> bool:
        """Whether there is anything to join."""
        return bool(self._half)

    def slice_of(self, piece: Piece) -> list[Piece]:
        """Return all tiles of the slice of a tile, itself among them."""
        return self._slices[piece.place]

    @property
    def slices(self) -> Iterable[list[Piece]]:
        """The tiles of each slice."""
        return self._slices.values()

    def bands(self, piece: Piece, values: Array) -> Bands:
        """Return what is to be kept of a restored tile, halo included."""
        return {border.name: values[self._in_tile(piece, border)] for border in self._borders(piece)}

    def joined(self, tiles: Sequence[Piece], store: BandStore) -> Iterator[tuple[Index, Array]]:
        """Yield the bands of a slice, all tiles of which are restored, and where they lie in the result."""
        borders = [(border, tile) for tile in tiles for border in self._borders(tile)]
        borders.sort(key=lambda pair: (pair[0].axis, pair[0].at))
        for (axis, at), group in itertools.groupby(borders, key=lambda pair: (pair[0].axis, pair[0].at)):
            yield self._joined_at(axis, at, list(group), store)

    def _joined_at(
        self, axis: int, at: int, group: Sequence[tuple[_Border, Piece]], store: BandStore
    ) -> tuple[Index, Array]:
        """Return the band around one border of several tiles."""
        index: list[int | slice] = list(group[0][1].write)
        for other in self._half:
            parts = [_span(tile.restored[other]) for _, tile in group]
            index[other] = slice(min(part.start for part in parts), max(part.stop for part in parts))
        ends = _span(index[axis])
        half = self._half[axis]
        index[axis] = slice(max(at - half, ends.start), min(at + half, ends.stop))
        spans = [each for each in index if isinstance(each, slice)]
        bands = [store.get(tile.number)[border.name] for border, tile in group]
        own = np.empty([span.stop - span.start for span in spans], bands[0].dtype)
        for (border, tile), band in zip(group, bands, strict=True):
            inside = self._overlap(self._band_place(tile, border), _spans(tile.write))
            own[_from(spans, inside)] = band[_from(self._band_place(tile, border), inside)]
        exact = own.astype(np.float64)
        change = np.zeros_like(exact)
        for (border, tile), band in zip(group, bands, strict=True):
            place = self._band_place(tile, border)
            # As a change of the tile's own value: where all tiles agree it stays exactly as it is.
            difference = band - exact[_from(spans, place)]
            difference[~np.isfinite(difference)] = 0
            change[_from(spans, place)] += self._weight(tile, place) * difference
        values = exact + change
        return tuple(index), np.rint(values).astype(own.dtype) if own.dtype.kind in "iu" else values.astype(own.dtype)

    def _borders(self, piece: Piece) -> Iterator[_Border]:
        """Yield the borders that a tile has in common with another one."""
        for axis in self._half:
            write, restored = _span(piece.write[axis]), _span(piece.restored[axis])
            if restored.start < write.start:
                yield _Border(axis, write.start, begins=True)
            if restored.stop > write.stop:
                yield _Border(axis, write.stop, begins=False)

    def _band_place(self, piece: Piece, border: _Border) -> list[slice]:
        """Return where the band around a border of a tile lies in the result: all of the tile's halo along it."""
        half, spans = self._half[border.axis], _spans(piece.restored)
        axis = _kept(piece, border.axis)
        low, high = max(spans[axis].start, border.at - half), min(spans[axis].stop, border.at + half)
        return [slice(low, high) if each == axis else span for each, span in enumerate(spans)]

    def _in_tile(self, piece: Piece, border: _Border) -> tuple[slice, ...]:
        return _from(_spans(piece.restored), self._band_place(piece, border))

    @staticmethod
    def _overlap(first: Sequence[slice], second: Sequence[slice]) -> list[slice]:
        return [
            slice(max(one.start, two.start), min(one.stop, two.stop)) for one, two in zip(first, second, strict=True)
        ]

    def _weight(self, piece: Piece, place: Sequence[slice]) -> Array:
        """Return how much a tile counts in a part of it: 1 inside, and less and less beyond its borders."""
        weight = np.ones([1] * len(place))
        for border in self._borders(piece):
            axis, half = _kept(piece, border.axis), self._half[border.axis]
            centres = np.arange(place[axis].start, place[axis].stop) + 0.5
            rise = np.clip((centres - (border.at - half)) / (2 * half), 0, 1)
            rise = rise**2 * (3 - 2 * rise)
            shape = [-1 if each == axis else 1 for each in range(len(place))]
            weight = weight * (rise if border.begins else 1 - rise).reshape(shape)
        return weight


def _half_widths(pieces: Sequence[Piece]) -> dict[int, int]:
    """Return, by axis that is cut, how far a seam reaches into each of two tiles: half of the halo."""
    halves: dict[int, int] = {}
    for piece in pieces:
        for axis, (write, restored) in enumerate(zip(piece.write, piece.restored, strict=True)):
            if isinstance(write, slice) and isinstance(restored, slice):
                half = max(write.start - restored.start, restored.stop - write.stop) // 2
                halves[axis] = max(halves.get(axis, 0), half)
    return {axis: half for axis, half in halves.items() if half}


def _span(at: int | slice) -> slice:
    if isinstance(at, int):
        raise TypeError("an axis of the stack has no tiles")
    return at


def _spans(index: Index) -> list[slice]:
    """Return the slices of an index, one for each axis that it keeps."""
    return [each for each in index if isinstance(each, slice)]


def _kept(piece: Piece, axis: int) -> int:
    """Return the position of an axis of the result among those that a piece keeps."""
    return sum(isinstance(each, slice) for each in piece.write[:axis])


def _from(whole: Sequence[slice], part: Sequence[slice]) -> tuple[slice, ...]:
    """Return where a part lies in a whole, of which both are given in the result."""
    return tuple(slice(two.start - one.start, two.stop - one.start) for one, two in zip(whole, part, strict=True))

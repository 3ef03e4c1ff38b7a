"""Pieces: the parts of an array that are restored one after another, and where each of them goes in the result.

A piece is a slice of a stack (a plane, or a volume), or a tile of one. The plan is a pure function of shapes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from .axes import stack_axes

Index = tuple[int | slice, ...]

ROUNDING = 1e-6
"""Pixels by which a length may be off, because a factor such as 1.1 has no exact float."""


@final
@dataclass(frozen=True)
class Piece:
    """What is read, and what is written.

    Parameters
    ----------
    number : int
        Its place in the plan, counted from 0.
    read : Index
        Of the array that is restored: the part to read, halo included. Axes of a stack have a number, others a slice.
    write : Index
        Of the result: the part to write. Those of all pieces cover the result, and none of them overlap.
    inner : tuple of slice
        Of the restored ``read`` part: what goes to ``write``; one slice for each axis that ``read`` keeps.
    restored : Index
        Of the result: where the restored ``read`` part lies, halo included.
    """

    number: int
    read: Index
    write: Index
    inner: tuple[slice, ...]
    restored: Index

    @property
    def place(self) -> tuple[int, ...]:
        """Return where its slice lies along the axes of the stack; tiles of one slice have the same place."""
        return tuple(at for at in self.read if isinstance(at, int))


@final
@dataclass(frozen=True)
class _Span:
    """What a piece has along one axis."""

    read: int | slice
    write: int | slice
    inner: slice | None
    restored: int | slice


def plan(
    shape: tuple[int, ...],
    axes: str,
    *,
    volume: bool = False,
    factors: Mapping[str, float] | None = None,
    tile: Mapping[str, int] | None = None,
    halo: int = 0,
) -> list[Piece]:
    """Return the pieces of an array in order: every plane (or volume) of a stack, or the tiles of each of them.

    Channels and colour samples stay together.

    Parameters
    ----------
    shape, axes : tuple of int, str
        Lengths of the array, and one letter per axis.
    volume : bool
        Whether Z belongs to a piece, and is not an axis of the stack.
    factors : mapping of str to float, optional
        Pixels of the result in one of the array, by axis letter; 1 for those not named.
    tile : mapping of str to int, optional
        The most pixels that a piece writes along an axis, counted in pixels of the array; axes not named stay whole.
    halo : int
        Pixels around a tile that are read besides, as far as there are any.

    Raises
    ------
    ValueError
        If a tile has no pixel, is to be cut along an axis of the stack or of channels, or its borders do not lie
        between pixels of the result.
    """
    factors, tile = factors or {}, tile or {}
    stacked = stack_axes(axes, volume=volume)
    for letter in tile:
        _refuse_tile(letter, axes, stacked, tile[letter], halo, factors.get(letter, 1))
    spans = []
    for letter, length in zip(axes, shape, strict=True):
        if letter in stacked:
            spans.append([_Span(at, at, None, at) for at in range(length)])
        else:
            spans.append(list(_spans(length, factors.get(letter, 1), tile.get(letter, length), halo)))
    # Tiles of one slice follow each other, whatever the order of the axes.
    order = sorted(range(len(axes)), key=lambda axis: axes[axis] not in stacked)
    pieces = []
    for number, chosen in enumerate(itertools.product(*(spans[axis] for axis in order))):
        place = dict(zip(order, chosen, strict=True))
        along = [place[axis] for axis in range(len(axes))]
        pieces.append(
            Piece(
                number,
                tuple(span.read for span in along),
                tuple(span.write for span in along),
                tuple(span.inner for span in along if span.inner is not None),
                tuple(span.restored for span in along),
            )
        )
    return pieces


def enlarged_shape(shape: tuple[int, ...], axes: str, factors: Mapping[str, float]) -> tuple[int, ...]:
    """Return the lengths of a result: as many whole pixels as the array's have room for."""
    return tuple(_scaled(length, factors.get(letter, 1)) for letter, length in zip(axes, shape, strict=True))


def piece_axes(axes: str, *, volume: bool) -> str:
    """Return the letters of the axes that one piece has."""
    stacked = stack_axes(axes, volume=volume)
    return "".join(letter for letter in axes if letter not in stacked)


def _spans(length: int, factor: float, tile: int, halo: int) -> Iterator[_Span]:
    """Yield the tiles along one axis; without any, all of it."""
    if tile >= length:
        whole = slice(0, _scaled(length, factor))
        yield _Span(slice(0, length), whole, whole, whole)
        return
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        first, last = max(0, start - halo), min(length, stop + halo)
        write = slice(_scaled(start, factor), _scaled(stop, factor))
        before = _scaled(first, factor)
        inner = slice(write.start - before, write.stop - before)
        yield _Span(slice(first, last), write, inner, slice(before, _scaled(last, factor)))


def _scaled(length: int, factor: float) -> int:
    return math.floor(length * factor + ROUNDING)


def _refuse_tile(letter: str, axes: str, stacked: str, tile: int, halo: int, factor: float) -> None:
    if letter not in axes or letter in stacked or letter in "CS":
        raise ValueError(
            f"an image with axes {axes} cannot be cut into tiles along {letter}: give Y, X, or Z of a volume"
        )
    if tile < 1 or halo < 0:
        raise ValueError(f"a tile of {tile} pixels with a halo of {halo} is not possible: give at least 1 and 0")
    for name, size in (("tile", tile), ("halo", halo)):
        if abs(size * factor - round(size * factor)) > ROUNDING:
            raise ValueError(
                f"a {name} of {size} pixels ends within a pixel of the result, which has {factor:g} in one: give a "
                f"multiple of {Fraction(factor).limit_denominator(1000).denominator}"
            )

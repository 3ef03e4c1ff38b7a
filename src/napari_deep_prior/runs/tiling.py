"""Tiles of slices that do not fit into the memory: how large they may be, and where they lie."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import final

from ..arrays.pieces import ROUNDING, Piece, plan

HALO = 48
"""Pixels around a tile that are read besides, on which what is inside depends most."""

SMALLEST = 64
"""Pixels along a side of the smallest tile: seams to both sides have room in it."""

SIDES = (8192, 6144, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 192, 128, SMALLEST)
"""Sides of tiles that are tried, the largest first."""

MIDDLE = 1024
"""The most pixels along a side of the middle of a slice, by which guides are registered."""

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def bytes_of(memory: int | str) -> int:
    """Return an amount of memory in bytes, such as 4 * 2**30 for "4GiB", "4 GB" or "4g".

    Raises
    ------
    ValueError
        If it is none, or nothing.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)(?:I?B)?\s*", str(memory).upper())
    amount = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if not amount:
        raise ValueError(f"the memory is {memory!r}: give an amount such as 4GiB or 800MiB")
    return amount


@final
@dataclass(frozen=True, kw_only=True)
class Tiles:
    """How slices are cut.

    Parameters
    ----------
    side : int or None
        Pixels along the rows and columns of a tile; of a volume it has all of the depth. None: no tiles.
    multiple : int
        Of what the side must be a multiple.
    along_stack : bool
        Whether the same tile of all slices comes before the next tile, and not all tiles of a slice before the next
        slice.
    """

    side: int | None
    multiple: int = 1
    along_stack: bool = False


def cut(shape: tuple[int, ...], axes: str, tiles: Tiles, *, volume: bool, factors: Mapping[str, float]) -> list[Piece]:
    """Return the pieces of an array: slices, or tiles of them with a halo.

    Parameters
    ----------
    shape, axes, volume, factors
        See :func:`~napari_deep_prior.arrays.pieces.plan`.

    Raises
    ------
    ValueError
        If tiles of this size are not possible.
    """
    side = tiles.side
    if side is None:
        return plan(shape, axes, volume=volume, factors=factors)
    step = _step(factors, tiles.multiple)
    if side < SMALLEST:
        raise ValueError(f"a tile of {side} pixels is too small for a halo and smooth seams: give at least {SMALLEST}")
    if side % step:
        raise ValueError(
            f"a tile of {side} pixels would end within a block or a pixel of the result: give a multiple of {step}, "
            f"such as {math.ceil(side / step) * step}"
        )
    halo = math.ceil(HALO / step) * step
    pieces = plan(shape, axes, volume=volume, factors=factors, tile=dict.fromkeys("YX", side), halo=halo)
    if tiles.along_stack:
        # Sorting keeps the order of the slices.
        pieces.sort(key=lambda piece: [at.start for at in piece.read if isinstance(at, slice)])
        pieces = [replace(piece, number=number) for number, piece in enumerate(pieces)]
    return pieces


def largest_tile(
    memory_of: Callable[[int], int], budget: int, *, longest: int, factors: Mapping[str, float], multiple: int = 1
) -> int | None:
    """Return the side of the largest tiles that fit into the memory; None if none does.

    Parameters
    ----------
    memory_of : function
        Returns the bytes that a run with tiles of a side needs.
    longest : int
        Pixels along the longest side of the image.
    """
    sides = _sides(_step(factors, multiple))
    return next((side for side in sides if side < longest and memory_of(side) <= budget), None)


def half_of(side: int, factors: Mapping[str, float], multiple: int = 1) -> int | None:
    """Return the side of tiles that are half as long as something; None if they would be too small."""
    step = _step(factors, multiple)
    half = side // 2 // step * step
    return half if half >= SMALLEST else None


def middle_of_slice(
    piece: Piece, shape: tuple[int, ...], axes: str, factors: Mapping[str, float], *, most: int = MIDDLE
) -> Piece:
    """Return a piece from the middle of the slice of a tile: the tile's number, and nothing around what is read."""
    step = _step(factors, 1)
    read: list[int | slice] = []
    for at, letter, length in zip(piece.read, axes, shape, strict=True):
        start = (length - most) // 2 // step * step if letter in "YX" and length > most else 0
        stop = start + most // step * step if start else length
        read.append(at if isinstance(at, int) else slice(start, stop))
    lengths = [at if isinstance(at, int) else (at.start, at.stop) for at in read]
    target: list[int | slice] = []
    for each, letter in zip(lengths, axes, strict=True):
        factor = factors.get(letter, 1)
        target.append(each if isinstance(each, int) else slice(*(math.floor(end * factor + ROUNDING) for end in each)))
    inner = tuple(slice(0, at.stop - at.start) for at in target if isinstance(at, slice))
    return Piece(piece.number, tuple(read), tuple(target), inner, tuple(target))


def is_cut(shape: tuple[int, ...], axes: str, tile: int | None) -> bool:
    """Return whether slices are larger than a tile."""
    return tile is not None and any(length > tile for length, letter in zip(shape, axes, strict=True) if letter in "YX")


def _sides(step: int) -> Iterator[int]:
    """Yield sides of tiles that are multiples of a number of pixels."""
    for side in SIDES:
        yield max(side // step, math.ceil(SMALLEST / step)) * step


def _step(factors: Mapping[str, float], multiple: int) -> int:
    """Return of what the sides of tiles must be multiples, so that they end between pixels of the result."""
    parts = [Fraction(factors.get(letter, 1)).limit_denominator(1000).denominator for letter in "YX"]
    return math.lcm(multiple, *parts)

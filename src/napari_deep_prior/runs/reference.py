"""What results are compared with, read plane by plane, and where."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np

from ..arrays.axes import CHANNEL_AXES, Array, sample_count
from ..arrays.frame import LARGEST
from ..arrays.masks import repeated
from ..progress.stages import run_stage
from .comparison_table import ComparisonTable, Place, Row
from .source import ArrayLike, real_type


@final
@dataclass(frozen=True)
class Region:
    """Where images are compared: ``mask`` is not 0 there; it may lack axes of the images."""

    name: str
    mask: Array


@final
@dataclass(frozen=True, kw_only=True)
class Reference:
    """What results are compared with; made by :meth:`of`, which reads all of it once.

    Parameters
    ----------
    name, axes : str
        Its name, and one letter for each axis.
    pixels : array
        Its values, read plane by plane.
    region : Region or None
        Where it is compared, the mask in the shape of ``pixels``.
    span, span_source : float, str
        The data range, and where it comes from.
    """

    name: str
    axes: str
    pixels: ArrayLike
    region: Region | None
    span: float
    span_source: str

    @classmethod
    def of(
        cls, name: str, pixels: ArrayLike, axes: str, *, region: Region | None = None, span: float | None = None
    ) -> Self:
        """Return a reference with its data range, that of all its finite pixels if no other one is given.

        Raises
        ------
        ValueError
            If the reference is constant, is not finite where it is compared, or the mask does not fit.
        """
        kind = real_type_of(name, pixels)
        if span is not None and not 0 < span < math.inf:
            raise ValueError(f"the data range is {span:g}; it must be a number above 0")
        reference = cls(
            name=name, axes=axes, pixels=pixels, region=_fitting(region, pixels, axes), span=span or 0.0,
            span_source="as it was given",
        )  # fmt: skip
        low, high = reference._limits()
        if low == high:
            raise ValueError(f"the reference {name!r} is constant (every pixel is {low:g}): nothing can be compared")
        if span is not None:
            return reference
        if kind == np.uint8:
            return replace(reference, span=255.0, span_source="that of 8 bits")
        return replace(reference, span=high - low, span_source="the reference's maximum less its minimum")

    def inside(self, place: Place, shape: tuple[int, ...]) -> Array:
        """Return what counts of the channels of a plane, bool of that shape."""
        if self.region is None:
            return np.ones(shape, bool)
        return np.asarray(Planes(self.region.mask, self.axes).read(place) != 0)

    def table(self, rows: list[Row], *, fitted: bool) -> ComparisonTable:
        """Return rows as a table that says how they were made."""
        return ComparisonTable(
            reference=self.name,
            region="" if self.region is None else self.region.name,
            span=self.span,
            span_source=self.span_source,
            fitted=fitted,
            rows=tuple(rows),
        )

    def _limits(self) -> tuple[float, float]:
        """Return the least and the largest finite value."""
        low, high = math.inf, -math.inf
        planes = Planes(self.pixels, self.axes)
        for place in planes.places():
            values = planes.read(place)
            refuse_missing_values(f"the reference {self.name!r}", values, self.inside(place, values.shape), place)
            known = values[~is_missing(values)]
            if known.size:
                low, high = min(low, float(known.min())), max(high, float(known.max()))
        return low, high


@final
class Planes:
    """Planes of an array with their channels, read one by one; opacity is left out."""

    def __init__(self, pixels: ArrayLike, axes: str) -> None:
        self._pixels, self._axes = pixels, axes
        self.lengths = dict(zip(axes, pixels.shape, strict=True))
        if "S" in axes:
            self.lengths["S"] = sample_count(self.lengths["S"])
        self.shape = tuple(self.lengths.values())

    def places(self) -> Iterator[Place]:
        """Yield every plane."""
        stack = [letter for letter in self._axes if letter not in f"YX{CHANNEL_AXES}"]
        for numbers in itertools.product(*(range(self.lengths[letter]) for letter in stack)):
            yield tuple(zip(stack, numbers, strict=True))

    def read(self, place: Place) -> Array:
        """Return a plane (channels, rows, columns)."""
        return np.asarray(run_stage("Reading", lambda: self._oriented(np.asarray(self._part(place)))))

    def view(self, place: Place) -> Array:
        """Return a plane of an array in memory, to be written into."""
        return self._oriented(self._part(place))

    def _part(self, place: Place) -> Array:
        at = dict(place)
        index = tuple(at.get(letter, slice(self.lengths[letter])) for letter in self._axes)
        part: Array = self._pixels[index]
        return part

    def _oriented(self, part: Array) -> Array:
        letters = [letter for letter in self._axes if letter in f"YX{CHANNEL_AXES}"]
        order = sorted(range(len(letters)), key=lambda at: "CSYX".index(letters[at]))
        part = part.transpose(order)
        return part if part.ndim == 3 else part[None]


def is_missing(values: Array) -> Array:
    """Return where values are no numbers that can be compared, bool."""
    return np.asarray(~(np.abs(values) <= LARGEST))


def refuse_missing_values(name: str, values: Array, inside: Array, place: Place) -> None:
    """Raise a ValueError if values are not finite where they are compared."""
    count = int((is_missing(values) & inside).sum())
    if count:
        where = f" at {', '.join(f'{letter} {number}' for letter, number in place)}" if place else ""
        raise ValueError(
            f"{name} has values that are NaN, infinite or above {LARGEST:.2g}, {count} of them{where}: leave them out "
            "with a mask, or replace them first"
        )


def real_type_of(name: str, pixels: ArrayLike) -> np.dtype[Any]:
    """Return the type of the values of an image, which must be real numbers; the error names the image."""
    try:
        return real_type(pixels)
    except ValueError as error:
        raise ValueError(f"{name!r} cannot be compared: {error}") from None


def _fitting(region: Region | None, pixels: ArrayLike, axes: str) -> Region | None:
    """Return a region in the shape of the reference; refuse one that does not fit or has no pixel."""
    if region is None:
        return None
    if not region.mask.any():
        raise ValueError(f"the mask {region.name!r} has no pixel: mark where the images are to be compared")
    return Region(region.name, repeated(region.mask, tuple(pixels.shape), axes))

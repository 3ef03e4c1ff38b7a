"""Guides: other images of the same place, on the pixels of the image that they are to guide."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array, inner_axes, sample_count
from ..arrays.pieces import Piece
from ..arrays.registration import Registration, registration_shift
from ..arrays.resampling import shifted
from ..physics.operators import Operator
from ..progress.stages import run_stage

SAME = 0.9999
"""Correlation from which two images are the same one."""

ENOUGH = 16
"""Pixels from which a correlation tells that."""

MOST_COLOURS = 4
"""Length of a guide's last axis up to which it is taken for colours."""


@final
@dataclass(frozen=True)
class _Guide:
    """Channels first; ``letters`` name the other axes. ``coarse``: on the measurement's pixels, not on the image's."""

    channels: Array
    letters: str
    coarse: bool


@final
class Guides:
    """The guides of all pieces of an image.

    Parameters
    ----------
    guides : sequence of ndarray
        Each of the image's shape without its channels, of its volumes (ZYX) or of its planes (YX); what it has not, it
        is the same along. For an image that is enlarged, either in its pixels or in those of the result. Colours are
        the last axis.
    axes : str
        A letter for each axis of the image.
    shape, enlarged : tuple of int
        Lengths of these axes in the image and in the result.

    Raises
    ------
    ValueError
        If a guide has another shape, or shows nothing.
    """

    window_of: Callable[[Piece], tuple[Piece, Tensor, Tensor] | None] | None = None
    """Returns of a tile the middle of its slice, with its canonical values and weight: by it all of its tiles are
    registered; None if it shows nothing. Where slices are not cut into tiles there is no such function."""

    def __init__(
        self, guides: Sequence[Array], *, axes: str, shape: tuple[int, ...], enlarged: tuple[int, ...]
    ) -> None:
        self._axes, self._enlarged = axes, enlarged != shape
        self._found: dict[tuple[int, ...], list[Registration | None]] = {}
        self._guides = [_matched(np.asarray(guide), axes, shape, enlarged) for guide in guides]
        if any(_is_flat(guide.channels) for guide in self._guides):
            raise ValueError("the guide shows nothing, all of its pixels are equal: choose another image")

    @property
    def channels(self) -> int:
        """Return how many channels the guides have in all."""
        return sum(len(guide.channels) for guide in self._guides)

    def of_piece(
        self, piece: Piece, measured: Tensor, weight: Tensor, operator: Operator, *, register: bool
    ) -> tuple[Tensor, str]:
        """Return the guides of a piece, and a sentence on where they lay, empty if they were not registered.

        Parameters
        ----------
        piece : Piece
            Where it lies in the image and in the result.
        measured, weight : Tensor, (1, C, *S)
            Its canonical values.
        register : bool
            Whether each guide is moved to where its edges lie on those of the piece.

        Returns
        -------
        guide : Tensor, (1, G, *S)
            On the image's pixels; each channel of mean 0 and standard deviation 1, 0 where it has no value.
        remark : str
        """
        target = _target(measured, weight, operator)
        registered = self._registered(piece, target, operator) if register else [None] * len(self._guides)
        parts = []
        for guide, found in zip(self._guides, registered, strict=True):
            values = self._values(guide, piece, target, operator)
            _refuse_copy(values, target)
            values = shifted(values, found.shift) if found is not None and found.trusted else values
            like = values if self.window_of is None else self._slice_of(guide, piece)
            parts += [_normalised(channel, other) for channel, other in zip(values, like, strict=True)]
        remarks = [_in_words(found) for found in registered] if register else []
        return torch.from_numpy(np.stack(parts))[None].to(measured.device), "; ".join(dict.fromkeys(remarks))

    def by_slices(self, window_of: Callable[[Piece], tuple[Piece, Tensor, Tensor] | None]) -> Guides:
        """Return the guides of tiles: all tiles of a slice are registered and normalised in the same way."""
        guides = copy.copy(self)
        guides.window_of = window_of
        return guides

    def _registered(self, piece: Piece, target: Array, operator: Operator) -> list[Registration | None]:
        """Return where each guide lies, None where nothing shows it; of a tile by the middle of its slice."""
        if self.window_of is None:
            return [self._registration(guide, piece, target, operator) for guide in self._guides]
        if piece.place not in self._found:
            window = self.window_of(piece)
            found: list[Registration | None] = [None] * len(self._guides)
            if window is not None:
                middle, values, weight = window
                target = _target(values, weight, operator)
                found = [self._registration(guide, middle, target, operator) for guide in self._guides]
            self._found[piece.place] = found
        return self._found[piece.place]

    def _registration(self, guide: _Guide, piece: Piece, target: Array, operator: Operator) -> Registration:
        values = self._values(guide, piece, target, operator)
        register_it = partial(registration_shift, target, values, spatial=target.ndim - 1)
        return run_stage("Registering the guide", register_it)

    def _values(self, guide: _Guide, piece: Piece, target: Array, operator: Operator) -> Array:
        """Return a guide on the pixels of a piece of the result."""
        values = self._part(guide, piece, target.ndim - 1)
        if guide.coarse:
            values = operator.interpolate(torch.from_numpy(values.astype(np.float32))[None])[0].numpy()
        return np.broadcast_to(values, (len(values), *target.shape[1:]))

    def _slice_of(self, guide: _Guide, piece: Piece) -> Array:
        """Return all of a guide in the slice of a tile."""
        place = dict(zip(self._axes, piece.read, strict=True))
        numbers = {letter: at for letter, at in place.items() if isinstance(at, int)}
        return guide.channels[:, *(numbers.get(letter, slice(None)) for letter in guide.letters)]

    def _part(self, guide: _Guide, piece: Piece, dimensions: int) -> Array:
        """Return the channels of a guide in a piece, (G, *S); of length 1 along a depth that the guide lacks."""
        index = piece.restored if self._enlarged and not guide.coarse else piece.read
        place = dict(zip(self._axes, index, strict=True))
        values = guide.channels[:, *(place[letter] for letter in guide.letters)]
        return values[:, None] if values.ndim - 1 < dimensions else values


def _target(measured: Tensor, weight: Tensor, operator: Operator) -> Array:
    """Return a piece on the pixels of the result, (C, *S); NaN where it is not known."""
    target = operator.interpolate(measured)[0].cpu().numpy()
    known = operator.interpolate(weight)[0].cpu().numpy() > 0.5
    return np.where(known, target, np.nan)


def _in_words(found: Registration | None) -> str:
    if found is None or not found.trusted:
        return "guide taken as it lies, no shift found"
    return f"guide moved by ({', '.join(f'{step:+.1f}' for step in found.shift)}) pixels"


def _matched(guide: Array, axes: str, shape: tuple[int, ...], enlarged: tuple[int, ...]) -> _Guide:
    """Return a guide with its channels first, and what its other axes are."""
    if guide.dtype.kind not in "iuf":
        raise ValueError(f"the guide has pixels of type {guide.dtype}: real numbers are needed; convert it first")
    letters = inner_axes(axes)
    for lengths in (shape, enlarged):
        own = dict(zip(axes, lengths, strict=True))
        coarse = shape != enlarged and lengths == shape
        for candidate in dict.fromkeys(letters):
            wanted = tuple(own[letter] for letter in candidate)
            if guide.shape == wanted:
                return _Guide(guide[None], candidate, coarse)
            if guide.shape[:-1] == wanted and guide.shape[-1] <= MOST_COLOURS:
                colours = np.moveaxis(guide, -1, 0)
                return _Guide(colours[: sample_count(len(colours))], candidate, coarse)
    plain = tuple(length for length, letter in zip(shape, axes, strict=True) if letter in letters[0])
    raise ValueError(
        f"the guide has shape {guide.shape}; the image's is {plain}: give a guide of that shape, or of its planes; "
        "in the viewer, one of another size is resampled"
    )


def _is_flat(channels: Array) -> bool:
    """Return whether all known values are equal, or there are none."""
    limits = []
    # Plane by plane: what is compared must not take the memory of the guide once more.
    for index in np.ndindex(channels.shape[:-2]):
        known = channels[index][np.isfinite(channels[index])]
        limits += [known.min(), known.max()] if known.size else []
    return not limits or min(limits) == max(limits)


def _refuse_copy(values: Array, target: Array) -> None:
    """Raise a ValueError if a guide is the image itself: its held-out pixels would not be held out."""
    if any(_same(channel, own) for channel in values for own in target):
        raise ValueError("the guide is a copy of the image, noise and all: choose another image of the place")


def _same(first: Array, second: Array) -> bool:
    """Return whether two images show the same where the second has values, but for a factor and a shift."""
    known = np.isfinite(second)
    one, other = first[known], second[known]
    if one.size < ENOUGH or not (one.std() > 0 and other.std() > 0):
        return False
    return bool(abs(np.corrcoef(one, other)[0, 1]) > SAME)


def _normalised(channel: Array, like: Array) -> Array:
    """Return values, 0 where there are none, scaled such that others have mean 0 and standard deviation 1; float32."""
    known = like[np.isfinite(like)].astype(np.float64)
    if not known.size:
        return np.zeros(channel.shape, np.float32)
    values = (channel - known.mean()) / (known.std() or 1.0)
    return np.where(np.isfinite(channel), values, 0.0).astype(np.float32)

"""Neighbours of a piece: frames of a series, or planes of a stack, by which its noise is made weaker beforehand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import stack_axes
from ..arrays.frame import Frame, MissingPixelsError, NothingToRestoreError
from ..patches import nl_ridge
from ..patches.neighbours import AVERAGED, SINGLE, NoisyFrame, averaged, pilot_of, risk
from ..patches.similar_patches import SMALLEST_SIDE, WIDE_STRIDE
from ..physics.averaged_misfit import AveragedMisfit
from ..physics.misfit import Misfit
from ..physics.misfit_choice import choose_misfit
from ..tasks.task import Measured, Prepared
from .forecast import Forecast
from .setup import Setup
from .speed import slowness

ALONG = "TZ"
"""Axes along which there are neighbours: the first of them that an array has."""

COUNTS = (0, 1, 2, 4, 8)
"""Numbers of neighbours on each side that are compared."""

SAMPLED, WINDOW = 3, 256
"""Most frames for which they are compared, and the pixels along a side of their middle that suffice."""

FRAMES_PER_SAMPLE = 4
"""Of a short stack fewer frames are compared, two at the least: that would take longer than to restore it."""

PLANES = 4
"""Axes of a tensor of planes; volumes are restored as a whole."""

KEPT_VALUES = 4
"""Values that are kept of each pixel of a frame and its neighbours: what was measured, its weight and two pilots."""


@final
class Neighbours:
    """Averages pieces with their neighbours; what was found for one piece is kept for the next ones.

    Parameters
    ----------
    setup : Setup
        The run.
    units : Frame
        Canonical units in which frames are compared: those of one of them.
    misfit : Misfit
        Of the noise of a frame, in these units.
    count : int
        Neighbours on each side; at an end of a series there are as many more on the other side.
    window : int, optional
        Pixels along a side of the middle of a frame, where only that is looked at.
    """

    def __init__(self, setup: Setup, units: Frame, misfit: Misfit, *, count: int, window: int | None = None) -> None:
        self.count, self._setup, self._units, self._misfit, self._window = count, setup, units, misfit, window
        self.device = setup.device
        self._rows = rows_of(setup)
        kept = lru_cache(maxsize=2 * count + 2 if window is None else None)
        self._single, self._with_better_pilot = kept(self._read), kept(self._with_better_pilot_anew)

    def __reduce__(self) -> tuple[Callable[..., Neighbours], tuple[object, ...]]:
        """Leave behind what was found so far where a run is sent to another process."""
        return _again, (self._setup.for_others(), self._units, self._misfit, self.count, self._window)

    def average(self, measured: Measured) -> Measured:
        """Return a piece averaged with its neighbours."""
        frame = self._with_better_pilot(measured.piece.number)
        others = self._seen(self._with_better_pilot, measured.piece.number, self.count)
        if frame is None or not others:
            return measured
        average = averaged(frame, others, self._misfit, AVERAGED)
        values = _converted(average.values, self._units, measured.frame)
        # What is missing stays so, and is filled by what restores the piece.
        values = torch.where(measured.weight > 0, values, measured.values)
        return dataclasses.replace(measured, values=values, variance_share=average.variance_share)

    def risk(self, number: int, count: int) -> float:
        """Return the estimated error of a piece that is averaged with ``count`` neighbours on each side."""
        frame = self._single(number)
        if frame is None:
            return 0.0
        average = averaged(frame, self._seen(self._single, number, count), self._misfit, SINGLE)
        return float(risk(frame, average, self._misfit))

    def added_to(self, plan: Forecast, *, pixels: int) -> Forecast:
        """Return the forecast of a run with what its neighbours take besides.

        Parameters
        ----------
        pixels : int
            Values of a piece.
        """
        pilots = 2 * nl_ridge.seconds(pixels, group_size=nl_ridge.GROUP_SIZE_FIRST, stride=WIDE_STRIDE)
        channels = self._setup.source.separate_count
        seconds = len(self._setup.pieces) // channels * pilots * slowness(self._setup.device)
        memory = 4 * KEPT_VALUES * (2 * self.count + 2) * pixels
        return dataclasses.replace(plan, seconds=plan.seconds + seconds, memory=plan.memory + memory)

    def _seen(self, frame_of: Callable[[int], NoisyFrame | None], number: int, count: int) -> list[NoisyFrame]:
        """Return the neighbours of a piece that show something."""
        row = self._rows[number]
        first = max(0, min(row.index(number) - count, len(row) - 1 - 2 * count))
        frames = [frame_of(each) for each in row[first : first + 2 * count + 1] if each != number]
        return [frame for frame in frames if frame is not None]

    def _read(self, number: int) -> NoisyFrame | None:
        """Return a piece with a pilot of its own; None if it shows nothing, or has values that cannot be used."""
        try:
            _, measured = self._setup.measured(self._setup.pieces[number])
        except (NothingToRestoreError, MissingPixelsError):
            return None
        values, weight = _converted(measured.values, measured.frame, self._units), measured.weight
        if self._window is not None:
            values, weight = (_middle(each, self._window) for each in (values, weight))
        if not bool(weight.any()):
            return None
        return NoisyFrame(values, weight, pilot_of(values, weight, self._misfit))

    def _with_better_pilot_anew(self, number: int) -> NoisyFrame | None:
        """Return a piece with the pilot of its average."""
        frame = self._single(number)
        if frame is None:
            return None
        average = averaged(frame, self._seen(self._single, number, self.count), self._misfit, SINGLE)
        misfit = AveragedMisfit(self._misfit, average.variance_share)
        return dataclasses.replace(frame, pilot=pilot_of(average.values, frame.weight, misfit))


def _again(setup: Setup, units: Frame, misfit: Misfit, count: int, window: int | None) -> Neighbours:
    return Neighbours(setup, units, misfit, count=count, window=window)


def find_neighbours(setup: Setup, prepared: Prepared, measured: Measured) -> Neighbours | None:
    """Return the neighbours that make the noise of a stack's pieces weaker; None if there are none.

    Parameters
    ----------
    measured : Measured
        A piece that can be restored; of channels that are restored one by one, the channel whose neighbours are meant.
    """
    wanted, noise = setup.task.neighbour_count, prepared.noise
    most = max(map(len, rows_of(setup).values())) - 1
    white = bool(noise) and not any(each.noiseless or each.unknown or each.correlated for each in noise)
    planes = measured.values.ndim == PLANES and min(measured.values.shape[-2:]) >= SMALLEST_SIDE
    if wanted == 0 or most == 0 or not white or not planes:
        return None
    _, misfit = choose_misfit(setup.task.noise, noise, measured.frame.units, measured.values)
    if wanted is None:
        counts = [count for count in COUNTS if 2 * count <= most + 1]
        compared = Neighbours(setup, measured.frame, misfit, count=counts[-1], window=WINDOW)
        numbers = [piece.number for piece in setup.pieces if setup.source.channel_of(piece) == measured.channel]
        sampled = _spread(len(numbers), min(SAMPLED, 1 + most // FRAMES_PER_SAMPLE))
        wanted = _best_count(compared, counts, [numbers[each] for each in sampled])
    return Neighbours(setup, measured.frame, misfit, count=min(wanted, most)) if wanted else None


def _best_count(neighbours: Neighbours, counts: Sequence[int], sampled: Sequence[int]) -> int:
    """Return the number of neighbours of least risk; more are not tried as soon as it rises."""
    best, least = 0, math.inf
    for count in counts:
        risk_of_all = sum(neighbours.risk(number, count) for number in sampled)
        if risk_of_all >= least:
            break
        best, least = count, risk_of_all
    return best


def _spread(pieces: int, count: int) -> list[int]:
    """Return the numbers of some pieces, spread over all of them."""
    return sorted({*np.linspace(0, pieces - 1, max(count, 2) + 2).round().astype(int)[1:-1].tolist()})


def rows_of(setup: Setup) -> dict[int, list[int]]:
    """Return for the number of every piece those of the pieces that lie in a row with it, itself among them."""
    axes = setup.source.axes
    stacked = stack_axes(axes, volume=setup.source.volume)
    letter = next((letter for letter in ALONG if letter in stacked), None)
    rows: dict[str, list[int]] = {}
    for piece in setup.pieces:
        place = [at for at, name in zip(piece.read, axes, strict=True) if name != letter]
        rows.setdefault(str(place), []).append(piece.number)
    return {number: row for row in rows.values() for number in row}


def _converted(values: Tensor, units: Frame, others: Frame) -> Tensor:
    """Return canonical values (1, C, *S) in other canonical units."""
    (factor, shift), (other_factor, other_shift) = units.units, others.units
    factors, shifts = (
        torch.from_numpy(each).reshape(1, -1, 1, 1).to(values)
        for each in (factor / other_factor, (shift - other_shift) / other_factor)
    )
    return values * factors + shifts


def _middle(values: Tensor, side: int) -> Tensor:
    """Return the middle of a frame, at most ``side`` pixels along each side."""
    rows, columns = values.shape[-2:]
    top, left = max(0, rows - side) // 2, max(0, columns - side) // 2
    return values[..., top : top + side, left : left + side]

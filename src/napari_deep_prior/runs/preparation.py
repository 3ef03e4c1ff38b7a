"""What all pieces of a run share: estimated once, from all of the array, before the first of them is restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

import numpy as np
import torch

from ..arrays.axes import Array
from ..arrays.frame import MissingPixelsError, NothingToRestoreError
from ..arrays.pieces import Piece
from ..estimation.channels import estimate_windows
from ..estimation.impossible_noise import refuse_impossible
from ..estimation.sampling import Window, lit_windows
from ..methods.shared_distillation import SharedDistillation
from ..problem import Problem
from ..progress.stages import run_stage
from ..tasks.inputs import Inputs
from ..tasks.task import Measured, Posed, Prepared, Task
from ..training.model import Model
from . import report
from .errors import refuse_without_memory
from .forecast import Forecast, forecast
from .halving import Solver
from .neighbours import Neighbours, find_neighbours
from .pixel_type import faintest_window, type_that_holds
from .recommend import Choice
from .setup import Setup
from .shared_network import SharedNetwork

KNOWN_NOISE = "the noise is that of the part on which the settings were tried"
"""What is to be known of a run whose noise was not estimated anew."""


@final
@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What all pieces share.

    Parameters
    ----------
    prepared : Prepared
        Operator and noise.
    dtype : dtype
        Of the result: what was asked for, or float32 where that would round away what is restored.
    remarks : tuple of str
        What is worth telling about them before the first step, a sentence each.
    warning : str
        What rounding may do to dark slices, before the first step: afterwards the record says what it has done.
    neighbours : mapping of (int or None) to Neighbours
        With which pieces are averaged, by the channel (see :meth:`.SourceArray.channel_of`) of those that have any.
    inputs : Inputs
        What was given besides the image.
    network : SharedNetwork
        That restores all pieces, where there is one.
    """

    prepared: Prepared
    dtype: np.dtype[Any]
    remarks: tuple[str, ...]
    warning: str = ""
    neighbours: Mapping[int | None, Neighbours] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)
    network: SharedNetwork = field(default_factory=SharedNetwork)

    def solver(self, setup: Setup, choice: Choice, channel: int | None) -> Solver:
        """Return what solves the problem of a piece (of a channel, see :meth:`.SourceArray.channel_of`)."""
        return self.network.solver(setup, choice, partial(self.pose, setup.task), channel)

    def model(self, task: Task) -> Model | None:
        """Return the network of all pieces, once it is trained; None where there is none."""
        distillation = self.network.distillation
        about = {"task": task.command, "noise": self.prepared.noise}
        return None if distillation is None else distillation.model(about)

    def train_ahead(self, setup: Setup) -> None:
        """Train the network of all pieces, where there is one: whoever restores them is to have the same."""
        for measured in _first_of_channels(setup, setup.pieces):
            problem = self.pose(setup.task, measured).problem
            solver = self.solver(setup, setup.choose(problem), measured.channel)
            if isinstance(solver, SharedDistillation):
                run_stage("Training the network", partial(solver.train, problem))

    def averaged(self, measured: Measured) -> Measured:
        """Return a piece averaged with its neighbours, if there are any to average it with."""
        neighbours = self.neighbours.get(measured.channel)
        if neighbours is None:
            return measured
        # Another process may have another device.
        return neighbours.average(measured.on(neighbours.device)).on(measured.values.device)

    def pose(self, task: Task, measured: Measured) -> Posed:
        """Return what a task makes of a piece, averaged with its neighbours."""
        return task.problem(self.averaged(measured), self.prepared.of(measured.channel), self.inputs)

    def pose_on(self, task: Task, measured: Measured, device: torch.device) -> Problem:
        """Return the problem of a piece on another device."""
        return task.problem(self.averaged(measured).on(device), self.prepared.of(measured.channel), self.inputs).problem


@final
@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known of a run before its first step.

    Parameters
    ----------
    preparation : Preparation or None
        None if no piece can be restored.
    plan : Forecast
        Of a run in which all pieces are like the first one that can be restored.
    noise : str
        A sentence on the noise; empty if nothing is known of it.
    """

    preparation: Preparation | None
    plan: Forecast
    noise: str


def prepare(setup: Setup, block: Array, measured: Measured) -> Preparation:
    """Return what all pieces share.

    Parameters
    ----------
    block, measured : ndarray, Measured
        The first piece that can be restored. Of the others only some windows are read.

    Raises
    ------
    ValueError
        If the noise that was given cannot be that of the image.
    OutOfMemoryError
        If the result needs a larger type than the input's, and there is no room for it.
    """
    return run_stage("Estimating the noise", partial(_prepare, setup, block, measured))


def prepare_first(setup: Setup) -> Preparation | None:
    """Return what all pieces share, from the first one that can be restored; None if none can.

    Raises
    ------
    ValueError
        As :func:`look_ahead` does.
    """
    first = _first_restorable(setup)
    return None if first is None else prepare(setup, *first)


def look_ahead(setup: Setup) -> Outlook:
    """Return what is known of a run before its first step: only the image shows which method can restore it.

    Raises
    ------
    ValueError
        If the image has a single piece, with nothing to restore; or as :func:`prepare` does.
    """
    first = _first_restorable(setup)
    if first is None:
        return Outlook(preparation=None, plan=setup.forecast(), noise="")
    measured = first[1]
    preparation = prepare(setup, *first)
    posed = setup.task.problem(measured, preparation.prepared.of(measured.channel), preparation.inputs)
    plan = forecast(setup.task, setup.wish, posed.problem, pieces=len(setup.pieces))
    for neighbours in preparation.neighbours.values():
        plan = neighbours.added_to(plan, pixels=posed.problem.measured.numel())
    noise = report.noise_sentence(preparation.prepared.noise, posed.misfit)
    return Outlook(preparation=preparation, plan=plan, noise=noise)


def _first_restorable(setup: Setup) -> tuple[Array, Measured] | None:
    for piece in setup.pieces:
        try:
            return setup.measured(piece)
        except (NothingToRestoreError, MissingPixelsError) as error:
            if len(setup.pieces) == 1 or (piece.number == 0 and isinstance(error, MissingPixelsError)):
                raise
    return None


def _prepare(setup: Setup, block: Array, measured: Measured) -> Preparation:
    windows, given = setup.source.windows(block), setup.task.given_noise
    doubts = refuse_impossible(windows, given)
    noise, disagreements = (setup.noise, ()) if setup.noise else estimate_windows(windows, given)
    shown = _brightest(setup, windows, measured) if setup.task.looks_at_image else measured
    dtype = _type_of_result(setup, windows)
    remarks = [each for each in [setup.tile_remark] if each]
    remarks += [report.objection_in_words(doubt) for doubt in doubts]
    remarks += [report.disagreement_in_words(each) for each in disagreements]
    remarks += [KNOWN_NOISE] if setup.noise else []
    remarks += [setup.network.of_batch_in_words] if setup.network is not None else []
    if dtype != setup.output.dtype:
        refuse_without_memory(torch.device("cpu"), setup.output.memory * dtype.itemsize // setup.output.dtype.itemsize)
        remarks.append(report.type_in_words(setup.output.dtype, dtype))
    channel = slice(None) if shown.channel is None else slice(shown.channel, shown.channel + 1)
    prepared = replace(setup.task.prepare(shown, noise[channel], setup.inputs), noise=noise)
    neighbours = _neighbours_of_channels(setup, prepared, measured)
    remarks += [_neighbours_in_words(setup, channel, each.count) for channel, each in neighbours.items()]
    # What has no noise stays as it is.
    clean = setup.task.removes_noise and all(model.noiseless for model in noise)
    return Preparation(
        prepared=prepared,
        dtype=dtype,
        remarks=tuple(remarks),
        warning="" if clean else _rounding_ahead(setup, windows, dtype),
        neighbours=neighbours,
        inputs=_inputs_of_pieces(setup),
        network=setup.network or SharedNetwork(),
    )


def _neighbours_of_channels(setup: Setup, prepared: Prepared, first: Measured) -> dict[int | None, Neighbours]:
    """Return the neighbours of the channels that are restored one by one, or of all at once, where there are any."""
    firsts = _first_of_channels(setup, setup.pieces) if setup.source.separate_channels else [first]
    found = {each.channel: find_neighbours(setup, prepared.of(each.channel), each) for each in firsts}
    return {channel: neighbours for channel, neighbours in found.items() if neighbours is not None}


def _neighbours_in_words(setup: Setup, channel: int | None, count: int) -> str:
    words = report.neighbours_in_words(count, setup.source.axes)
    return words if channel is None else f"channel {channel}: {words}"


def _first_of_channels(setup: Setup, pieces: Sequence[Piece]) -> Iterator[Measured]:
    """Yield, of each channel that is restored by itself, or of all at once, the first piece that can be restored."""
    found: set[int | None] = set()
    for piece in pieces:
        if (channel := setup.source.channel_of(piece)) in found:
            continue
        try:
            yield setup.measured(piece)[1]
        except (NothingToRestoreError, MissingPixelsError):
            continue
        found.add(channel)


def _inputs_of_pieces(setup: Setup) -> Inputs:
    """Return the inputs, with guides that are moved by the same shift in all tiles of a slice."""
    guide = setup.inputs.guide
    if guide is None or setup.tile is None:
        return setup.inputs
    return replace(setup.inputs, guide=guide.by_slices(setup.for_others().middle_of_slice))


def _rounding_ahead(setup: Setup, windows: Sequence[Sequence[Window]], dtype: np.dtype[Any]) -> str:
    """Return what rounding may do to dark slices; empty if that is nothing to speak of."""
    faintest = faintest_window(windows, dtype) if setup.tells_rounding(dtype) else None
    return "" if faintest is None else report.rounding_ahead_in_words(dtype, *faintest)


def _type_of_result(setup: Setup, windows: Sequence[Sequence[Window]]) -> np.dtype[Any]:
    """Return the type of the result; colours keep theirs, since they are made to be looked at."""
    dtype = setup.output.dtype
    return dtype if "S" in setup.source.axes else type_that_holds(windows, dtype)


def _brightest(setup: Setup, windows: Sequence[Sequence[Window]], first: Measured) -> Measured:
    """Return the piece with the most light, which shows the most; the first one if that cannot be restored."""
    lit = lit_windows(windows[0])
    piece = next((piece for piece in setup.pieces if lit and _is_at(piece, setup.source.axes, lit[0].place)), None)
    if piece is None or piece.number == first.piece.number:
        return first
    try:
        return setup.measured(piece)[1]
    except (NothingToRestoreError, MissingPixelsError):
        return first


def _is_at(piece: Piece, axes: str, place: Mapping[str, int]) -> bool:
    """Return whether a piece holds a place of the stack; a piece that has all of an axis holds all of its places."""
    read = dict(zip(axes, piece.read, strict=True))
    return all(isinstance(read[letter], slice) or read[letter] == at for letter, at in place.items())

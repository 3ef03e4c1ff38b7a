"""One network for all slices of a stack: which slices it is trained on, and what a run says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import final

import numpy as np
import torch
from torch.nn import functional

from ..arrays.frame import MissingPixelsError, NothingToRestoreError
from ..arrays.pieces import Piece
from ..methods import SelfDistillation
from ..methods.shared_distillation import TRAINED_ON, SharedDistillation
from ..methods.shared_time import is_shared
from ..problem import Problem
from ..progress.stages import run_stage
from ..tasks.task import Measured, Posed
from .halving import Solver
from .recommend import Choice
from .setup import Setup

LOOKED_AT = 32
"""Most slices of which the content is looked at."""

SMOOTHED = 4
"""Pixels along a side over which a slice is averaged before its content is measured, so that noise is none."""

Pose = Callable[[Measured], Posed]
"""Returns the problem of a piece."""


@final
class SharedNetwork:
    """The network that restores all pieces of a run, where one does."""

    def __init__(self) -> None:
        self.distillation: SharedDistillation | None = None

    def solver(self, setup: Setup, choice: Choice, pose: Pose) -> Solver:
        """Return what solves the problem of a piece: of a stack that is distilled, the same for all pieces."""
        method = choice.method
        if choice.guided is not None or choice.unchanged or not isinstance(method, SelfDistillation):
            return choice.solver()
        if self.distillation is None:
            if not is_shared(method, len(setup.pieces), planes="Z" not in setup.source.piece_axes):
                return choice.solver()
            self.distillation = SharedDistillation(method, partial(_training_problems, setup, pose))
        return self.distillation


def shared_in_words(shares: Sequence[float], trained_on: Sequence[int]) -> str:
    """Return a sentence on what a network for all slices was trained on, and how much it counts; empty without one."""
    if not shares:
        return ""
    numbers = ", ".join(str(number + 1) for number in sorted(trained_on))
    mean, low, high = (f"{100 * each:.0f}" for each in (np.mean(shares), min(shares), max(shares)))
    spread = f"{low} %" if low == high else f"{mean} % on average ({low} to {high} %)"
    return (
        f"one network was trained for all slices, on slices {numbers}; held-out pixels of each slice decide between it "
        f"and similar patches: it counts for {spread}"
    )


def _training_problems(setup: Setup, pose: Pose) -> Iterator[Problem]:
    """Yield the problems of the slices that a network is trained on, one after another."""
    for piece in run_stage("Choosing slices", partial(_chosen, setup)):
        _, measured = setup.measured(piece)
        posed = pose(measured)
        # Other slices may need another method, which is no matter here.
        if isinstance(setup.choose(posed.problem).method, SelfDistillation):
            yield posed.problem


def _chosen(setup: Setup) -> list[Piece]:
    """Return pieces, by their content: half of them show the most, the others are spread over the stack."""
    pieces = setup.pieces
    looked_at = sorted({*np.linspace(0, len(pieces) - 1, min(LOOKED_AT, len(pieces))).round().astype(int).tolist()})
    contents = {number: _content(setup, pieces[number]) for number in looked_at}
    showing = [number for number in looked_at if contents[number] > 0]
    if len(showing) <= TRAINED_ON:
        return [pieces[number] for number in showing]
    half = TRAINED_ON // 2
    most = sorted(showing, key=lambda number: -contents[number])[:half]
    rest = [number for number in showing if number not in most]
    others = np.linspace(0, len(rest) - 1, TRAINED_ON - half).round().astype(int)
    return [pieces[number] for number in sorted({*most, *(rest[other] for other in others)})]


def _content(setup: Setup, piece: Piece) -> float:
    """Return how much there is to see in a piece: its contrast in grey levels, without most of its noise; 0 if none."""
    try:
        _, measured = setup.measured(piece)
    except (NothingToRestoreError, MissingPixelsError):
        return 0.0
    smooth = functional.avg_pool2d(measured.values[0], SMOOTHED, ceil_mode=True)
    span = torch.from_numpy(measured.frame.units[0]).to(smooth)
    return float((smooth.flatten(1).std(dim=1) * span).mean())

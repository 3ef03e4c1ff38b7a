"""One network for all slices of a stack: which slices it is trained on, and what a run says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar, final

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

Place = TypeVar("Place")
"""What tells slices apart."""

ONE_NETWORK = "one network was trained for all slices"

Pose = Callable[[Measured], Posed]
"""Returns the problem of a piece."""


@final
class SharedNetwork:
    """The network that restores all pieces of a run, where one does; of channels that are restored one by one, each."""

    def __init__(self) -> None:
        self._of_channels: dict[int | None, SharedDistillation] = {}
        self.of_batch_in_words = ""

    @classmethod
    def of_batch(cls, distillation: SharedDistillation, words: str) -> SharedNetwork:
        """Return a network for several images; ``words`` say what it was trained on."""
        network = cls()
        network._of_channels[None] = distillation
        network.of_batch_in_words = words
        return network

    @property
    def distillation(self) -> SharedDistillation | None:
        """The network of all pieces; None where there is none, or one for each channel."""
        return self._of_channels.get(None)

    def solver(self, setup: Setup, choice: Choice, pose: Pose, channel: int | None) -> Solver:
        """Return what solves the problem of a piece: of a stack that is distilled, the same for all pieces.

        Parameters
        ----------
        channel : int or None
            That of the piece, where channels are restored one by one.
        """
        method = choice.method
        if choice.guided is not None or choice.unchanged or not isinstance(method, SelfDistillation):
            return choice.solver()
        if channel not in self._of_channels:
            count = len(setup.pieces) // setup.source.separate_count
            if not is_shared(method, count, planes="Z" not in setup.source.piece_axes):
                return choice.solver()
            problems = partial(_training_problems, setup, pose, channel)
            self._of_channels[channel] = SharedDistillation(method, problems, slices=count)
        return self._of_channels[channel]


def shared_in_words(shares: Sequence[float], trained_on: Sequence[int], *, separate_channels: bool = False) -> str:
    """Return a sentence on what a network for all slices was trained on, and how much it counts; empty without one."""
    if not shares:
        return ""
    mean, low, high = (f"{100 * each:.0f}" for each in (np.mean(shares), min(shares), max(shares)))
    spread = f"{low} %" if low == high else f"{mean} % on average ({low} to {high} %)"
    if not trained_on:
        return f"held-out pixels decide between the network of all images and similar patches: it counts for {spread}"
    what = "for each channel a network was trained for all of its slices" if separate_channels else ONE_NETWORK
    numbers = ", ".join(str(number + 1) for number in sorted(trained_on))
    return (
        f"{what}, on slices {numbers}; held-out pixels of each slice decide between it "
        f"and similar patches: it counts for {spread}"
    )


def _training_problems(setup: Setup, pose: Pose, channel: int | None) -> Iterator[Problem]:
    """Yield the problems of the slices that a network is trained on, one after another."""
    pieces = [piece for piece in setup.pieces if setup.source.channel_of(piece) == channel]
    for piece in run_stage("Choosing slices", partial(_chosen, setup, pieces)):
        _, measured = setup.measured(piece)
        posed = pose(measured)
        # Other slices may need another method, which is no matter here.
        if isinstance(setup.choose(posed.problem).method, SelfDistillation):
            yield posed.problem


def _chosen(setup: Setup, pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces to train on, by their content."""
    looked_at = sorted({*np.linspace(0, len(pieces) - 1, min(LOOKED_AT, len(pieces))).round().astype(int).tolist()})
    return [pieces[number] for number in chosen({number: content(setup, pieces[number]) for number in looked_at})]


def chosen(contents: Mapping[Place, float]) -> list[Place]:
    """Return slices to train on, in order: half of them show the most, the others are spread over all.

    Parameters
    ----------
    contents : mapping of any to float
        How much there is to see in each slice; those with nothing are left out.
    """
    showing = [place for place in contents if contents[place] > 0]
    if len(showing) <= TRAINED_ON:
        return showing
    half = TRAINED_ON // 2
    most = sorted(showing, key=lambda place: -contents[place])[:half]
    rest = [place for place in showing if place not in most]
    others = np.linspace(0, len(rest) - 1, TRAINED_ON - half).round().astype(int)
    taken = {*most, *(rest[other] for other in others)}
    return [place for place in showing if place in taken]


def content(setup: Setup, piece: Piece) -> float:
    """Return how much there is to see in a piece: its contrast in grey levels, without most of its noise; 0 if none."""
    try:
        _, measured = setup.measured(piece)
    except (NothingToRestoreError, MissingPixelsError):
        return 0.0
    smooth = functional.avg_pool2d(measured.values[0], SMOOTHED, ceil_mode=True)
    span = torch.from_numpy(measured.frame.units[0]).to(smooth)
    return float((smooth.flatten(1).std(dim=1) * span).mean())

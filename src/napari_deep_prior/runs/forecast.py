"""What a run will do, how long it will take and how much memory it needs: known before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from ..arrays.pieces import Piece
from ..methods import SelfDistillation, shared_time
from ..physics.misfit import GaussianMisfit
from ..physics.operators import Operator
from ..problem import Problem
from ..tasks import Task
from ..tasks.inputs import Inputs
from . import report
from .efforts import settings_for
from .recommend import STAND_IN, Choice, Wish, asked, recommend
from .source import SourceArray
from .speed import slowness

LIBRARIES, NETWORK_LIBRARIES = 18 * 2**20, 66 * 2**20
"""Bytes that the first run of a process takes for parts of PyTorch and other libraries that are loaded then, and those
that only networks need (measured on Linux with PyTorch 2.13); a later run has them already. Their files do not count:
the system has as much of them in memory as it likes, 30 to 70 MiB, and gives it up for others."""

COMPARED = 12
"""Images that the comparison with a guide keeps beside the fits, in values of four bytes."""


@final
@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run will take.

    Parameters
    ----------
    choice : Choice
        The method, unless the image speaks against it.
    memory : int
        Bytes at the peak of a piece.
    seconds : float
        Of all pieces; about.
    """

    choice: Choice
    memory: int
    seconds: float

    def in_words(self) -> str:
        """Return a sentence for people."""
        return report.plan_in_words(self.choice, seconds=self.seconds, memory=self.memory)


def forecast(task: Task, wish: Wish, problem: Problem, *, pieces: int = 1, known: bool = True) -> Forecast:
    """Return what a run will take.

    Parameters
    ----------
    problem : Problem
        A piece, or one as :func:`blank_problem` returns it.
    pieces : int
        How many of them there are.
    known : bool
        Whether the problem has data: only they show whether the method that is asked for can be taken.
    """
    choice = recommend(task, problem, wish)
    methods, seconds = [choice.method], choice.method.seconds(problem)
    if choice.guided is None and isinstance(choice.method, SelfDistillation):
        seconds = shared_time.seconds(choice.method, problem, pieces) / pieces
    if choice.guided is not None:
        methods.append(choice.guided)
        # Without the guide and with it; then without it in the way of the guided fit, and once more from all pixels.
        seconds = 2 * (seconds + choice.guided.seconds(problem))
    if choice.instead and not known:
        # What is asked for can still be the one that runs.
        method, reason = asked(task, wish)
        methods.append(method)
        if "jpeg" in task.takes:
            # Only the image shows that it is a JPEG; for this task it will be one.
            choice, seconds = Choice(method=method, reason=reason), method.seconds(problem)
    if "jpeg" in task.takes and not known:
        # Where nothing shows how an image was compressed, the deep image prior restores it.
        methods.append(settings_for(task, STAND_IN))
    memory = max(method.memory(problem) for method in methods)
    if choice.guided is None and isinstance(choice.method, SelfDistillation):
        memory += shared_time.memory(choice.method, problem, pieces)
    if choice.guided is not None:
        memory += COMPARED * 4 * problem.measured.numel()
    device = problem.measured.device
    if device.type == "cpu":
        memory += LIBRARIES
        # For a JPEG a network is looked up in any case: its tables may not be known.
        memory += (
            0 if all(method.without_network for method in methods) and "jpeg" not in task.takes else NETWORK_LIBRARIES
        )
    return Forecast(choice=choice, memory=memory, seconds=pieces * seconds * slowness(device))


def blank_problem(
    source: SourceArray,
    operator: Operator,
    device: torch.device,
    *,
    inputs: Inputs,
    piece: Piece | None = None,
    correlation_length: int = 1,
) -> Problem:
    """Return the problem of a piece without data: its tensors have shapes, and take the memory of one value.

    Parameters
    ----------
    piece : Piece, optional
        A tile; without one it is a slice as a whole.
    """
    channels, spatial = source.lengths(piece)
    blank = torch.zeros((), device=device).expand(1, channels, *spatial)
    shape = operator.image_shape(spatial)
    guide_channels = 0 if inputs.guide is None else inputs.guide.channels
    guide = torch.zeros((), device=device).expand(1, guide_channels, *shape) if guide_channels else None
    return Problem(
        measured=blank,
        weight=blank,
        operator=operator,
        misfit=GaussianMisfit(),
        correlation_length=correlation_length,
        guide=guide,
        model=inputs.model,
    )

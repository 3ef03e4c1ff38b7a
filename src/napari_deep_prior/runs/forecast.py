"""What a run will do, how long it will take and how much memory it needs: known before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from ..physics.misfit import GaussianMisfit
from ..physics.operators import Operator
from ..problem import Problem
from ..tasks import Task
from . import report
from .efforts import settings_for
from .recommend import STAND_IN, Choice, Wish, asked, recommend
from .source import SourceArray
from .speed import slowness


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


def forecast(task: Task, wish: Wish, problem: Problem, *, pieces: int = 1) -> Forecast:
    """Return what a run will take.

    Parameters
    ----------
    problem : Problem
        A piece as :func:`blank_problem` returns it.
    pieces : int
        How many of them there are.
    """
    choice = recommend(task, problem, wish)
    memory, seconds = choice.method.memory(problem), choice.method.seconds(problem)
    if choice.guided is not None:
        memory = max(memory, choice.guided.memory(problem))
        # Without the guide, with it, and without it again from all pixels.
        seconds = 2 * seconds + choice.guided.seconds(problem)
    if choice.instead:
        # What is asked for can still be the one that runs: this problem has no data.
        method, reason = asked(task, wish)
        memory = max(memory, method.memory(problem))
        if "jpeg" in task.takes:
            # Only the image shows that it is a JPEG; for this task it will be one.
            choice, seconds = Choice(method=method, reason=reason), method.seconds(problem)
    if "jpeg" in task.takes:
        # Where nothing shows how an image was compressed, the deep image prior restores it.
        memory = max(memory, settings_for(task, STAND_IN).memory(problem))
    device = problem.measured.device
    return Forecast(choice=choice, memory=memory, seconds=pieces * seconds * slowness(device))


def blank_problem(
    source: SourceArray,
    operator: Operator,
    device: torch.device,
    *,
    guide_channels: int = 0,
    correlation_length: int = 1,
) -> Problem:
    """Return the problem of a piece without data: its tensors have shapes, and take the memory of one value."""
    channels, spatial = source.lengths()
    blank = torch.zeros((), device=device).expand(1, channels, *spatial)
    shape = operator.image_shape(spatial)
    guide = torch.zeros((), device=device).expand(1, guide_channels, *shape) if guide_channels else None
    return Problem(
        measured=blank,
        weight=blank,
        operator=operator,
        misfit=GaussianMisfit(),
        correlation_length=correlation_length,
        guide=guide,
    )

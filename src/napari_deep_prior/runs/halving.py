"""What a run does when a device has no memory left in the middle of a piece: smaller parts, and in the end the CPU."""

from __future__ import annotations

import dataclasses
import itertools
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from ..arrays.seams import BandsInMemory, Seams
from ..methods import Method
from ..methods.guidance import GuideComparison
from ..methods.shared_distillation import SharedDistillation
from ..methods.unchanged import Unchanged
from ..physics.averaged_misfit import misfit_of_part
from ..problem import Problem
from ..progress import Step
from .devices import give_memory_back, is_address_space_limited
from .errors import is_out_of_memory
from .tiling import Tiles, cut, half_of

Solver = Method | GuideComparison | Unchanged | SharedDistillation

SPATIAL = {2: "YX", 3: "ZYX"}
"""Letters of a problem's spatial axes, by their number."""


@final
class Halving:
    """Solves the problems of a run: each at once, as long as there is memory for that.

    When there is not, the problem is solved anew in parts of half the length that pass smoothly into each other, and so
    are all that follow. Where even small parts do not fit into the memory of a GPU, the CPU takes over.

    Parameters
    ----------
    multiple : int
        Of what the sides of parts must be multiples, in pixels.
    tell : function
        Is called with a sentence whenever something was done.
    """

    def __init__(self, multiple: int, tell: Callable[[str], None]) -> None:
        self._multiple, self._tell = multiple, tell
        self._side: int | None = None
        self._on_cpu = False

    def fit(self, solver: Solver, problem: Problem, on: Callable[[torch.device], Problem]) -> Iterator[Step]:
        """Yield the steps that solve a problem; the image of the last one is the answer, on the problem's device.

        Parameters
        ----------
        on : function
            Returns the problem on another device.

        Raises
        ------
        RuntimeError, MemoryError
            What a device has raised that has too little memory for the smallest part.
        """
        device = problem.measured.device
        while True:
            posed = on(torch.device("cpu")) if self._on_cpu else problem
            try:
                steps = solver.fit(posed)
                if self._side is not None:
                    steps = in_parts(solver, posed, self._side, self._multiple)
                for step in steps:
                    yield _moved(step, device) if self._on_cpu else step
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._smaller(posed):
                    raise
                # An error keeps the tensors of the step that failed.
                traceback.clear_frames(error.__traceback__)
            else:
                return
            give_memory_back(device)

    @staticmethod
    def give_back(device: torch.device) -> None:
        """Give memory that is kept for later back to the device, for other programs."""
        give_memory_back(device)

    def _smaller(self, problem: Problem) -> bool:
        """Make the parts half as long, or leave it to the CPU; return whether that was possible."""
        device = problem.measured.device
        if device.type == "cpu" and is_address_space_limited():
            # PyTorch ends the process now and then where it gets no memory: what was restored so far would be lost.
            return False
        longest = max(problem.measured.shape[-2:]) if self._side is None else self._side
        side = half_of(longest, _factors(problem), self._multiple)
        if side is not None:
            self._side = side
            self._tell(
                f"the memory of {device} was not enough: the image was restored in parts of {side} × {side} pixels"
            )
        elif device.type != "cpu":
            self._side, self._on_cpu = None, True
            self._tell(f"the memory of {device} was not enough for small parts either: the CPU went on")
        else:
            return False
        return True


def in_parts(solver: Solver, problem: Problem, side: int, multiple: int = 1) -> Iterator[Step]:
    """Yield the steps that solve a problem part by part.

    The image of a step has the parts that are finished, the one under way, and the measurement where none was yet.

    Parameters
    ----------
    side : int
        Pixels of the measurement along rows and columns of a part, without its halo.
    """
    axes = "C" + SPATIAL[problem.measured.ndim - 2]
    shape, factors = tuple(problem.measured.shape[1:]), _factors(problem)
    parts = cut(shape, axes, Tiles(side=side, multiple=multiple), volume=True, factors=factors)
    whole = _Whole(problem, parts)
    offset = 0
    for part in parts:
        steps = itertools.chain(solver.fit(_part_of(problem, part)), [None])
        for step, following in itertools.pairwise(steps):
            if step is not None:
                whole.put(part, step, finished=following is None)
                last = dataclasses.replace(
                    step, number=offset + step.number, total=len(parts) * step.total, chosen=offset + step.chosen
                )
                yield dataclasses.replace(last, image=whole.image(), deviation=whole.deviation())
        offset = last.number


@final
class _Whole:
    """The image of a problem that is solved in parts.

    Parameters
    ----------
    problem : Problem
        All of it.
    parts : sequence of Piece
        Of the measurement, (C, *S).
    """

    def __init__(self, problem: Problem, parts: Sequence[Piece]) -> None:
        self._like, self._parts = problem.measured, parts
        self._seams, self._bands = Seams(parts), BandsInMemory()
        self._image: Array = _array(problem.operator.interpolate(problem.measured))
        self._deviation: Array | None = None
        self._shown: Tensor | None = None

    def put(self, part: Piece, step: Step, *, finished: bool) -> None:
        """Take in a step of a part; after the last one of all the parts are joined."""
        if step.image is not self._shown or finished:
            # Images of steps are never changed afterwards.
            self._image = self._image.copy()
            values = _array(step.image)
            self._image[part.write] = values[part.inner]
            self._shown = step.image
        if step.deviation is not None:
            self._deviation = np.zeros_like(self._image) if self._deviation is None else self._deviation.copy()
            self._deviation[part.write] = _array(step.deviation)[part.inner]
        if finished and self._seams.needed:
            self._bands.put(part.number, self._seams.bands(part, values))
            if part is self._parts[-1]:
                for index, joined in self._seams.joined(self._parts, self._bands):
                    self._image[index] = joined

    def image(self) -> Tensor:
        """Return the image so far, (1, C, *S)."""
        return torch.from_numpy(self._image)[None].to(self._like.device)

    def deviation(self) -> Tensor | None:
        """Return the deviation so far, 0 where there is none yet; None if there is none at all."""
        return None if self._deviation is None else torch.from_numpy(self._deviation)[None].to(self._like.device)


def _array(image: Tensor) -> Array:
    return image.detach()[0].to("cpu", torch.float32).numpy()


def _part_of(problem: Problem, part: Piece) -> Problem:
    """Return the problem of a part of the measurement, (C, *S), and of the image."""
    read, restored = part.read, (slice(None), *part.restored[1:])
    return dataclasses.replace(
        problem,
        measured=problem.measured[0][read][None].contiguous(),
        weight=problem.weight.expand_as(problem.measured)[0][read][None].contiguous(),
        guide=None if problem.guide is None else problem.guide[0][restored][None].contiguous(),
        misfit=misfit_of_part(problem.misfit, (slice(None), *read)),
    )


def _factors(problem: Problem) -> dict[str, float]:
    factors = problem.operator.factors
    return dict(zip(SPATIAL[problem.measured.ndim - 2], factors, strict=True)) if factors else {}


def _moved(step: Step, device: torch.device) -> Step:
    deviation = None if step.deviation is None else step.deviation.to(device)
    return dataclasses.replace(step, image=step.image.to(device), deviation=deviation)

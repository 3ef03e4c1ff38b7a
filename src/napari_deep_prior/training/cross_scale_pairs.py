"""Lessons: what a network can learn about enlarging an image from the image alone.

The image is the truth, and what its operator makes of it the measurement (Shocher et al. 2018, arXiv 1712.06087).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..physics.kernels import Bicubic
from ..physics.operators import Downsample
from .trainer import ORIENTATIONS, draw_below, draw_crops, oriented

SCALES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
"""Sizes of the truths in the image's own: patterns recur at other scales, and sampling differently at each."""

TRUST = 0.25
"""How often a smaller truth is drawn, for every time that the image is: times its size."""

BETWEEN = (0.14, 0.26, 0.38, 0.49, 0.58)
"""Sizes to which an answer is reduced to learn from it, from that of the image (0) to its own (1), by powers."""

LEAST_WEIGHT = 1e-6
"""What a missing pixel counts, so that there is always something to divide by."""

MOST_PIXELS = 1 << 22
"""Pixels of a volume that are learned from, in planes spread over all of it: more would only take memory."""

SMALLEST_SIDE = 4
"""Pixels along a side from which on there is something to learn."""


@final
@dataclass(frozen=True)
class TrainingPair:
    """Truths (N, C, rows, columns), what is interpolated from their measurements, and how much each pixel counts."""

    truth: Tensor
    seen: Tensor
    weight: Tensor


@final
class TrainingPairs:
    """Pairs of all sizes, of which parts are drawn.

    Parameters
    ----------
    operator : Downsample
        What makes the measurements.
    turns : tuple of int
        Ways to turn and mirror a pair that the operator does not notice. Of the others pairs are made from turned
        truths.
    """

    def __init__(self, operator: Downsample, turns: tuple[int, ...]) -> None:
        self.operator, self.turns = operator, turns
        self.kept: list[list[TrainingPair]] = []
        self.often: list[float] = []

    def add(self, truths: Tensor, weight: Tensor, *, often: float) -> None:
        """Add planes (N, C, rows, columns), to be drawn ``often`` for every time that the image is.

        ``weight`` is 0 where they are not known.
        """
        turns = first_turns(self.turns)
        self.kept.append([self._lesson(oriented(truths, turn), oriented(weight, turn)) for turn in turns])
        self.often.append(often)

    def draw(self, *, crop: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``count`` parts (count, C, rows, columns): what is seen, the truth, and how much each pixel counts."""
        versions = self.kept[int(torch.multinomial(torch.tensor(self.often), 1, generator=generator))]
        lesson = versions[draw_below(len(versions), generator)]
        plane = draw_below(len(lesson.truth), generator)
        images = tuple(image[plane : plane + 1] for image in (lesson.seen, lesson.truth, lesson.weight))
        seen, truth, weight = draw_crops(images, crop=crop, count=count, turns=self.turns, generator=generator)
        return seen, truth, weight

    def _lesson(self, truth: Tensor, weight: Tensor) -> TrainingPair:
        rows, columns = truth.shape[-2:]
        seen = self.operator.interpolate(self.operator(truth))[..., :rows, :columns]
        return TrainingPair(truth.contiguous(), seen.contiguous(), weight.clamp(min=LEAST_WEIGHT).contiguous())


def of_image(planes: Tensor, weight: Tensor, operator: Downsample, turns: tuple[int, ...]) -> TrainingPairs:
    """Return lessons from the planes (N, C, rows, columns) of an image, and from smaller versions of them."""
    lessons = TrainingPairs(operator, turns)
    planes, weight = spread_out(planes), spread_out(weight)
    for scale in SCALES:
        if scale == 1:
            lessons.add(planes, weight, often=1.0)
        elif min(planes.shape[-2:]) * scale >= SMALLEST_SIDE:
            lessons.add(*(_reduced(part, (scale, scale)) for part in (planes, weight)), often=TRUST * scale)
    return lessons


def add_answer(lessons: TrainingPairs, planes: Tensor) -> None:
    """Add what the network has made of an image, reduced to sizes between: there its errors are small."""
    planes = spread_out(planes)
    for part in BETWEEN:
        smaller = _reduced(planes, tuple(factor ** (part - 1) for factor in lessons.operator.factors))
        lessons.add(smaller, torch.ones_like(smaller), often=TRUST)


def memory(planes: int, rows: int, columns: int, *, channels: int, operator: Downsample, turns: tuple[int, ...]) -> int:
    """Return about how many bytes the lessons of planes of that size take, an answer included."""
    learned = channels * rows * columns * min(planes, max(1, MOST_PIXELS // (rows * columns)))
    sizes = sum(scale**2 for scale in SCALES) + sum(math.prod(operator.factors) ** part for part in BETWEEN)
    return int(3 * 4 * learned * sizes * len(first_turns(turns)))


def first_turns(turns: tuple[int, ...]) -> list[int]:
    """Return the turns from which ``turns`` lead to all eight, each in one way."""
    probe = torch.arange(4.0).reshape(2, 2)
    found: list[Tensor] = []
    first = []
    for turn in range(ORIENTATIONS):
        start = oriented(probe, turn)
        if not any(torch.equal(start, known) for known in found):
            first.append(turn)
            found += [oriented(start, then) for then in turns]
    return first


def spread_out(planes: Tensor) -> Tensor:
    """Return as many of the planes (N, C, rows, columns) as are learned from, from everywhere."""
    count = max(1, MOST_PIXELS // planes.shape[-2:].numel())
    return planes[:: -(-len(planes) // count)]


def _reduced(planes: Tensor, scales: tuple[float, ...]) -> Tensor:
    return Downsample(tuple(1 / scale for scale in scales), Bicubic())(planes)

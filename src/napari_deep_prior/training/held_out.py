"""Held-out pixels: measured pixels that are kept from a fit, to measure its error on them."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from ..physics.misfit import weighted_mean
from ..problem import Problem

HELD_OUT_ERROR = "held-out error"
"""Name of the criterion, for people."""

SCATTERED = 0.2
"""Share of missing pixels above which single pixels are missing everywhere, rather than a few holes."""

HELD_OUT_SHARE = 0.05
"""Share of the known pixels that is held out where single pixels are missing, or none."""

MOVES = 4
"""Most places to which holes are moved: at a single one the image may differ much from where pixels are missing."""


@final
class BestImage:
    """The image of smallest held-out error so far; where no pixel is held out, the last one.

    Parameters
    ----------
    problem : Problem
        The problem that is solved.
    evaluated : Tensor, (1, 1 or C, *S)
        1 on held-out pixels.
    image : Tensor, (1, C, *S)
        The first image.
    """

    def __init__(self, problem: Problem, evaluated: Tensor, image: Tensor) -> None:
        self._problem, self._weight = problem, evaluated * problem.weight
        self.image, self.chosen = image, torch.tensor(1)
        self.error = mean_misfit(problem, image, self._weight) if bool((self._weight > 0).any()) else None

    def offer(self, number: int, image: Tensor, *, margin: float = 0.0) -> bool:
        """Keep the image of step ``number`` if its error is smaller; return whether it was.

        By at least ``margin`` standard errors: those of few or noisy pixels differ by chance.
        """
        if self.error is not None:
            error = mean_misfit(self._problem, image, self._weight)
            # Without a margin nothing is looked up: no value is read between the steps of a fit.
            least = margin * self._uncertainty(image) if margin else 0.0
            if not error < self.error - least:
                return False
            self.error = error
        self.image, self.chosen = image, torch.tensor(number)
        return True

    def _uncertainty(self, image: Tensor) -> Tensor:
        """Return the standard error (0-d) of the difference between the errors of an image and of the best one."""
        problem, misfit = self._problem, self._problem.misfit
        before, after = (
            misfit.pointwise(problem.operator(each), problem.measured)[self._weight.expand_as(problem.measured) > 0]
            for each in (self.image, image)
        )
        deviation: Tensor = (after - before).square().mean().sqrt()
        return deviation / math.sqrt(len(after))


def mean_misfit(problem: Problem, image: Tensor, weight: Tensor) -> Tensor:
    """Return the mean misfit (0-d) between an image (1, C, *S) and the measurement, weighted pixel by pixel."""
    return weighted_mean(problem.misfit.pointwise(problem.operator(image), problem.measured), weight)


def hold_out(problem: Problem, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose pixels to hold out: a random one of each 1/fraction pixels of similar brightness.

    In all channels at once, since their noise may be related, and only where every channel was measured. Where the
    noise is correlated over ``problem.correlation_length`` pixels, blocks of that side are held out, and the error is
    measured in their centre: next to a pixel that the fit uses the noise could be predicted (structN2V, Broaddus et
    al. 2020, doi 10.1109/ISBI45749.2020.9098336).

    Returns
    -------
    held_out : Tensor, (1, 1, *S)
        1 on pixels that are kept from the fit.
    evaluated : Tensor, (1, 1, *S)
        1 on those of them on which the error is measured.
    """
    length = problem.correlation_length
    brightness = problem.measured.mean(dim=1, keepdim=True).cpu()
    measured = (problem.weight > 0).all(dim=1, keepdim=True).cpu()
    # One candidate in each block: its centre.
    centres: tuple[Any, ...] = (..., *(slice(length // 2, None, length),) * 2)
    chosen = torch.zeros_like(brightness)
    chosen[centres] = _stratified(brightness[centres], measured[centres], fraction, generator)
    evaluated = chosen * measured
    held_out = evaluated
    if length > 1:
        planes = evaluated.flatten(0, -3)[:, None]
        held_out = functional.max_pool2d(planes, length, stride=1, padding=length // 2).reshape(evaluated.shape)
    device = problem.measured.device
    return held_out.to(device), evaluated.to(device)


def hold_out_like_missing(known: Tensor, generator: torch.Generator) -> Tensor:
    """Choose pixels to hold out that are distributed like the missing ones.

    The holes are moved to random places; where single pixels are missing, or none, single pixels are held out.

    Parameters
    ----------
    known : Tensor, (1, C, *S)
        1 where the image is known, 0 where it is missing.
    generator : torch.Generator
        Random numbers for the choice.

    Returns
    -------
    Tensor, (1, C, *S)
        1 on known pixels to be held out.
    """
    spatial = known.shape[2:]
    scattered = known * (torch.rand(spatial, generator=generator) < HELD_OUT_SHARE).to(known)
    if float(1 - known.mean()) > SCATTERED:
        return scattered
    left = known
    for _ in range(MOVES):
        shifts = [int(torch.randint(length, (), generator=generator)) for length in spatial[-2:]]
        fewer = left * known.roll(shifts, dims=(-2, -1))
        if left is not known and float(1 - fewer.mean()) > SCATTERED:
            break
        left = fewer
    moved = known - left
    return moved if float(moved.sum()) > 0 else scattered


def _stratified(brightness: Tensor, allowed: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return a mask, 1 on a random one of each 1/fraction allowed values that follow each other in brightness."""
    order = torch.argsort(brightness.flatten(), stable=True)
    order = order[allowed.flatten()[order]]
    size = round(1 / fraction)
    groups = len(order) // size
    pick = torch.randint(size, (groups,), generator=generator)
    mask = torch.zeros(brightness.numel())
    mask[order[: groups * size].reshape(groups, size)[torch.arange(groups), pick]] = 1
    return mask.reshape(brightness.shape)

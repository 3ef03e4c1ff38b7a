"""Brightness of frames: a frame of a series that bleaches, or of a lamp that flickers, as bright as another one.

Frames whose brightness differs by less than their noise look the same at every pixel. Their mean would be brighter than
the darker one all the same, and a bleaching curve that is measured on it too flat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

ROUNDS = 2
"""How often brightness is estimated, each time from the pixels that show the same by what was found before."""

MOST = 10.0
"""Largest ratio of two brightnesses, or of their inverse, that is believed."""

LEAST_SHOWN = 0.1
"""Share of the pixels that must show the same with a brightness, since a few do so by chance (measured: 0.25 to 0.98 in
series that bleach, less than 0.001 with a frame of something else)."""

CORRELATED = 0.7
"""Correlation from which the contrast of two frames tells their ratio; below it only their means are compared."""


@final
@dataclass(frozen=True)
class Brightness:
    """What makes a frame as bright as another one: ``gain * values + shift``, both (1, C, 1, 1)."""

    gain: Tensor
    shift: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Return values as bright as those of the other frame."""
        return values * self.gain + self.shift

    @property
    def variance(self) -> Tensor:
        """Variance of their noise, in units of that of the other frame: at most the ratio, or its square above 1."""
        return torch.maximum(self.gain, self.gain.square())


@final
@dataclass(frozen=True)
class Shown:
    """What a frame shows, (1, C, rows, columns): as it was measured, and an estimate of it without noise."""

    measured: Tensor
    estimate: Tensor


def brightness_of(
    theirs: Shown, ours: Shown, similar: Callable[[Tensor], Tensor], seen: Tensor
) -> tuple[Brightness, Tensor]:
    """Return what makes a frame as bright as ours, and how much its pixels then show the same, from 0 to 1.

    Of the pixels that show the same the contrast is compared by the estimates, and the mean by what was measured, since
    estimates of a few photons are not right on average. Both a start with all pixels, since the whole image
    bleaches, and one with those that are equal as they are, since something has moved, are tried; what lets more pixels
    show the same is right, if they are not too few.

    Parameters
    ----------
    theirs, ours : Shown
        The frames.
    similar : function
        Returns how much the pixels of an estimate of theirs show the same as ours, from 0 to 1.
    seen : Tensor, (1, C, rows, columns)
        0 where one of them is missing.
    """
    one = torch.ones_like(ours.estimate[..., :1, :1])
    as_it_is = Brightness(one, torch.zeros_like(one))
    at_first = similar(theirs.estimate)
    best, shown = (as_it_is, at_first), max(LEAST_SHOWN * float((seen > 0).sum()), float((seen * at_first).sum()))
    for weights in (seen * at_first, (seen > 0).to(seen)):
        each = as_it_is
        for _ in range(ROUNDS):
            each = _compared(theirs, ours, weights, each)
            shares = similar(each.of(theirs.estimate))
            weights = seen * shares
        if float(weights.sum()) > shown:
            best, shown = (each, shares), float(weights.sum())
    return best


def _compared(theirs: Shown, ours: Shown, weights: Tensor, before: Brightness) -> Brightness:
    """Return the brightness by the pixels of some weights; what was known before where they do not tell it."""
    total = weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-9)

    def mean(values: Tensor) -> Tensor:
        return (values * weights).sum(dim=(-2, -1), keepdim=True) / total

    here, there = (each.estimate - mean(each.estimate) for each in (ours, theirs))
    spread, other_spread = (mean(each.square()).sqrt().clamp(min=1e-9) for each in (here, there))
    correlation = mean(here * there) / (spread * other_spread)
    # Both estimates keep some noise. A regression would take the ratio for smaller, the ratio of the spreads does not.
    gain = torch.where(correlation > CORRELATED, spread / other_spread, torch.ones_like(spread))
    believed = (total > 1) & (gain < MOST) & (gain > 1 / MOST)
    shift = mean(ours.measured) - gain * mean(theirs.measured)
    return Brightness(torch.where(believed, gain, before.gain), torch.where(believed, shift, before.shift))

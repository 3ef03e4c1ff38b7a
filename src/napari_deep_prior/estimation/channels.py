"""The noise of every channel of an image: estimated, or given by the person."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from ..physics.noise_model import NoiseModel
from .noise import estimate_noise
from .sampling import Window, lit_windows

STRONGLY_CORRELATED = 0.4
"""Correlation of neighbours from which also pixels two apart tell about each other."""

FEWEST_FOR_CORRELATION = 200 * 200
"""Pixels of a plane below which its own texture cannot be told from correlated noise, which is the rarer of the two."""

SMALLEST_PLANE = 10
"""Pixels along a side below which the noise cannot be estimated."""

DISAGREEMENT = 2.0
"""Times by which the noise of two planes differs, at the same brightness, from which they are not of one camera; what
is full of texture seems to have up to half as much noise again."""

FEWEST_TO_COMPARE = 32 * 32
"""Pixels of a plane below which its own noise is too uncertain to compare it with that of others."""


@final
@dataclass(frozen=True, kw_only=True)
class GivenNoise:
    """What a person says of the noise, in grey levels; None where it is to be estimated."""

    gain: float | None = None
    offset: float | None = None
    sigma: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything is said."""
        return (self.gain, self.offset, self.sigma) != (None, None, None)


def correlation_length(noise: tuple[NoiseModel, ...]) -> int:
    """Return the pixels along a side over which noise is correlated; 1 where it is independent from pixel to pixel."""
    strongest = max((max(model.correlation) for model in noise), default=0.0)
    if not any(model.correlated for model in noise):
        return 1
    return 3 if strongest <= STRONGLY_CORRELATED else 5


@final
@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Two planes of a stack of which the noise cannot be that of one camera.

    Parameters
    ----------
    weak, strong : mapping of str to int
        Where they lie: an index along each axis of the stack.
    ratio : float
        Standard deviation of the stronger noise over that of the weaker one, at the same brightness.
    """

    weak: Mapping[str, int]
    strong: Mapping[str, int]
    ratio: float


def estimate_windows(
    windows: Sequence[Sequence[Window]], given: GivenNoise
) -> tuple[tuple[NoiseModel, ...], tuple[Disagreement, ...]]:
    """Return the noise of every channel of a stack, and of each channel where planes disagree which ones do most.

    One line through all windows together: dim and bright planes complete each other. A few windows of which the noise
    is by far stronger or weaker than that of most are left out.

    Parameters
    ----------
    windows : sequence of sequence of Window
        Of every channel, as :func:`~napari_deep_prior.estimation.sampling.windows_of` returns them.
    """
    models, disagreements = [], []
    for of_channel in windows:
        together = noise_of(of_channel, given)
        compared = _compared(of_channel, together, given)
        if compared and compared[-1][0] > DISAGREEMENT * compared[0][0]:
            (low, weak), (high, strong) = compared[0], compared[-1]
            disagreements.append(Disagreement(weak=weak.place, strong=strong.place, ratio=high / low))
            odd = _minority(compared)
            together = noise_of([window for window in of_channel if id(window) not in odd], given)
        models.append(together)
    return tuple(models), tuple(disagreements)


def noise_of(windows: Sequence[Window], given: GivenNoise) -> NoiseModel:
    """Return the noise of a channel by all of its windows together: what is not given is estimated."""
    values = np.stack([window.values for window in windows])
    if min(values.shape[-2:]) < SMALLEST_PLANE or np.isnan(values).all():
        model = NoiseModel(reliable=False, reasons=("the image is too small to estimate its noise",), unknown=True)
    else:
        repeats = 1 if values.ndim == 4 else None
        model = estimate_noise(values, repeats_axis=repeats, offset=given.offset)
        if repeats is None and values.shape[-2] * values.shape[-1] < FEWEST_FOR_CORRELATION:
            model = dataclasses.replace(model, correlation=(0.0, 0.0))
    return dataclasses.replace(
        model,
        gain=model.gain if given.gain is None else given.gain,
        offset=model.offset if given.offset is None else given.offset,
        read_noise=model.read_noise if given.sigma is None else given.sigma,
        reliable=model.reliable or given.gain is not None,
        reasons=model.reasons if given.gain is None else (),
    )


def _compared(windows: Sequence[Window], model: NoiseModel, given: GivenNoise) -> list[tuple[float, Window]]:
    """Return the strength of each lit window's own noise in units of a model's, and the window, the weakest first."""
    found: list[tuple[float, Window]] = []
    if len(windows) < 2 or math.prod(windows[0].values.shape[-2:]) < FEWEST_TO_COMPARE:
        return found
    for window in lit_windows(windows):
        own, expected = (each.variance(window.light) for each in (noise_of([window], given), model))
        if own > 0 and expected > 0:
            found.append((float(np.sqrt(own / expected)), window))
    return sorted(found, key=lambda pair: pair[0])


def _minority(compared: Sequence[tuple[float, Window]]) -> set[int]:
    """Return the identities of windows of which the noise is far from that of most; none where there is no majority."""
    typical = compared[len(compared) // 2][0]
    odd = {id(window) for strength, window in compared if not 1 / DISAGREEMENT < strength / typical < DISAGREEMENT}
    return odd if 2 * len(odd) < len(compared) else set()

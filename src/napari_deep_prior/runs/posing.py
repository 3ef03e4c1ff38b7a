"""From a measured image to the problem that a method solves: its noise, its misfit, its operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from torch import Tensor

from ..arrays.axes import Array, channel_position, sample_count
from ..arrays.frame import Frame
from ..estimation.noise import estimate_noise
from ..physics.jpeg import JpegTables
from ..physics.misfit import Misfit
from ..physics.misfit_choice import MisfitName, choose_misfit
from ..physics.noise_model import CORRELATED, NoiseModel
from ..physics.operators import Identity, Operator
from ..physics.quantised_misfit import QuantisedMisfit
from ..problem import Problem
from ..tasks.task import Task

STRONGLY_CORRELATED = 0.4
"""Correlation of neighbours from which also pixels two apart tell about each other."""

FEWEST_FOR_CORRELATION = 200 * 200
"""Pixels of a plane below which its own texture cannot be told from correlated noise, which is the rarer of the two."""

UNCHANGED = Identity()
"""The image itself was measured."""

SMALLEST_PLANE = 10
"""Pixels along a side below which the noise cannot be estimated."""


@final
@dataclass(frozen=True)
class Noise:
    """The noise of every channel, as estimated or given, and the misfit that was chosen for it."""

    channels: tuple[NoiseModel, ...]
    misfit: MisfitName = "gaussian"

    def in_words(self) -> str:
        """Return a sentence for people; channels of the same noise are named once."""
        if self.misfit == "quantised":
            return "what a JPEG's rounding took"
        words = list(dict.fromkeys(model.in_words() for model in self.channels))
        return "; ".join(words) if words else "noise not estimated"

    def record(self) -> dict[str, Any]:
        """Return what is saved with the result, as JSON types."""
        return {
            "misfit": self.misfit,
            "in words": self.in_words(),
            "channels": [dataclasses.asdict(model) for model in self.channels],
        }


def estimate_channels(image: Array, axes: str, task: Task) -> tuple[NoiseModel, ...]:
    """Return the noise of every channel of an image, estimated where the task does not give it.

    Parameters
    ----------
    image : ndarray
        Raw grey levels; a plane, a volume or some frames of a stack.
    axes : str
        One letter per axis. Along a ``T`` axis neighbours show almost the same, and their differences are used.
    """
    channel = channel_position(axes)
    parts = [image] if channel is None else list(np.moveaxis(image, channel, 0))
    if "S" in axes:
        parts = parts[: sample_count(len(parts))]
    letters = axes if channel is None else axes.replace(axes[channel], "")
    return tuple(_estimate(part, letters, task) for part in parts)


def pose(
    task: Task,
    measured: Tensor,
    weight: Tensor,
    frame: Frame,
    noise: Sequence[NoiseModel],
    *,
    operator: Operator = UNCHANGED,
    guide: Tensor | None = None,
    jpeg: JpegTables | None = None,
) -> tuple[Problem, Noise]:
    """Return the problem of a canonical measurement, and the noise it assumes; that of a JPEG is its rounding."""
    name: MisfitName
    misfit: Misfit
    if jpeg is None:
        name, misfit = choose_misfit(task.noise, noise, frame.units, measured)
    else:
        name, misfit = "quantised", QuantisedMisfit(jpeg, frame.units, measured)
    strongest = max((max(model.correlation) for model in noise), default=0.0)
    correlation_length = 1 if strongest <= CORRELATED else 3 if strongest <= STRONGLY_CORRELATED else 5
    problem = Problem(
        measured=measured,
        weight=weight,
        operator=operator,
        misfit=misfit,
        correlation_length=correlation_length,
        guide=guide,
    )
    return problem, Noise(tuple(noise), name)


def _estimate(part: Array, letters: str, task: Task) -> NoiseModel:
    planes = np.moveaxis(part, [letters.index("Y"), letters.index("X")], [-2, -1])
    rest = [letter for letter in letters if letter not in "YX"]
    values = np.where(np.isfinite(planes), planes, np.nan).astype(np.float64)
    if min(values.shape[-2:]) < SMALLEST_PLANE or np.isnan(values).all():
        model = NoiseModel(reliable=False, reasons=("the image is too small to tell its noise",))
    else:
        repeats = rest.index("T") if "T" in rest and values.shape[rest.index("T")] > 1 else None
        model = estimate_noise(values, repeats_axis=repeats, offset=task.offset)
        if repeats is None and values.shape[-2] * values.shape[-1] < FEWEST_FOR_CORRELATION:
            model = dataclasses.replace(model, correlation=(0.0, 0.0))
    return dataclasses.replace(
        model,
        gain=model.gain if task.gain is None else task.gain,
        offset=model.offset if task.offset is None else task.offset,
        read_noise=model.read_noise if task.sigma is None else task.sigma,
        reliable=model.reliable or task.gain is not None,
        reasons=model.reasons if task.gain is None else (),
    )

"""Held-out images: images that a training never uses, on which its network is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays import metrics
from ..arrays.axes import Array
from .trainer import Trainer, TrainingPair

MOST_PIXELS = 1 << 20
"""Pixels of held-out images that are measured: more would only take time from training."""

Back = Callable[[Tensor], Tensor]
"""From what a network gives to canonical values."""


@final
@dataclass(frozen=True)
class HeldOutImage:
    """A plane that is not trained on.

    Parameters
    ----------
    name : str
        For people.
    pair : TrainingPair, each (1, C, rows, columns)
        What goes into the network, and what is to come out.
    truth : Tensor, (1, C, rows, columns)
        Canonical values.
    back : function
        From what the network gives to canonical values.
    span : float
        Data range of PSNR and SSIM, in canonical values.
    """

    name: str
    pair: TrainingPair
    truth: Tensor
    back: Back
    span: float


@final
@dataclass(frozen=True, kw_only=True)
class Measures:
    """How close images are to their truth: means over images.

    Parameters
    ----------
    psnr : float
        Peak signal-to-noise ratio, dB.
    ssim : float
        Structural similarity; NaN where the images are smaller than its window.
    hfen : float
        High-frequency error norm (see :func:`.metrics.hfen`).
    """

    psnr: float
    ssim: float
    hfen: float

    def in_words(self) -> str:
        """Return the three numbers in a line."""
        return f"PSNR {self.psnr:.2f} dB, SSIM {self.ssim:.4f}, HFEN {self.hfen:.4g}"


@final
@dataclass(frozen=True)
class Example:
    """A held-out image: what goes into the network, what it gives, and the truth; planes (C, rows, columns)."""

    name: str
    given: Array
    output: Array
    truth: Array


@final
@dataclass(frozen=True, kw_only=True)
class Validation:
    """What the held-out images say.

    Parameters
    ----------
    loss : float
        What training makes small, on the held-out images.
    before, after : Measures
        Of what goes into the network, and of what it gives.
    example : Example
        The first of them.
    """

    loss: float
    before: Measures
    after: Measures
    example: Example = field(compare=False)


@torch.no_grad()
def validate(trainer: Trainer, images: Sequence[HeldOutImage], before: Measures) -> Validation:
    """Return what held-out images say of a network."""
    losses, measures = [], []
    examples: list[Example] = []
    for image in images:
        improved = trainer.predict(image.pair.input, orientations=1)
        losses.append(float(trainer.loss(improved, image.pair)))
        restored = image.back(improved)
        measures.append(_measured(restored, image))
        if not examples:
            planes = (_planes(each) for each in (image.back(image.pair.input), restored, image.truth))
            examples.append(Example(image.name, *planes))
    return Validation(loss=float(np.mean(losses)), before=before, after=_mean(measures), example=examples[0])


@torch.no_grad()
def measures_before(images: Sequence[HeldOutImage]) -> Measures:
    """Return how close what goes into the network is to the truth."""
    return _mean([_measured(image.back(image.pair.input), image) for image in images])


def _measured(image: Tensor, held_out: HeldOutImage) -> Measures:
    pairs = list(zip(_planes(image), _planes(held_out.truth), strict=True))
    error = np.mean([metrics.mse(one, true) for one, true in pairs])
    small = min(held_out.truth.shape[-2:]) < metrics.SSIM_WINDOW
    return Measures(
        psnr=10 * math.log10(held_out.span**2 / error) if error > 0 else math.inf,
        ssim=math.nan if small else float(np.mean([metrics.ssim(*each, span=held_out.span) for each in pairs])),
        hfen=float(np.mean([metrics.hfen(*each) for each in pairs if np.ptp(each[1]) > 0] or [math.nan])),
    )


def _planes(image: Tensor) -> Array:
    values: Array = image[0].to("cpu", torch.float32).numpy()
    return values


def _mean(measures: Sequence[Measures]) -> Measures:
    psnr, ssim, hfen = (float(np.mean([getattr(each, name) for each in measures])) for name in ("psnr", "ssim", "hfen"))
    return Measures(psnr=psnr, ssim=ssim, hfen=hfen)

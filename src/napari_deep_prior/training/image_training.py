"""Train a network on many images; held-out images decide which weights are kept."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .held_out_images import HeldOutImage, Validation, measures_before, validate
from .image_sets import ImageSet
from .schedules import cosine_rate_at
from .trainer import Trainer, TrainingPlan
from .training_settings import TrainingSettings

LOOK_EVERY, LOOK_SHARE = 100, 0.1
"""Fewest steps between two validations, and the share of the time that they may take."""

BACKWARD = 2
"""Time of the backward pass, in units of the forward pass."""

AVERAGING = 0.99
"""Share of the past in the running mean of the weights."""


@final
@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """The state after a step of a training. Its tensors never change later.

    Parameters
    ----------
    number : int
        This step, counted from 1 and from the beginning of a training that is resumed.
    done : float
        Share of the training that is done, 0 to 1.
    loss : Tensor, 0-d
        On the crops of this step.
    validation : Validation or None
        What the held-out images say of the weights of this step; None between two validations, and without them.
    best : Validation or None
        The same of the weights that are kept.
    chosen : int
        The step that the weights are from that are kept.
    weights : mapping of str to Tensor
        The weights that are kept, on the CPU: the answer if training stops here.
    """

    number: int
    done: float
    loss: Tensor
    validation: Validation | None
    best: Validation | None
    chosen: int
    weights: Mapping[str, Tensor]


@final
@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a training goes on from, besides the state of its trainer: the weights that are kept, and how good they are.

    ``best`` is None if nothing was held out.
    """

    chosen: int
    best: Validation | None
    weights: Mapping[str, Tensor]


@final
class ImageTraining:
    """A network in training.

    Parameters
    ----------
    settings : TrainingSettings
        How it is trained.
    plan : TrainingPlan
        What is trained.
    images : ImageSet
        What it is trained on.
    pixels : int
        Pixels of these, of which an epoch consists.
    held_out : sequence of HeldOutImage
        What decides which weights are kept; without any, the last ones are.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        plan: TrainingPlan,
        images: ImageSet,
        *,
        pixels: int,
        held_out: Sequence[HeldOutImage],
    ) -> None:
        self.settings, self.images, self.held_out = settings, images, held_out
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.trainer = Trainer(plan, self.generator)
        self.before = measures_before(held_out) if held_out else None
        self.kept = Kept(chosen=0, best=self._validation(), weights=self.trainer.weights)
        self._measured = 0
        per_step = settings.examples * settings.crop**2
        self.epoch = max(1, math.ceil(pixels / per_step))
        predicted = sum(image.pair.input[0, 0].numel() for image in held_out)
        self.look_every = max(LOOK_EVERY, round(predicted / ((1 + BACKWARD) * per_step) / LOOK_SHARE))

    def resume(self, state: Mapping[str, Tensor], weights: Mapping[str, Tensor], *, chosen: int) -> None:
        """Go on from where another training of the same network was, on whatever images this one has.

        Parameters
        ----------
        state : mapping of str to Tensor
            Of its trainer (see :meth:`.Trainer.state`).
        weights, chosen : mapping of str to Tensor, int
            Those that were kept, and the step that they are from.
        """
        self.trainer.load(weights)
        # Measured anew: other images may be held out now.
        self.kept = Kept(chosen=chosen, best=self._validation(), weights=weights)
        self.trainer.load_state(state)
        self._measured = self.trainer.steps
        # Crops and noise are to be others than before.
        self.generator.manual_seed(self.settings.seed + self.trainer.steps)

    def steps(self) -> Generator[TrainingStep]:
        """Yield every step until the time is over or all epochs are done; the last one's weights are the answer."""
        began, first, settings = time.monotonic(), self.trainer.steps, self.settings
        done, lost = 0.0, False
        while done < 1 and not lost:
            taken = self.trainer.steps - first
            done = self._share(taken, time.monotonic() - began)
            rate = cosine_rate_at(settings.rate, done=done, step=taken + 1)
            pair = self.images.draw(crop=settings.crop, count=settings.examples, generator=self.generator)
            loss = self.trainer.train(pair, rate=rate)
            validation = None
            if done >= 1 or (taken + 1) % self.look_every == 0:
                lost = not bool(torch.isfinite(loss))
                validation = self._look(lost=lost)
            kept = self.kept
            yield TrainingStep(
                number=self.trainer.steps,
                done=done,
                loss=loss,
                validation=validation,
                best=kept.best,
                chosen=kept.chosen,
                weights=kept.weights,
            )

    def conclude(self) -> Validation | None:
        """Measure the last weights, too, of a training that was stopped between two validations."""
        if self._measured == self.trainer.steps:
            return None
        return self._look(lost=not all(bool(torch.isfinite(each).all()) for each in self.trainer.weights.values()))

    def _share(self, taken: int, seconds: float) -> float:
        """Return the share of the training that is done with the next step."""
        if self.settings.epochs is not None:
            return (taken + 1) / (self.settings.epochs * self.epoch)
        return min(1.0, seconds / (self.settings.seconds or 1.0))

    def _validation(self) -> Validation | None:
        return None if self.before is None else validate(self.trainer, self.held_out, self.before)

    def _look(self, *, lost: bool) -> Validation | None:
        """Keep the weights if they are better than those before, or nothing is held out; not those that diverged."""
        validation, best = self._validation(), self.kept.best
        self._measured = self.trainer.steps
        lost = lost or (validation is not None and not math.isfinite(validation.loss))
        if not lost and (validation is None or best is None or validation.loss < best.loss):
            self.kept = Kept(chosen=self.trainer.steps, best=validation, weights=self.trainer.weights)
        return validation

"""Self-distillation of a stack: one network is trained on crops from all over it, and applied to slice after slice."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor

from ..patches.mixing import Estimate, mixing_share_of_means
from ..patches.patch_denoising import denoise_without_held_out, fill_missing, refine, stabilised
from ..patches.quick import first_look, last_pass
from ..problem import Problem
from ..progress import Step
from ..progress.stages import stage
from ..training.held_out import HELD_OUT_ERROR, hold_out, mean_misfit
from ..training.image_sets import NoisyImages
from ..training.image_training import AVERAGING, ImageTraining
from ..training.model import Model
from ..training.standardised import BY_CONTRAST, Standardisation
from ..training.trainer import Trainer, TrainingPlan
from ..training.training_settings import TrainingSettings
from .self_distillation import LOOK_EVERY, SelfDistillation, training_plan
from .windows_of_interest import windows_of_interest

MOST_STEPS = 800
"""Training steps at most: half as many lose 0.2 to 0.3 dB (measured on dim cells and on lysosomes, 96² pixels)."""

MANY = 32
"""Slices from which on a last pass that takes three times as long must be worth it, by the held-out pixels."""

LEAST_SHARE = 0.25
"""Share of the network beside a first look of similar patches from which on it is better than both alone, after the
last pass (measured); below it is mixed with the best that similar patches can do."""

ORIENTATIONS = 4
"""Flips and rotations over which the network's image is averaged: all eight bring 0.03 dB more (measured)."""

TRAINED_ON = 8
"""Slices that a network is trained on at most."""

TRIED_PIXELS = 2**21
"""Pixels of the slices on which the network is compared with similar patches, at most: these are kept whole until it is
trained. At least one slice is."""

Problems = Callable[[], Iterable[Problem]]
"""Returns the problems of some slices, one after another."""


@final
class SharedDistillation:
    """Solves the problems of a stack's slices with one network.

    It is trained when the first slice is solved, on the estimates that similar patches give of some slices (see
    :class:`.SelfDistillation`). Held-out pixels of each slice decide whether it is good enough
    to be the pilot of a last pass of similar patches, or how it is mixed with them before.

    Parameters
    ----------
    settings : SelfDistillation
        How it is trained.
    problems : callable
        Returns the problems of the slices that it is trained on.
    slices : int
        How many will be restored.
    is_of_one_stack : bool
        Whether all of them are slices of one stack, and have numbers of their own.
    """

    def __init__(
        self, settings: SelfDistillation, problems: Problems, *, slices: int, is_of_one_stack: bool = True
    ) -> None:
        self.settings, self._slices, self.is_of_one_stack = settings, slices, is_of_one_stack
        self.shares: list[Tensor] = []
        self.trained_on: list[int] = []
        self._problems = problems
        self._trainer: Trainer | None = None
        self._plan: TrainingPlan | None = None
        self._steps, self._loss = 1, torch.zeros(())
        self._thoroughly = False
        self._tried: list[tuple[_Slice, Tensor]] = []

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per training step if the network is not trained yet, and one with the answer.

        Raises
        ------
        ValueError
            If the problem is none that self-distillation can solve.
        """
        self.settings.refuse(problem)
        slice_ = _Slice(self.settings, problem)
        if self._trainer is None:
            yield from self._train(problem, slice_)
        trainer = self._on(problem.measured.device)
        with stage("Final estimate"):
            image, share = slice_.finished(trainer, thoroughly=self._thoroughly)
        self.shares.append(share)
        yield slice_.step(self._steps, self._steps, self._loss, image)

    def train(self, problem: Problem) -> None:
        """Train the network now, if it is not trained; ``problem`` is that of any slice."""
        if self._trainer is None:
            for _ in self._train(problem, _Slice(self.settings, problem)):
                pass

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to restore slices: the network, and not what it is trained on."""
        left_out = {"_problems": tuple, "_tried": [], "shares": [], "_trainer": None}
        weights = None if self._trainer is None else self._trainer.weights
        return vars(self) | left_out | {"weights": weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.pop("weights")
        vars(self).update(state)
        if weights is not None and self._plan is not None:
            self._plan = dataclasses.replace(self._plan, device=torch.device("cpu"))
            self._trainer = Trainer.trained(self._plan, weights)

    def model(self, about: Mapping[str, Any]) -> Model | None:
        """Return the network; None before it is trained.

        Parameters
        ----------
        about : mapping
            Fields of the model that a method does not know: task and noise.
        """
        if self._trainer is None or self._plan is None:
            return None
        return Model(
            method="self-distillation",
            settings=self.settings.to_json(),
            network=self._plan.network,
            weights=self._trainer.weights,
            channels=self._plan.channels,
            shape=self._plan.shape,
            intensity=BY_CONTRAST,
            training={"slices": [number + 1 for number in self.trained_on], "steps": self._steps},
            **about,
        )

    def _train(self, problem: Problem, slice_: _Slice) -> Iterator[Step]:
        """Train, and yield every step but the last one."""
        settings = self.settings
        plan = dataclasses.replace(training_plan(settings, problem), averaging=AVERAGING)
        self.trained_on.clear()
        self._tried.clear()
        examples = [example for each in self._problems() for example in self._examples(each)]
        # At the end of an array tiles can be smaller than a crop.
        largest = max(first[0, 0].numel() for first, _ in examples)
        examples = [example for example in examples if example[0][0, 0].numel() == largest]
        steps = min(settings.steps, MOST_STEPS)
        how = TrainingSettings(
            epochs=steps,
            validate=0.0,
            rate=settings.rate,
            crop=settings.crop,
            examples=settings.examples,
            precision=settings.precision,
            seed=settings.seed,
            network=settings.network,
        )
        images = NoisyImages(examples, torch.Generator().manual_seed(settings.seed))
        # An epoch of as many pixels as a step has is a step.
        training = ImageTraining(how, plan, images, pixels=1, held_out=())
        image, number = slice_.first, 0
        for step in training.steps():
            number += 1
            if number % LOOK_EVERY == 0 and number < steps:
                image = slice_.preview(training.trainer)
            if number < steps:
                yield slice_.step(number, steps, step.loss, image)
        # A training that has come to no numbers ends before its time, and keeps the weights from before.
        training.trainer.load(training.kept.weights)
        self._trainer, self._plan, self._steps, self._loss = training.trainer, plan, number, step.loss
        gains = torch.cat([tried.gains(training.trainer, means) for tried, means in self._tried])
        # To be thorough without need costs time, and hardly ever quality; not to be so can cost 0.3 dB.
        needed = gains.std() / math.sqrt(len(gains)) if self._slices > MANY else 0.0
        self._thoroughly = bool(gains.mean() > needed)
        self._tried.clear()

    def _examples(self, problem: Problem) -> list[tuple[Tensor, Tensor]]:
        """Return windows of the estimate that similar patches give of a slice, and the deviation of its noise."""
        slice_, space = _Slice(self.settings, problem), _space(problem)
        means = denoise_without_held_out(problem, slice_.held_out).means
        kept = sum(before.numel() for _, before in self._tried)
        if kept == 0 or kept + means.numel() <= TRIED_PIXELS:
            self._tried.append((slice_, means))
        self.trained_on.append(problem.piece)
        clean, deviation = space.of_means(means), problem.misfit.variance_at(means).sqrt() / space.scale
        return windows_of_interest(clean, deviation)

    def _on(self, device: torch.device) -> Trainer:
        """Return the network on a device: where one has too little memory, another one takes over."""
        assert self._trainer is not None  # noqa: S101  (for mypy)
        assert self._plan is not None  # noqa: S101
        if self._plan.device != device:
            self._plan = dataclasses.replace(self._plan, device=device)
            self._trainer = Trainer.trained(self._plan, self._trainer.weights)
        return self._trainer


@final
class _Slice:
    """A slice, and what similar patches make of it at a first look, without the held-out pixels.

    Parameters
    ----------
    settings, problem : SelfDistillation, Problem
    """

    def __init__(self, settings: SelfDistillation, problem: Problem) -> None:
        self.problem, self.space = problem, _space(problem)
        self.held_out, self.evaluated = hold_out(problem, settings.held_out, settings.generator(problem))
        self.noisy, self.restricted = stabilised(problem), stabilised(problem, self.held_out)
        self.quick = first_look(self.restricted, problem.misfit)
        self.first = problem.misfit.unstabilise(self.quick)
        self._weight = self.evaluated * problem.weight
        self._seen = self.first
        self._error = self._error_of(self.first)

    def preview(self, trainer: Trainer) -> Tensor:
        """Return the image (1, C, *S) that a network in training gives, mixed with similar patches."""
        means = self._predicted(trainer, self.restricted, orientations=1)
        share = (self._share(means, self.quick) / LEAST_SHARE).clamp(max=1)
        return self.problem.misfit.unstabilise(torch.lerp(self.quick, means, share))

    def finished(self, trainer: Trainer, *, thoroughly: bool) -> tuple[Tensor, Tensor]:
        """Return the image (1, C, *S), and the share of the network in it (0-d).

        Parameters
        ----------
        thoroughly : bool
            Whether the network is mixed with the best that similar patches can do, and not only compared with their
            first look.
        """
        pilot = self._predicted(trainer, self.noisy, orientations=ORIENTATIONS)
        without = self._predicted(trainer, self.restricted, orientations=1)
        if not thoroughly and float(self._share(without, self.quick).mean()) >= LEAST_SHARE:
            noisy = torch.where(self.problem.weight > 0, self.noisy, pilot)
            return last_pass(noisy, pilot, self.problem.misfit), torch.ones_like(self.space.mean).mean()
        # The share is that of the network in the pilot, which is a mean over orientations.
        without = self._predicted(trainer, self.restricted, orientations=ORIENTATIONS)
        patches = denoise_without_held_out(self.problem, self.held_out)
        image, share = refine(self.problem, Estimate(without, pilot), patches, self.held_out)
        return image, share.mean()

    def gains(self, trainer: Trainer, patches: Tensor) -> Tensor:
        """Return by how much the error of each held-out pixel falls if the best similar patches are mixed in.

        In the units of the image: in those of the noise the background would decide.
        """
        problem, without = self.problem, self._predicted(trainer, self.restricted, orientations=1)
        errors = []
        for pilot in (without, torch.lerp(patches, without, self._share(without, patches))):
            error = (last_pass(self.restricted, pilot, problem.misfit) - problem.measured).square()
            errors.append(error[self._weight.expand_as(error) > 0])
        return errors[0] - errors[1]

    def step(self, number: int, total: int, loss: Tensor, image: Tensor) -> Step:
        """Return a step with an image of this slice."""
        if image is not self._seen:
            self._seen, self._error = image, self._error_of(image)
        return Step(
            number=number,
            total=total,
            loss=loss,
            criterion=self._error,
            criterion_name="" if self._error is None else HELD_OUT_ERROR,
            chosen=torch.tensor(number),
            image=image,
        )

    def _error_of(self, image: Tensor) -> Tensor | None:
        return mean_misfit(self.problem, image, self._weight) if bool((self._weight > 0).any()) else None

    def _share(self, network: Tensor, patches: Tensor) -> Tensor:
        """Return the share (1, C, 1, ...) of the network beside similar patches, neither with held-out pixels."""
        return mixing_share_of_means(self.problem, network, patches, self.held_out)

    def _predicted(self, trainer: Trainer, noisy: Tensor, *, orientations: int) -> Tensor:
        return self.space.to_means(trainer.predict(self.space.of_means(noisy), orientations=orientations))


def _space(problem: Problem) -> Standardisation:
    """Return how a slice goes into the network."""
    missing = (problem.weight == 0).expand_as(problem.measured)
    return Standardisation.of_noisy(fill_missing(problem.measured, missing), problem.misfit)

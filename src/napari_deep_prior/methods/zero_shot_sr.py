"""Zero-shot super-resolution: a small network is trained on the image itself to enlarge it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, final

import torch
from torch import Tensor

from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork, saved_memory
from ..networks.plain import Plain
from ..patches import nl_ridge
from ..patches.patch_denoising import fill_missing, too_small
from ..physics.misfit import weighted_mean
from ..problem import Problem
from ..progress import Step
from ..settings import Setting
from ..training import cross_scale_pairs, trainer
from ..training.augmentation import crop_shape
from ..training.cross_scale_pairs import TrainingPairs
from ..training.optimizers import OptimizerName
from ..training.precision import Precision
from ..training.schedules import TEST_EVERY, SlopeRate, cosine_rate
from ..training.trainer import Trainer, TrainingPlan
from . import reslicing
from .enlargement import CHUNK, GROUP_SIZE, SEARCH_RADIUS, STRENGTHS, Enlargement
from .method import SeededMethod
from .pre_denoising import pre_denoised
from .reslicing import IN_PLANE, resliced, reslicing_of
from .transfers import to_device

RECTIFIED_GAIN = math.sqrt(6)
"""Scale of the first weights with which rectified features keep their size (He et al. 2015,
doi 10.1109/ICCV.2015.123)."""

WEIGHT_DECAY = 0.5
"""Share of the weights, times the learning rate, that Muon takes off in a step: an image is seen a hundred times."""

LOOK_EVERY, LOOK_SHARE = 200, 0.05
"""Fewest steps between two predictions of the whole image, and the share of the time that they may take."""

BACKWARD = 2
"""Time of the backward pass, in units of the forward pass."""

SECONDS_PER_BYTE = 0.115 / (96**2 * 1411)
"""Seconds that a step takes per byte that it saves for the backward pass (two cores with AVX2: 0.115 s for an example
of 96² pixels, of 1411 bytes each)."""

TYPICAL_SIDE = 96
"""Pixels along a side of the image by which the bytes of a network are counted."""

PROBES = 4
"""Examples on which the error is measured, always the same ones."""


@final
@dataclass(frozen=True, kw_only=True)
class ZeroShotSR(SeededMethod):
    """Train a network on the image to undo its down-sampling (Shocher et al. 2018, "ZSSR", arXiv 1712.06087).

    The image, and smaller versions of it, are reduced by the operator and enlarged again by interpolation; a network is
    trained to correct the interpolation. Then it corrects the interpolated image, in several flips and rotations. Their
    median, made to agree with the measurement by back-projection, is the answer.

    A volume is enlarged in its planes, one by one, or along Z alone. Then the network is trained on the planes YX; this
    is right for samples that look the same in all directions (cells and nuclei), not for layered ones.

    Fails where an image has no patterns that recur at other scales: there it only sharpens edges.
    """

    label = "Zero-shot super-resolution"
    reason = "a network is trained on smaller versions of the image itself"

    steps: Annotated[int, Setting("Steps", "the most training steps", 1, 1_000_000, False)] = 950
    optimizer: Annotated[
        OptimizerName, Setting("Optimizer", "muon: for convolutions, more gained by a step; adam: for all weights")
    ] = "muon"
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer at its largest", 1e-6, 1.0)] = 0.01
    rate_policy: Annotated[
        Literal["cosine", "slope"],
        Setting(
            "Rate policy", "cosine: falls over all steps; slope: falls when the error no longer does, and ends training"
        ),
    ] = "cosine"
    crop: Annotated[int, Setting("Crop", "pixels along a side of a training example", 8, 4096)] = 96
    examples: Annotated[int, Setting("Examples", "training examples in a step", 1, 1024)] = 1
    gradual: Annotated[
        int, Setting("Gradual", "times that the result so far, reduced, is added to the training examples", 0, 16)
    ] = 1
    denoising: Annotated[
        Literal["auto", "no"],
        Setting("Denoise first", "auto: where noise is found that is finer than the texture"),
    ] = "auto"
    example_noise: Annotated[
        float, Setting("Noise on examples", "added to the network's input, as a share of the range", 0.0, 1.0)
    ] = 0.0
    back_project: Annotated[
        bool, Setting("Back-project", "make the result agree with the image; off: as the network gives it")
    ] = True
    patches: Annotated[
        bool, Setting("Similar patches", "denoise the result with similar patches, which helps where it repeats itself")
    ] = True
    averaging: Annotated[
        float, Setting("Averaging", "share of the past in the running mean of the weights that enlarge", 0.0, 0.9999)
    ] = 0.98
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    network: Annotated[ResidualNetwork, Setting("Network", "the network that is trained", groups=RESIDUAL_NETWORKS)] = (
        field(default_factory=lambda: Plain(channels=(48,) * 7))
    )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        if reason := reslicing.why_not(problem.operator):
            return reason
        side, needed = min(problem.measured.shape[-2:]), cross_scale_pairs.SMALLEST_SIDE
        return "" if side >= needed else f"the image is only {side} pixels wide, and training needs {needed}"

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per training step; the image of the last one is the answer.

        Raises
        ------
        ValueError
            If the problem is none that it can solve.
        """
        self.refuse(problem)
        enlarger = _Enlarger(self, problem)
        image, chosen = enlarger.enlargement.interpolated + enlarger.level, 1
        look_every = _look_every(self, problem)
        for number in range(1, self.steps + 1):
            loss = enlarger.train(number)
            finished = number == self.steps or enlarger.finished
            if finished or number % look_every == 0:
                image, chosen = (enlarger.estimate() if finished else enlarger.quick_estimate()), number
            yield Step(
                number=number,
                total=self.steps,
                loss=loss,
                criterion=enlarger.error,
                criterion_name="cross-scale error",
                chosen=torch.tensor(chosen),
                image=image,
            )
            if finished:
                break

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        channels, shape = problem.measured.shape[1], tuple(problem.measured.shape[2:])
        larger = problem.operator.image_shape(shape)
        pixels = min(CHUNK, math.prod(larger))
        network = trainer.memory(_plan(self, problem), crop=self.crop, count=self.examples, pixels=pixels)
        flat = reslicing_of(problem.operator)
        pairs = cross_scale_pairs.memory(
            shape, channels=channels, operator=flat.operator, orientations=flat.orientations
        )
        patches = (
            nl_ridge.memory(*larger[-2:], group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS) if self.patches else 0
        )
        # The results of all orientations, before and after back-projection, and what sorting them takes.
        images = 4 * (2 * len(flat.orientations) + 6) * channels * math.prod(larger)
        return max(network, patches) + pairs + images

    def seconds(self, problem: Problem) -> float:
        """Return about how long the fit takes on two cores with AVX2."""
        flat = reslicing_of(problem.operator)
        pixels = math.prod(problem.operator.image_shape(tuple(problem.measured.shape[2:])))
        example = self.examples * math.prod(crop_shape(tuple(problem.measured.shape[-2:]), self.crop))
        per_pixel = _seconds_per_pixel(self, problem)
        training = (1 + LOOK_SHARE) * self.steps * example * per_pixel
        predictions = len(flat.orientations) * len(flat.orders) + self.gradual
        one_prediction = pixels * per_pixel / (1 + BACKWARD)
        passes = len(STRENGTHS) * (1 + self.gradual) if self.patches else 0
        one_pass = nl_ridge.seconds(
            problem.measured.shape[1] * pixels, group_size=GROUP_SIZE, search_radius=SEARCH_RADIUS
        )
        return training + predictions * one_prediction + passes * one_pass


@final
class _Enlarger:
    """A network that is trained to enlarge an image.

    Parameters
    ----------
    settings : ZeroShotSR
        How it is trained.
    problem : Problem
        The problem that is solved.
    """

    def __init__(self, settings: ZeroShotSR, problem: Problem) -> None:
        self.settings, self.generator = settings, settings.generator(problem)
        known = (problem.weight > 0).to(problem.measured.dtype).expand_as(problem.measured)
        problem = _prepared(settings, problem, known)
        # About zero the network learns the same from half of the steps, and what it is padded with is the mean.
        self.level = problem.measured.mean(dim=tuple(range(2, problem.measured.ndim)), keepdim=True)
        problem = dataclasses.replace(problem, measured=problem.measured - self.level)
        self.enlargement = Enlargement(problem, known, network=settings.network, agree=settings.back_project)
        flat = self.enlargement.reslicing
        self.orientations = flat.orientations
        # Where the planes YX are trained on and others are enlarged, the result is no training example.
        self.in_plane = flat.orders == (IN_PLANE,)
        small = too_small(tuple(self.enlargement.interpolated.shape[2:]))
        self.patches = settings.patches and self.in_plane and not small
        self.pairs = TrainingPairs(flat.operator, flat.orientations)
        self.pairs.add_image(*(resliced(image, IN_PLANE) for image in (problem.measured, known)))
        self.trainer = Trainer(_plan(settings, problem), self.generator)
        self.slope = SlopeRate(settings.rate) if settings.rate_policy == "slope" else None
        self.probe = self.pairs.draw(crop=settings.crop, count=PROBES, generator=settings.generator(problem))
        self.error = self._error()

    @property
    def finished(self) -> bool:
        """Whether the rate policy ends training."""
        return self.slope is not None and self.slope.finished

    def train(self, number: int) -> Tensor:
        """Take one step, counted from 1; return the loss (0-d, detached) from before it."""
        settings = self.settings
        stage = settings.steps // (settings.gradual + 1)
        if self.in_plane and settings.gradual and number > 1 and stage and number % stage == 1:
            estimate = self._mixed_with_patches(self._improved(self.orientations[:1]))
            self.pairs.add_estimate(resliced(estimate, IN_PLANE))
        pair = self.pairs.draw(crop=settings.crop, count=settings.examples, generator=self.generator)
        if settings.example_noise:
            noise = to_device(torch.randn(pair.input.shape, generator=self.generator), pair.input.device)
            pair = dataclasses.replace(pair, input=pair.input + settings.example_noise * noise)
        cosine = cosine_rate(settings.rate, step=number, steps=settings.steps)
        loss = self.trainer.train(pair, rate=cosine if self.slope is None else self.slope.rate)
        if number % TEST_EVERY == 0:
            self.error = self._error()
            if self.slope is not None:
                self.slope.observe(number, float(self.error))
        return loss

    def estimate(self) -> Tensor:
        """Return the image (1, C, *S)."""
        return self._mixed_with_patches(self._improved(self.orientations)) + self.level

    def quick_estimate(self) -> Tensor:
        """Return the image (1, C, *S) from one orientation, without patches."""
        return self._improved(self.orientations[:1]) + self.level

    def _improved(self, orientations: tuple[int, ...]) -> Tensor:
        return self.enlargement.improved(self._improve, orientations=orientations)

    def _improve(self, planes: Tensor) -> Tensor:
        return self.trainer.predict(planes, orientations=1)

    def _mixed_with_patches(self, image: Tensor) -> Tensor:
        return self.enlargement.mixed_with_patches(image, self.error) if self.patches else image

    @torch.no_grad()
    def _error(self) -> Tensor:
        """Return the mean absolute error (0-d) on the probes."""
        return weighted_mean((self._improve(self.probe.input) - self.probe.target).abs(), self.probe.weight)


def _look_every(settings: ZeroShotSR, problem: Problem) -> int:
    """Return the steps between two predictions of the whole image, so that they take a given share of the time."""
    shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
    predicted = math.prod(shape) * len(reslicing_of(problem.operator).orders)
    trained = (1 + BACKWARD) * settings.examples * settings.crop**2
    return max(LOOK_EVERY, round(predicted / trained / LOOK_SHARE))


def _seconds_per_pixel(settings: ZeroShotSR, problem: Problem) -> float:
    """Return about how long a step takes per pixel of its examples."""
    example = torch.empty(1, problem.measured.shape[1], TYPICAL_SIDE, TYPICAL_SIDE, device="meta")
    saved = saved_memory(_plan(settings, problem).build(example.device), example)
    return SECONDS_PER_BYTE * saved / TYPICAL_SIDE**2


def _plan(settings: ZeroShotSR, problem: Problem) -> TrainingPlan:
    return TrainingPlan(
        network=settings.network,
        channels=problem.measured.shape[1],
        shape=tuple(problem.measured.shape[-2:]),
        precision=settings.precision,
        device=problem.measured.device,
        gain=RECTIFIED_GAIN,
        error="absolute",
        averaging=settings.averaging,
        optimizer=settings.optimizer,
        decay=WEIGHT_DECAY,
    )


def _prepared(settings: ZeroShotSR, problem: Problem, known: Tensor) -> Problem:
    """Return the problem with its missing pixels filled and, if that is asked for, its noise removed."""
    complete = dataclasses.replace(problem, measured=fill_missing(problem.measured, known == 0))
    return complete if settings.denoising == "no" else pre_denoised(complete, reslicing_of(problem.operator).operator)

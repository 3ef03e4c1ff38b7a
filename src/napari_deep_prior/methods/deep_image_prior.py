"""Deep Image Prior: an untrained network is fitted to the one image, and the fit stopped before it shows the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, final

import torch
from torch import Tensor, nn

from ..networks import NETWORKS
from ..networks.hourglass import Hourglass
from ..networks.network import Network, initialise, saved_memory, training_memory
from ..physics.misfit import weighted_mean
from ..problem import Problem
from ..progress import Step
from ..settings import Setting
from ..training.backtracking import Backtracking
from ..training.optimizers import Optimizer, OptimizerName
from ..training.precision import Precision, exact_convolutions, working_dtype
from ..training.stopping import CHECK_EVERY, Answer, StoppingRuleName, WindowedVariance, choose_rule
from . import patch_mixture
from .method import SeededMethod
from .random_input import InputPlan, RandomInput

AVERAGING_GROWTH = 0.15
"""At first the running average goes back over 1 / 0.15 of the iterations so far, until it is at its longest."""

SECONDS_PER_STEP, BYTES_PER_SECOND = 0.067, 3.3e8
"""Seconds of a step whatever the size, and what :func:`.saved_memory` counts of it that is processed in a second (two
cores with AVX2: the default network takes 0.1 s a step for 128² pixels, 0.2 s for 256², 0.6 s for 512²)."""

IMAGES = 16
"""Images (float32) beside the network: measurement, weights, outputs, averages, the answer, and what the misfit and
the held-out error need, similar patches among them."""


@final
@dataclass(frozen=True, kw_only=True)
class DeepImagePrior(SeededMethod):
    """Fit a network that maps fixed noise to the image (Ulyanov et al. 2018, doi 10.1109/CVPR.2018.00984).

    The network fits the image before it fits the noise. Its outputs are averaged over the iterations, a few pixels are
    held out, and the answer is the mean of the averages in which those of smallest held-out error count most: alone, or
    mixed with similar patches.

    A guide (flash for no-flash, bright field for fluorescence) goes into the network beside the fixed noise.

    Fails where the image is as irregular as the noise (fine random texture), and where the noise itself is smooth.
    """

    label = "Deep image prior"
    reason = "a network is fitted to the image itself, and the fit stopped before it shows the noise"
    takes_guide = True

    steps: Annotated[int, Setting("Steps", "the most iterations; it stops by itself before", 1, 1_000_000, False)] = 400
    stop: Annotated[
        StoppingRuleName,
        Setting(
            "Stop by",
            "held-out: error of pixels that are kept from the fit; variance: of the last outputs, for tiny images; "
            "none: after all steps",
        ),
    ] = "held-out"
    held_out: Annotated[
        float, Setting("Held-out share", "share of the pixels that only decide when to stop", 0.005, 0.5)
    ] = 0.05
    patience: Annotated[
        int, Setting("Patience", "fewest steps to wait for a smaller error before stopping", 1, 1_000_000)
    ] = 100
    optimizer: Annotated[
        OptimizerName,
        Setting("Optimizer", "muon: orthogonalised updates, needs less than half the steps; adam: as in the paper"),
    ] = "muon"
    rate: Annotated[
        float,
        Setting("Learning rate", "step size of the optimizer; all but hourglass and plain take 0.3 of it", 1e-6, 1.0),
    ] = 0.01
    members: Annotated[
        int, Setting("Members", "networks fitted side by side and averaged; 2 or more also give the uncertainty", 1, 16)
    ] = 1
    patches: Annotated[
        bool,
        Setting(
            "Mix with similar patches",
            "held-out pixels decide the share of the network in the result and that of similar patches, where these "
            "can restore the image; no: the network alone",
        ),
    ] = False
    code_channels: Annotated[
        int,
        Setting("Code channels", "channels of the fixed noise that goes into the network; 0: only a guide", 0, 1024),
    ] = 8
    guide_dropout: Annotated[
        float,
        Setting(
            "Guide dropout",
            "share of the steps without the guide, so that the network also fits what only the image shows",
            0.0,
            0.9,
            only_with="guide",
        ),
    ] = 0.15
    code_range: Annotated[
        float, Setting("Code range", "the fixed noise lies between 0 and this; larger fits faster", 1e-3, 10.0)
    ] = 0.3
    jitter: Annotated[
        float, Setting("Jitter", "standard deviation of the noise added to the code in every step", 0.0, 1.0)
    ] = 1 / 30
    jitter_warmup: Annotated[
        int,
        Setting("Jitter warm-up", "steps over which the jitter grows from a third to its full strength", 0, 100_000),
    ] = 100
    jitter_source: Annotated[
        Literal["pooled", "fresh"],
        Setting(
            "Jitter from",
            "pooled: one field of noise, shifted and with random signs; fresh: drawn anew, slower",
        ),
    ] = "pooled"
    averaging: Annotated[
        float,
        Setting("Averaging", "weight of the past in the running average of the outputs; 0 = none", 0.0, 0.9999),
    ] = 0.99
    backtracking: Annotated[
        float,
        Setting("Backtracking", "restore the last good weights when the loss grows by this factor; 0 = never", 0.0),
    ] = 10**0.5
    start_at_median: Annotated[
        bool, Setting("Start at median", "the untrained network gives the median of the image, not mid-grey")
    ] = True
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    network: Annotated[Network, Setting("Network", "the network whose structure is the prior", groups=NETWORKS)] = (
        field(default_factory=Hourglass)
    )

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per iteration; the image of the last one is the answer.

        Raises
        ------
        ValueError
            If there is neither noise nor a guide as the input.
        """
        if reason := self.why_not(problem):
            raise ValueError(reason)
        generator = self.generator(problem)
        rule = choose_rule(self.stop, problem, fraction=self.held_out, patience=self.patience, generator=generator)
        mixture = patch_mixture.beside(rule, problem) if self.patches else None
        members = [_Member(self, problem, rule.fit_weight, generator) for _ in range(self.members)]
        remark = ""
        for number in range(1, self.steps + 1):
            losses = [member.iterate(number, problem, rule.fit_weight) for member in members]
            outputs = torch.stack([member.output for member in members])
            averages = torch.stack([member.average for member in members])
            average, deviation = averages.mean(dim=0), averages.std(dim=0) if self.members > 1 else None
            judged, kept = mixture.mixed(average, deviation) if mixture else (average, Answer(average, deviation))
            rule.observe(number, outputs.mean(dim=0), judged, kept)
            if number == self.steps:
                remark = patch_mixture.in_words(rule.kept)
            yield Step(
                number=number,
                total=self.steps,
                loss=torch.stack(losses).mean(),
                criterion=rule.criterion,
                criterion_name=rule.name,
                chosen=rule.chosen,
                image=rule.kept.image,
                deviation=rule.kept.deviation,
                remark=remark,
            )
            if rule.finished(number):
                break
            if number % CHECK_EVERY == 0:
                remark = patch_mixture.in_words(rule.kept)

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can, as all but one."""
        nothing = self.code_channels == 0 and problem.guide is None
        return "the network has no input: there is no guide, and 'code channels' is 0" if nothing else ""

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        dtype = working_dtype(self.precision, problem.measured.device, dimensions=problem.measured.ndim - 2)
        code = _blank_code(self, problem, dtype)
        # The code and the noise for it, in float32.
        noise = 3 * 4 * code.numel()
        window = WindowedVariance.WINDOW if self.stop == "variance" else 0
        pixels = problem.measured.shape[1] * math.prod(code.shape[2:])
        images = 4 * pixels * (IMAGES + 2 * self.members + window)
        fit = training_memory(_network(self, problem, code.device), code) + self.members * noise + images
        return max(fit, patch_mixture.memory(problem)) if self.patches else fit

    def seconds(self, problem: Problem) -> float:
        """Return about how long all steps take on two cores with AVX2."""
        code = _blank_code(self, problem, torch.float32)
        one_step = saved_memory(_network(self, problem, code.device), code) / BYTES_PER_SECOND
        patches = patch_mixture.seconds(problem) if self.patches else 0.0
        return self.steps * self.members * (SECONDS_PER_STEP + one_step) + patches


@final
class _Member:
    """One network that is fitted, with its input, its optimizer and the running average of its outputs.

    Parameters
    ----------
    settings : DeepImagePrior
        How it is fitted.
    problem : Problem
        The problem that is solved.
    weight : Tensor, (1, C, *T)
        Weight of the measured pixels in the loss.
    generator : torch.Generator
        Random numbers for the weights and the input.
    """

    def __init__(self, settings: DeepImagePrior, problem: Problem, weight: Tensor, generator: torch.Generator) -> None:
        device, shape = problem.measured.device, _network_shape(settings, problem)
        self.settings = settings
        self.network = _network(settings, problem, device)
        initialise(self.network, generator)
        if settings.start_at_median:
            self._start_at_median(problem, weight)
        dtype = working_dtype(settings.precision, device, dimensions=len(shape))
        plan = _input_plan(settings, shape)
        self.code = RandomInput(plan, problem.guide, device=device, dtype=dtype, generator=generator)
        rate = settings.network.prior_rate_factor * settings.rate
        self.optimizer = Optimizer(settings.optimizer, self.network, rate)
        self.backtracking = Backtracking(self.network, self.optimizer, settings.backtracking)
        self.output = self.average = torch.empty(0)
        # Whether the average starts anew: outputs of weights that were given up do not count.
        self._starts = True

    def iterate(self, number: int, problem: Problem, weight: Tensor) -> Tensor:
        """Take one step of the optimizer; return the loss (0-d, detached) from before it."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        self.optimizer.zero_grad()
        with exact_convolutions(problem.measured.device):
            output = self.network(self.code.draw(number))[(..., *(slice(length) for length in shape))]
            misfit = problem.misfit.pointwise(problem.operator(output), problem.measured)
            loss = weighted_mean(misfit, weight)
            loss.backward()
        starts = self._starts
        self._starts = self.backtracking.restored(number, loss.detach())
        # Gradients of weights that are given up would spoil the good ones.
        if not self._starts:
            self.optimizer.step()
        self.output = output.detach()
        # A short memory at first, so that the grey of the first outputs does not stay in the average.
        new = max(1 - self.settings.averaging, 1 / (1 + AVERAGING_GROWTH * number))
        self.average = self.output if starts else self.average.lerp(self.output, new)
        return loss.detach()

    def _start_at_median(self, problem: Problem, weight: Tensor) -> None:
        """Set the bias of the last layer so that the untrained network gives the median of each channel.

        An image of few bright parts is near it. Only pixels that the fit may use count.
        """
        channels = zip(problem.measured[0], weight.expand_as(problem.measured)[0] > 0, strict=True)
        medians = [values[known].median() if known.any() else values.new_tensor(0.5) for values, known in channels]
        self.settings.network.start_at(self.network, torch.stack(medians))


def _network_shape(settings: DeepImagePrior, problem: Problem) -> tuple[int, ...]:
    """Return the spatial shape of the network: that of the image, or the smallest that it can work on."""
    shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
    return tuple(max(length, settings.network.smallest_side) for length in shape)


def _network(settings: DeepImagePrior, problem: Problem, device: torch.device) -> nn.Module:
    channels, shape = problem.measured.shape[1], _network_shape(settings, problem)
    return settings.network.build(inputs=_inputs(settings, problem), outputs=channels, shape=shape, device=device)


def _inputs(settings: DeepImagePrior, problem: Problem) -> int:
    """Return the channels that go into the network."""
    return settings.code_channels + (0 if problem.guide is None else problem.guide.shape[1])


def _blank_code(settings: DeepImagePrior, problem: Problem, dtype: torch.dtype) -> Tensor:
    """Return an input of the network without data."""
    return torch.empty(1, _inputs(settings, problem), *_network_shape(settings, problem), device="meta", dtype=dtype)


def _input_plan(settings: DeepImagePrior, shape: tuple[int, ...]) -> InputPlan:
    return InputPlan(
        shape=shape,
        channels=settings.code_channels,
        value_range=settings.code_range,
        jitter=settings.jitter,
        jitter_warmup=settings.jitter_warmup,
        pooled=settings.jitter_source == "pooled",
        guide_dropout=settings.guide_dropout,
    )

"""Deep Image Prior: the weights of an untrained network are fitted to the one image, and stopped before the noise."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

import torch
from torch import Tensor, nn

from ..networks import NETWORKS
from ..networks.hourglass import Hourglass
from ..networks.network import Network, initialise, training_memory
from ..physics.misfit import weighted_mean
from ..problem import Problem, Step
from ..settings import Setting
from ..training.held_out import StoppingRuleName, WindowedVariance, choose_rule
from ..training.optimizers import Optimizer, OptimizerName
from ..training.precision import Precision, working_dtype
from .method import SeededMethod

AVERAGING_GROWTH = 0.15
"""The running average remembers a share of the iterations made so far, 1 / 0.15 of them, until it is at its longest."""

WARMUP_START = 0.3
"""Share of the jitter in the first iteration of its warm-up."""

BYTES_PER_SECOND = 2.1e8
"""Memory of a step, as :func:`.training_memory` counts it, that is worked through in a second (two cores with AVX2: the
default network and 512² pixels take 250 MB and 1.2 s a step)."""

GUIDE_STRENGTH = 0.3
"""Standard deviation of a guide in the code."""

POOL_MARGIN = 32
"""Pixels by which the pool of noise is larger than the code: room for 33 shifts along every axis."""


@final
@dataclass(frozen=True, kw_only=True)
class DeepImagePrior(SeededMethod):
    """Fit a network that turns fixed noise into the image (Ulyanov et al. 2018, doi 10.1109/CVPR.2018.00984).

    The network learns the image before it learns the noise. The outputs are averaged over the iterations, a few
    pixels are held out, and the average at the smallest held-out error is the answer.

    A guide (flash for no-flash, bright field for fluorescence) goes into the network beside the noise.

    Fails where the image is as irregular as the noise (fine random texture), and where the noise itself is smooth.
    """

    takes_guide = True

    steps: Annotated[int, Setting("Steps", "the most iterations; it stops by itself before", 1, 1_000_000, False)] = 400
    stop: Annotated[
        StoppingRuleName,
        Setting(
            "Stop by",
            "held-out: error of pixels that are kept from the fit; variance: of the last outputs, for tiny images; "
            "none: all steps are taken",
        ),
    ] = "held-out"
    held_out: Annotated[
        float, Setting("Held-out share", "share of the pixels that only decide the stop", 0.005, 0.5)
    ] = 0.05
    patience: Annotated[
        int, Setting("Patience", "fewest steps to wait for a smaller error before stopping", 1, 1_000_000)
    ] = 100
    optimizer: Annotated[
        OptimizerName,
        Setting("Optimizer", "muon: orthogonalised updates, needs less than half the steps; adam: the paper's"),
    ] = "muon"
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer", 1e-6, 1.0)] = 0.01
    members: Annotated[
        int, Setting("Members", "networks fitted side by side and averaged; 2 or more also give the uncertainty", 1, 16)
    ] = 1
    code_channels: Annotated[
        int,
        Setting("Code channels", "channels of the fixed noise that goes into the network; 0: only a guide", 0, 1024),
    ] = 8
    guide_dropout: Annotated[
        float,
        Setting(
            "Guide dropout",
            "share of the steps that do without the guide: what only the image shows must not depend on it",
            0.0,
            0.9,
            only_with="guide",
        ),
    ] = 0.15
    code_range: Annotated[
        float, Setting("Code range", "the fixed noise lies between 0 and this; larger learns faster", 1e-3, 10.0)
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
            "pooled: one field of noise, shifted and flipped in sign; fresh: drawn anew, slower",
        ),
    ] = "pooled"
    averaging: Annotated[
        float,
        Setting("Averaging", "weight of the past in the running average of the outputs; 0 = none", 0.0, 0.9999),
    ] = 0.99
    backtracking: Annotated[
        float,
        Setting(
            "Backtracking",
            "go back to the last good state when the loss grows by this factor; 0 = never",
            0.0,
        ),
    ] = 10**0.5
    start_at_median: Annotated[
        bool, Setting("Start at median", "let the untrained network give the median of the image, not mid-grey")
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
            If there is neither noise nor a guide to begin with.
        """
        if reason := self.why_not(problem):
            raise ValueError(reason)
        generator = self.generator(problem)
        rule = choose_rule(self.stop, problem, fraction=self.held_out, patience=self.patience, generator=generator)
        members = [_Member(self, problem, rule.learned, generator) for _ in range(self.members)]
        for number in range(1, self.steps + 1):
            losses = [member.iterate(number, problem, rule.learned) for member in members]
            outputs = torch.stack([member.output for member in members])
            averages = torch.stack([member.average for member in members])
            deviation = averages.std(dim=0) if self.members > 1 else None
            rule.observe(number, outputs.mean(dim=0), averages.mean(dim=0), deviation)
            yield Step(
                number=number,
                total=self.steps,
                loss=torch.stack(losses).mean(),
                criterion=rule.criterion,
                criterion_name=rule.name,
                chosen=rule.chosen,
                image=rule.image,
                deviation=rule.deviation,
            )
            if rule.finished(number):
                break

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can, as all but one."""
        nothing = self.code_channels == 0 and problem.guide is None
        return "without a guide the network needs 'code channels', and there are none" if nothing else ""

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        canvas = _canvas(self, problem)
        network = _network(self, problem, torch.device("meta"))
        dtype = working_dtype(self.precision, problem.measured.device, dimensions=len(canvas))
        code = torch.empty(1, _inputs(self, problem), *canvas, device="meta", dtype=dtype)
        # The code and the noise for it, in float32.
        noise = 3 * 4 * code.numel()
        window = WindowedVariance.WINDOW * 4 * problem.measured.numel() if self.stop == "variance" else 0
        return training_memory(network, code) + self.members * noise + window

    def seconds(self, problem: Problem) -> float:
        """Return about how long all steps take on two cores with AVX2."""
        network = _network(self, problem, torch.device("meta"))
        code = torch.empty(1, _inputs(self, problem), *_canvas(self, problem), device="meta")
        return self.steps * self.members * training_memory(network, code) / BYTES_PER_SECOND


def _canvas(settings: DeepImagePrior, problem: Problem) -> tuple[int, ...]:
    """Return the spatial shape that the network works on: that of the image, or the smallest that it can work on."""
    shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
    return tuple(max(length, settings.network.smallest_side) for length in shape)


def _network(settings: DeepImagePrior, problem: Problem, device: torch.device) -> nn.Module:
    channels = problem.measured.shape[1]
    return settings.network.build(
        inputs=_inputs(settings, problem), outputs=channels, shape=_canvas(settings, problem), device=device
    )


def _inputs(settings: DeepImagePrior, problem: Problem) -> int:
    """Return the channels that go into the network."""
    return settings.code_channels + (0 if problem.guide is None else problem.guide.shape[1])


class _Member:
    """One network that is fitted, with its code, its optimizer and the running average of its outputs."""

    def __init__(self, settings: DeepImagePrior, problem: Problem, weight: Tensor, generator: torch.Generator) -> None:
        device = problem.measured.device
        self.settings = settings
        self.network = _network(settings, problem, device)
        initialise(self.network, generator)
        if settings.start_at_median:
            self._start_at_median(problem, weight)
        self.code = _Code(settings, problem, generator)
        self.optimizer = Optimizer(settings.optimizer, self.network, settings.rate)
        self.backtracking = _Backtracking(self.network, self.optimizer, settings.backtracking)
        self.output = self.average = torch.empty(0)
        # Whether the next output is the first of the average: outputs of weights that were given up do not count.
        self.starts = True

    def iterate(self, number: int, problem: Problem, weight: Tensor) -> Tensor:
        """Take one step of the optimizer; return the loss (0-d, detached) from before it."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        output = self.network(self.code.draw(number))[(..., *(slice(length) for length in shape))]
        misfit = problem.misfit.pointwise(problem.operator(output), problem.measured)
        loss = weighted_mean(misfit, weight)
        self.optimizer.zero_grad()
        # cuDNN's fastest gradients add up in no fixed order; the same seed must give the same image.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            loss.backward()
        starts = self.starts
        self.starts = self.backtracking.went_back(number, loss.detach())
        # Gradients of weights that are given up would spoil the good ones.
        if not self.starts:
            self.optimizer.step()
        self.output = output.detach()
        # A short memory at first, lest the grey of the first outputs stay in the average.
        new = max(1 - self.settings.averaging, 1 / (1 + AVERAGING_GROWTH * number))
        self.average = self.output if starts else self.average.lerp(self.output, new)
        return loss.detach()

    def _start_at_median(self, problem: Problem, weight: Tensor) -> None:
        """Let the untrained network give the median of each channel: an image of few bright parts is near it.

        Only of the values that the fit may learn from.
        """
        channels = zip(problem.measured[0], weight.expand_as(problem.measured)[0] > 0, strict=True)
        medians = [values[known].median() if known.any() else values.new_tensor(0.5) for values, known in channels]
        self.settings.network.start_at(self.network, torch.stack(medians))


class _Code:
    """The fixed noise that the network turns into the image, with new jitter for every iteration."""

    def __init__(
        self,
        settings: DeepImagePrior,
        problem: Problem,
        generator: torch.Generator,
    ) -> None:
        canvas, device = _canvas(settings, problem), problem.measured.device
        self.jitter, self.warmup = settings.jitter, settings.jitter_warmup
        self.device = device
        self.dtype = working_dtype(settings.precision, device, dimensions=len(canvas))
        self.generator = generator
        self.layout = torch.channels_last if len(canvas) == 2 else torch.channels_last_3d
        self.canvas = canvas
        shape = (1, settings.code_channels, *canvas)
        self.fixed = self._ready(torch.empty(shape).uniform_(0, settings.code_range, generator=generator))
        self.pool: Tensor | None = None
        if settings.jitter_source == "pooled":
            larger = (1, settings.code_channels, *(length + POOL_MARGIN for length in canvas))
            self.pool = self._ready(self.jitter * torch.randn(larger, generator=generator))
        self.dropout = settings.guide_dropout
        self.guide = None if problem.guide is None else self._ready(_extended(problem.guide, canvas) * GUIDE_STRENGTH)
        # Drawing on the device spares the transfer of a whole code in every iteration.
        self.on_device = torch.Generator(device).manual_seed(generator.initial_seed())

    def draw(self, number: int) -> Tensor:
        """Return the code of iteration ``number``, (1, channels, *canvas): noise, then the guide."""
        noise = self._noise(number)
        if self.guide is None:
            return noise
        kept = float(torch.rand((), generator=self.generator) >= self.dropout)
        return torch.cat([noise, kept * self.guide], dim=1)

    def _noise(self, number: int) -> Tensor:
        if not self.jitter:
            return self.fixed
        strength = min(1.0, WARMUP_START + (1 - WARMUP_START) * number / self.warmup) if self.warmup else 1.0
        if self.pool is None:
            fresh = torch.randn(self.fixed.shape, generator=self.on_device, device=self.device)
            return self.fixed + self._ready(strength * self.jitter * fresh)
        starts = [int(start) for start in torch.randint(POOL_MARGIN + 1, (len(self.canvas),), generator=self.generator)]
        signs = torch.randint(2, (self.pool.shape[1],), generator=self.generator) * 2 - 1
        ends = [start + length for start, length in zip(starts, self.canvas, strict=True)]
        window: tuple[Any, ...] = (..., *map(slice, starts, ends))
        signs = signs.to(self.device, self.dtype).reshape(1, -1, *(1,) * len(self.canvas))
        return torch.addcmul(self.fixed, self.pool[window], signs, value=strength)

    def _ready(self, noise: Tensor) -> Tensor:
        return noise.to(self.device, self.dtype).contiguous(memory_format=self.layout)


def _extended(guide: Tensor, canvas: tuple[int, ...]) -> Tensor:
    """Return a guide whose last values are repeated up to the shape that the network works on."""
    for axis, length in enumerate(canvas, start=2):
        lacking = length - guide.shape[axis]
        guide = torch.cat([guide, *[guide.narrow(axis, guide.shape[axis] - 1, 1)] * lacking], dim=axis)
    return guide


class _Backtracking:
    """Goes back to the last good weights and moments when the fit diverges, as Deep Image Prior's denoising does."""

    EVERY = 100

    def __init__(self, network: nn.Module, optimizer: Optimizer, factor: float) -> None:
        self.network, self.optimizer, self.factor = network, optimizer, factor
        self.good: tuple[float, dict[str, Any], list[dict[str, Any]]] | None = None

    def went_back(self, number: int, loss: Tensor) -> bool:
        """Keep a good state every ``EVERY`` iterations, or return to it when the loss grew by the factor.

        ``loss`` is that of the weights as they are: to be asked before they take their next step.
        """
        if not self.factor or number % self.EVERY:
            return False
        now = float(loss)
        if self.good is not None and not now <= self.factor * self.good[0]:
            _, weights, moments = self.good
            self.network.load_state_dict(weights)
            # A copy, since loading hands the stored moments to the optimizer, which changes them in place.
            self.optimizer.load_state_dict(copy.deepcopy(moments))
            return True
        self.good = (
            now,
            copy.deepcopy(self.network.state_dict()),
            copy.deepcopy(self.optimizer.state_dict()),
        )
        return False

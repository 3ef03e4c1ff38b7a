"""Deep Image Prior: the weights of an untrained network are fitted to the one image, and stopped before the noise."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

import torch
from torch import Tensor, nn

from ..misfit import weighted_mean
from ..networks.hourglass import SMALLEST_SIDE, Hourglass, initialise
from ..networks.memory import training_memory
from ..problem import Method, Problem, Step
from ..settings import Setting
from .precision import Precision, working_dtype
from .stopping import StoppingRuleName, choose_rule

CODE_RANGE = 0.1
"""The code is drawn from U[0, 0.1] (Ulyanov et al. 2018)."""

POOL_MARGIN = 32
"""Pixels by which the pool of noise is larger than the code: room for 33 shifts along every axis."""


@final
@dataclass(frozen=True, kw_only=True)
class DeepImagePrior(Method):
    """Fit a network that turns fixed noise into the image (Ulyanov et al. 2018, doi 10.1109/CVPR.2018.00984).

    The network learns the image before it learns the noise. The outputs are averaged over the iterations, a few
    pixels are held out, and the average at the smallest held-out error is the answer.

    Fails where the image is as irregular as the noise (fine random texture), and where the noise itself is smooth.
    """

    steps: Annotated[int, Setting("Steps", "the most iterations; it stops by itself before", 1, 1_000_000, False)] = (
        2000
    )
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
    ] = 250
    rate: Annotated[float, Setting("Learning rate", "step size of the Adam optimizer", 1e-6, 1.0)] = 0.01
    code_channels: Annotated[
        int, Setting("Code channels", "channels of the fixed noise that goes into the network", 1, 1024)
    ] = 32
    jitter: Annotated[
        float, Setting("Jitter", "standard deviation of the noise added to the code in every step", 0.0, 1.0)
    ] = 1 / 30
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
    clipping: Annotated[float, Setting("Gradient limit", "largest norm of the gradient; 0 = no limit", 0.0)] = 1.0
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    network: Annotated[Hourglass, Setting("Network", "the network whose structure is the prior")] = field(
        default_factory=Hourglass
    )

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per iteration; the image of the last one is the answer."""
        generator = torch.Generator().manual_seed(self.seed)
        device = problem.measured.device
        network = self._network(problem, device)
        initialise(network, generator)
        code = _Code(self, _canvas(problem), device, generator)
        rule = choose_rule(self.stop, problem, fraction=self.held_out, patience=self.patience, generator=generator)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.rate, fused=device.type in ("cpu", "cuda"))
        backtracking = _Backtracking(network, optimizer, self.backtracking)
        average: Tensor | None = None
        for number in range(1, self.steps + 1):
            output, loss = self._iterate(network, optimizer, code.draw(), problem, rule.learned)
            average = output if average is None else average.lerp(output, max(1 - self.averaging, 1 / number))
            rule.observe(number, output, average)
            backtracking.watch(number, loss)
            image = average if rule.image is None else rule.image
            yield Step(
                number=number,
                total=self.steps,
                loss=loss,
                criterion=rule.criterion,
                criterion_name=rule.name,
                chosen=rule.chosen,
                image=image,
            )
            if rule.finished(number):
                return

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the fit will need."""
        canvas = _canvas(problem)
        network = self._network(problem, torch.device("meta"))
        dtype = working_dtype(self.precision, problem.measured.device)
        code = torch.empty(1, self.code_channels, *canvas, device="meta", dtype=dtype)
        # The code and the noise for it, in float32.
        noise = 3 * 4 * code.numel()
        window = 100 * 4 * problem.measured.numel() if self.stop == "variance" else 0
        return training_memory(network, code) + noise + window

    def _network(self, problem: Problem, device: torch.device) -> nn.Module:
        return self.network.build(
            inputs=self.code_channels,
            outputs=problem.measured.shape[1],
            shape=_canvas(problem),
            device=device,
        )

    def _iterate(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        code: Tensor,
        problem: Problem,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Take one step of the optimizer; return the network's image and its loss before the step, detached."""
        shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
        output = network(code)[(..., *(slice(length) for length in shape))]
        predicted = problem.operator(output)
        loss = weighted_mean(problem.misfit.pointwise(predicted, problem.measured), weight)
        optimizer.zero_grad()
        # cuDNN's fastest gradients add up in no fixed order; the same seed must give the same image.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            loss.backward()
        if self.clipping:
            torch.nn.utils.clip_grad_norm_(network.parameters(), self.clipping)
        optimizer.step()
        return output.detach(), loss.detach()


def _canvas(problem: Problem) -> tuple[int, ...]:
    """Spatial shape that the network works on: that of the image, or the least that a reflected border needs."""
    shape = problem.operator.image_shape(tuple(problem.measured.shape[2:]))
    return tuple(max(length, SMALLEST_SIDE) for length in shape)


class _Code:
    """The fixed noise that the network turns into the image, with new jitter for every iteration."""

    def __init__(
        self,
        settings: DeepImagePrior,
        canvas: tuple[int, ...],
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.jitter = settings.jitter
        self.device = device
        self.dtype = working_dtype(settings.precision, device)
        self.generator = generator
        self.layout = torch.channels_last if len(canvas) == 2 else torch.channels_last_3d
        self.canvas = canvas
        shape = (1, settings.code_channels, *canvas)
        self.fixed = self._ready(torch.empty(shape).uniform_(0, CODE_RANGE, generator=generator))
        self.pool: Tensor | None = None
        if settings.jitter_source == "pooled":
            larger = (1, settings.code_channels, *(length + POOL_MARGIN for length in canvas))
            self.pool = self._ready(self.jitter * torch.randn(larger, generator=generator))
        # Drawing on the device spares the transfer of a whole code in every iteration.
        self.on_device = torch.Generator(device).manual_seed(settings.seed)

    def draw(self) -> Tensor:
        """Return the code of the next iteration, (1, channels, *canvas)."""
        if not self.jitter:
            return self.fixed
        if self.pool is None:
            fresh = torch.randn(self.fixed.shape, generator=self.on_device, device=self.device)
            return self.fixed + self._ready(self.jitter * fresh)
        starts = [int(start) for start in torch.randint(POOL_MARGIN + 1, (len(self.canvas),), generator=self.generator)]
        signs = torch.randint(2, (self.pool.shape[1],), generator=self.generator) * 2 - 1
        ends = [start + length for start, length in zip(starts, self.canvas, strict=True)]
        window: tuple[Any, ...] = (..., *map(slice, starts, ends))
        signs = signs.to(self.device, self.dtype).reshape(1, -1, *(1,) * len(self.canvas))
        return torch.addcmul(self.fixed, self.pool[window], signs)

    def _ready(self, noise: Tensor) -> Tensor:
        return noise.to(self.device, self.dtype).contiguous(memory_format=self.layout)


class _Backtracking:
    """Goes back to the last good weights and moments when the fit diverges, as Deep Image Prior's denoising does."""

    EVERY = 100

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, factor: float) -> None:
        self.network, self.optimizer, self.factor = network, optimizer, factor
        self.good: tuple[float, dict[str, Any], dict[str, Any]] | None = None

    def watch(self, number: int, loss: Tensor) -> None:
        """Keep a good state every ``EVERY`` iterations, or return to it when the loss grew by the factor."""
        if not self.factor or number % self.EVERY:
            return
        now = float(loss)
        if self.good is not None and not now <= self.factor * self.good[0]:
            _, weights, moments = self.good
            self.network.load_state_dict(weights)
            # A copy, since loading hands the stored moments to the optimizer, which changes them in place.
            self.optimizer.load_state_dict(copy.deepcopy(moments))
            return
        self.good = (
            now,
            copy.deepcopy(self.network.state_dict()),
            copy.deepcopy(self.optimizer.state_dict()),
        )

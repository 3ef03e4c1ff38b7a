"""Train a small network on pairs of an input and a target from one image, and apply it to the whole image."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..networks.layers import PlaneByPlane
from ..networks.network import ResidualNetwork, initialise, training_memory
from ..physics.misfit import weighted_mean
from .augmentation import ORIENTATIONS, crop_shape, oriented, oriented_back
from .optimizers import Optimizer, OptimizerName
from .precision import Precision, exact_convolutions, working_dtype

LARGEST_GRADIENT = 1.0
"""Norm to which gradients are clipped."""

CHUNK = 16
"""Planes of a volume that go through the network at a time, to bound the memory."""

PREDICTING = {torch.float32: 1.1, torch.bfloat16: 3.0}
"""Measured peak of a prediction, in units of the values of its two finest scales: bfloat16 needs copies."""


@final
@dataclass(frozen=True)
class TrainingPair:
    """Images that a network is given, and what it is to make from them.

    Parameters
    ----------
    input, target : Tensor, (N, C, *S)
        What goes in, and what is to come out.
    weight : Tensor, (N, C, *S)
        How much each pixel counts; 0 where the target is not known.
    """

    input: Tensor
    target: Tensor
    weight: Tensor


@final
@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What is trained, on images of which kind, and where.

    Parameters
    ----------
    network : ResidualNetwork
        The network; it adds a correction to the image that goes in.
    channels : int
        Channels of the image.
    shape : tuple of int
        Spatial shape of the image, (rows, columns) or (planes, rows, columns).
    precision : Precision
        Number format inside the network.
    device : torch.device
        Where it is trained.
    gain : float
        Scale of the first weights (see :func:`.initialise`).
    error : {"squared", "absolute"}
        What is made small.
    averaging : float
        Share of the past in the running mean of the weights, with which images are predicted; 0 for the weights
        themselves. With it a constant learning rate ends as well as a falling one (Izmailov et al. 2018,
        arXiv 1803.05407), and training can stop at any step.
    optimizer : {"adam", "muon"}
        How the weights are changed (see :mod:`.optimizers`).
    decay : float
        Share of the weights, times the learning rate, that Muon takes off in a step, against overfitting.
    residual : bool
        Whether the network adds a correction to the image that goes in; else it draws the image itself, all of which
        then has to pass its bottleneck.
    """

    network: ResidualNetwork
    channels: int
    shape: tuple[int, ...]
    precision: Precision
    device: torch.device
    gain: float = 1.0
    error: Literal["squared", "absolute"] = "squared"
    averaging: float = 0.0
    optimizer: OptimizerName = "adam"
    decay: float = 0.0
    residual: bool = True

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the network's layers, all of which work in planes."""
        return working_dtype(self.precision, self.device, dimensions=2)

    def build(self, device: torch.device) -> nn.Module:
        """Return the network, without initial weights."""
        return build_corrector(self.network, channels=self.channels, shape=self.shape, device=device)


def build_corrector(
    network: ResidualNetwork, *, channels: int, shape: tuple[int, ...], device: torch.device
) -> nn.Module:
    """Return the module of a network that corrects images of a shape, without initial weights."""
    in_planes = len(shape) == 3 and network.has_deep_kernels
    module = network.build(inputs=channels, outputs=channels, shape=shape[1:] if in_planes else shape, device=device)
    return PlaneByPlane(module) if in_planes else module


@final
class Trainer:
    """A network and its optimizer.

    Parameters
    ----------
    plan : TrainingPlan
        What is trained.
    generator : torch.Generator
        Random numbers for the first weights.

    Attributes
    ----------
    steps : int
        Steps that were taken.
    """

    def __init__(self, plan: TrainingPlan, generator: torch.Generator) -> None:
        self._absolute, self._dtype, self._averaging = plan.error == "absolute", plan.dtype, plan.averaging
        self._residual = plan.residual
        self.network = plan.build(plan.device)
        initialise(self.network, generator, gain=plan.gain)
        # PyTorch's own annotations lack the argument memory_format.
        self.network.to(plan.device, torch.float32, memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights: dict[str, Tensor] = dict(self.network.named_parameters())
        self._averages = {name: each.detach().clone() for name, each in weights.items()} if plan.averaging else weights
        self.steps = 0
        # The rate of each step is given with the step.
        self._optimizer = Optimizer(plan.optimizer, self.network, rate=0.0, decay=plan.decay)

    @classmethod
    def trained(cls, plan: TrainingPlan, weights: Mapping[str, Tensor]) -> Self:
        """Return a network that was trained before, with its weights (see :attr:`weights`)."""
        trainer = cls(plan, torch.Generator().manual_seed(0))
        trainer.load(weights)
        return trainer

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that images are predicted with, copied to the CPU, by the names that the network gives them."""
        return {name: each.detach().to("cpu", copy=True).contiguous() for name, each in self._averages.items()}

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of another trainer of a network of the same settings (see :attr:`weights`)."""
        for name, each in self.network.named_parameters():
            each.copy_(weights[name])
            self._averages[name].copy_(weights[name])

    def train(self, pair: TrainingPair, *, rate: float) -> Tensor:
        """Take one step of the optimizer; return the loss (0-d, detached) from before it.

        Parameters
        ----------
        pair : TrainingPair
            What the step is taken on.
        rate : float
            Learning rate of this step.
        """
        self._optimizer.zero_grad()
        with exact_convolutions(pair.input.device):
            loss = self.loss(self.improve(pair.input), pair)
            loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT, foreach=True)
        self._optimizer.set_rate(rate)
        self._optimizer.step()
        self.steps += 1
        self._average()
        return loss.detach()

    def loss(self, improved: Tensor, pair: TrainingPair) -> Tensor:
        """Return how far images are from the target of a pair (0-d): what training makes small."""
        difference = improved - pair.target
        return weighted_mean(difference.abs() if self._absolute else difference.square(), pair.weight)

    def improve(self, images: Tensor) -> Tensor:
        """Return what the network makes of images (N, C, *S): its correction is added, if it is one."""
        with exact_convolutions(images.device):
            output: Tensor = self.network(images.to(self._dtype))
        return images + output if self._residual else output

    def state(self) -> dict[str, Tensor]:
        """Return all that training goes on from: weights, their running mean and the moments, copied to the CPU."""
        found: dict[str, Tensor] = {"steps": torch.tensor(self.steps)}
        found |= {f"weight.{name}": each for name, each in self.network.named_parameters()}
        found |= {f"average.{name}": each for name, each in self._averages.items()}
        found |= {f"moment.{name}": each for name, each in self._optimizer.moments().items()}
        return {name: each.detach().to("cpu", copy=True).contiguous() for name, each in found.items()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` has returned."""
        self.steps = int(state["steps"])
        for name, weight in self.network.named_parameters():
            weight.copy_(state[f"weight.{name}"])
            self._averages[name].copy_(state[f"average.{name}"])
        prefix = "moment."
        moments = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
        self._optimizer.load_moments(moments)

    @torch.no_grad()
    def _average(self) -> None:
        if self._averaging:
            # At first over a tenth of the steps: the first weights are random.
            share = min(self._averaging, 1 - 10 / (10 + self.steps))
            torch._foreach_lerp_(list(self._averages.values()), list(self.network.parameters()), 1 - share)

    @torch.no_grad()
    def predict(self, image: Tensor, *, orientations: int = ORIENTATIONS) -> Tensor:
        """Return a whole image (1, C, *S) improved: the mean over the first ``orientations`` flips and rotations."""
        versions = [
            oriented_back(self._improve_in_chunks(oriented(image, orientation)), orientation)
            for orientation in range(orientations)
        ]
        return torch.stack(versions).mean(dim=0)

    @torch.no_grad()
    def code(self, image: Tensor, layer: str) -> Tensor:
        """Return what a layer of the network, given by its name, makes of an image (1, C, *S)."""
        found: list[Tensor] = []
        handle = self.network.get_submodule(layer).register_forward_hook(lambda *each: found.append(each[-1]))
        try:
            self._improve_averaged(image)
        finally:
            handle.remove()
        return found[0].float()

    def _improve_averaged(self, images: Tensor) -> Tensor:
        with exact_convolutions(images.device):
            output: Tensor = functional_call(self.network, self._averages, (images.to(self._dtype),))
        return images + output if self._residual else output

    def _improve_in_chunks(self, image: Tensor) -> Tensor:
        """Return a whole image improved; a volume some planes at a time, each with its neighbours."""
        if image.ndim == 4:
            return self._improve_averaged(image)
        depth = image.shape[2]
        chunks = []
        for first in range(0, depth, CHUNK):
            last = min(first + CHUNK, depth)
            start, end = max(first - 1, 0), min(last + 1, depth)
            chunks.append(self._improve_averaged(image[:, :, start:end])[:, :, first - start : last - start])
        return torch.cat(chunks, dim=2)


def memory(plan: TrainingPlan, *, crop: int, count: int, pixels: int | None = None) -> int:
    """Return about how many bytes training or prediction needs, whichever is more.

    Parameters
    ----------
    plan : TrainingPlan
        What is trained.
    crop, count : int
        Pixels along a side of a crop, and crops in a step.
    pixels : int, optional
        Of a prediction at a time; if not given, those of a plane or of the planes of a volume that go together.
    """
    if pixels is None:
        planes = min(CHUNK, plan.shape[0]) if len(plan.shape) == 3 else 1
        pixels = planes * plan.shape[-2] * plan.shape[-1]
    widest = plan.network.widest + 2 * plan.channels
    predicting = int(PREDICTING[plan.dtype] * pixels * widest * plan.dtype.itemsize)
    return max(_training_memory(plan, crop, count), predicting)


@functools.lru_cache(maxsize=16)
def _training_memory(plan: TrainingPlan, crop: int, count: int) -> int:
    """Return about how many bytes training needs; to find out takes as long as a prediction of a small image."""
    inputs = torch.empty(count, plan.channels, *crop_shape(plan.shape, crop), device="meta", dtype=plan.dtype)
    return training_memory(plan.build(torch.device("meta")), inputs)

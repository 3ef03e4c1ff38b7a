"""What every network is: settings that build a PyTorch module for an image of any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..progress.stages import checkpoint, is_watched
from ..settings import Setting, Settings
from .layers import DrawnLayer

IN_FLIGHT = 2.05
"""Peak of a training step in units of what autograd saves: gradients in flight, layers whose output is not saved, the
workspace of the convolutions and what the allocator cannot reuse (measured on AVX2 in float32: 1.9 for the deep image
prior on 256² and 512² pixels)."""

PER_WEIGHT = 4
"""Values of each weight: itself, its gradient and two moments of the optimizer."""

MOST_SCALES = 10
"""Each scale has pixels twice as wide as the one before: of the tenth they are as wide as most images."""

CHANNELS = Setting(
    "Channels",
    "feature channels of each scale, finest first; as many scales as numbers",
    low=1,
    high=1024,
    longest=MOST_SCALES,
)
"""What the networks of several scales say of their channels."""


@dataclass(frozen=True, kw_only=True)
class Network(Settings, ABC):
    """Settings of a network. The module takes (N, inputs, *S) and returns (N, outputs, *S) in float32.

    S are two or three spatial axes of any size from ``smallest_side`` on. The module computes in the floating-point
    format of its input, while its weights stay float32. Each network can be the prior of the deep image prior.
    """

    smallest_side: ClassVar[int] = 1
    """Pixels that every spatial axis needs."""

    prior_rate_factor: ClassVar[float] = 1.0
    """Share of the learning rate that the deep image prior takes in a fit of this network."""

    def build(self, *, inputs: int, outputs: int, shape: tuple[int, ...], device: torch.device) -> nn.Module:
        """Return the module. Its weights are not yet drawn: see :func:`initialise`.

        Parameters
        ----------
        inputs, outputs : int
            Channels that go in and come out.
        shape : tuple of int
            Spatial shape, two or three axes of at least ``smallest_side`` pixels.
        device : torch.device
            Where the weights are stored; on "meta" they take no memory, which :func:`training_memory` needs.
        """
        # Layers fill their memory from the random numbers of the process; on "meta" there is none to fill.
        with torch.device("meta"):
            module = self._module(inputs, outputs, shape)
        if device.type == "meta":
            return module
        for layer in module.modules():
            layer.register_forward_hook(_layer_done)
        return module.to_empty(device=device)

    @abstractmethod
    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Make the output of an untrained module close to ``values``, (outputs,): one value per channel.

        The deep image prior sets the median of the image, so that the fit need not find the brightness first.
        """

    @abstractmethod
    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        """Return the module with the layers' usual random weights."""


@dataclass(frozen=True, kw_only=True)
class ResidualNetwork(Network, ABC):
    """A network that can also be trained to correct images: its output is added to its input (residual learning).

    The output of the untrained module is small, so that training starts near the unchanged image. The output at a
    pixel depends only on a neighbourhood of it, so that a network trained on crops can be applied to a whole image.
    """

    # Without normalisation the fit is unstable at the rate of the hourglass.
    prior_rate_factor = 0.3

    has_deep_kernels: ClassVar[bool] = False
    """Whether its kernels for volumes have three dimensions. To correct images it is then built for planes, which it
    takes one by one: pieces of a volume have few planes."""

    @property
    @abstractmethod
    def code_layer(self) -> str:
        """Name of the layer of its module whose output is the code: what the network has made of the image halfway."""

    @property
    @abstractmethod
    def margin(self) -> int:
        """Pixels to every side of a pixel in a plane that its output depends on, a multiple of ``stride``."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Pixels of the plane along one pixel of the coarsest scale: a part must begin at a multiple of it."""

    @property
    @abstractmethod
    def widest(self) -> int:
        """Feature channels of the two finest layers or scales together: they need most of a prediction's memory."""


def _layer_done(_layer: nn.Module, _inputs: object, output: object) -> None:
    """Make each layer a checkpoint, on the way back, too: a pass over a large image takes many seconds."""
    if not is_watched():
        return
    checkpoint()
    if isinstance(output, Tensor) and output.requires_grad:
        output.register_hook(_gradient_done)


def _gradient_done(_gradient: Tensor) -> None:
    checkpoint()


def initialise(module: nn.Module, generator: torch.Generator, *, gain: float = 1.0) -> None:
    """Draw the weights of a module from ``generator`` alone, with the distribution that PyTorch uses by default.

    They are drawn on the CPU, so that a seed gives the same weights on every device. Normalisations start as the
    identity, biases at 0. Layers that know better draw themselves (:class:`.layers.DrawnLayer`).

    Parameters
    ----------
    gain : float
        Factor of the weights. Deep networks without normalisation need more than 1, or their features vanish. Layers
        that draw themselves do without.
    """
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, DrawnLayer):
                layer.draw(generator)
            else:
                _draw(layer, generator, gain)


def _draw(layer: nn.Module, generator: torch.Generator, gain: float) -> None:
    """Draw the weights of one layer, without those of the layers in it."""
    for name, parameter in layer.named_parameters(recurse=False):
        if parameter.ndim > 1:
            bound = gain / math.sqrt(parameter[0].numel())
            parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))
        else:
            parameter.fill_(1.0 if name == "weight" else 0.0)


def training_memory(module: nn.Module, inputs: Tensor) -> int:
    """Return about how many bytes a training step of ``module`` on ``inputs`` takes at its peak.

    Both must be on the "meta" device, where tensors have shapes but no memory.
    """
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    return int(IN_FLIGHT * saved_memory(module, inputs)) + PER_WEIGHT * weights


def saved_memory(module: nn.Module, inputs: Tensor) -> int:
    """Return the bytes that autograd saves for the backward pass; both arguments on the "meta" device.

    The time of a step is about proportional to them.
    """
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(inputs)
    return sum(tensor.numel() * tensor.element_size() for tensor in saved.values())

"""The input of a network that is fitted to one image: fixed noise, new jitter in every iteration, and a guide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from .transfers import to_device

WARMUP_START = 0.3
"""Share of the jitter in the first iteration of its warm-up."""

GUIDE_STRENGTH = 0.3
"""Standard deviation of a guide in the input."""

POOL_MARGIN = 32
"""Pixels by which the pool of noise is larger than the input: room for 33 shifts along every axis."""


@final
@dataclass(frozen=True, kw_only=True)
class InputPlan:
    """What goes into a network.

    Parameters
    ----------
    shape : tuple of int
        Spatial shape.
    channels : int
        Channels of noise.
    value_range : float
        The fixed noise is uniform between 0 and this.
    jitter : float
        Standard deviation of the noise that is added in every iteration.
    jitter_warmup : int
        Iterations over which the jitter grows to its full strength.
    pooled : bool
        Whether the jitter is taken from one field of noise, shifted and with random signs, or drawn anew.
    guide_dropout : float
        Share of the iterations without the guide.
    """

    shape: tuple[int, ...]
    channels: int
    value_range: float
    jitter: float
    jitter_warmup: int
    pooled: bool
    guide_dropout: float


@final
class RandomInput:
    """The input of a network, drawn anew in every iteration.

    Parameters
    ----------
    plan : InputPlan
        What goes in.
    guide : Tensor, (1, G, *S), or None
        Other images of the same place.
    device, dtype : torch.device, torch.dtype
        Of the input.
    generator : torch.Generator
        Random numbers.
    """

    def __init__(
        self,
        plan: InputPlan,
        guide: Tensor | None,
        *,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> None:
        self._plan, self._device, self._dtype, self._generator = plan, device, dtype, generator
        self._layout = torch.channels_last if len(plan.shape) == 2 else torch.channels_last_3d
        noise = torch.empty(1, plan.channels, *plan.shape).uniform_(0, plan.value_range, generator=generator)
        self.fixed = self._converted(noise)
        self._pool: Tensor | None = None
        if plan.pooled:
            larger = (1, plan.channels, *(length + POOL_MARGIN for length in plan.shape))
            self._pool = self._converted(plan.jitter * torch.randn(larger, generator=generator))
        self._guide = None if guide is None else self._converted(_extended(guide, plan.shape) * GUIDE_STRENGTH)
        # Drawing on the device saves the transfer of the whole input in every iteration.
        self._device_generator = torch.Generator(device).manual_seed(generator.initial_seed())

    def draw(self, number: int) -> Tensor:
        """Return the input of iteration ``number``, (1, channels + G, *shape): noise, then the guide."""
        noise = self._noise(number)
        if self._guide is None:
            return noise
        kept = float(torch.rand((), generator=self._generator) >= self._plan.guide_dropout)
        return torch.cat([noise, kept * self._guide], dim=1)

    def _noise(self, number: int) -> Tensor:
        plan = self._plan
        if not plan.jitter:
            return self.fixed
        warmup = plan.jitter_warmup
        strength = min(1.0, WARMUP_START + (1 - WARMUP_START) * number / warmup) if warmup else 1.0
        if self._pool is None:
            fresh = torch.randn(self.fixed.shape, generator=self._device_generator, device=self._device)
            return self.fixed + self._converted(strength * plan.jitter * fresh)
        shifts = torch.randint(POOL_MARGIN + 1, (len(plan.shape),), generator=self._generator)
        starts = [int(start) for start in shifts]
        signs = torch.randint(2, (plan.channels,), generator=self._generator) * 2 - 1
        ends = [start + length for start, length in zip(starts, plan.shape, strict=True)]
        window: tuple[Any, ...] = (..., *map(slice, starts, ends))
        signs = to_device(signs.to(self._dtype), self._device).reshape(1, -1, *(1,) * len(plan.shape))
        return torch.addcmul(self.fixed, self._pool[window], signs, value=strength)

    def _converted(self, values: Tensor) -> Tensor:
        return values.to(self._device, self._dtype).contiguous(memory_format=self._layout)


def _extended(guide: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a guide whose last values are repeated up to the shape of the input."""
    for axis, length in enumerate(shape, start=2):
        missing = length - guide.shape[axis]
        guide = torch.cat([guide, *[guide.narrow(axis, guide.shape[axis] - 1, 1)] * missing], dim=axis)
    return guide

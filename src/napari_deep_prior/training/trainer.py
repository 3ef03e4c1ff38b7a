"""A small network that is taught on parts of one image, and then applied to all of it.

What is taught, the methods decide: each draws its own examples.
"""

from __future__ import annotations

import math
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from ..networks.network import ResidualNetwork, initialise, training_memory
from ..physics.misfit import weighted_mean
from .optimizers import Optimizer
from .precision import Precision, working_dtype

WARMUP = 20
"""Steps in which the learning rate grows to its full size."""

LAST_RATE = 0.01
"""Share of the learning rate that is left at the end."""

LARGEST_GRADIENT = 1.0
"""Norm to which gradients are cut."""

ORIENTATIONS = 8
"""Ways to mirror and turn a plane by right angles."""

CHUNK = 16
"""Planes of a volume that go through the network at a time, to bound the memory."""

DEPTH = 3
"""Planes of a volume that are seen in a training example."""

PREDICTING = 3
"""Measured peak of a prediction over the values of its two finest scales."""


@final
class Trainer:
    """One network, and the steps that teach it."""

    def __init__(
        self,
        network: ResidualNetwork,
        *,
        inputs: int,
        outputs: int,
        shape: tuple[int, ...],
        steps: int,
        rate: float,
        precision: Precision,
        device: torch.device,
        generator: torch.Generator,
        gain: float = 1.0,
        error: Literal["squared", "absolute"] = "squared",
    ) -> None:
        self.steps, self.rate, self.error = steps, rate, error
        self.dtype = working_dtype(precision, device, dimensions=2)
        self.network = network.build(inputs=inputs, outputs=outputs, shape=shape, device=device)
        initialise(self.network, generator, gain=gain)
        # The type of the method does not know this argument by itself.
        self.network.to(device, torch.float32, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = Optimizer("adam", self.network, rate)
        self.outputs = outputs
        self.step = 0

    def learn(self, examples: Tensor, truth: Tensor, weight: Tensor, *, rate: float | None = None) -> Tensor:
        """Take one step towards ``truth`` where ``weight`` is not 0; return the loss (0-d, detached) from before it.

        ``rate`` is its size; without one it grows over a short warm-up, and falls with half a cosine.
        """
        self.step += 1
        difference = self.improve(examples) - truth
        loss = weighted_mean(difference.square() if self.error == "squared" else difference.abs(), weight)
        self.optimizer.zero_grad()
        # cuDNN's fastest gradients add up in no fixed order; the same seed must give the same image.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT, foreach=True)
        self.optimizer.set_rate(self._scheduled() if rate is None else rate)
        self.optimizer.step()
        return loss.detach()

    def _scheduled(self) -> float:
        cosine = (1 + math.cos(math.pi * self.step / self.steps)) / 2
        return self.rate * min(1.0, self.step / WARMUP) * max(cosine, LAST_RATE)

    @torch.no_grad()
    def predict(self, image: Tensor, turns: int = ORIENTATIONS) -> Tensor:
        """Return a whole image (1, C, *S) improved, the mean over ``turns`` mirrored and turned versions of it."""
        parts = [oriented_back(self._improve_all(oriented(image, turn)), turn) for turn in range(turns)]
        return torch.stack(parts).mean(dim=0)

    def improve(self, image: Tensor) -> Tensor:
        """Return images (N, C, *S) with what the network adds to their first channels."""
        improved: Tensor = image[:, : self.outputs] + self.network(image.to(self.dtype))
        return improved

    def _improve_all(self, image: Tensor) -> Tensor:
        """Return a whole image improved; a volume some planes at a time, each with its neighbours."""
        if image.ndim == 4:
            return self.improve(image)
        depth = image.shape[2]
        parts = []
        for first in range(0, depth, CHUNK):
            last = min(first + CHUNK, depth)
            start, end = max(first - 1, 0), min(last + 1, depth)
            parts.append(self.improve(image[:, :, start:end])[:, :, first - start : last - start])
        return torch.cat(parts, dim=2)


def draw_crops(
    images: tuple[Tensor, ...],
    *,
    crop: int,
    count: int,
    turns: tuple[int, ...] = tuple(range(ORIENTATIONS)),
    generator: torch.Generator,
) -> list[Tensor]:
    """Return ``count`` random parts of each of the images (1, C, *S), the same ones of all, mirrored and turned."""
    shape = images[0].shape[2:]
    sides = crop_shape(tuple(shape), crop)
    parts = []
    for _ in range(count):
        starts = [draw_below(length - side + 1, generator) for length, side in zip(shape, sides, strict=True)]
        ends = [start + side for start, side in zip(starts, sides, strict=True)]
        place: tuple[Any, ...] = (..., *map(slice, starts, ends))
        turn = turns[draw_below(len(turns), generator)]
        parts.append([oriented(image[place], turn) for image in images])
    return [torch.cat(same) for same in zip(*parts, strict=True)]


def crop_shape(shape: tuple[int, ...], crop: int) -> tuple[int, ...]:
    """Return the spatial shape of a part: a square, so that it can be turned, in a volume a few planes of it."""
    side = min(crop, *shape[-2:])
    return (*(min(DEPTH, length) for length in shape[:-2]), side, side)


def memory(
    network: ResidualNetwork,
    *,
    inputs: int,
    outputs: int,
    shape: tuple[int, ...],
    crop: int,
    count: int,
    precision: Precision,
    device: torch.device,
) -> int:
    """Return about how many bytes training or prediction needs, whichever is more; arguments as above."""
    built = network.build(inputs=inputs, outputs=outputs, shape=shape, device=torch.device("meta"))
    dtype = working_dtype(precision, device, dimensions=2)
    examples = torch.empty(count, inputs, *crop_shape(shape, crop), device="meta", dtype=dtype)
    planes = min(CHUNK, shape[0]) if len(shape) == 3 else 1
    widest = network.widest + inputs + outputs
    predicting = PREDICTING * planes * shape[-2] * shape[-1] * widest * dtype.itemsize
    return max(training_memory(built, examples), predicting)


def oriented(image: Tensor, turn: int) -> Tensor:
    """Return one of the eight mirrored and turned versions of the planes of an image."""
    return torch.rot90(image.flip(-1) if turn & 4 else image, turn & 3, (-2, -1))


def oriented_back(image: Tensor, turn: int) -> Tensor:
    """Return what :func:`turned` was given."""
    straight = torch.rot90(image, -(turn & 3), (-2, -1))
    return straight.flip(-1) if turn & 4 else straight


def draw_below(end: int, generator: torch.Generator) -> int:
    """Return a whole number from 0 to below ``end``, each as likely."""
    return int(torch.randint(end, (), generator=generator))

"""The network of a model, applied to whole images plane by plane."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from ..training.model import Model
from ..training.trainer import Trainer, TrainingPlan

Place = tuple[Any, ...]
"""Rows and columns of an image (..., rows, columns)."""


@final
class AppliedModel:
    """The network of a model, ready to be applied.

    Parameters
    ----------
    model : Model
        What was trained.
    device : torch.device
        Where it is applied.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model = model
        self._trainer = Trainer.trained(plan_of(model, device), model.weights)

    @property
    def knows_noise(self) -> bool:
        """Whether the measurements that it was trained to enlarge were noisy."""
        task = self.model.settings.get("task", {})
        return any(task.get(name) for name in ("gain", "sigma"))

    @torch.no_grad()
    def predict(self, image: Tensor, orientations: int) -> Tensor:
        """Return an image (1, C, *S) as the network restores it, the mean over flips and rotations."""
        if len(self.model.shape) == 3:
            return self._trainer.predict(image, orientations=orientations)
        planes = image.movedim(1, -3).flatten(0, -4) if image.ndim == 5 else image
        restored = [self._of_plane(plane[None], orientations) for plane in planes]
        if image.ndim == 4:
            return torch.cat(restored)
        return torch.cat(restored).movedim(0, 1)[None]

    def around(self, window: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[Place, Place]:
        """Return the part of an image on which a window depends, and where the window lies in what it becomes there."""
        margin, stride = self.model.network.margin, self.model.network.stride
        starts = [max(0, each.start - margin) // stride * stride for each in window]
        ends = [min(each.stop + margin, length) for each, length in zip(window, shape[-2:], strict=True)]
        inside = [slice(each.start - start, each.stop - start) for each, start in zip(window, starts, strict=True)]
        return (..., *map(slice, starts, ends)), (..., *inside)

    @torch.no_grad()
    def improve(self, planes: Tensor) -> Tensor:
        """Return interpolated planes (N, C, rows, columns) improved."""
        count, channels = planes.shape[:2]
        if channels == self.model.channels:
            return self._trainer.improve(planes)
        improved: Tensor = self._trainer.improve(planes.flatten(0, 1)[:, None])[:, 0].unflatten(0, (count, channels))
        return improved

    @torch.no_grad()
    def code(self, plane: Tensor) -> Tensor:
        """Return the code (1, D, rows, columns) of a plane (1, C, rows, columns), of all channels after another."""
        parts = [plane] if plane.shape[1] == self.model.channels else plane.split(1, dim=1)
        return torch.cat([self._trainer.code(each, self.model.network.code_layer) for each in parts], dim=1)

    def _of_plane(self, plane: Tensor, orientations: int) -> Tensor:
        if plane.shape[1] == self.model.channels:
            return self._trainer.predict(plane, orientations=orientations)
        channels = [self._trainer.predict(each[None, None], orientations=orientations) for each in plane[0]]
        return torch.cat(channels, dim=1)


def plan_of(model: Model, device: torch.device) -> TrainingPlan:
    """Return what was trained, to build it again."""
    return TrainingPlan(
        network=model.network,
        channels=model.channels,
        shape=model.shape,
        precision="auto",
        device=device,
        residual=bool(model.settings.get("training", {}).get("correction", True)),
    )

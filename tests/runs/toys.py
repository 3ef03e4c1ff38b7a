"""A task in which anything may be removed, a method that dims the image, and an array that notes what is read of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.methods import Method
from napari_deep_prior.problem import Problem
from napari_deep_prior.progress import Step
from napari_deep_prior.tasks.task import DirectTask


@dataclass(frozen=True, kw_only=True)
class Look(DirectTask):
    """A task in which anything may be removed: the result is what the method makes of the image."""

    command = "look"
    result = "looked at"

    @property
    def neighbour_count(self) -> int | None:
        return 0

    @property
    def keeps_known(self) -> bool:
        return False


def dimming(error: BaseException | None = None) -> Method:
    """Return a method whose k-th step is the measurement times 1 - k / 10; after two of them it fails."""

    @dataclass(frozen=True, kw_only=True)
    class Dimming(Method):
        def fit(self, problem: Problem) -> Iterator[Step]:
            for number in (1, 2):
                yield Step(
                    number=number,
                    total=2,
                    loss=torch.zeros(()),
                    criterion=None,
                    criterion_name="",
                    chosen=torch.tensor(number),
                    image=problem.operator.interpolate(problem.measured) * (1 - number / 10),
                )
            if error is not None:
                raise error

        def why_not(self, problem: Problem) -> str:
            return ""

        def memory(self, problem: Problem) -> int:
            return 0

        def seconds(self, problem: Problem) -> float:
            return 0.0

    return Dimming()


def dimmed(image: np.ndarray, number: int) -> np.ndarray:
    """Return what :func:`dimming` makes of an image in its ``number``-th step."""
    low, span = image.min(), np.ptp(image)
    canonical = (image - low) / span * 0.9 + 0.05
    return (canonical * (1 - number / 10) - 0.05) / 0.9 * span + low


class Counting:
    """An array that notes the indices at which it is read, and how many pixels that were."""

    def __init__(self, pixels: Array) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.indices: list[Any] = []
        self.count = 0

    def __getitem__(self, index: Any) -> Array:
        part = self.pixels[index]
        self.indices.append(index)
        self.count += part.size
        return part

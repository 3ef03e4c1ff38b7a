"""Operators: what the microscope did to the image before the noise. Image in, measurement out.

Every operator is linear and differentiable and works on canonical tensors ``(1, C, *S)`` of two or three
spatial dimensions. ``OPERATORS`` lists them for the contract tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor


class Operator(ABC):
    """A linear map from the image that is looked for to what was measured."""

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor:
        """Return the noiseless measurement of an image ``(1, C, *S)``."""

    @abstractmethod
    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial shape of the image behind a measurement of spatial shape ``measured_shape``."""


@final
@dataclass(frozen=True)
class Identity(Operator):
    """Denoising: the image itself was measured."""

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image unchanged."""
        return image

    def image_shape(self, measured_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape unchanged."""
        return measured_shape


OPERATORS: dict[str, type[Operator]] = {"identity": Identity}

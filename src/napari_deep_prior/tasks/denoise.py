"""Denoising: the image itself was measured, with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ..physics.kernels import Kernel
from ..physics.noise_model import NoiseModel
from ..physics.operators import Identity
from .inputs import Inputs
from .task import Measured, Posed, Prepared, TaskWithGuide


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(TaskWithGuide):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    command = "denoise"
    result = "denoised"
    removes_noise = True
    takes = frozenset({"guide"})

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

    def operator(self, axes: str, kernel: Kernel | None) -> Identity:
        """Return the identity."""
        return Identity()

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return the noise."""
        return Prepared(Identity(), noise)

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a piece."""
        return self.pose(measured, prepared, inputs)

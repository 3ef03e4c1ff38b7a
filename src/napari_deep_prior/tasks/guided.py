"""Guided reconstruction: denoising with the help of another image of the same place."""

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
class Guided(TaskWithGuide):
    """Remove noise with the help of a guide: a clean image of the same place, such as bright field or flash."""

    command = "guide"
    result = "guided"
    removes_noise = True
    takes = frozenset({"guide"})
    needs = frozenset({"guide"})

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

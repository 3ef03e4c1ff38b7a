"""Inpainting: pixels are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from ..arrays.frame import MissingPixels
from ..physics.kernels import Kernel
from ..physics.noise_model import NoiseModel
from ..physics.operators import Identity
from ..settings import Setting
from .inputs import Inputs
from .task import Measured, Posed, Prepared, TaskWithGuide


@final
@dataclass(frozen=True, kw_only=True)
class Inpaint(TaskWithGuide):
    """Fill what is masked: scratches, dust, text, dead rows, hot or missing pixels; plausible, not measured."""

    command = "inpaint"
    result = "inpainted"
    takes = frozenset({"mask", "guide"})

    missing: Annotated[
        MissingPixels,
        Setting("NaN pixels", "refuse an image with NaN or infinite pixels, or fill them like masked ones"),
    ] = "fill"
    keep_known: Annotated[
        bool,
        Setting(
            "Keep known pixels",
            "pixels that are not masked come back exactly as they are, else as the filling has them",
            advanced=False,
        ),
    ] = True

    @property
    def keeps_known(self) -> bool:
        """As the setting says."""
        return self.keep_known

    def operator(self, axes: str, kernel: Kernel | None) -> Identity:
        """Return the identity: what is missing has no weight."""
        return Identity()

    def prepare(self, first: Measured, noise: tuple[NoiseModel, ...], inputs: Inputs) -> Prepared:
        """Return the noise."""
        return Prepared(Identity(), noise)

    def problem(self, measured: Measured, prepared: Prepared, inputs: Inputs) -> Posed:
        """Return the problem of a piece."""
        return self.pose(measured, prepared, inputs)

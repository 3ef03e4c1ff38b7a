"""Inpainting: pixels are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from ..arrays.frame import MissingPixels
from ..settings import Setting
from .task import DirectTask


@final
@dataclass(frozen=True, kw_only=True)
class Inpaint(DirectTask):
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
    def neighbour_count(self) -> int | None:
        """0: each piece is restored by itself."""
        return 0

    @property
    def keeps_known(self) -> bool:
        """As the setting says."""
        return self.keep_known

"""Denoising: the image itself was measured, with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from ..settings import Setting
from .task import DirectTask


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(DirectTask):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    neighbours: Annotated[
        int | None,
        Setting(
            "Neighbours",
            "frames (or planes) of a stack on each side with which one is averaged where they show the same; empty: as "
            "many as reduce the estimated error; 0: none",
            0,
            100,
        ),
    ] = None

    command = "denoise"
    result = "denoised"
    removes_noise = True
    takes = frozenset({"guide", "model"})

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

    @property
    def neighbour_count(self) -> int | None:
        """What was chosen."""
        return self.neighbours

"""Guided reconstruction: denoising with the help of another image of the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .task import DirectTask


@final
@dataclass(frozen=True, kw_only=True)
class Guided(DirectTask):
    """Remove noise with the help of a guide: a clean image of the same place, such as bright field or flash."""

    command = "guide"
    result = "guided"
    removes_noise = True
    takes = frozenset({"guide"})
    needs = frozenset({"guide"})

    @property
    def neighbour_count(self) -> int | None:
        """0: each piece is restored by itself."""
        return 0

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

"""Denoising: the image itself was measured, with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .task import DirectTask


@final
@dataclass(frozen=True, kw_only=True)
class Denoise(DirectTask):
    """Remove noise: the image itself was measured, and the noise differs from pixel to pixel."""

    command = "denoise"
    result = "denoised"
    removes_noise = True
    takes = frozenset({"guide"})

    @property
    def keeps_known(self) -> bool:
        """No: every pixel has noise."""
        return False

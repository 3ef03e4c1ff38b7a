"""A result and its reference: PSNR and SSIM before the run and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from ..arrays.axes import Array
from .batch import Scores
from .compare import compare
from .reference import Reference
from .restoration import Restoration


@final
@dataclass(frozen=True)
class Comparison:
    """An image of the truth, and the image before the run; None if that has pixels without a value."""

    before: Array | None
    reference: Reference

    @classmethod
    def of(cls, path: str | None, run: Restoration, pixels: Array, read: Callable[[str], Array]) -> Self | None:
        """Return the comparison with a file, None if there is none; before an enlarged image is the interpolated one.

        Parameters
        ----------
        read : function
            Returns the pixels of a file.

        Raises
        ------
        ValueError
            If it has another shape, or nothing can be compared with it.
        """
        if path is None:
            return None
        reference = read(path)
        if reference.shape != run.shape:
            raise ValueError(f"the reference {path!r} has shape {reference.shape}; the result has {run.shape}")
        before = run.image if run.factors else pixels
        return cls(before if np.isfinite(before).all() else None, Reference.of(path, reference, run.axes))

    def scores(self, after: Array) -> Scores:
        """Return PSNR and SSIM before and after."""
        psnr_before, ssim_before = (None, None) if self.before is None else self._measures("before", self.before)
        psnr, ssim = self._measures("result", after)
        return Scores(psnr_before=psnr_before, psnr=psnr, ssim_before=ssim_before, ssim=ssim)

    def _measures(self, name: str, image: Array) -> tuple[float, float | None]:
        """Return PSNR and SSIM of an image; None where it is too small for an SSIM."""
        (row,) = compare(name, image, self.reference)
        return row.psnr, row.ssim if isinstance(row.ssim, float) else None

    def with_result(self, after: Array) -> str:
        """Return PSNR and SSIM before and after, as one line."""
        scores = self.scores(after)
        parts = [f"PSNR {_arrow(scores.psnr_before, scores.psnr, '.2f')} dB"]
        if scores.ssim is not None:
            parts.append(f"SSIM {_arrow(scores.ssim_before, scores.ssim, '.4f')}")
        return ", ".join(parts) + f" (data range {self.reference.span:g})"


def _arrow(before: float | None, after: float, digits: str) -> str:
    """Return two numbers with an arrow between them; the first can be unknown."""
    return " → ".join(format(value, digits) for value in (before, after) if value is not None)

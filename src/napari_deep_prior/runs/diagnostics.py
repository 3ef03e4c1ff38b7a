"""What a person checks a restoration by: what was taken away, and how sure the image is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays.axes import Array
from ..arrays.frame import to_dtype
from ..arrays.pieces import Piece
from ..estimation.oversampling import consistency
from ..estimation.residual_check import residual
from ..physics.noise_model import NoiseModel
from ..progress import Step
from ..tasks.task import Measured, Posed
from . import report


class Checks:
    """Collects what the finished pieces can be checked by.

    Parameters
    ----------
    shape : tuple of int
        Of the result.
    kept : bool
        Whether residual and uncertainty are kept: they take the memory of two more images.
    """

    def __init__(self, shape: tuple[int, ...], *, kept: bool) -> None:
        self.arrays: dict[str, Array] = {}
        self.residuals: list[str] = []
        self.agreements: list[float] = []
        self._shape, self._kept = shape, kept

    def without_arrays(self) -> Checks:
        """Return what was found, but for the arrays."""
        checks = Checks(self._shape, kept=False)
        checks.extend(self)
        return checks

    def extend(self, other: Checks) -> None:
        """Take in what the pieces of a part of the run can be checked by, but for its arrays."""
        self.residuals += other.residuals
        self.agreements += other.agreements

    def put(self, piece: Piece, parts: Mapping[str, Array]) -> None:
        """Take in the arrays of a piece."""
        for name, part in parts.items():
            self.arrays.setdefault(name, np.zeros(self._shape, np.float32))[piece.write] = part

    def add(self, measured: Measured, posed: Posed, noise: tuple[NoiseModel, ...], step: Step) -> None:
        """Take in a finished piece."""
        enlarged = bool(posed.problem.operator.factors)
        if enlarged:
            self.agreements.append(consistency(posed.problem.operator, step.image, posed.problem.measured))
        if not self._kept:
            return
        values = residual(posed.problem, step.image)
        self.residuals.append(report.residual_in_words(values.cpu().numpy(), noise))
        # Of an enlarged image the residual has other pixels, and stays a sentence.
        found = {} if enlarged else {"residual": posed.frame.to_plain(values)}
        if step.deviation is not None:
            found["uncertainty"] = posed.frame.to_deviation(step.deviation)
        for name, part in found.items():
            whole = self.arrays.setdefault(name, np.zeros(self._shape, np.float32))
            whole[measured.piece.write] = to_dtype(part, np.dtype(np.float32))[measured.piece.inner]

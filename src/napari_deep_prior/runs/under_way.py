"""The piece of a run that is under way: what was measured, what is asked of it, and the step that it has come to."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from torch import Tensor

from ..arrays.axes import Array
from ..arrays.frame import to_dtype
from ..progress import Step
from ..progress.stages import Stopped
from ..tasks.task import Measured, Posed
from .errors import checked_if_there_is_memory
from .setup import Setup

UNCHECKED = "stopped before what was removed had been examined: structure and the light of spots may be missing"


@final
class UnderWay:
    """A piece after a step.

    Parameters
    ----------
    setup : Setup
        The run.
    measured, posed, step : Measured, Posed, Step
        The piece, its problem, and the last step that was made.
    """

    def __init__(self, setup: Setup, measured: Measured, posed: Posed, step: Step) -> None:
        self.measured, self.posed, self.step, self._setup = measured, posed, step, setup
        self._checked: tuple[Tensor, str] | None = None

    def checked(self) -> tuple[Tensor, str]:
        """Return the image of the step as the task has checked it, which is done once, and what had to be changed."""
        if self._checked is None:
            try:
                self._checked = checked_if_there_is_memory(self._setup.task, self.posed.problem, self.step.image)
            except Stopped:
                # Who stops a check does not want to wait for it a second time.
                self._checked = self.step.image, UNCHECKED
                raise
        return self._checked

    def values(self, image: Tensor, dtype: np.dtype[Any]) -> Array:
        """Return what goes into the result for an image of the piece, halo included."""
        values = to_dtype(self.posed.frame.to_image(image), dtype)
        if self._setup.task.keeps_known:
            values = self._setup.source.with_known(self.measured.piece, values)
        return values

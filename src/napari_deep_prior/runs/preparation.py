"""From the pieces of an array to their problems; what all pieces share is prepared once."""

from __future__ import annotations

from typing import final

from ..arrays.frame import NothingToRestoreError
from ..arrays.pieces import Piece
from ..physics.noise_model import NoiseModel
from ..tasks.task import Measured, Posed, Prepared
from .forecast import Forecast, forecast
from .recommend import Choice, recommend
from .setup import Setup


@final
class Preparation:
    """Reads pieces and poses their problems.

    Attributes
    ----------
    shared : Prepared or None
        What all pieces share: estimated from the first one that can be restored, None until there was one.
    """

    def __init__(self, setup: Setup) -> None:
        self.shared: Prepared | None = None
        self._setup = setup
        # The piece that the forecast was made from, until the run comes to it.
        self._ready: tuple[Measured, Posed, Prepared] | None = None

    @property
    def noise(self) -> tuple[NoiseModel, ...]:
        """The noise of every channel; none where no piece was prepared yet."""
        return () if self.shared is None else self.shared.noise

    def pose(self, piece: Piece) -> tuple[Measured, Posed, Prepared]:
        """Return a piece, its problem, and what it shares with all others.

        Raises
        ------
        NothingToRestoreError
            If nothing is known, all is constant, or nothing is missing that could be filled.
        MissingPixelsError
            If pixels are missing and may not be filled.
        """
        ready, self._ready = self._ready, None
        if ready is not None and ready[0].piece == piece:
            return ready
        setup, task = self._setup, self._setup.task
        block, measured = setup.source.measured(
            piece, device=setup.device, missing=task.missing, fills="mask" in task.takes
        )
        if self.shared is None:
            self.shared = task.prepare(measured, setup.source.noise(block, task.given_noise), setup.inputs)
        return measured, task.problem(measured, self.shared, setup.inputs), self.shared

    def choose(self, posed: Posed) -> Choice:
        """Return what solves the problem of a piece.

        Raises
        ------
        ValueError
            If nothing can.
        """
        return recommend(self._setup.task, posed.problem, self._setup.wish)

    def forecast(self) -> Forecast:
        """Return what will run on the first piece, and about how long all of them take.

        Only what the image shows decides on the method: whether its noise is correlated, whether it was a JPEG. The
        piece is kept for the run, which does not read and prepare it again.

        Raises
        ------
        ValueError
            If the first piece cannot be restored, and there is no other one.
        """
        setup = self._setup
        try:
            self._ready = self.pose(setup.pieces[0])
        except NothingToRestoreError:
            if len(setup.pieces) == 1:
                raise
            return setup.forecast()
        return forecast(setup.task, setup.wish, self._ready[1].problem, pieces=len(setup.pieces))

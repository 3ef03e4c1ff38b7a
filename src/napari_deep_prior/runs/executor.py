"""The seam through which pieces are restored by other processes, on this computer or on others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from ..arrays.axes import Array
from ..arrays.pieces import Piece
from ..progress import Step
from .notes import Notes
from .output import RemoteOutput
from .preparation import Preparation
from .setup import Setup


@final
@dataclass(frozen=True, kw_only=True)
class PieceJob:
    """What another process needs to restore any piece of a run: sent once.

    Parameters
    ----------
    setup : Setup
        The run, with nothing of its result.
    preparation : Preparation
        What all pieces share.
    output : RemoteOutput
        Takes the pieces there.
    device : str
        Name of the device that is to be used there.
    """

    setup: Setup
    preparation: Preparation
    output: RemoteOutput
    device: str

    @classmethod
    def of(cls, setup: Setup, preparation: Preparation) -> PieceJob:
        """Return the job of a run that is set up here."""
        return cls(
            setup=setup.for_others(), preparation=preparation, output=setup.output.remote(), device=setup.device_there
        )


@final
@dataclass(frozen=True, kw_only=True)
class PieceDone:
    """A piece that another process has restored, or passed through.

    Parameters
    ----------
    number : int
        Of the piece.
    step : Step or None
        The last one, without its image; None if the piece was passed through.
    values : ndarray or None
        The restored piece, halo included; None if it is written already.
    notes : Notes
        What was noted of it.
    checks : mapping of str to ndarray
        What it can be checked by, without halo, if that was asked for.
    """

    number: int
    step: Step | None
    values: Array | None
    notes: Notes
    checks: Mapping[str, Array] = field(default_factory=dict)


class Executor(ABC):
    """Has other processes restore the pieces of runs."""

    @property
    @abstractmethod
    def in_words(self) -> str:
        """Return who they are, in a clause for people."""

    @abstractmethod
    def restore(self, job: PieceJob, pieces: Sequence[Piece]) -> Iterator[PieceDone]:
        """Yield pieces as soon as they are restored, in any order; when the iterator is closed, no more are begun.

        Raises
        ------
        RestorationError
            If a piece cannot be restored, or there is nobody any more who could.
        """


def restored_elsewhere(executor: Executor, setup: Setup, preparation: Preparation, notes: Notes) -> Iterator[PieceDone]:
    """Yield the pieces of a run, in any order; before, each is taken into the result and the notes of the run."""
    output, pieces = setup.output, setup.pieces
    waiting = [piece for piece in pieces if not output.done(piece)]
    for piece in pieces:
        if output.done(piece):
            own = notes.piece(piece.number, setup)
            own.skipped(piece.number, output.noted(piece))
            yield PieceDone(number=piece.number, step=None, values=None, notes=own)
    if waiting:
        preparation.train_ahead(setup)
    for done in executor.restore(PieceJob.of(setup, preparation), waiting):
        output.adopt(pieces[done.number], done.values)
        notes.checks.put(pieces[done.number], done.checks)
        notes.pieces[done.number] = done.notes
        yield done

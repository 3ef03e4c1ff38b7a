"""What another process does: restores a piece of a run."""

from __future__ import annotations

import dataclasses

import torch

from ..arrays.frame import MissingPixelsError, NothingToRestoreError
from ..progress import Step
from .devices import resolve_device
from .executor import PieceDone, PieceJob
from .restoration import Restoration


def restore_piece(job: PieceJob, number: int, threads: int) -> PieceDone:
    """Restore a piece and return it, or write it where its result is a folder.

    Parameters
    ----------
    threads : int
        Of PyTorch.
    """
    torch.set_num_threads(threads)
    piece = job.setup.pieces[number]
    setup = dataclasses.replace(job.setup, pieces=[piece], output=job.output, device=resolve_device(job.device))
    last: Step | None = None
    with Restoration(setup, job.preparation) as run:
        try:
            for step in run:
                last = step
        except (NothingToRestoreError, MissingPixelsError) as error:
            notes = run.notes.piece(number, setup)
            notes.passed(number, error)
            job.output.write(piece, setup.untouched(piece, job.output.dtype), notes.to_json())
    checks = {name: values[piece.write] for name, values in run.diagnostics.items()}
    run.notes.checks.arrays.clear()
    # An image would be sent that nobody looks at.
    sent = None if last is None else dataclasses.replace(last, image=torch.empty(0), deviation=None)
    return PieceDone(number=number, step=sent, values=job.output.take(), notes=run.notes.pieces[number], checks=checks)

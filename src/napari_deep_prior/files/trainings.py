"""The two files of a training: its best network, and the last one with all that it goes on from."""

from __future__ import annotations

import time
from typing import final

from ..runs.train import Checkpoint, Training
from .model_files import name_of_last, read_model, read_state, write_model

WRITE_EVERY = 60.0
"""Seconds after which the networks are written anew while a training goes on: a killed one loses no more."""


@final
class TrainingFiles:
    """The best network of a training in a file, and beside it the last one.

    Parameters
    ----------
    best : str
        The file of the best network.
    """

    def __init__(self, best: str) -> None:
        self.best, self.last = best, name_of_last(best)
        self._written = time.monotonic()

    def write(self, training: Training) -> None:
        """Write both networks.

        Raises
        ------
        OSError
            If the disk is full or fails.
        """
        write_model(self.best, training.model)
        checkpoint = training.checkpoint
        write_model(self.last, checkpoint.model, checkpoint.state)
        self._written = time.monotonic()

    def write_now_and_then(self, training: Training) -> None:
        """Write both networks if that was long ago."""
        if time.monotonic() - self._written > WRITE_EVERY:
            self.write(training)


def read_checkpoint(path: str) -> Checkpoint:
    """Return what a training goes on from.

    Raises
    ------
    ValueError
        If the file is none of a training.
    """
    return Checkpoint(model=read_model(path), state=read_state(path))

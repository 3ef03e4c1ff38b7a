"""The two files of a training: its best network, and the last one with all that it goes on from."""

from __future__ import annotations

from ..runs.train import Checkpoint, Training
from .model_files import name_of_last, read_model, read_state, write_model


def write_training(path: str, training: Training) -> None:
    """Write the best network of a training, and beside it the last one.

    Raises
    ------
    OSError
        If the disk is full or fails.
    """
    write_model(path, training.model)
    checkpoint = training.checkpoint
    write_model(name_of_last(path), checkpoint.model, checkpoint.state)


def read_checkpoint(path: str) -> Checkpoint:
    """Return what a training goes on from.

    Raises
    ------
    ValueError
        If the file is none of a training.
    """
    return Checkpoint(model=read_model(path), state=read_state(path))

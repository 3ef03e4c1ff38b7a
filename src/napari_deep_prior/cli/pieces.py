"""Results that are written piece by piece, into a Zarr folder: a run that was stopped goes on where it was."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from ..files.images import ImageFile
from ..runs import report
from ..runs.into_folder import written_into
from ..runs.output import Output
from ..runs.restoration import Restoration
from ..runs.setup import Setup
from ..runs.zarr_output import ZarrOutput
from ..runs.zarr_place import ZarrPlace
from .deliver import Ending, save_network, save_settings, say, say_notes
from .paths import CHECKS


def refuse_whole_images(options: argparse.Namespace) -> None:
    """Raise a ValueError for what needs the whole image in memory."""
    for name in (*CHECKS, "reference"):
        if getattr(options, name) is not None:
            remedy = (
                "compare the result with 'deep-prior compare'" if name == "reference" else "write the result to a .tif"
            )
            raise ValueError(f"a result that is written piece by piece has no --{name}: leave it out, and {remedy}")


def into_zarr(setup: Setup, file: ImageFile, options: argparse.Namespace) -> Setup:
    """Return a run whose pieces go into a folder; nothing is written yet.

    A run that goes on has the tiles with which it began, whatever memory is free now.

    Raises
    ------
    ValueError
        If it cannot be written, holds something else, or has no room.
    """
    place = ZarrPlace(path=Path(options.output), identity=setup.identity, overwrite=options.overwrite)
    setup, output = written_into(setup, file, place)
    if output.pieces_done:
        done = f"{output.pieces_done} of {len(setup.pieces)} {setup.unit}s"
        say(f"{options.output}: {done} were restored by an earlier run")
    return setup


def is_finished(output: Output) -> bool:
    """Return whether a run before has finished a result, and say so."""
    finished = isinstance(output, ZarrOutput) and output.is_complete
    if finished:
        say("a run of the same input, settings and version has finished this result: there is nothing left to do")
    return finished


def deliver_pieces(
    run: Restoration, output: ZarrOutput, ending: Ending, options: argparse.Namespace, *, told: Collection[str]
) -> None:
    """Finish a result, and say what was done; of a run that was stopped, say what is written.

    Parameters
    ----------
    told : collection of str
        Remarks that were made before the run.
    """
    if not ending.finished:
        say(
            f"{options.output}: stopped; {output.pieces_done} of {run.piece_count} {run.setup.unit}s are written, and "
            "the same command goes on with the next one"
        )
        return
    record = run.record
    try:
        output.finish(record.to_json())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped while the pyramid of {options.output!r} was written: the same command finishes it"
        ) from None
    say(f"{options.output}: {report.done_in_words(record, steps=ending.steps, total=ending.total, stopped=False)}")
    say_notes(record, told=told)
    save_settings(record, options)
    save_network(run, options)

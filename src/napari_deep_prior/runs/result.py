"""The result of a run that is over: nothing in it is the input's, wherever the run has ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from ..arrays.axes import Array
from .piece_words import missing_in_words
from .record import Record
from .restoration import Restoration
from .zarr_output import ZarrOutput


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run has made.

    Parameters
    ----------
    image, diagnostics : ndarray, dict of str to ndarray
        An image in a folder is read where it is sliced.
        Without pieces that were not reached: floating-point numbers are NaN there. Whole numbers have no NaN: there the
        slices that were not reached are cut off, and what is left of the last one along the outermost axis is 0. So is
        what is left of an image in tiles that has no other slices.
    record : Record
        What was done; its first remark says what was not reached.
    missing : int
        How many pieces were not reached.
    """

    image: Any
    diagnostics: dict[str, Array]
    record: Record
    missing: int


def _in_folder(run: Restoration, output: ZarrOutput) -> Result:
    """Return the result of a run whose pieces lie in a folder; if all of them are there, it is finished."""
    record, missing = run.record, run.piece_count - output.pieces_done
    if missing:
        # The piece under way is shown, and not written.
        record = replace(record, chosen_steps=record.chosen_steps[: output.pieces_done])
    else:
        output.finish(record.to_json())
    return Result(image=output.image(), diagnostics={}, record=record, missing=missing)


def result_of(run: Restoration) -> Result:
    """Return the result of a run that was closed after a step at least.

    Raises
    ------
    NotWrittenError
        If it lies in a folder, and the disk is full or gone; the pieces stay.
    """
    if isinstance(run.setup.output, ZarrOutput):
        return _in_folder(run, run.setup.output)
    missing, pieces = run.unreached, run.setup.pieces
    if not missing:
        return Result(image=run.image, diagnostics=run.diagnostics, record=run.record, missing=0)
    image: Array = run.growing
    index: tuple[slice, ...] = ()
    empty = missing
    # Slices can be cut off where all pieces of one come before those of the next.
    last_ones = missing[0] > 0 and missing[-1] - missing[0] + 1 == len(missing) == len(pieces) - missing[0]
    in_order = last_ones and bool(pieces[0].place) and (run.setup.tile is None or pieces[1].place == pieces[0].place)
    if image.dtype.kind != "f" and in_order:
        last = pieces[missing[0] - 1].write
        axis, reached = next((axis, at) for axis, at in enumerate(last) if isinstance(at, int))
        index = (slice(None),) * axis + (slice(0, reached + 1),)
        empty = [number for number in missing if pieces[number].write[axis] == reached]
    for array in (image, *run.diagnostics.values()):
        if array.dtype.kind == "f":
            for number in missing:
                array[pieces[number].write] = np.nan
    value = "NaN" if image.dtype.kind == "f" else "0"
    count, unit, left_out = len(pieces), run.setup.unit, len(missing) - len(empty)
    if last_ones:
        remark = missing_in_words(count=count, left_out=left_out, empty=len(empty), value=value, unit=unit)
    else:
        # Other processes restore pieces in any order.
        remark = f"{len(missing)} of {count} {unit}s were not reached: they are empty ({value})"
    return Result(
        image=image[index],
        diagnostics={name: values[index] for name, values in run.diagnostics.items()},
        record=replace(run.record, remarks=[remark, *run.record.remarks]),
        missing=len(missing),
    )

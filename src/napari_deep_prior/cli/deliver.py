"""A run from its first step to the files that it leaves: progress, result, diagnostics, comparison."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from tqdm import tqdm

from ..arrays.axes import Array
from ..files import images
from ..files.kinds import Shown
from ..runs import report
from ..runs.compare import compare
from ..runs.errors import RestorationError
from ..runs.reference import Reference
from ..runs.restoration import Restoration
from ..runs.result import Result, result_of

STEPS_PER_LOSS = 50
"""Steps after which the loss is shown anew: reading it waits for the device."""


@final
@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run ended: the last step of how many, and what stopped it."""

    steps: int
    total: int
    interrupted: bool = False
    failure: RestorationError | None = None

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return not self.interrupted and self.failure is None


@final
@dataclass(frozen=True)
class Comparison:
    """An image of the truth, and the image before the run; None if that has pixels without a value."""

    before: Array | None
    reference: Reference

    @classmethod
    def of(cls, path: str | None, run: Restoration, pixels: Array) -> Self | None:
        """Return the comparison with a file, None if there is none; before an enlarged image is the interpolated one.

        Raises
        ------
        ValueError
            If it has another shape, or nothing can be compared with it.
        """
        if path is None:
            return None
        file = images.read_as_stored(path)
        for remark in file.remarks:
            say(f"{path}: {remark}")
        if file.pixels.shape != run.shape:
            raise ValueError(f"the reference {path!r} has shape {file.pixels.shape}; the result has {run.shape}")
        before = run.image if run.factors else pixels
        reference = Reference.of(path, file.pixels, run.axes)
        return cls(before if np.isfinite(before).all() else None, reference)

    def with_result(self, after: Array) -> str:
        """Return PSNR and SSIM before and after, as one line."""
        pair = {"before": self.before, "result": after}
        rows = [
            row for name, image in pair.items() if image is not None for row in compare(name, image, self.reference)
        ]
        parts = [f"PSNR {' → '.join(f'{row.psnr:.2f}' for row in rows)} dB"]
        similarities = [row.ssim for row in rows if isinstance(row.ssim, float)]
        if similarities:
            parts.append(f"SSIM {' → '.join(f'{value:.4f}' for value in similarities)}")
        return ", ".join(parts) + f" (data range {self.reference.span:g})"


def say(text: str) -> None:
    """Print a line for people on the error stream."""
    print(text, file=sys.stderr)


def drive(run: Restoration) -> Ending:
    """Iterate a run under a progress bar, to its end, to Ctrl-C or to a failure."""
    tqdm.monitor_interval = 0  # no thread that only watches the bar
    bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True)
    piece = steps = total = 0
    try:
        for step in run:
            steps, total = step.number, step.total
            if run.piece_number != piece:
                piece = run.piece_number
                bar.reset(total=total)
                bar.set_description(f"slice {piece}/{run.piece_count}" if run.piece_count > 1 else "restoring")
            bar.update()
            if steps % STEPS_PER_LOSS == 0:
                bar.set_postfix(loss=f"{float(step.loss):.3g}", best=int(step.chosen))
    except KeyboardInterrupt:
        return Ending(steps=steps, total=total, interrupted=True)
    except RestorationError as error:
        return Ending(steps=steps, total=total, failure=error)
    finally:
        bar.close()
    return Ending(steps=steps, total=total)


def deliver(
    run: Restoration,
    file: images.ImageFile,
    comparison: Comparison | None,
    ending: Ending,
    options: argparse.Namespace,
    *,
    told: Collection[str] = (),
) -> None:
    """Write the result, of a run that was stopped without what it did not reach, and say how good it is.

    Parameters
    ----------
    file : ImageFile
        The input, with the size of the pixels of the result.
    told : collection of str
        Remarks that were made before the run.
    """
    state = f"stopped while the result was written: {options.output!r} is complete, or as it was before"
    try:
        result = result_of(run)
        record, file = result.record, _part_of(file, result.image.shape)
        _write(options.output, result.image, file, options, record=record.to_json())
        state = f"stopped after the result was written to {options.output!r}"
        done = report.done_in_words(record, steps=ending.steps, total=ending.total, stopped=not ending.finished)
        say(f"{options.output}: {done}")
        for remark in record.remarks:
            if remark not in told:
                say(remark)
        for note in record.passed_through:
            say(f"passed through unchanged: {note}")
        if comparison is not None and result.missing:
            say("nothing was compared with the reference: not all slices are restored")
        elif comparison is not None:
            print(comparison.with_result(result.image))
        _write_diagnostics(result, file, options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state) from None


def _write(
    path: str,
    pixels: Array,
    file: images.ImageFile,
    options: argparse.Namespace,
    *,
    record: dict[str, object] | None = None,
    shows: Shown = "result",
) -> None:
    written = dataclasses.replace(file, pixels=pixels, record=record or {}, shows=shows)
    images.write(path, written, overwrite=options.overwrite)


def _part_of(file: images.ImageFile, shape: tuple[int, ...]) -> images.ImageFile:
    """Return what is known of an image without the planes that a result of that shape does not have."""
    lengths = dict(zip(file.axes, shape, strict=True))
    planes = {
        place: plane
        for place, plane in file.planes.items()
        if all(int(at) < lengths.get(letter, math.inf) for letter, at in zip("TZC", place.split(), strict=True))
    }
    return dataclasses.replace(file, planes=planes)


def _write_diagnostics(result: Result, file: images.ImageFile, options: argparse.Namespace) -> None:
    """Write what the result can be checked by, where it was asked for."""
    for verdict in filter(None, result.record.residuals):
        say(verdict)
    asked: list[tuple[Shown, str | None]] = [("residual", options.residual), ("uncertainty", options.uncertainty)]
    for name, path in asked:
        if path is not None and name in result.diagnostics:
            _write(path, result.diagnostics[name], file, options, shows=name)
            say(f"{path}: {name}")
    for name, path in asked:
        if path is not None and name not in result.diagnostics:
            raise ValueError(f"no {name} was written to {path!r}: no slice was restored in a way that has one")

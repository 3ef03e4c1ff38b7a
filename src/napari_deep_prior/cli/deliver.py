"""A run from its first step to the files that it leaves: progress, result, diagnostics, comparison."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from tqdm import tqdm

from ..arrays.axes import Array
from ..files import images
from ..files.kinds import Shown
from ..files.recipes import write_recipe
from ..progress import Step
from ..runs import report
from ..runs.batch import Scores
from ..runs.compare import compare
from ..runs.errors import RestorationError
from ..runs.record import Recipe, Record
from ..runs.reference import Reference
from ..runs.restoration import Restoration
from ..runs.result import Result, result_of
from ..runs.threads import fastest_threads

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
    def of(cls, path: str | None, run: Restoration, pixels: Array, read: Callable[[str], Array]) -> Self | None:
        """Return the comparison with a file, None if there is none; before an enlarged image is the interpolated one.

        Parameters
        ----------
        read : function
            Returns the pixels of a file.

        Raises
        ------
        ValueError
            If it has another shape, or nothing can be compared with it.
        """
        if path is None:
            return None
        reference = read(path)
        if reference.shape != run.shape:
            raise ValueError(f"the reference {path!r} has shape {reference.shape}; the result has {run.shape}")
        before = run.image if run.factors else pixels
        return cls(before if np.isfinite(before).all() else None, Reference.of(path, reference, run.axes))

    def scores(self, after: Array) -> Scores:
        """Return PSNR and SSIM before and after."""
        psnr_before, ssim_before = (None, None) if self.before is None else self._measures("before", self.before)
        psnr, ssim = self._measures("result", after)
        return Scores(psnr_before=psnr_before, psnr=psnr, ssim_before=ssim_before, ssim=ssim)

    def _measures(self, name: str, image: Array) -> tuple[float, float | None]:
        """Return PSNR and SSIM of an image; None where it is too small for an SSIM."""
        (row,) = compare(name, image, self.reference)
        return row.psnr, row.ssim if isinstance(row.ssim, float) else None

    def with_result(self, after: Array) -> str:
        """Return PSNR and SSIM before and after, as one line."""
        scores = self.scores(after)
        parts = [f"PSNR {_arrow(scores.psnr_before, scores.psnr, '.2f')} dB"]
        if scores.ssim is not None:
            parts.append(f"SSIM {_arrow(scores.ssim_before, scores.ssim, '.4f')}")
        return ", ".join(parts) + f" (data range {self.reference.span:g})"


def _arrow(before: float | None, after: float, digits: str) -> str:
    """Return two numbers with an arrow between them; the first can be unknown."""
    return " → ".join(format(value, digits) for value in (before, after) if value is not None)


def say(text: str) -> None:
    """Print a line for people on the error stream."""
    print(text, file=sys.stderr)


def drive(run: Restoration) -> Ending:
    """Iterate a run under a progress bar, to its end, to Ctrl-C or to a failure."""
    tqdm.monitor_interval = 0  # no thread that only watches the bar
    bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True)
    piece = steps = total = 0
    try:
        for step in _computed_fast(run):
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


def _computed_fast(run: Restoration) -> Iterator[Step]:
    """Yield the steps of a run, computed with as many threads as is fastest."""
    with fastest_threads(run.device) as remark:
        if remark:
            say(remark)
        yield from run


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
        The input.
    told : collection of str
        Remarks that were made before the run.

    Raises
    ------
    RestorationError, KeyboardInterrupt
        What ended the run, if nothing was restored.
    """
    if not ending.finished and all(step is None for step in run.record.chosen_steps):
        raise ending.failure or KeyboardInterrupt
    state = f"stopped while the result was written: {options.output!r} is complete, or as it was before"
    try:
        result = result_of(run)
        record = result.record
        write_result(result, file, run.factors, options)
        state = f"stopped after the result was written to {options.output!r}"
        done = report.done_in_words(record, steps=ending.steps, total=ending.total, stopped=not ending.finished)
        say(f"{options.output}: {done}")
        say_notes(record, told=told)
        if comparison is not None and result.missing:
            say("nothing was compared with the reference: not all slices are restored")
        elif comparison is not None:
            print(comparison.with_result(result.image))
        for verdict in filter(None, record.residuals):
            say(verdict)
        write_checks(result, file, options, tell=say)
        save_settings(record, options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state) from None


def say_notes(record: Record, *, told: Collection[str]) -> None:
    """Say what is to be known of a result, but for remarks that were made before the run."""
    for remark in record.remarks:
        if remark not in told:
            say(remark)
    for note in record.passed_through:
        if not note.endswith(report.RESTORED_EARLIER):
            say(f"passed through unchanged: {note}")


def save_settings(record: Record, options: argparse.Namespace) -> None:
    """Write the settings of a run, where it was asked for."""
    if options.save_settings is not None:
        write_recipe(options.save_settings, Recipe.of(record))
        say(f"{options.save_settings}: settings")


def with_spacing_of_result(file: images.ImageFile, factors: Mapping[str, float]) -> images.ImageFile:
    """Return what is known of an input, with the size of the pixels of its result.

    Parameters
    ----------
    factors : mapping of str to float
        Pixels of the result in one of the input, by axis letter; what is not named is 1.
    """
    spacing = {letter: size / factors.get(letter, 1) for letter, size in file.spacing.items()}
    return dataclasses.replace(file, spacing=spacing)


def write_result(
    result: Result, file: images.ImageFile, factors: Mapping[str, float], options: argparse.Namespace
) -> None:
    """Write a result with its record, and with the size of its pixels."""
    file = _part_of(with_spacing_of_result(file, factors), result.image.shape)
    _write(options.output, result.image, file, options, record=result.record.to_json())


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


def write_checks(
    result: Result, file: images.ImageFile, options: argparse.Namespace, *, tell: Callable[[str], None]
) -> None:
    """Write what the result can be checked by, where it was asked for, and tell its paths.

    Raises
    ------
    ValueError
        If the run had nothing of what was asked for.
    """
    file = _part_of(file, result.image.shape)
    asked: list[tuple[Shown, str | None]] = [("residual", options.residual), ("uncertainty", options.uncertainty)]
    for name, path in asked:
        if path is not None and name in result.diagnostics:
            _write(path, result.diagnostics[name], file, options, shows=name)
            tell(f"{path}: {name}")
    for name, path in asked:
        if path is not None and name not in result.diagnostics:
            raise ValueError(f"no {name} was written to {path!r}: no slice was restored in a way that has one")

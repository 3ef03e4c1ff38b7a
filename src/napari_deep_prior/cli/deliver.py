"""A run from its first step to the files that it leaves: progress, result, diagnostics, comparison."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import final

from tqdm import tqdm

from ..arrays.axes import Array
from ..files import images
from ..files.kinds import Shown
from ..files.recipes import write_recipe
from ..files.results import part_of, with_spacing_of_result
from ..runs import report
from ..runs.comparison import Comparison
from ..runs.errors import RestorationError
from ..runs.record import Recipe, Record
from ..runs.restoration import Restoration
from ..runs.result import Result, result_of
from .by_products import save_model

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
                place = f"{run.setup.unit} {piece}/{run.piece_count}"
                bar.set_description(place if run.piece_count > 1 else "restoring")
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
            say(f"nothing was compared with the reference: not all {record.unit}s are restored")
        elif comparison is not None:
            print(comparison.with_result(result.image))
        for verdict in filter(None, record.residuals):
            say(verdict)
        write_checks(result, file, options, tell=say)
        save_settings(record, options)
        save_network(run, options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state) from None


def say_notes(record: Record, *, told: Collection[str]) -> None:
    """Say what is to be known of a result, but for remarks that were made before the run."""
    for remark in record.remarks:
        if remark not in told:
            say(remark)
    for note in report.passed_through(record):
        say(f"passed through unchanged: {note}")


def save_network(run: Restoration, options: argparse.Namespace) -> None:
    """Write the network of all slices, where it was asked for."""
    if said := save_model(run, options):
        say(said)


def save_settings(record: Record, options: argparse.Namespace) -> None:
    """Write the settings of a run, where it was asked for."""
    if options.save_settings is not None:
        write_recipe(options.save_settings, Recipe.of(record))
        say(f"{options.save_settings}: settings")


def write_result(
    result: Result, file: images.ImageFile, factors: Mapping[str, float], options: argparse.Namespace
) -> None:
    """Write a result with its record, and with the size of its pixels."""
    file = part_of(with_spacing_of_result(file, factors), result.image.shape)
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


def write_checks(
    result: Result, file: images.ImageFile, options: argparse.Namespace, *, tell: Callable[[str], None]
) -> None:
    """Write what the result can be checked by, where it was asked for, and tell its paths.

    Raises
    ------
    ValueError
        If the run had nothing of what was asked for.
    """
    file = part_of(file, result.image.shape)
    asked: list[tuple[Shown, str | None]] = [("residual", options.residual), ("uncertainty", options.uncertainty)]
    for name, path in asked:
        if path is not None and name in result.diagnostics:
            _write(path, result.diagnostics[name], file, options, shows=name)
            tell(f"{path}: {name}")
    for name, path in asked:
        if path is not None and name not in result.diagnostics:
            raise ValueError(f"no {name} was written to {path!r}: no slice was restored in a way that has one")

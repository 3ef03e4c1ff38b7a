"""The command ``batch``: the images of a folder, each restored as the command of a task would do it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from ..files.folders import TABLE, size_of
from ..files.model_files import read_model, refuse_model, write_model
from ..files.recipes import read_recipe, refuse_recipe, write_recipe
from ..files.replacing import alone_in, refuse_place
from ..runs.batch import Job, JobOutcome, restore_all
from ..runs.batch_network import BatchNetwork
from ..runs.batch_table import Table
from ..runs.batch_words import (
    WITHOUT_RESULT,
    counts_in_words,
    end_in_words,
    files_in_words,
    outcome_in_words,
    progress_in_words,
)
from ..runs.devices import describe_device, resolve_device
from ..runs.recommend import Wish, asked
from ..tasks import TASKS, SuperResolve, Task
from . import restore
from .batch_files import make_folders, open_file, options_of_files
from .chosen import changed_task, recipe_of, task_of, wish_of, with_recipe
from .deliver import say
from .exit_codes import DONE, FAILED, INCOMPLETE, INTERRUPTED
from .inputs import given_text
from .options import layout
from .paths import SAVED, refuse_all_paths

COMMAND = "batch"
SUMMARY = "Restore all images of a folder, one after another, and write a table of them."
CODES = (
    "Results that are there already, of the same input, settings and version, are skipped. Exit codes: "
    f"{DONE} all files are restored; {INCOMPLETE} some could not be, and the table says which and why; {FAILED} the "
    f"batch could not begin or go on; {INTERRUPTED} Ctrl-C: what is finished stays."
)

BETWEEN = 0.5
"""Seconds between two changes of the line of progress."""


def add_tasks(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Add a command for each task; only the one that was given has its options."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="TASK")
    for name, kind in TASKS.items():
        usage = f"deep-prior {COMMAND} {name} [options] FOLDER OUT"
        command = commands.add_parser(
            name,
            help=f"images are {kind.result}",
            description=SUMMARY,
            epilog=CODES,
            usage=usage,
            formatter_class=layout,
        )
        command.set_defaults(run=run)
        if name in given:
            _add_folders(command)
            restore.add_options(command, kind)


def run(options: argparse.Namespace) -> int:
    """Restore the images of a folder; return the exit code.

    Raises
    ------
    ValueError
        If something that was given cannot be used; found before the first image is read.
    NotWrittenError
        If there is no place for the results; what is finished stays.
    """
    options = with_recipe(options)
    restore.refuse_values(options)
    device = _refuse_settings(options)
    every = options_of_files(options)
    refuse_all_paths(every, _own_outputs(options))
    make_folders(every)
    place = Path(options.output) / TABLE
    refuse_place(place, overwrite=True)
    with alone_in(place.parent):
        table = Table(place)
        _save_settings(options)
        say(f"{files_in_words(len(every))}; on {describe_device(device)}")
        lacking = sum(each.reference is None for each in every)
        if options.reference_folder is not None and lacking:
            say(f"{options.reference_folder}: no reference for {lacking} of {files_in_words(len(every))}")
        jobs = [_job(options, each) for each in every]
        if not options.shared_model:
            return _drive(jobs, table)
        network = BatchNetwork(jobs, asked(*_task_and_wish(options))[0])
        code = _drive(network.jobs, table)
        _save_network(network, options)
        return code


def _add_folders(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="of the images; for other inputs, too, a folder with files of their names")
    add("output", metavar="OUT", help="folder of the results (.tif, of their names) and of the table; --residual, too")
    add("--pattern", metavar="NAMES", help="which files, such as '*.tif'; default: all TIFF, PNG, JPEG and Zarr")
    add("--zarr", action="store_true", help="all results as OME-Zarr, slice by slice; of Zarr images they always are")
    truth = "of images of the truth, of the same names: PSNR and SSIM in the table"
    add("--reference-folder", metavar="FOLDER", help=truth)
    one = "train one network for all images, and let held-out pixels of each decide how much it counts there"
    add("--shared-model", action="store_true", help=one)


def _task_and_wish(options: argparse.Namespace) -> tuple[Task, Wish]:
    task = changed_task(task_of(options), options)
    return task, wish_of(task, options)


def _save_network(network: BatchNetwork, options: argparse.Namespace) -> None:
    model = network.model(TASKS[options.command]())
    if options.save_model is not None and model is None:
        say(f"{options.save_model}: not written, since no network was trained")
    elif options.save_model is not None and model is not None:
        write_model(options.save_model, model)
        say(f"{options.save_model}: the network of all images, {model.weight_count} weights")


def _refuse_settings(options: argparse.Namespace) -> torch.device:
    """Raise a ValueError for what would be wrong with every file; return the device."""
    task, wish = _task_and_wish(options)
    if options.shared_model:
        BatchNetwork((), asked(task, wish)[0])
    if options.shared_model and options.save_model is not None:
        # The same batch goes on, and has the same network.
        refuse_model(options.save_model, overwrite=True)
    if options.save_model is not None and not options.shared_model:
        raise ValueError(
            "every image of a batch would have a network of its own: leave out --save-model, or train one for all of "
            "them with --shared-model"
        )
    if options.reference is not None and options.reference_folder is not None:
        raise ValueError("--reference and --reference-folder exclude each other: leave out one of them")
    path = given_text("model", options)
    if path is not None and not Path(path).is_dir():
        read_model(path).refuse_task(enlarges=isinstance(task, SuperResolve))
    return resolve_device(options.device)


def _own_outputs(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return what is written once: name and path of each file."""
    saved = [] if options.save_settings is None else [(SAVED, options.save_settings)]
    return [("table", str(Path(options.output) / TABLE)), *saved]


def _save_settings(options: argparse.Namespace) -> None:
    """Write the settings that were asked for; by which method a file is restored, only the file shows."""
    path = options.save_settings
    if path is None:
        return
    task = changed_task(task_of(options), options)
    recipe = recipe_of(task, wish_of(task, options), separate_channels=bool(options.separate_channels))
    refuse_recipe(path, overwrite=True)
    # The same settings may be there: a batch is begun again to go on.
    if Path(path).exists() and not options.overwrite and read_recipe(path) != recipe:
        raise ValueError(f"{path!r} has other settings: choose another name, or allow it with --overwrite")
    write_recipe(path, recipe)


def _job(options: argparse.Namespace, of_file: argparse.Namespace) -> Job:
    path = Path(of_file.input)
    return Job(
        name=path.relative_to(options.folder).as_posix(),
        result=of_file.output,
        size=size_of(path),
        open=partial(open_file, of_file),
    )


def _drive(jobs: Sequence[Job], table: Table) -> int:
    """Restore everything under a progress bar; return the exit code."""
    outcomes: list[JobOutcome] = []
    tqdm.monitor_interval = 0  # no thread that only watches the bar
    shown = 0.0
    try:
        with tqdm(total=len(jobs), unit="file", file=sys.stderr, dynamic_ncols=True) as bar:
            for event in restore_all(jobs):
                if isinstance(event, JobOutcome):
                    outcomes.append(event)
                    table.add(event)
                    tqdm.write(f"{len(outcomes)}/{len(jobs)} {outcome_in_words(event)}", file=sys.stderr)
                    bar.update()
                elif event.step is None or time.monotonic() - shown > BETWEEN:
                    shown = time.monotonic()
                    bar.set_postfix_str(progress_in_words(event))
    except KeyboardInterrupt:
        table.write()
        under_way = jobs[len(outcomes)].name if len(outcomes) < len(jobs) else ""
        lost = f", {under_way!r} is not finished" if under_way else ""
        say(f"deep-prior: stopped; {counts_in_words(outcomes)}{lost}")
        return INTERRUPTED
    table.write()
    _say_end(outcomes)
    return INCOMPLETE if any(outcome.status in WITHOUT_RESULT for outcome in outcomes) else DONE


def _say_end(outcomes: Sequence[JobOutcome]) -> None:
    """Say how many files are restored, which ones are not, and which images are unlike most."""
    for words in end_in_words(outcomes, len(outcomes)):
        say(words)
    for outcome in outcomes:
        if outcome.status in WITHOUT_RESULT:
            say(f"deep-prior: {outcome_in_words(outcome)}")

"""The command that trains a network on a person's own images."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from ..files.kernels import parse_kernel
from ..files.trainings import TrainingFiles, read_checkpoint
from ..physics.kernels import Kernel
from ..runs import report
from ..runs.devices import DEVICES, describe_device, resolve_device
from ..runs.errors import RestorationError
from ..runs.train import Checkpoint, Training, train
from ..runs.training_choices import OF_TASK, network_for, settings_of, task_of
from ..runs.training_forecast import TrainingForecast
from ..runs.training_images import TrainingImage, pixel_count
from ..settings import Settings, choose_group, fields, flat_fields, replace_flat
from ..tasks import TASKS, Denoise, Task
from ..training.image_training import TrainingStep
from ..training.training_settings import TrainingSettings
from .chosen import given_settings
from .deliver import say
from .exit_codes import DONE, FAILED, INTERRUPTED, TERMINATED
from .inputs import FileReader
from .options import GROUP, Section, add_settings, choices_of, layout, option_of, refuse_empty
from .training_files import outputs_of, read_images

COMMAND = "train"
SUMMARY = "Train a network on your own images, to denoise or enlarge others of the same kind."
CODES = (
    "'deep-prior denoise --help-advanced' lists the settings of the networks. The best network goes to OUT, the last "
    "one beside it, from which --resume goes on. Ctrl-C and SIGTERM end the training and keep both. Exit codes: "
    f"{DONE} done; {FAILED} the training could not begin or go on; {INTERRUPTED} Ctrl-C; {TERMINATED} SIGTERM."
)

DENOISING = ("clean",)
"""Settings of a training that only one for denoising has."""

BETWEEN = 0.5
"""Seconds between two changes of the line of progress."""


def add_tasks(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Add a command for each task; only the one that was given has its options."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="TASK")
    for kind in OF_TASK:
        name = kind.command
        command = commands.add_parser(
            name,
            help=f"images are to be {kind.result}",
            description=SUMMARY,
            epilog=CODES,
            usage=f"deep-prior {COMMAND} {name} [options] FOLDER ... --out MODEL.safetensors",
            formatter_class=layout,
        )
        command.set_defaults(run=run)
        if name in given:
            _add_options(command, kind)


def run(options: argparse.Namespace) -> int:
    """Train, and write the best network and the last one; return the exit code.

    Raises
    ------
    ValueError
        If something that was given cannot be used; found before the first step.
    RestorationError
        If the training failed; the best network so far is written.
    """
    refuse_empty(options, {"folders": "FOLDER"})
    outputs = outputs_of(options)
    checkpoint = None if options.resume is None else read_checkpoint(options.resume)
    task = _task(options, checkpoint)
    settings = _settings(options, checkpoint, task)
    files = FileReader()
    images = read_images(options, files)
    device = resolve_device(options.device)
    say(f"{len(images)} image{'s' * (len(images) != 1)}; on {describe_device(device)}")
    say(_forecast(images, task, settings, device).in_words())
    training = train(images, task, settings, kernel=_kernel(options), device=options.device, resume=checkpoint)
    _say_beginning(training)
    try:
        return _drive(training, outputs)
    finally:
        training.close()


def _add_options(parser: argparse.ArgumentParser, kind: type[Task]) -> None:
    add = parser.add_argument
    add("folders", metavar="FOLDER", nargs="+", help="of images (.tif, .png, .jpg, .zarr), or single images")
    add("--out", metavar="MODEL", required=True, help="the network: a name that ends in .safetensors")
    add("--pattern", metavar="NAMES", help="which files of the folders, such as '*.tif', or '**/*.tif' with those in "
        "their folders; default: all images")  # fmt: skip
    add("--axes", help="one letter per axis of all images, such as ZYX or YXS (colour); default: as in the files")
    pairs = parser.add_argument_group("training pairs").add_argument
    if kind is Denoise:
        pairs("--clean-folder", metavar="FOLDER", help="clean images of the same places, with the same names")
    else:
        blur = "the blur: gaussian:1.2, optical:NA=1.3,wavelength=0.52,pixel=0.1, or an image of it"
        pairs("--kernel", metavar="KERNEL", help=blur)
    # What only the other task has.
    parser.set_defaults(**{"kernel": None} if kind is Denoise else {"clean_folder": None})
    how = parser.add_argument_group("how").add_argument
    (network,) = (each for each in fields(TrainingSettings) if each.groups)
    names = f"{network.about.help}: {', '.join(network.groups)}"
    how("--network", dest=f"{GROUP}network", metavar="NAME", default=argparse.SUPPRESS, help=names)
    how("--resume", metavar="FILE", help="go on from the last network of another training, with the same settings")
    how("--device", metavar="NAME", default=DEVICES[0], help=", ".join(DEVICES))
    how("--overwrite", action="store_true", help="replace networks that have these names")
    add_settings(parser, _sections(kind))


def _sections(kind: type[Task]) -> list[Section]:
    training, groups = TrainingSettings(), dict[str, Settings]()
    for group, choice, chosen in choices_of(training):
        groups[f"{group} {choice}"] = network_for(kind(), getattr(chosen, group))
    of_task = [each for each in _own(kind()) if each.name in OF_TASK[kind]]
    of_training = [each for each in _own(training) if kind is Denoise or each.name not in DENOISING]
    # All of them are shown: there is no further help.
    shown = (
        dataclasses.replace(each, about=dataclasses.replace(each.about, advanced=False))
        for each in (*of_task, *of_training)
    )
    own = Section("task", tuple(shown))
    return [own, *(Section(title, _own(group)) for title, group in groups.items())]


def _own(settings: Settings) -> tuple[Any, ...]:
    return tuple(
        dataclasses.replace(each, default=getattr(settings, each.name))
        for each in fields(type(settings))
        if each.kind is not Settings
    )


def _task(options: argparse.Namespace, checkpoint: Checkpoint | None) -> Task:
    """Return the task; of a training that goes on the one that it had, unless another is given."""
    kind = TASKS[options.command]
    task = kind()
    if checkpoint is not None:
        if checkpoint.model.task != kind.command:
            raise ValueError(
                f"{options.resume!r} was trained for {checkpoint.model.task!r}, and not for {kind.command!r}: choose "
                "that task"
            )
        task = task_of(checkpoint.model)
    values = {name: value for name, value in given_settings(options).items() if name in OF_TASK[kind]}
    return replace_flat(task, values)


def _settings(options: argparse.Namespace, checkpoint: Checkpoint | None, task: Task) -> TrainingSettings:
    """Return the settings that are asked for; of a training that goes on all but its time are those that it had.

    Raises
    ------
    ValueError
        If the network has no such setting, or a value is beyond its limits.
    """
    settings = TrainingSettings()
    if checkpoint is not None:
        settings = settings_of(checkpoint.model)
    values = {
        name: value for name, value in given_settings(options).items() if name not in OF_TASK[TASKS[options.command]]
    }
    # A smaller crop may only fit the network that is chosen, and the other way round.
    crop = max(settings.crop, values.get("crop", 0))
    settings = dataclasses.replace(settings, crop=crop)
    chosen = getattr(options, f"{GROUP}network", None)
    if chosen is not None:
        settings = choose_group(settings, "network", chosen)
        if checkpoint is None:
            settings = dataclasses.replace(settings, network=network_for(task, settings.network))
    lacking = sorted(set(values) - {each.name for each in flat_fields(settings)})
    if lacking:
        names = " and ".join(map(option_of, lacking))
        raise ValueError(f"{type(settings.network).__name__} has no {names}: leave it out, or choose another network")
    return replace_flat(settings, values)


def _kernel(options: argparse.Namespace) -> Kernel | None:
    return None if options.kernel is None else parse_kernel(options.kernel, dimensions=2)


def _forecast(
    images: Sequence[TrainingImage], task: Task, settings: TrainingSettings, device: torch.device
) -> TrainingForecast:
    return TrainingForecast(
        settings=settings,
        images=len(images),
        pixels=pixel_count(images),
        restored=isinstance(task, Denoise) and not settings.clean and images[0].clean is None,
        device=device,
    )


def _say_beginning(training: Training) -> None:
    """Say what is trained on, what is held out, and what is to be known of both."""
    names = [image.name for image in training.split.held_out]
    if training.before is not None:
        shown = ", ".join(names[: report.MOST_NAMED]) + (" ..." if len(names) > report.MOST_NAMED else "")
        say(f"held out: {shown}; before: {training.before.in_words()}")
    else:
        say("nothing is held out: the last network is kept, and how good it is nobody knows")
    for remark in training.remarks:
        say(remark)


def _drive(training: Training, outputs: TrainingFiles) -> int:
    """Train under a progress bar to the end, to Ctrl-C or to a failure; write the networks and return the exit code."""
    tqdm.monitor_interval = 0  # no thread that only watches the bar
    code = DONE
    began, shown = time.monotonic(), 0.0
    with tqdm(total=100, unit="%", file=sys.stderr, dynamic_ncols=True, bar_format="{l_bar}{bar}{postfix}") as bar:
        try:
            for step in training:
                bar.n = round(100 * min(1.0, step.done))
                if step.validation is not None:
                    tqdm.write(_in_words(step), file=sys.stderr)
                    outputs.write_now_and_then(training)
                if time.monotonic() - shown > BETWEEN:
                    shown = time.monotonic()
                    left = report.duration((shown - began) * (1 - step.done) / max(step.done, 1e-6))
                    bar.set_postfix_str(f" step {step.number}, loss {float(step.loss):.3g}, about {left} left")
        except KeyboardInterrupt:
            code = INTERRUPTED
            training.conclude()
        except RestorationError:
            outputs.write(training)
            raise
    outputs.write(training)
    about = training.model.training
    said = ""
    if "psnr" in about:
        said = f": PSNR of held-out images {about['psnr_before']:.2f} → {about['psnr']:.2f} dB"
    say(f"{outputs.best}: the network of step {about['chosen']} of {about['steps']}{said}")
    say(f"{outputs.last}: the last network, for --resume")
    if training.doubt:
        say(training.doubt)
    return code


def _in_words(step: TrainingStep) -> str:
    assert step.validation is not None  # noqa: S101  (for mypy: the caller has looked)
    kept = ", kept" if step.chosen == step.number else ""
    held_out = f"held out: loss {step.validation.loss:.4g}, {step.validation.after.in_words()}"
    return f"step {step.number}: loss {float(step.loss):.4g}; {held_out}{kept}"

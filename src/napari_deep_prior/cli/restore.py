"""The commands that restore an image: one for each task, derived from its inputs, its methods and their settings."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final, get_args

import numpy as np

from ..files import images
from ..files.zarr_reader import is_zarr_name
from ..runs.comparison import Comparison
from ..runs.devices import DEVICES, describe_device, why_no_gpu
from ..runs.efforts import AUTO, DEFAULT_EFFORT, EFFORTS, methods_of
from ..runs.forecast import Forecast
from ..runs.identity import identity
from ..runs.preparation import Outlook, look_ahead
from ..runs.restoration import Restoration
from ..runs.run_options import ResultType, RunOptions
from ..runs.setup import Setup, set_up
from ..runs.zarr_output import ZarrOutput
from ..tasks import TASKS, SuperResolve, Task
from . import by_products, super_resolve
from .chosen import changed_task, saved_inputs, task_of, wish_of, with_recipe
from .deliver import deliver, drive, say
from .exit_codes import DONE, INTERRUPTED
from .inputs import FileReader, Group, add_inputs, read_inputs
from .large import AdvancedHelp, add_large, elsewhere, is_elsewhere
from .options import add_groups, add_settings, refuse_empty, sections
from .paths import CHECKS, refuse_paths
from .pieces import deliver_pieces, into_zarr, is_finished, refuse_whole_images

PRESETS_ARE_GONE = (
    "--preset is gone: --method says how ({methods}; before: the name of the preset) and --effort how much time is "
    "spent ({efforts}; 'paper' is now 'published')"
)

_ARGUMENTS = {"input": "IN", "folder": "FOLDER", "output": "OUT", "save_settings": "--save-settings"}
"""What the help calls the arguments that are no options."""


@final
@dataclass(frozen=True)
class _Extras:
    """What only one task has: more options, and how they make the task."""

    add: Callable[[Group], None]
    task: Callable[[images.ImageFile, argparse.Namespace], Task]


_EXTRAS: Mapping[str, _Extras] = {SuperResolve.command: _Extras(super_resolve.add_options, super_resolve.task)}


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the image and its result."""
    parser.add_argument("input", metavar="IN", help="TIFF, OME-TIFF, PNG, JPEG, Zarr or OME-Zarr")
    parser.add_argument(
        "output", metavar="OUT", help="OME-TIFF (.tif), with a record; .png; or OME-Zarr (.zarr), piece by piece"
    )


def add_options(parser: argparse.ArgumentParser, kind: type[Task]) -> None:
    """Add all options of the command of a task."""
    parser.add_argument(
        "--help-advanced",
        action=AdvancedHelp,
        nargs=0,
        const=kind,
        help="show all settings, by task, method and network; channels, tiles; and exit",
    )
    _add_image(parser)
    inputs = parser.add_argument_group("besides the image") if kind.takes else None
    if inputs is not None:
        add_inputs(inputs, kind)
        if kind.command in _EXTRAS:
            _EXTRAS[kind.command].add(inputs)
    _add_method(parser, kind)
    _add_result(parser)
    by_products.add_save_model(parser, kind)
    add_large(parser)
    add_settings(parser, sections(kind))
    parser.add_argument("--preset", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Restore an image and write it, after Ctrl-C the best so far; return the exit code.

    Raises
    ------
    ValueError
        If something that was given cannot be used; found before the first step.
    RestorationError
        If the run failed; what was restored so far is written.
    """
    options = with_recipe(options)
    refuse_values(options)
    refuse_paths(options)
    files = FileReader()
    file, setup = open_run(options, files)
    if is_zarr_name(options.output):
        setup = into_zarr(setup, file, options)
    if is_finished(setup.output):
        return DONE
    outlook = look_ahead(setup)
    setup = elsewhere(setup, options)
    with Restoration(setup, outlook.preparation) as restoration:
        comparison = Comparison.of(options.reference, restoration, file.pixels, lambda path: files.other(path).pixels)
        refuse_outlook(setup, outlook.plan, options)
        say(f"{options.input}: {_in_words(file)}; on {describe_device(restoration.device)}")
        if restoration.device.type == "cpu" and options.device == "auto":
            say(why_no_gpu())
        told = _say_outlook(outlook)
        ending = drive(restoration)
    if isinstance(setup.output, ZarrOutput):
        deliver_pieces(restoration, setup.output, ending, options, told=told)
    else:
        deliver(restoration, file, comparison, ending, options, told=told)
    if ending.failure:
        raise ending.failure
    return DONE if ending.finished else INTERRUPTED


def open_run(
    options: argparse.Namespace, files: FileReader, *, diagnostics: bool = False
) -> tuple[images.ImageFile, Setup]:
    """Return the image, and the run that the options ask for.

    Parameters
    ----------
    diagnostics : bool
        Look at the residual also where it is not to be written; of a result in a folder there is none.

    Raises
    ------
    ValueError
        If something that was given cannot be used.
    """
    file = _read(options, files)
    setup = _set_up(file, options, files, diagnostics=diagnostics)
    _refuse_results(setup, options)
    return file, setup


def refuse_outlook(setup: Setup, plan: Forecast, options: argparse.Namespace) -> None:
    """Raise a ValueError if there is no file for what the run will make, or nothing for a file."""
    # The image may have shown that its result needs another type.
    _refuse_results(setup, options)
    by_products.refuse_by_products(setup, plan, options)


def refuse_values(options: argparse.Namespace) -> None:
    """Raise a ValueError for options without a value, and for one that is gone."""
    if options.preset is not None:
        methods = ", ".join([AUTO, *methods_of(TASKS[options.command]())])
        raise ValueError(PRESETS_ARE_GONE.format(methods=methods, efforts=", ".join(EFFORTS)))
    refuse_empty(options, _ARGUMENTS)


def _read(options: argparse.Namespace, files: FileReader) -> images.ImageFile:
    """Return the image, with the size of its pixels if that was given."""
    # The blocks of a JPEG lie as it is stored.
    turned = "jpeg" not in TASKS[options.command].takes
    # Other processes may work in another folder.
    path = str(Path(options.input).absolute()) if is_elsewhere(options) else options.input
    lazily = is_zarr_name(options.output)
    file = files.image(path, axes=options.axes, turned=turned, lazily=lazily, channels=options.image_channels)
    if options.volume and "Z" not in file.axes:
        raise ValueError(f"--volume needs depth, and the axes {file.axes} have no Z: name them with --axes")
    if options.spacing is None:
        return file
    spacing = _spacing(options.spacing, file.axes)
    return dataclasses.replace(
        file, spacing={**file.spacing, **spacing}, units={**file.units, **dict.fromkeys(spacing, "µm")}
    )


def _set_up(file: images.ImageFile, options: argparse.Namespace, files: FileReader, *, diagnostics: bool) -> Setup:
    extras = _EXTRAS.get(options.command)
    task = changed_task(extras.task(file, options) if extras else task_of(options), options)
    wish = wish_of(task, options)
    given = read_inputs(task, options, files) | saved_inputs(task, options)
    in_memory = not is_zarr_name(options.output)
    run_options = RunOptions(
        axes=file.axes,
        volume=wish.volume,
        separate_channels=bool(options.separate_channels),
        device=options.device,
        dtype=options.dtype,
        diagnostics=in_memory and (diagnostics or any(getattr(options, name) is not None for name in CHECKS)),
        file_remarks=tuple(files.remarks),
        source=identity(file),
        in_memory=in_memory,
        tile=options.tile,
        memory=options.memory,
    )
    return set_up(file.pixels, task, wish, given, run_options)


def _refuse_results(setup: Setup, options: argparse.Namespace) -> None:
    """Raise a ValueError if a file cannot hold what will be written to it."""
    if is_zarr_name(options.output):
        refuse_whole_images(options)
    else:
        images.refuse_image(options.output, axes=setup.source.axes, shape=setup.output.shape, dtype=setup.output.dtype)
    if options.residual is not None and setup.factors:
        raise ValueError("an enlarged image has no residual to write, its pixels are others: leave out --residual")


def _say_outlook(outlook: Outlook) -> tuple[str, ...]:
    """Say what will run, and what the run thinks of the image; return the remarks that the record will have again."""
    shared = outlook.preparation
    remarks, warning = ((), "") if shared is None else (shared.remarks, shared.warning)
    for sentence in filter(None, (outlook.plan.in_words(), outlook.noise, *remarks, warning)):
        say(sentence)
    return remarks


def _spacing(text: str, axes: str) -> dict[str, float]:
    letters = [letter for letter in "ZYX" if letter in axes]
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) != len(letters) or not all(0 < size < math.inf for size in sizes):
        raise ValueError(f"--spacing is {text!r}; it must be the size of a pixel along {', '.join(letters)}: 2,0.5,0.5")
    return dict(zip(letters, sizes, strict=True))


def _in_words(file: images.ImageFile) -> str:
    lengths = " × ".join(map(str, np.shape(file.pixels)))
    sizes = {letter: f"{size:g} {file.units.get(letter, '')}" for letter, size in file.spacing.items()}
    step = f", time step {sizes.pop('T').replace(' pixel', ' without a unit')}" if "T" in sizes else ""
    size = ", ".join(f"{letter} {words}" for letter, words in sizes.items())
    return f"{file.axes} {lengths}, {file.pixels.dtype}" + (f", pixel size {size}" if size else "") + step


def _add_image(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--axes", help="one letter per axis, such as ZYX or YXS (colour); default: as in the file")
    add("--spacing", metavar="Z,Y,X", help="size of a pixel in micrometres, where the file does not say it")
    together = "restore Z, Y and X together in 3D, not plane by plane (--no-volume)"
    add("--volume", action="store_true", default=None, help=together)
    # Only needed where the settings in a file are those of a volume.
    add("--no-volume", dest="volume", action="store_false", default=None, help=argparse.SUPPRESS)


def _add_method(parser: argparse.ArgumentParser, kind: type[Task]) -> None:
    group = parser.add_argument_group("how")
    add = group.add_argument
    add("--method", metavar="NAME", help=_choices([AUTO, *methods_of(kind())], AUTO))
    add("--effort", metavar="NAME", help=f"time: {_choices(EFFORTS, DEFAULT_EFFORT)}")
    add_groups(group, kind)
    add("--settings", metavar="FILE", help="from a .json or a result; options count more")
    add("--device", metavar="NAME", default=DEVICES[0], help=_choices(DEVICES, DEVICES[0]))
    parser.set_defaults(recipe=None)


def _choices(names: Sequence[str], default: str) -> str:
    return ", ".join(f"{name} (default)" if name == default else name for name in names)


def _add_result(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("result").add_argument
    types = get_args(ResultType)
    add(
        "--dtype",
        metavar="TYPE",
        choices=types,
        default=types[0],
        help=f"{types[0]} (default; float32 where whole numbers would lose light), {', '.join(types[1:])}",
    )
    add("--reference", metavar="FILE", help="an image of the truth: print PSNR and SSIM before and after")
    add("--residual", metavar="FILE", help="write what was taken away, in standard deviations of the noise (.tif)")
    add("--uncertainty", metavar="FILE", help="write the deviation between the --members of an ensemble (.tif)")
    add("--save-settings", metavar="FILE", help="write the settings that ran, for --settings (.json)")
    add("--overwrite", action="store_true", help="replace OUT, and the other files that are written, if they exist")

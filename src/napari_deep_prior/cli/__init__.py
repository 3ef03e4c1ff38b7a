"""The command ``deep-prior``: a sub-command per task, its options derived from the settings."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..arrays import metrics
from ..arrays.axes import Array, channel_position, sample_count
from ..files import images as io
from ..files.jpeg import read_tables
from ..files.kernels import parse_kernel
from ..methods import METHODS
from ..methods.method import Method
from ..physics.kernels import Kernel
from ..runs.devices import DEVICES, describe_device, why_no_gpu
from ..runs.errors import RestorationError
from ..runs.presets import DEFAULT_PRESET, PRESETS, default_preset, preset
from ..runs.restoration import VERSION, Restoration, restore
from ..settings import Field, flat_fields, parse_numbers, replace_flat
from ..tasks import TASKS, SuperResolve, isotropic
from ..tasks.task import Task

DONE, FAILED, INTERRUPTED = 0, 2, 130
"""Exit codes: all went well; a sentence on the error stream says what did not; Ctrl-C (128 + SIGINT)."""


ESTIMATE = "estimate"
"""What ``--kernel`` is told to have the blur found in the image."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        # A pipe on Windows may not know an arrow; a question mark is better than no answer.
        sys.stdout.reconfigure(errors="replace")
    try:
        return _run(options)
    except (ValueError, OSError, RestorationError) as error:
        _say(f"deep-prior: {error}")
        return FAILED
    except MemoryError as error:
        _say(f"deep-prior: not enough memory for an image of this size: crop it, or close other programs. {error}")
        return FAILED
    except KeyboardInterrupt as stop:
        _say(f"deep-prior: {stop.args[0] if stop.args else 'stopped; nothing was written'}")
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    # Everything that can be wrong is found before the first step.
    for path in filter(None, (options.output, options.residual, options.uncertainty)):
        io.refuse_output(path, overwrite=options.overwrite)
    if Path(options.output).resolve() == Path(options.input).resolve():
        raise ValueError(f"input and output are the same file {options.input!r}: the original would be lost")
    picture = io.read(options.input, axes=options.axes)
    if options.spacing:
        spacing = _spacing(options.spacing, picture.axes)
        picture = dataclasses.replace(picture, spacing=spacing, units=dict.fromkeys(spacing, "µm"))
    with _restoration(picture, options) as run:
        dtype = np.dtype(np.float32) if options.dtype == "float32" else picture.pixels.dtype
        io.refuse_image(options.output, axes=run.axes, shape=run.shape, dtype=dtype)
        if options.residual and run.factors:
            raise ValueError("an enlarged image has no residual to write, its pixels are others: leave out --residual")
        reference = _reference(options.reference, run.shape)
        before = run.image if reference is not None else picture.pixels
        _say(f"{options.input}: {_in_words(picture)}; on {describe_device(run.device)}")
        if run.device.type == "cpu" and options.device == "auto":
            _say(why_no_gpu())
        interrupted, failure = _drive(run)
        if run.latest_slice is None and run.slice_number <= 1 and (interrupted or failure):
            raise failure or KeyboardInterrupt
    spacing = {letter: size / run.factors.get(letter, 1) for letter, size in picture.spacing.items()}
    _deliver(run, dataclasses.replace(picture, pixels=before, spacing=spacing), reference, options)
    if failure:
        raise failure
    return INTERRUPTED if interrupted else DONE


def _restoration(picture: io.ImageFile, options: argparse.Namespace) -> Restoration:
    """Return the run that the options ask for."""
    if options.volume and "Z" not in picture.axes:
        raise ValueError(f"--volume needs depth, and the axes {picture.axes} have no Z: name them with --axes")
    given = vars(options)
    task = replace_flat(_task(picture, options), given)
    name = _preset_of(options) or default_preset(task, volume=options.volume)
    return restore(
        picture.pixels,
        task,
        _method(options.task, name, given),
        axes=picture.axes,
        volume=options.volume,
        mask=_mask(options.mask, invert=options.invert_mask) if "mask" in task.takes else None,
        kernel=_kernel(options.kernel, volume=options.volume) if "kernel" in task.takes else None,
        guide=[_guide(path) for path in options.guide] if "guides" in task.takes else (),
        jpeg=read_tables(options.input) if "jpeg" in task.takes else None,
        device=options.device,
        dtype=options.dtype,
        diagnostics=bool(options.residual or options.uncertainty),
    )


def _task(picture: io.ImageFile, options: argparse.Namespace) -> Task:
    """Return the task before what else is said of it."""
    task = TASKS[options.task]()
    if not isinstance(task, SuperResolve):
        return task
    if options.isotropic:
        if not options.volume:
            raise ValueError("--isotropic makes up planes of one volume: add --volume")
        if "Z" not in picture.spacing:
            raise ValueError("the file does not tell the size of its voxels: give it with --spacing, such as 2,0.5,0.5")
        if len({picture.units.get(letter, "") for letter in picture.spacing}) > 1:
            raise ValueError("the file gives the size of its voxels in several units: give it with --spacing")
        task = isotropic(picture.spacing)
    if options.kernel != ESTIMATE:
        return task
    if vars(options).get("blur", "estimated") != "estimated":
        raise ValueError(f"--kernel {ESTIMATE} and --blur {options.blur} exclude each other: leave out one of them")
    return dataclasses.replace(task, blur="estimated")


def _preset_of(options: argparse.Namespace) -> str:
    """Return the preset that was asked for, or else the first of the kind of method that was; empty if none was."""
    if not options.method:
        return options.preset or ""
    able = [name for name, method in PRESETS[options.task].items() if type(method) is METHODS[options.method]]
    if options.preset and options.preset not in able:
        raise ValueError(
            f"the preset {options.preset!r} is not of the method {options.method!r}: leave out one of them, or choose "
            f"{' or '.join(map(repr, able))}"
        )
    return options.preset or able[0]


def _deliver(run: Restoration, picture: io.ImageFile, reference: Array | None, options: argparse.Namespace) -> None:
    """Write the result and tell how good it is."""
    told = f"stopped while the result was written: {options.output!r} is complete, or as it was before"
    try:
        image, record = run.image, run.record
        result = io.ImageFile(pixels=image, axes=run.axes, spacing=picture.spacing, units=picture.units, record=record)
        io.write(options.output, result, overwrite=options.overwrite)
        told = f"stopped after the result was written to {options.output!r}"
        _say(f"{options.output}: chosen step {record['chosen step']}, {record['slices restored']} slices restored")
        _write_diagnostics(run, picture, options)
        for remark in record["remarks"]:
            _say(remark)
        for note in record["passed through"]:
            _say(f"passed through unchanged: {note}")
        if reference is not None:
            print(compare(picture.pixels, image, reference, axes=picture.axes))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(told) from None


def _write_diagnostics(run: Restoration, picture: io.ImageFile, options: argparse.Namespace) -> None:
    """Write what the result can be checked by, where it was asked for."""
    for name, path in (("residual", options.residual), ("uncertainty", options.uncertainty)):
        if path is None:
            continue
        if name not in run.diagnostics:
            raise ValueError(f"there is no {name} to write to {path!r}: it needs two or more --members")
        values = run.diagnostics[name]
        check = io.ImageFile(pixels=values, axes=run.axes, spacing=picture.spacing, units=picture.units)
        io.write(path, check, overwrite=options.overwrite)
        _say(f"{path}: {name}")
    for verdict in filter(None, np.atleast_1d(run.record["residual"]).tolist()):
        _say(verdict)


def _drive(run: Restoration) -> tuple[bool, RestorationError | None]:
    """Iterate a run under a progress bar; return whether Ctrl-C ended it, and the error that did."""
    bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True)
    current = 0
    try:
        for step in run:
            if run.slice_number != current:
                current = run.slice_number
                bar.reset(total=step.total)
                bar.set_description(f"slice {current}/{run.slice_count}" if run.slice_count > 1 else "restoring")
            bar.update()
            if step.number % 50 == 0:
                bar.set_postfix(loss=f"{float(step.loss):.3g}", best=int(step.chosen))
    except KeyboardInterrupt:
        return True, None
    except RestorationError as error:
        return False, error
    finally:
        bar.close()
    return False, None


def compare(before: Array, after: Array, reference: Array, *, axes: str) -> str:
    """Return PSNR and SSIM before and after, against a reference, as one line."""
    channel = channel_position(axes)
    span = metrics.data_range(reference)
    parts = [
        f"PSNR {metrics.psnr(before, reference, span=span):.2f} → {metrics.psnr(after, reference, span=span):.2f} dB"
    ]
    window = [length for index, length in enumerate(reference.shape) if index != channel]
    if min(window) >= 11:
        ssims = [metrics.ssim(image, reference, span=span, channel_axis=channel) for image in (before, after)]
        parts.append(f"SSIM {ssims[0]:.4f} → {ssims[1]:.4f}")
    return ", ".join(parts) + f" (data range {span:g})"


def _reference(path: str | None, shape: tuple[int, ...]) -> Array | None:
    if path is None:
        return None
    reference = io.read(path).pixels
    if reference.shape != shape:
        raise ValueError(f"the reference {path!r} has shape {reference.shape}; the result has {shape}")
    if reference.min() == reference.max() or not np.isfinite(reference).all():
        raise ValueError(f"the reference {path!r} is constant or not finite: nothing can be compared with it")
    return reference


def _spacing(text: str, axes: str) -> dict[str, float]:
    letters = [letter for letter in "ZYX" if letter in axes]
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) != len(letters) or not all(0 < size < math.inf for size in sizes):
        raise ValueError(f"--spacing is {text!r}; it must be the size of a pixel along {', '.join(letters)}: 2,0.5,0.5")
    return dict(zip(letters, sizes, strict=True))


def _kernel(text: str | None, *, volume: bool) -> Kernel | None:
    if text is None or text == ESTIMATE:
        return None
    return parse_kernel(text, dimensions=3 if volume else 2)


def _guide(path: str) -> Array:
    picture = io.read(path)
    channel = channel_position(picture.axes)
    return picture.pixels if channel is None else np.moveaxis(picture.pixels, channel, -1)


def _mask(path: str | None, *, invert: bool) -> Array | None:
    if path is None:
        if invert:
            raise ValueError(
                "--invert-mask was given without --mask: give the mask, or leave it out to fill NaN pixels"
            )
        return None
    picture = io.read(path)
    marked = picture.pixels != 0
    if "S" in picture.axes:
        # A mask saved as a colour picture: any colour counts, opacity does not.
        axis = picture.axes.index("S")
        marked = np.take(marked, range(sample_count(marked.shape[axis])), axis=axis).any(axis=axis)
    return np.asarray(~marked if invert else marked)


def _in_words(picture: io.ImageFile) -> str:
    lengths = " × ".join(map(str, picture.pixels.shape))
    sizes = ", ".join(f"{letter} {size:g} {picture.units.get(letter, '')}" for letter, size in picture.spacing.items())
    return f"{picture.axes} {lengths}, {picture.pixels.dtype}" + (f", pixel size {sizes}" if sizes else "")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deep-prior",
        description="Restore microscopy images with no training data: everything is learned from the one image.",
        epilog="Example: deep-prior denoise noisy.tif clean.ome.tif --seed 0. "
        "Ctrl-C writes the best image so far and exits with 130; an error is one sentence and exit code 2.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, kind in TASKS.items():
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary, description=summary)
        _add_common(command, name)
        if "mask" in kind.takes:
            _add_mask(command)
        if "guides" in kind.takes:
            command.add_argument(
                "--guide",
                metavar="FILE",
                action="append",
                default=[],
                help="another image of the same place, of IN's size or of its planes; may be given again",
            )
        if "kernel" in kind.takes:
            command.add_argument(
                "--kernel",
                metavar="KERNEL",
                help="the blur: gaussian:1.2 (standard deviation in pixels of the result), "
                "optical:NA=1.3,wavelength=0.52,pixel=0.1, an image of it (.mat, .npy, .tif, .png), or estimate",
            )
            command.add_argument(
                "--isotropic", action="store_true", help="with --volume: as many planes as make the voxels cubes"
            )
        _add_settings(command, "task", flat_fields(kind()))
        _add_settings(command, "method", _method_fields(name))
    return parser


def _method_fields(task: str) -> list[Field]:
    """Return the settings of all methods that a task's presets are; one that several have is named once."""
    presets = [PRESETS[task][DEFAULT_PRESET], *PRESETS[task].values()]
    return list({field.name: field for method in reversed(presets) for field in flat_fields(method)}.values())


def _method(task: str, name: str, given: dict[str, Any]) -> Method:
    """Return the method of a preset with the settings that were given.

    Raises
    ------
    ValueError
        If there is no such preset, or it has no such setting.
    """
    method = preset(TASKS[task](), name)
    own = {field.name for field in flat_fields(method)}
    others = {field.name for field in _method_fields(task)} - own
    if strangers := sorted(others & set(given)):
        options = ", ".join(f"--{stranger.replace('_', '-')}" for stranger in strangers)
        able = [each for each, kind in PRESETS[task].items() if set(strangers) <= {f.name for f in flat_fields(kind)}]
        raise ValueError(f"the preset {name!r} has no setting {options}; {', '.join(able) or 'no preset'} has")
    return replace_flat(method, given)


def _add_common(command: argparse.ArgumentParser, task: str) -> None:
    add = command.add_argument
    add("input", metavar="IN", help="TIFF, OME-TIFF, PNG or JPEG")
    add(
        "output",
        metavar="OUT",
        help="OME-TIFF (.tif) with axes, pixel size and a record of what was done; or .png",
    )
    add("--axes", help="one letter per axis, such as ZYX, TCYX or YXS (colour); default: as the file says")
    add("--spacing", metavar="Z,Y,X", help="size of a pixel in micrometres, where the file does not tell it")
    add("--volume", action="store_true", help="restore Z, Y and X together in 3D, not plane by plane")
    add(
        "--preset",
        help=f"one of {', '.join(PRESETS[task])} (default {DEFAULT_PRESET}; to denoise a --volume deep-image-prior)",
    )
    kinds = [name for name, kind in METHODS.items() if kind in {type(method) for method in PRESETS[task].values()}]
    add("--method", choices=kinds, help="take the first preset that is of this kind; --preset says more")
    add("--device", default="auto", help=f"one of {', '.join(DEVICES)} (default auto: the fastest)")
    add(
        "--dtype",
        choices=("same", "float32"),
        default="same",
        help="type of the result's pixels (default same)",
    )
    add("--reference", metavar="GT", help="an image of the truth: print PSNR and SSIM before and after")
    add("--residual", metavar="FILE", help="write what was taken away, in standard deviations of the noise (.tif)")
    add("--uncertainty", metavar="FILE", help="write the deviation between the --members of an ensemble (.tif)")
    add("--overwrite", action="store_true", help="replace OUT if it exists")


def _add_mask(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--mask", metavar="MASK", help="image of IN's size, or of its planes: not 0 = fill; without it NaN is filled")
    add("--invert-mask", action="store_true", help="fill where the mask is 0 instead")


def _add_settings(command: argparse.ArgumentParser, title: str, settings: Iterable[Field]) -> None:
    group = command.add_argument_group(title)
    for field in settings:
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=field.name,
            # What is not given must not appear: it would replace what the preset says.
            default=argparse.SUPPRESS,
            help=f"{field.about.help} (default {_shown(field.default)})",
            **_conversion(field),
        )


def _conversion(field: Field) -> dict[str, Any]:
    if field.choices:
        return {"choices": field.choices}
    if field.kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": _numbers if field.kind is tuple else field.kind, "metavar": "N"}


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return parse_numbers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _shown(value: object) -> str:
    return (
        ",".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:.4g}"
        if isinstance(value, float)
        else "auto"
        if value is None
        else str(value)
    )


if __name__ == "__main__":
    sys.exit(main())

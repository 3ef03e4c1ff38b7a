"""The command that compares results with a reference, and prints a table."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from ..arrays.axes import Array
from ..files import images
from ..files.replacing import write_text
from ..runs.compare import compare, difference
from ..runs.comparison_table import Row
from ..runs.reference import Reference, Region
from .deliver import say
from .exit_codes import DONE
from .inputs import FileReader, read_mask
from .options import refuse_empty
from .paths import refuse_files

COMMAND = "compare"

USAGE = f"deep-prior {COMMAND} [options] RESULT REFERENCE [RESULT ...]"

SUMMARY = "Compare results with a reference: MSE, PSNR, SSIM and HFEN as a table."

DETAILS = (
    "A result that is smaller by a whole factor is compared as its nearest, bilinear and bicubic interpolation. Of a "
    "stack every plane is compared, and the table has the measures of all planes together."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("result", metavar="RESULT", help="TIFF, OME-TIFF, PNG or JPEG")
    add("reference", metavar="REFERENCE", help="an image of the truth, or a better one of the same place")
    add("further", metavar="RESULT", nargs="*", default=[], help="further results, one row of the table for each")
    add("--axes", help="one letter per axis of all images, such as ZYX or YXS (colour); default: as in the files")
    how = parser.add_argument_group("how").add_argument
    how("--mask", metavar="FILE", help="compare only where this image is not 0; of the reference's size, or one plane")
    how("--data-range", metavar="N", type=float, help="of PSNR and SSIM; default: 255 for a reference of 8 bits, else "
        "its maximum less its minimum")  # fmt: skip
    how("--fit-intensity", action="store_true", help="first fit a gain and an offset of each result by least squares")
    how("--per-plane", action="store_true", help="further rows for every plane and channel, counted from 0")
    out = parser.add_argument_group("result").add_argument
    out("--csv", metavar="FILE", help="write the table with all digits")
    out("--difference", metavar="FILE", help="write the result less the reference (.tif), of one result")
    out("--overwrite", action="store_true", help="replace files that exist")


def run(options: argparse.Namespace) -> int:
    """Compare, print the table and write what was asked for; return DONE.

    Raises
    ------
    ValueError
        If something that was given cannot be used or compared.
    """
    paths = _refuse(options)
    files = FileReader()
    true = files.image(options.reference, axes=options.axes, turned=True)
    if options.difference is not None:
        shape, kind = true.pixels.shape, np.dtype(np.float32)
        images.refuse_image(options.difference, axes=true.axes, shape=shape, dtype=kind)
    region = None if options.mask is None else Region(options.mask, read_mask(options.mask, files))
    reference = Reference.of(options.reference, true.pixels, true.axes, region=region, span=options.data_range)
    rows: list[Row] = []
    changed: tuple[str, Array] | None = None
    # One result at a time: all of them may not fit into the memory.
    for path in paths:
        pixels = _fitting(path, files.image(path, axes=options.axes, turned=True), true)
        found = compare(path, pixels, reference, fit=options.fit_intensity, per_plane=options.per_plane)
        rows += found
        if options.difference is not None:
            # Of a smaller image the last row is its bicubic interpolation.
            row = next(row for row in reversed(found) if not row.place)
            changed = row.title, difference(row, pixels, reference)
    table = reference.table(rows, fitted=options.fit_intensity)
    print(table.text())
    if options.csv is not None:
        write_text(Path(options.csv), table.separated())
        say(f"{options.csv}: the table")
    if changed is not None:
        _write_difference(options, true, *changed)
    return DONE


def _refuse(options: argparse.Namespace) -> list[str]:
    """Return the paths of the results; raise a ValueError for what is wrong before a file is read."""
    refuse_empty(options, {name: name.upper() for name in ("result", "reference", "further")})
    paths = list(dict.fromkeys([options.result, *options.further]))
    if options.difference is not None and len(paths) > 1:
        raise ValueError(f"--difference writes one image, and {len(paths)} results were given: give one of them")
    inputs = [*(("result", path) for path in paths), ("reference", options.reference)]
    inputs += [] if options.mask is None else [("mask", options.mask)]
    outputs = [(name, getattr(options, name)) for name in ("csv", "difference") if getattr(options, name) is not None]
    refuse_files(inputs, outputs, overwrite=options.overwrite)
    return paths


def _fitting(path: str, file: images.ImageFile, reference: images.ImageFile) -> Array:
    """Return the pixels of a result with their axes in the order of the reference's."""
    pixels, axes = _with_axes_of_length_one(file, reference)
    if sorted(axes) != sorted(reference.axes):
        raise ValueError(
            f"{path!r} has the axes {file.axes} ({' × '.join(map(str, file.pixels.shape))}), and the reference "
            f"{reference.axes} ({' × '.join(map(str, reference.pixels.shape))}): if both show the same, name the axes "
            "of all images with --axes"
        )
    return np.transpose(pixels, [axes.index(letter) for letter in reference.axes])


def _with_axes_of_length_one(file: images.ImageFile, reference: images.ImageFile) -> tuple[Array, str]:
    """Return the pixels and axes of a result with those axes of length 1 that the reference has, and no other ones."""
    lengths = dict(zip(file.axes, file.pixels.shape, strict=True))
    axes = "".join(letter for letter in file.axes if letter in reference.axes or lengths[letter] > 1)
    pixels = file.pixels.reshape([lengths[letter] for letter in axes])
    for letter, length in zip(reference.axes, reference.pixels.shape, strict=True):
        if letter not in axes and length == 1:
            pixels, axes = pixels[None], letter + axes
    return pixels, axes


def _write_difference(options: argparse.Namespace, reference: images.ImageFile, result: str, changes: Array) -> None:
    written = dataclasses.replace(reference, pixels=changes, record={}, profile=b"", shows="difference")
    images.write(options.difference, written, overwrite=options.overwrite)
    say(f"{options.difference}: {result} less {options.reference}")

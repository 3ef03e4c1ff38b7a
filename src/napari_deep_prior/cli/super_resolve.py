"""Options that only super-resolution has: cubic voxels, and a blur that is estimated."""

from __future__ import annotations

import argparse
import dataclasses
from typing import cast

from ..files.images import ImageFile
from ..tasks.super_resolve import SuperResolve, isotropic
from .chosen import given_settings, task_of
from .inputs import ESTIMATE, Group, given_text


def add_options(group: Group) -> None:
    """Add the options."""
    group.add_argument(
        "--isotropic", action="store_true", help="with --volume: as many planes as make the voxels cubes"
    )


def task(image: ImageFile, options: argparse.Namespace) -> SuperResolve:
    """Return the task before its settings are changed.

    Raises
    ------
    ValueError
        If the size of the voxels is not known, or options contradict each other.
    """
    result = _isotropic(image, options) if options.isotropic else _base(options)
    if given_text("kernel", options) != ESTIMATE:
        return result
    blur = given_settings(options).get("blur", "estimated")
    if blur != "estimated":
        raise ValueError(f"--kernel {ESTIMATE} and --blur {blur} exclude each other: leave out one of them")
    return dataclasses.replace(result, blur="estimated")


def _isotropic(image: ImageFile, options: argparse.Namespace) -> SuperResolve:
    if not options.volume:
        raise ValueError("--isotropic adds planes to one volume: add --volume")
    if "Z" not in image.spacing:
        raise ValueError("the file does not say how large its voxels are: give it with --spacing, such as 2,0.5,0.5")
    if len({image.units.get(letter, "") for letter in image.spacing if letter in "ZYX"}) > 1:
        raise ValueError("the file gives the size of its voxels in several units: give it with --spacing")
    return isotropic(_base(options), image.spacing)


def _base(options: argparse.Namespace) -> SuperResolve:
    # Settings of another task were refused when they were read.
    return cast("SuperResolve", task_of(options))

"""What a network is trained on: images that were given, checked, and some of them held out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch

from ..arrays.axes import Array, channel_position, parse_axes, sample_count
from ..training.training_settings import TrainingSettings
from .source import real_type

SMALLEST_PART = 32
"""Pixels along a side that a held-out part of an image has at least."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingImage:
    """An image that a network is trained on.

    Parameters
    ----------
    name : str
        For people: its file.
    pixels : ndarray
        What was measured.
    axes : str
        One letter per axis, guessed if it is empty. Each plane is used by itself.
    clean : ndarray, optional
        What is to come out, of the same shape.
    """

    name: str
    pixels: Array
    axes: str = ""
    clean: Array | None = None


@final
@dataclass(frozen=True)
class Split:
    """The images that a network is trained on, and those that are held out."""

    training: tuple[TrainingImage, ...]
    held_out: tuple[TrainingImage, ...]


def checked_images(images: Sequence[TrainingImage], settings: TrainingSettings) -> list[TrainingImage]:
    """Return images with their axes named, without those that are there twice.

    Raises
    ------
    ValueError
        If there is none, they differ in channels or type, are smaller than a crop, constant or incomplete.
    """
    if not images:
        raise ValueError("there is no image to train on: give at least one")
    found: dict[str, TrainingImage] = {}
    for image in images:
        real_type(image.pixels, repr(image.name))
        named = replace(image, axes=parse_axes(image.axes or None, image.pixels.shape))
        _refuse_values(named, settings.crop)
        found.setdefault(_digest(named.pixels), named)
    every = list(found.values())
    for what, of_image in (("channels", channels_of), ("pixels of type", lambda image: str(image.pixels.dtype))):
        kinds = {of_image(image): image.name for image in reversed(every)}
        if len(kinds) > 1:
            (one, first), (other, second) = list(kinds.items())[:2]
            raise ValueError(
                f"{first!r} has {_in_words(one, what)} and {second!r} {_in_words(other, what)}: train on images of one "
                "kind, and leave out the others, for example with --pattern"
            )
    return every


def channels_of(image: TrainingImage) -> int:
    """Return how many channels of an image are measurements."""
    at = channel_position(image.axes)
    if at is None:
        return 1
    count = image.pixels.shape[at]
    return sample_count(count) if image.axes[at] == "S" else count


def split(images: Sequence[TrainingImage], settings: TrainingSettings) -> Split:
    """Return some of the images as held-out ones; of a single one a part, all planes at the same place.

    Raises
    ------
    ValueError
        If a single image is too small to be divided.
    """
    if not settings.validate:
        return Split(tuple(images), ())
    if len(images) == 1:
        return _halved(images[0], settings)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    held_out = set(order[: held_out_count(len(images), settings)])
    return Split(
        tuple(image for at, image in enumerate(images) if at not in held_out),
        tuple(image for at, image in enumerate(images) if at in held_out),
    )


def held_out_count(images: int, settings: TrainingSettings) -> int:
    """Return how many of two or more images are held out, if any are."""
    return min(images - 1, max(1, round(settings.validate * images)))


def _halved(image: TrainingImage, settings: TrainingSettings) -> Split:
    lengths = dict(zip(image.axes, image.pixels.shape, strict=True))
    letter = "Y" if lengths["Y"] >= lengths["X"] else "X"
    length = lengths[letter]
    held_out = max(SMALLEST_PART, round(settings.validate * length))
    if length - held_out < settings.crop:
        raise ValueError(
            f"{image.name!r} is the only image, and {length} pixels along {letter} are too few for crops of "
            f"{settings.crop} and a part of {held_out} that is held out: give more images, choose a smaller crop, or "
            "hold out nothing (--validate 0)"
        )
    axis = image.axes.index(letter)
    first: tuple[slice, ...] = (slice(None),) * axis
    parts = []
    for name, place in (("", slice(0, length - held_out)), (", part", slice(length - held_out, length))):
        index = (*first, place)
        clean = None if image.clean is None else image.clean[index]
        parts.append(replace(image, name=image.name + name, pixels=image.pixels[index], clean=clean))
    return Split((parts[0],), (parts[1],))


def _refuse_values(image: TrainingImage, crop: int) -> None:
    """Raise a ValueError for an image that cannot be trained on."""
    pixels, name = image.pixels, image.name
    lengths = dict(zip(image.axes, pixels.shape, strict=True))
    if min(lengths["Y"], lengths["X"]) < crop:
        raise ValueError(
            f"{name!r} has {lengths['Y']} × {lengths['X']} pixels, fewer than a crop of {crop}: leave it out, or "
            f"choose a crop of at most {min(lengths['Y'], lengths['X'])} (--crop)"
        )
    for what, values in (("", pixels), ("the clean image of ", image.clean)):
        if values is None:
            continue
        if values.shape != pixels.shape:
            raise ValueError(
                f"{what}{name!r} has shape {tuple(values.shape)}, and the noisy one {tuple(pixels.shape)}: both must "
                "show the same place with the same pixels"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            lost = int((~np.isfinite(values)).sum())
            count, verb = (f"{lost} pixels", "are") if lost > 1 else ("one pixel", "is")
            raise ValueError(f"{count} of {what}{name!r} {verb} NaN or infinite: fill it first, or leave it out")
        if values.min() == values.max():
            raise ValueError(f"{what}{name!r} is constant: every pixel is {values.min():g}; leave it out")
    if image.clean is not None and np.array_equal(pixels, image.clean):
        raise ValueError(
            f"the clean image of {name!r} is the same as the noisy one, so that there is no noise to remove: give "
            "clean images, or none"
        )


def _digest(pixels: Array) -> str:
    return f"{pixels.shape}{pixels.dtype}{hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()}"


def _in_words(value: object, what: str) -> str:
    if isinstance(value, int):
        return f"{value} {what.removesuffix('s') if value == 1 else what}"
    return f"{what} {value}"


def pixel_count(images: Sequence[TrainingImage]) -> int:
    """Return the pixels of all planes of images."""
    return sum(math.prod(image.pixels.shape) // max(1, _samples(image)) for image in images)


def _samples(image: TrainingImage) -> int:
    at = channel_position(image.axes)
    return 1 if at is None else image.pixels.shape[at]

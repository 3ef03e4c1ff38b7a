"""Some channels of an image, chosen by their numbers or names: the others are left out, as if the file had none."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .image_file import ImageFile
from .lazy_pixels import LazyPixels


def chosen_channels(text: str, channels: Sequence[Mapping[str, str]], count: int) -> tuple[int, ...]:
    """Return the numbers of channels, counted from 0, in the order of the image.

    Parameters
    ----------
    text : str
        Numbers or names, separated by commas; names in any case.
    channels : sequence of mapping
        What is known of each channel, with its "Name"; empty if nothing is.
    count : int
        How many there are.

    Raises
    ------
    ValueError
        If there is no such channel, several have that name, or one is named twice.
    """
    names = _names(channels, count)
    numbers = [_number_of(part.strip(), names) for part in text.split(",")]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"the channels {text!r} name one of them twice: name each once")
    return tuple(sorted(numbers))


def channels_in_words(channels: Sequence[Mapping[str, str]], numbers: Sequence[int]) -> str:
    """Return the numbers of channels, with the names of those that have one."""
    return _listed(numbers, _names(channels, max(numbers) + 1))


def left_out_in_words(channels: Sequence[Mapping[str, str]], numbers: Sequence[int], count: int) -> str:
    """Return a sentence on the channels that were taken of an image, and those that were left out."""
    names, left_out = _names(channels, count), [number for number in range(count) if number not in numbers]
    return f"of its {count} channels, {_listed(numbers, names)} were taken; left out: {_listed(left_out, names)}"


def with_channels(image: ImageFile, text: str) -> ImageFile:
    """Return an image with some of its channels, and a remark on the others; lazy pixels stay so.

    Parameters
    ----------
    text : str
        See :func:`chosen_channels`.

    Raises
    ------
    ValueError
        If the image has no axis of channels, or no such channel.
    """
    if "C" not in image.axes:
        raise ValueError(
            f"it has no channels to choose from, its axes are {image.axes}: name them with --axes, with C for channels"
        )
    axis = image.axes.index("C")
    count = int(image.pixels.shape[axis])
    numbers = chosen_channels(text, image.channels, count)
    if len(numbers) == count:
        return image
    return dataclasses.replace(
        image,
        pixels=taken(image.pixels, axis, numbers),
        channels=tuple(image.channels[number] for number in numbers) if len(image.channels) == count else (),
        planes=planes_of_channels(image.planes, numbers),
        remarks=(*image.remarks, left_out_in_words(image.channels, numbers, count)),
    )


def with_channels_of(image: ImageFile, text: str, other: ImageFile) -> ImageFile:
    """Return another image of the shape of one with the channels that are taken of that; any other one as it is."""
    if other.pixels.shape != image.pixels.shape:
        return other
    axis = image.axes.index("C")
    numbers = chosen_channels(text, image.channels, int(image.pixels.shape[axis]))
    return dataclasses.replace(other, pixels=taken(other.pixels, axis, numbers), channels=(), planes={})


def taken(pixels: Any, axis: int, numbers: Sequence[int]) -> Any:
    """Return pixels with some places of an axis: of an array in memory a view where that is possible."""
    if isinstance(pixels, LazyPixels):
        return pixels.taking(axis, numbers)
    index: list[Any] = [slice(None)] * pixels.ndim
    index[axis] = as_slice(numbers)
    return pixels[tuple(index)] if isinstance(index[axis], slice) else np.take(pixels, numbers, axis)


def as_slice(numbers: Sequence[int]) -> slice | None:
    """Return rising numbers as a slice; None if their distances differ."""
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return None if len(steps) > 1 else slice(numbers[0], numbers[-1] + 1, next(iter(steps), 1))


def planes_of_channels(planes: Mapping[str, Mapping[str, str]], numbers: Sequence[int]) -> dict[str, Mapping[str, str]]:
    """Return what is known of the planes of some channels (see :class:`.ImageFile`), numbered anew."""
    found = {}
    for place, plane in planes.items():
        frame, depth, channel = place.split()
        if int(channel) in numbers:
            found[f"{frame} {depth} {list(numbers).index(int(channel))}"] = plane
    return found


def _names(channels: Sequence[Mapping[str, str]], count: int) -> list[str]:
    return [str(channels[at].get("Name", "")) if at < len(channels) else "" for at in range(count)]


def _number_of(part: str, names: Sequence[str]) -> int:
    count = len(names)
    named = [at for at, name in enumerate(names) if name and name.lower() == part.lower()]
    if len(named) == 1:
        return named[0]
    listed = _listed(range(count), names)
    if named:
        raise ValueError(f"{len(named)} channels are called {part!r}: give their numbers, of {listed}")
    if not part.isdecimal() or int(part) >= count:
        raise ValueError(f"there is no channel {part!r}: give numbers, counted from 0, or names, of {listed}")
    return int(part)


def _listed(numbers: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(f"{number} ({names[number]})" if names[number] else str(number) for number in numbers)

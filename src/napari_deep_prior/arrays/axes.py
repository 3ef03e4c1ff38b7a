"""Axis letters: what each axis of an array is.

``Y`` and ``X`` (required) are rows and columns, ``Z`` is depth, ``C`` channels, ``S`` colour samples (RGB or RGBA).
Every other letter (``T``, ``P``, ...) is an axis of a stack. At most one of ``C`` and ``S`` may be there.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

CHANNEL_AXES = "CS"
"""Letters of the axes that become the channels of a tensor: channels and colour samples."""

Array = npt.NDArray[Any]


def parse_axes(axes: str | None, shape: tuple[int, ...]) -> str:
    """Return the axis letters of an array in upper case; without ``axes`` they are guessed from the shape.

    The guess is ``YX``, ``ZYX``, ``TZYX`` or ``TCZYX``. A last axis of length 3 or 4 after two longer ones is
    taken for colour (``S``).

    Raises
    ------
    ValueError
        If the letters do not fit the shape, repeat, lack ``Y`` or ``X``, or have both ``C`` and ``S``.
    """
    if len(shape) < 2:
        raise ValueError(f"the image has shape {shape}; at least the two axes Y and X are needed")
    if axes is None:
        return _guessed(shape)
    letters = axes.upper().strip()
    if len(letters) != len(shape):
        raise ValueError(
            f"axes {axes!r} names {len(letters)} axes, but the image has {len(shape)}, of lengths "
            f"{' × '.join(map(str, shape))}: give one letter per axis"
        )
    if not letters.isalpha() or len(set(letters)) != len(letters):
        raise ValueError(f"axes {axes!r} must be different letters, one per axis, such as 'ZYX' or 'CYX'")
    if lacking := [letter for letter in "YX" if letter not in letters]:
        raise ValueError(f"axes {axes!r} has no {' and no '.join(lacking)}: every image needs a Y and an X axis")
    if "C" in letters and "S" in letters:
        raise ValueError(f"axes {axes!r} has both channels (C) and colour samples (S): only one of them can be given")
    return letters


def _guessed(shape: tuple[int, ...]) -> str:
    colour = len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    plain = len(shape) - colour
    # An image with channels and colour samples is refused, so both are never guessed together.
    if plain > 5 - colour:
        raise ValueError(f"the image has {len(shape)} axes; name them, for example axes='PTCZYX'")
    return ("TZYX" if plain == 4 else "TCZYX"[-plain:]) + "S" * colour


def named_axes(axes: str, shape: tuple[int, ...]) -> str:
    """Return the axes that a file gives, with letters that name no axis replaced by the usual ones.

    ``I`` and ``Q`` stand for unknown axes, and of a letter that repeats only the first is taken as it is. Rows, columns
    and colours are guessed only if the file does not give them.

    Raises
    ------
    ValueError
        If the axes cannot be guessed.
    """
    if "Y" not in axes or "X" not in axes:
        return parse_axes(None, shape)
    known = [letter if letter.isalpha() and letter not in "IQ" else "" for letter in axes]
    known = [letter if letter not in known[:at] else "" for at, letter in enumerate(known)]
    if "S" in known and "C" in known:
        known[known.index("C")] = ""
    unknown = known.count("")
    taken = {*known, "C"} if "S" in known else {*known}
    # From the innermost axis on: of two unknown axes the inner one is depth.
    free = [letter for letter in ("ZTCPRAHE" if unknown < 3 else "ZCTPRAHE") if letter not in taken]
    if unknown > len(free):
        raise ValueError(f"the image has {len(shape)} axes; name them, for example axes='PTCZYX'")
    names = iter(free[:unknown][::-1])
    return "".join(letter or next(names) for letter in known)


def stack_axes(axes: str, *, volume: bool) -> str:
    """Return the letters of the axes whose slices are restored one by one: neither channels nor plane (or volume)."""
    spatial = "ZYX" if volume else "YX"
    return "".join(letter for letter in axes if letter not in spatial + CHANNEL_AXES)


def planned_axes(axes: str, *, separate_channels: bool) -> str:
    """Return the axes by which pieces are planned: channels that are restored one by one are an axis of a stack, c."""
    return axes.replace("C", "c") if separate_channels else axes


def spatial_axes(axes: str) -> str:
    """Return the letters of the axes that are neither channels nor colour samples."""
    return "".join(letter for letter in axes if letter not in CHANNEL_AXES)


def inner_axes(axes: str) -> tuple[str, str, str]:
    """Return the letters of an image without its channels, of one of its volumes, and of one of its planes."""
    spatial = spatial_axes(axes)
    return spatial, "".join(filter("ZYX".__contains__, spatial)), "".join(filter("YX".__contains__, spatial))


def channel_position(axes: str) -> int | None:
    """Return the position of the axis of channels or colour samples, None if there is none."""
    return next((axes.index(letter) for letter in CHANNEL_AXES if letter in axes), None)


def sample_count(count: int) -> int:
    """Return how many of ``count`` colour samples are measurements: the last of 2 or 4 is opacity, which is not."""
    return count - (count in (2, 4))

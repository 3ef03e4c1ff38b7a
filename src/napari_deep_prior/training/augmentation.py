"""Random crops of an image, in the eight orientations of a plane: flips and rotations by right angles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ORIENTATIONS = 8
"""Flips and rotations by right angles that a plane has."""

DEPTH = 3
"""Planes of a crop from a volume: a plane and its two neighbours."""


def oriented(image: Tensor, orientation: int) -> Tensor:
    """Return an image with its planes in one of the eight orientations; 0 leaves them as they are."""
    return torch.rot90(image.flip(-1) if orientation & 4 else image, orientation & 3, (-2, -1))


def oriented_back(image: Tensor, orientation: int) -> Tensor:
    """Return the image from which :func:`oriented` made ``image``."""
    upright = torch.rot90(image, -(orientation & 3), (-2, -1))
    return upright.flip(-1) if orientation & 4 else upright


def crop_shape(shape: tuple[int, ...], crop: int) -> tuple[int, ...]:
    """Return the spatial shape of a crop: a square, so that every orientation fits; in a volume a few planes of it."""
    side = min(crop, *shape[-2:])
    return (*(min(DEPTH, length) for length in shape[:-2]), side, side)


def draw_crops(
    images: tuple[Tensor, ...],
    *,
    crop: int,
    count: int,
    orientations: tuple[int, ...] = tuple(range(ORIENTATIONS)),
    generator: torch.Generator,
) -> list[Tensor]:
    """Return random crops of several images, at the same places and in the same orientations.

    Parameters
    ----------
    images : tuple of Tensor, each (1, C, *S)
        Images of one spatial shape.
    crop : int
        Pixels along a side of a crop; less where the image is smaller.
    count : int
        Number of crops.
    orientations : tuple of int
        The orientations to draw from.

    Returns
    -------
    list of Tensor, each (count, C, *crop_shape)
    """
    shape = images[0].shape[2:]
    sides = crop_shape(tuple(shape), crop)
    crops = []
    for _ in range(count):
        starts = [draw_below(length - side + 1, generator) for length, side in zip(shape, sides, strict=True)]
        ends = [start + side for start, side in zip(starts, sides, strict=True)]
        place: tuple[Any, ...] = (..., *map(slice, starts, ends))
        orientation = orientations[draw_below(len(orientations), generator)]
        crops.append([oriented(image[place], orientation) for image in images])
    return [torch.cat(same_image) for same_image in zip(*crops, strict=True)]


def draw_below(end: int, generator: torch.Generator) -> int:
    """Return a random whole number from 0 to ``end - 1``."""
    return int(torch.randint(end, (), generator=generator))

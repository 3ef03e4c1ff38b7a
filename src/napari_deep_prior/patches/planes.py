"""What is done to each plane of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def planes_of(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Return the planes (rows, columns) of images (1, C, *S), those of one place together."""
    return zip(*(image.flatten(0, -3) for image in images), strict=True)


def map_planes(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Return ``function`` of each plane (rows, columns) of the images (1, C, *S)."""
    return torch.stack([function(*planes) for planes in planes_of(*images)]).reshape(images[0].shape)

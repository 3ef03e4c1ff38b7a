"""Windows of a slice that are kept to train on: the whole of it would be too much of a stack."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

WINDOW, WINDOWS = 128, 8
"""Pixels along a side of what is kept of a slice to train on, and how many of them at most."""


def windows_of_interest(clean: Tensor, deviation: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return copies of windows: all of a small slice; of a large one those that show the most, and some others."""
    places = itertools.product(*(_starts(length) for length in clean.shape[-2:]))
    windows = [
        (clean[..., top : top + WINDOW, left : left + WINDOW], deviation[..., top : top + WINDOW, left : left + WINDOW])
        for top, left in places
    ]
    if len(windows) > WINDOWS:
        contrasts = torch.stack([window[0].std() for window in windows])
        order = contrasts.argsort(descending=True, stable=True).tolist()
        half = WINDOWS // 2
        rest = order[half:]
        others = torch.linspace(0, len(rest) - 1, WINDOWS - half).round().int().tolist()
        windows = [windows[number] for number in (*order[:half], *(rest[other] for other in others))]
    return [(first.clone(), second.clone()) for first, second in windows]


def _starts(length: int) -> list[int]:
    """Return where windows begin along an axis: they cover it, and the last one ends with it."""
    count = -(-length // WINDOW)
    starts: list[int] = torch.linspace(0, max(0, length - WINDOW), count).round().int().tolist()
    return starts

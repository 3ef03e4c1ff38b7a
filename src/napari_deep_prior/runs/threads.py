"""How many threads compute fastest now: those of one operation wait for each other where other programs take a core."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch.nn import functional

SECONDS = 0.06
"""Time for which each number of threads is tried."""

WORTH = 1.25
"""Fewer threads than there are must be this many times as fast: what is measured in a moment varies."""

VARIABLE = "OMP_NUM_THREADS"
"""Environment variable by which a person says how many threads compute."""


@contextmanager
def fastest_threads(device: torch.device) -> Iterator[str]:
    """Compute with as many threads as is fastest now, within the context and in the thread that entered it.

    On a processor with nothing else to do these are all of PyTorch's. Nothing is changed on a GPU, or where the
    environment variable ``OMP_NUM_THREADS`` says how many there are.

    Yields
    ------
    str
        What a person should know: that there are fewer threads than processor cores, and why. Empty if not.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1 or os.environ.get(VARIABLE):
        yield ""
        return
    try:
        seconds = {}
        for count in candidates(most):
            torch.set_num_threads(count)
            seconds[count] = _seconds_of_a_round()
        count = fastest(seconds)
        torch.set_num_threads(count)
        yield "" if count == most else _in_words(count, most)
    finally:
        torch.set_num_threads(most)


def candidates(most: int) -> list[int]:
    """Return the numbers of threads to try: all, half of them, a quarter ..., 1."""
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def fastest(seconds: Mapping[int, float]) -> int:
    """Return the number of threads to take, of the seconds that a round of work takes with each number."""
    most = max(seconds)
    best = min(seconds, key=lambda count: seconds[count])
    return best if seconds[best] * WORTH < seconds[most] else most


def _seconds_of_a_round() -> float:
    """Return the mean seconds of a round of what similar patches and networks do."""
    plane, features = torch.ones(256, 256), torch.ones(1, 16, 96, 96)
    weights = torch.ones(16, 16, 3, 3)
    rounds, began, seconds = -1, 0.0, 0.0
    with torch.no_grad():
        while seconds < SECONDS:
            for _ in range(4):
                (plane - plane.T).square_().sum(dim=0)
            functional.conv2d(features, weights, padding=1)
            now = time.perf_counter()
            rounds += 1
            # The first round loads what the others need.
            began = began if rounds else now
            seconds = now - began
    return seconds / rounds


def _in_words(count: int, most: int) -> str:
    computes = "1 thread computes" if count == 1 else f"{count} threads compute"
    return (
        f"{computes} faster than {most} at the moment, since other programs keep the processor busy; "
        f"set {VARIABLE} to have a fixed number"
    )

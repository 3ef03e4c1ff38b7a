"""The most memory that was taken, in a new process: one that has run other tests may have free memory to give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from napari_deep_prior.runs.peak_memory import OWN

Run = Callable[..., subprocess.CompletedProcess[str]]

LARGE = 64 * 2**20

MEASURED = f"""
import numpy as np
import torch
from napari_deep_prior.runs.peak_memory import forget_peak, peak_memory

cpu = torch.device("cpu")
forget_peak(cpu)
before = peak_memory(cpu)
np.ones({LARGE}, np.uint8)
after = peak_memory(cpu)
forget_peak(cpu)
print(before, after, peak_memory(cpu))
"""


def measured(run_python: Run) -> list[int]:
    """Return the peak before, during and after an array was there, and forgotten."""
    done = run_python("-c", MEASURED)
    assert done.returncode == 0, done.stderr
    return [int(each) for each in done.stdout.split()]


def test_what_was_taken_and_given_back_counts(run_python: Run) -> None:
    before, after, _ = measured(run_python)
    assert LARGE * 0.9 < after - before < LARGE * 1.5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the peak anew")
def test_what_was_given_back_before_does_not_count(run_python: Run) -> None:
    try:
        (OWN / "clear_refs").write_text("5")
    except OSError:
        pytest.skip("this container does not allow it")
    _, after, forgotten = measured(run_python)
    assert forgotten < after - 0.9 * LARGE

"""The most memory that was taken."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from napari_deep_prior.runs.peak_memory import OWN, forget_peak, peak_memory

CPU = torch.device("cpu")
LARGE = 64 * 2**20


def test_what_was_taken_and_given_back_counts() -> None:
    forget_peak(CPU)
    before = peak_memory(CPU)
    np.ones(LARGE, np.uint8)
    assert LARGE * 0.9 < peak_memory(CPU) - before < LARGE * 1.5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the peak anew")
def test_what_was_given_back_before_does_not_count() -> None:
    try:
        (OWN / "clear_refs").write_text("5")
    except OSError:
        pytest.skip("this container does not allow it")
    np.ones(LARGE, np.uint8)
    before = peak_memory(CPU)
    forget_peak(CPU)
    assert peak_memory(CPU) < before - 0.9 * LARGE

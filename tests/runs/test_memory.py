"""What is said of the memory before a run is what the run takes: measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux keeps the peak of a process")
@pytest.mark.parametrize("case", ["denoise/deep-image-prior/balanced", "denoise/self-distillation/balanced"])
def test_the_peak_is_what_was_estimated(case: str, run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    # The deep image prior once took three times what had been said of it. Similar patches alone take so little that it
    # is lost, from run to run, in what libraries take: they are in the benchmark only.
    done = run_python(str(BENCHMARK), "--cases", case, "--sides", "256")
    assert not done.stderr
    share = float(done.stdout.splitlines()[-1].split()[-1])
    # Less is needed on processors with bfloat16: the benchmark's limits, on those without, are 0.8 and 1.0.
    assert 0.6 < share < 1.1, done.stdout

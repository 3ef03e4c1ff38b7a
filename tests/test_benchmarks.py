"""The benchmarks: what is made of their numbers. What they measure takes too long for a test."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from .test_docs import PRIVATE_WORDS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the benchmarks, which import each other by their names alone."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").is_file():
            del sys.modules[name]


def row(image: str, method: str, psnr: float, seconds: float, **other: Any) -> dict[str, Any]:
    measured = {"image": image, "method": method, "psnr": psnr, "seconds": seconds, "ssim": 0.9, "shape": [64, 96]}
    return measured | {"processor seconds": 2 * seconds, "extrapolated": False, "note": ""} | other


ROWS = [
    row("one.tif", "fast", 31.0, 2.0),
    row("one.tif", "anscombe + bm3d", 30.0, 4.0),
    row("two.tif", "fast", 29.5, 3.0),
    row("two.tif", "anscombe + bm3d", 30.0, 3.0),
    row("two.tif", "anscombe + bm3d with PSD", 33.0, 6.0),
    row("three.tif", "fast", 40.0, 5.0),
    row("three.tif", "anscombe + bm3d", 39.0, 10.0),
    row("three.tif", "deep-image-prior/published", 20.0, 5000.0, extrapolated=True),
]


def test_methods_are_compared_on_the_images_that_both_have_restored(benchmark: Callable[[str], ModuleType]) -> None:
    page = benchmark("page")
    assert page.compared(ROWS, "fast", "anscombe + bm3d") == (0.5, 0.5, 3)
    assert page.compared(ROWS, "fast", "anscombe + bm3d with PSD") == (-3.5, 0.5, 1)
    assert page.compared(ROWS, "fast", "anscombe + tv")[2] == 0


def test_of_what_was_not_run_to_its_end_only_the_time_is_compared(benchmark: Callable[[str], ModuleType]) -> None:
    difference, quotient, _ = benchmark("page").compared(ROWS, "deep-image-prior/published", "fast")
    assert np.isnan(difference)
    assert quotient == 1000


def test_the_page_tells_correlated_noise_apart_and_is_in_plain_words(benchmark: Callable[[str], ModuleType]) -> None:
    facts = benchmark("machine").facts()
    text = benchmark("page").text({"machine": facts, "ours": ["fast"], "rows": ROWS})
    independent, correlated = text.split("## Correlated noise")
    assert "| **fast** | 35.50 | 0.900 | 3.5 | 7.0 | +1.00 dB, × 0.5 |" in independent
    # Extrapolated and on one image of two: no means.
    assert "| deep-image-prior/published | – | – | – | – | × 500 |" in independent
    assert "| **fast** | 29.50 | 0.900 | 3.0 | 6.0 | −3.50 dB, × 0.5 | −0.50 dB, × 1 |" in correlated
    assert facts["instructions"] in text
    assert not [word for word in PRIVATE_WORDS if re.search(rf"\b{word}\b", text, re.IGNORECASE)]


def test_the_spectrum_for_bm3d_is_that_of_noise_with_this_correlation(benchmark: Callable[[str], ModuleType]) -> None:
    others = benchmark("others")
    # BM3D takes the variance times the number of pixels.
    np.testing.assert_allclose(others.spectrum((8, 12), (0.0, 0.0)), 96, rtol=1e-4)
    autocorrelation = np.fft.ifft2(others.spectrum((64, 96), (0.2, 0.5))).real
    autocorrelation /= autocorrelation[0, 0]
    assert autocorrelation[1, 0] == pytest.approx(0.2, abs=0.01)
    assert autocorrelation[0, 1] == pytest.approx(0.5, abs=0.01)


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU to be measured"
)
def test_the_benchmark_of_the_gpu_says_that_there_is_none(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(str(BENCHMARKS / "gpu.py"))
    assert done.returncode == 1
    assert done.stderr.startswith("No GPU: ")
    assert len(done.stderr.splitlines()) == 1

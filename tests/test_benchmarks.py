"""The benchmarks: what is made of their numbers. What they measure takes too long for a test."""

from __future__ import annotations

import argparse
import dataclasses
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

from napari_deep_prior import DeepImagePrior, Hourglass, Problem
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Identity
from napari_deep_prior.training.stopping import HeldOutError

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
    text = benchmark("page").text({"command": "make bench", "machine": facts, "ours": ["fast"], "rows": ROWS})
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


def test_a_prior_is_averaged_over_images_of_which_each_counts_the_same(benchmark: Callable[[str], ModuleType]) -> None:
    def run(image: str, best: float, stopped: float, step: int, twice: bool) -> dict[str, Any]:
        measured = {"best": best, "stopped": stopped, "drop": 1.0, "went_twice_as_far": twice}
        return {"image": image, "best_step": step} | measured

    rows = [run("one", 30.0, 29.9, 10, True), run("one", 32.0, 31.5, 30, True), run("two", 21.0, 21.0, 50, True)]
    line_of = benchmark("prior_tables").line_of
    assert line_of("unet", rows) == "| unet | 26.00 | 30 | 25.85 | 0.15 | 0.50 | 1.00 | 3 |"
    # Of a run that did not go twice as far as its best image it is only known how much was lost at least.
    assert "| ≥ 1.00 |" in line_of("unet", [*rows, run("two", 21.0, 21.0, 50, False)])


def test_the_stop_that_is_found_afterwards_is_that_of_a_run(benchmark: Callable[[str], ModuleType]) -> None:
    stopping = benchmark("stopping")
    prior = DeepImagePrior(steps=80, patience=15, network=Hourglass(channels=(8, 8), skip=(2, 2)))
    generator = torch.Generator().manual_seed(0)
    measured = torch.rand(1, 1, 32, 32, generator=generator)
    problem = Problem(measured=measured, weight=torch.ones(1, 1, 32, 32), operator=Identity(), misfit=GaussianMisfit())
    stopped = list(prior.fit(problem))
    assert len(stopped) < 80
    errors = [float(step.criterion) for step in prior.fit(problem) if step.criterion is not None]
    assert stopping.last_step(errors, prior.patience) == (len(stopped), True)
    watched = list(dataclasses.replace(prior, patience=80).fit(problem))
    longer = [float(step.criterion) for step in watched]
    assert stopping.last_step(longer, prior.patience) == (len(stopped), True)
    assert not stopping.last_step(errors[: len(errors) - 10], prior.patience)[1]
    torch.testing.assert_close(watched[len(stopped) - 1].image, stopped[-1].image)


def test_the_answer_that_is_found_afterwards_is_that_of_a_run(benchmark: Callable[[str], ModuleType]) -> None:
    problem = Problem(
        measured=torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
        weight=torch.ones(1, 1, 32, 32),
        operator=Identity(),
        misfit=GaussianMisfit(),
    )
    rule = HeldOutError(problem, 10, torch.ones_like(problem.weight), torch.ones_like(problem.weight))
    images, errors = [problem.measured + distance for distance in (0.3, 0.2004, -0.2, 0.2008)], []
    for number, image in enumerate(images, start=1):
        rule.observe(number, image, image)
        errors.append(float(rule.criterion))
    weights = benchmark("stopping").weights_of(errors, 1024)
    assert weights.max() < 0.6
    expected = sum(float(weight) * image for weight, image in zip(weights, images, strict=True))
    torch.testing.assert_close(rule.kept.image, expected, rtol=0, atol=1e-5)


def test_noise_that_a_smaller_picture_cannot_show_is_a_limit(
    benchmark: Callable[[str], ModuleType], rng: np.random.Generator
) -> None:
    training = benchmark("training")
    slope = np.linspace(0, 200, 128)[:, None]
    picture = slope + rng.normal(0, 2, (128, 128))
    # Three quarters of a variance of 4 are lost at ×2.
    assert training.ceiling(picture, 2) == pytest.approx(10 * np.log10(255**2 / 3), abs=0.5)
    assert training.ceiling(slope + rng.normal(0, 1, (128, 128)), 2) > training.ceiling(picture, 2) + 5


def test_networks_are_compared_where_each_of_them_was_fitted(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(network: str, image: str, seed: int, psnr: float) -> dict[str, Any]:
        measured = {
            "psnr": [psnr, psnr - 1],
            "answers": [psnr, psnr],
            "errors": [1.0, 2.0],
            "patience": 100,
            "without": 20.0,
            "weights": 7,
        }
        return {"task": "denoise", "network": network, "image": image, "seed": seed, "seconds a step": 0.01} | measured

    runs = [run("unet", "one", 0, 30.0), run("plain", "one", 0, 28.0)]
    alone = [run("unet", "one", 1, 40.0), run("plain", "two", 0, 10.0)]
    benchmark("prior_tables").print_tables([*runs, *alone], ["unet", "plain"], 300)
    printed = capsys.readouterr().out
    assert "| no network | 20.00 | | | | |" in printed
    assert "| unet | 30.00 | 0.00 | 0.00 | 7 | 10 |" in printed
    assert "| plain | 28.00 | 1 | 28.00 | 0.00 | 0.00 | 1.00 | 1 |" in printed


def test_what_came_of_a_fit(benchmark: Callable[[str], ModuleType]) -> None:
    outcome = benchmark("prior_tables").outcome
    ratios, answers, errors = [20.0, 25.0, 24.0, 22.0, 21.0], [20.0, 23.0, 24.5, 24.6, 24.7], [9.0, 8.0, 7.0, 7.5, 7.6]
    found = outcome(ratios, answers, errors, 100)
    assert found == (25.0, 2, 24.7, False, 3.0, True)
    found = outcome(ratios[:3], answers[:3], errors[:3], 100)
    assert (found.drop, found.went_twice_as_far) == (1.0, False)


@pytest.mark.slow
def test_the_benchmark_of_priors_runs_each_fit_once(
    benchmark: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "priors.jsonl"
    few = ["--size", "80", "--steps", "12", "--seeds", "0", "--networks", "hourglass", "--images", "cells"]
    monkeypatch.setattr(sys, "argv", ["priors.py", str(file), "--data", str(tmp_path), *few])
    priors = benchmark("priors")
    priors.main()
    runs = [line for line in priors.lines_of(file) if "network" in line]
    assert [run["task"] for run in runs] == ["denoise", "half missing", "holes", "×2"]
    for run in runs:
        assert len(run["psnr"]) == len(run["errors"]) == 12
        assert max(run["psnr"]) > run["psnr"][0]
    # A line that was not written to its end is run again; the others are not.
    file.write_text(file.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert len([line for line in priors.lines_of(file) if "network" in line]) == 3
    priors.main()
    assert [row["task"] for row in priors.lines_of(file) if "network" in row] == [run["task"] for run in runs]


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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed with a signal")
def test_what_is_left_of_runs_in_tiles_that_are_killed_is_what_a_whole_run_makes(
    benchmark: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(planes="3", side=80, times=2, threads=1)
    tiny = ["--method", "deep-image-prior", "--channels", "8,8", "--skip", "2,2", "--steps", "20", "--neighbours", "0"]
    assert benchmark("large").kills(tmp_path, options, [*tiny, "--tile", "64"]) == 0
    assert "result and record are the same" in capsys.readouterr().out

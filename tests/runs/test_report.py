"""Sentences for people."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import napari_deep_prior
from napari_deep_prior.methods import METHODS, NLRidge
from napari_deep_prior.methods.guidance import GuideComparison, GuideGain
from napari_deep_prior.methods.method import SeededMethod
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.runs import report
from napari_deep_prior.runs.piece_words import missing_in_words
from napari_deep_prior.tasks import TASKS, Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, Task


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (4.4, "4 s"), (12, "10 s"), (43, "45 s"), (89, "1 min"), (3000, "50 min"), (9000, "2.5 h")],
)
def test_a_time_is_no_more_exact_than_an_estimate(seconds: float, words: str) -> None:
    assert report.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "1 KiB"), (9000, "9 KiB"), (5 * 2**20, "5 MiB"), (2**30, "1.0 GiB"), (int(2.34 * 2**30), "2.3 GiB")],
)
def test_an_amount_of_memory_has_its_usual_unit(count: int, words: str) -> None:
    assert report.size(count) == words


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (Denoise(), "cells denoised"),
        (Inpaint(), "cells inpainted"),
        (SuperResolve(), "cells super-resolved"),
        (Guided(), "cells guided"),
        (RemoveArtifacts(), "cells without artefacts"),
    ],
)
def test_the_result_is_named_after_what_was_done(task: Task, name: str) -> None:
    assert report.name_of_result("cells", task) == name


def test_the_noise_of_equal_channels_is_named_once() -> None:
    first, second = NoiseModel(gain=2.0, read_noise=3.0), NoiseModel(read_noise=5.0)
    assert report.noise_in_words([first, second, first]) == f"{first.in_words()}; {second.in_words()}"
    assert report.noise_in_words([]) == "noise not estimated"
    assert report.noise_in_words([first], "quantised") == "what a JPEG's rounding took"


def test_slices_that_are_too_faint_for_whole_numbers_are_named_with_the_remedy() -> None:
    dtype, means = np.dtype(np.uint16), {1: (0.4, 0.0), 4: (0.0026, 0.0)}
    assert report.rounding_in_words(dtype, {}, count=9) == ""
    assert report.rounding_in_words(dtype, means, count=9) == (
        "the light of slices 2 and 5 is too faint for uint16: rounding has made a mean of 0.0026 grey levels 0; to "
        "keep it, choose float32 as the type of the result, or convert the image to floating point first"
    )
    assert report.rounding_ahead_in_words(dtype, {"T": 0, "Z": 4}, means[4]) == (
        "the light at T 1 and Z 5 is too faint for uint16: rounding may make a mean of 0.0026 grey levels 0; to keep "
        "it, choose float32 as the type of the result, or convert the image to floating point first"
    )
    assert "of slice 5 is" in report.rounding_in_words(dtype, {4: (0.7, 1.0)}, count=9)
    many = report.rounding_in_words(dtype, dict.fromkeys(range(20), (0.7, 1.0)), count=20)
    assert many.startswith("the light of slices 1, 2, 3, 4 and 16 more is too faint")
    assert "a part of the image is too faint" in report.rounding_in_words(dtype, {0: (0.7, 1.0)}, count=1)


def comparison(gain: GuideGain | None, *, helped: bool = True) -> GuideComparison:
    prior: Any = METHODS["deep-image-prior"]()
    assert isinstance(prior, SeededMethod)
    found = GuideComparison(NLRidge(), prior)
    found.gain, found.helped = gain, helped
    return found


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (comparison(None), "whether the guide helped was not compared"),
        (
            comparison(GuideGain(saved=0.001, saved_deviation=0.001, left=0.1, left_deviation=0.01), helped=False),
            "the guide did not help more than chance would: the result is without it",
        ),
        (
            comparison(GuideGain(saved=0.1, saved_deviation=0.01, left=0.1, left_deviation=0.02)),
            "the guide helped by 3.0 dB (2.0 to 4.8): it removed 50% of the error above the noise",
        ),
        (
            comparison(GuideGain(saved=0.1, saved_deviation=0.01, left=0.01, left_deviation=0.03)),
            "the guide helped by at least 3.3 dB: it removed 53% or more of the error above the noise",
        ),
        (
            comparison(GuideGain(saved=0.004, saved_deviation=0.005, left=-0.02, left_deviation=0.07)),
            "the guide helped by 0.4% of the noise's variance (0.0% to 1.4%): what is left is too small to tell",
        ),
        (
            comparison(
                GuideGain(saved=0.1, saved_deviation=0.01, left=0.9, left_deviation=0.03, above_noise=False),
            ),
            "the guide helped by 0.5 dB (0.3 to 0.6): it removed 10% of the error of held-out pixels, noise included",
        ),
    ],
)
def test_what_a_guide_was_worth_is_said_with_its_limits(comparison: GuideComparison, words: str) -> None:
    assert report.guide_in_words(comparison, "") == words
    assert report.guide_in_words(comparison, "guide moved") == f"guide moved; {words}"


def test_the_agreement_of_enlarged_pieces_is_a_span() -> None:
    assert report.agreement_in_words([]) == ""
    assert report.agreement_in_words([51.3]) == "made as coarse again, the result is 51 dB from the image"
    assert report.agreement_in_words([60.2, 49.9, 55.0]).endswith("is 50 to 60 dB from the image")


@pytest.mark.parametrize(
    ("factor", "words"), [(1.0, "the residual looks like noise"), (0.5, "some noise was left"), (1.5, "more than the")]
)
def test_the_residual_is_compared_with_the_noise(factor: float, words: str, rng: np.random.Generator) -> None:
    values = factor * rng.normal(size=(1, 1, 96, 96))
    sentence = report.residual_in_words(values, [NoiseModel(read_noise=3.0)])
    assert sentence.startswith(words)
    assert f"the variance is {values.var():.2f} of the noise's" in sentence


def test_correlated_noise_is_not_taken_for_structure(rng: np.random.Generator) -> None:
    white = rng.normal(size=(97, 97))
    values = (white[1:, 1:] + 0.5 * white[:-1, 1:] + 0.5 * white[1:, :-1]) / np.sqrt(1.5)
    correlated = NoiseModel(read_noise=3.0, correlation=(0.35, 0.35))
    assert report.residual_in_words(values, [NoiseModel(read_noise=3.0)]).startswith("structure was removed")
    assert report.residual_in_words(values, [correlated]).startswith("the residual looks like noise")


@pytest.mark.parametrize("values", [np.ones((1, 1, 1, 9)), np.zeros((1, 1, 9, 9))])
def test_a_residual_that_shows_nothing_gets_no_sentence(values: np.ndarray) -> None:
    assert report.residual_in_words(values, []) == ""


@pytest.mark.parametrize(
    ("chosen", "steps", "stopped", "words"),
    [
        ([9], 9, False, "finished"),
        ([5], 9, False, "finished; the best image is that of step 5"),
        ([3], 4, True, "stopped at step 4 of at most 9; the best image is that of step 3"),
        ([1], 4, True, "stopped at step 4 of at most 9; the first estimate is still the best one, and the result"),
        ([4], 4, False, "stopped by itself at step 4 of at most 9"),
    ],
)
def test_how_a_run_of_one_piece_ended(chosen: list[int], steps: int, stopped: bool, words: str) -> None:
    record: Any = SimpleNamespace(piece_count=1, chosen_steps=chosen)
    assert report.done_in_words(record, steps=steps, total=9, stopped=stopped) == words


def test_how_a_run_of_a_stack_ended() -> None:
    record: Any = SimpleNamespace(
        piece_count=5, unit="slice", chosen_steps=[3, None], passed_through=["slice 2: it is constant"]
    )
    assert report.done_in_words(record, steps=3, total=3, stopped=True) == "1 of 5 slices restored"
    record.passed_through = [f"slice 2: {report.RESTORED_EARLIER}"]
    assert report.done_in_words(record, steps=3, total=3, stopped=True) == "2 of 5 slices restored"
    assert report.name_of_part("cells denoised", 2, 5) == "cells denoised (2 of 5 slices)"


@pytest.mark.parametrize(
    ("left_out", "empty", "value", "words"),
    [
        (3, 0, "0", "the last 3 of 8 slices were not reached: they are left out"),
        (1, 0, "0", "the last slice of 8 was not reached: it is left out"),
        (0, 2, "NaN", "the last 2 of 8 slices were not reached: they are empty (NaN)"),
        (4, 1, "0", "the last 5 of 8 slices were not reached: 1 is empty (0), and 4 are left out"),
    ],
)
def test_what_was_not_reached_is_said(left_out: int, empty: int, value: str, words: str) -> None:
    assert missing_in_words(count=8, left_out=left_out, empty=empty, value=value, unit="slice") == words


@pytest.mark.parametrize(
    ("place", "chosen", "left", "words"),
    [
        ((1, 1), 4, None, "Step 4 of at most 9"),
        ((1, 1), 4, 130.0, "Step 4 of at most 9, at most 2 min left"),
        ((3, 8), 1, 4.0, "Slice 3 of 8: step 4 of at most 9, best so far: the first estimate, at most 4 s left"),
        ((3, 8), 2, None, "Slice 3 of 8: step 4 of at most 9, best so far: step 2"),
    ],
)
def test_how_far_a_run_is(place: tuple[int, int], chosen: int, left: float | None, words: str) -> None:
    said = report.progress_in_words(report.place_in_words(*place), step=4, total=9, chosen=chosen, seconds_left=left)
    assert said == words


def test_a_stage_says_how_long_it_has_taken_when_that_is_long() -> None:
    assert report.stage_in_words("", "Looking", seconds=0.4) == "Looking …"
    place = report.place_in_words(2, 3, "tile")
    assert report.stage_in_words(place, "looking", seconds=71) == "Tile 2 of 3: looking … (1 min so far)"


def test_tasks_are_called_as_the_menus_call_them() -> None:
    manifest = Path(napari_deep_prior.__file__).with_name("napari.yaml").read_text(encoding="utf-8")
    assert set(report.TASK_NAMES) == set(TASKS)
    assert all(f"display_name: {name}\n" in manifest for name in report.TASK_NAMES.values())

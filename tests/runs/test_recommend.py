"""Which method is taken for which wish and which image, and what is said about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep_prior.methods import (
    METHODS,
    DeepImagePrior,
    Method,
    NLRidge,
    SelfDistillation,
)
from napari_deep_prior.methods.guidance import GuideComparison
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Downsample, Identity
from napari_deep_prior.problem import Problem
from napari_deep_prior.runs import efforts
from napari_deep_prior.runs.efforts import PUBLISHED_FOR_HOLES, name_of, settings_for
from napari_deep_prior.runs.forecast import forecast
from napari_deep_prior.runs.recommend import Choice, Wish, asked, candidates, kind_of_holes, recommend, with_seed_of
from napari_deep_prior.runs.report import plan_in_words
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import TASKS, Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, Task

from .toys import dimming

INSTEAD = ": the deep image prior was used instead"


def blank(*shape: int, missing: np.ndarray | None = None, **changes: Any) -> Problem:
    """Return a problem of shape (1, 1, *shape); where ``missing`` is True nothing was measured."""
    measured = torch.zeros(1, 1, *shape)
    weight = torch.ones_like(measured)
    if missing is not None:
        weight[0, 0] = torch.from_numpy(~missing).float()
    known: dict[str, Any] = {"operator": Identity(), "misfit": GaussianMisfit()}
    return Problem(measured=measured, weight=weight, **(known | changes))


# What is asked for, before the image is read


@pytest.mark.parametrize(
    ("task", "effort", "volume", "method"),
    [
        ("denoise", "fast", False, "nl-ridge"),
        ("denoise", "balanced", False, "self-distillation"),
        ("denoise", "best", False, "self-distillation"),
        ("denoise", "published", False, "deep-image-prior"),
        ("denoise", "fast", True, "nl-ridge"),
        ("denoise", "balanced", True, "deep-image-prior"),
        ("denoise", "best", True, "deep-image-prior"),
        ("guide", "fast", False, "nl-ridge"),
        ("guide", "balanced", False, "self-distillation"),
        ("guide", "best", True, "deep-image-prior"),
        ("inpaint", "fast", False, "plug-and-play"),
        ("inpaint", "balanced", True, "plug-and-play"),
        ("inpaint", "best", False, "plug-and-play"),
        ("inpaint", "published", False, "deep-image-prior"),
        ("super-resolve", "fast", False, "plug-and-play"),
        ("super-resolve", "balanced", False, "zero-shot-sr"),
        ("super-resolve", "best", True, "zero-shot-sr"),
        ("super-resolve", "published", False, "zero-shot-sr"),
        ("remove-artifacts", "fast", False, "nl-deblocking"),
        ("remove-artifacts", "balanced", False, "nl-deblocking"),
        ("remove-artifacts", "best", False, "nl-deblocking"),
        ("remove-artifacts", "published", False, "deep-image-prior"),
    ],
)
def test_auto_takes_a_method_by_task_effort_and_depth(task: str, effort: str, volume: bool, method: str) -> None:
    found, reason = asked(TASKS[task](), Wish(effort=effort, volume=volume))
    assert name_of(found) == method
    assert found == settings_for(TASKS[task](), method, effort)
    assert reason


def test_every_method_carries_a_name_of_its_own_and_a_reason_for_people() -> None:
    for part in ("label", "reason"):
        words = [getattr(method, part) for method in METHODS.values()]
        assert len(set(words)) == len(METHODS)
        assert all(words)


def test_a_method_is_chosen_and_named_by_nothing_but_its_file_and_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    new = dimming()
    monkeypatch.setitem(efforts.TABLE["denoise"], "dimming", {"balanced": new})  # type: ignore[arg-type]
    wish = Wish(method="dimming")
    assert recommend(Denoise(), blank(12, 12), wish).method is new
    assert ("dimming", new.reason) in candidates(Denoise(), Wish())
    found = forecast(Denoise(), wish, blank(12, 12))
    assert found.in_words().startswith("Dimming; about")


@pytest.mark.parametrize("effort", efforts.EFFORTS)
@pytest.mark.parametrize("command", TASKS)
def test_a_plan_has_one_colon_at_most(command: str, effort: str) -> None:
    task = TASKS[command]()
    for side in (5, 24):
        problem = blank(side, side, guide=torch.zeros(1, 1, side, side) if "guide" in task.needs else None)
        for correlation_length in (1, 3):
            posed = dataclasses.replace(problem, correlation_length=correlation_length)
            for volume in (False, True):
                choice = recommend_or_none(task, posed, Wish(effort=effort, volume=volume))
                if choice is not None:
                    assert plan_in_words(choice, seconds=9, memory=9).count(":") <= 1


def recommend_or_none(task: Task, problem: Problem, wish: Wish) -> Choice | None:
    """Return the choice, None where even the deep image prior cannot do it."""
    try:
        return recommend(task, problem, wish)
    except ValueError:
        return None


def test_a_reason_fits_the_effort_and_the_depth() -> None:
    assert asked(Denoise(), Wish(effort="published"))[1] == "as published"
    assert "three dimensions" in asked(Denoise(), Wish(volume=True))[1]
    assert asked(Denoise(), Wish(effort="fast"))[1] == NLRidge.reason
    assert asked(Denoise(), Wish(method="nl-ridge"))[1] == ""


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_auto_takes_similar_patches_where_the_noise_is_correlated(effort: str) -> None:
    choice = recommend(Denoise(), blank(40, 40, correlation_length=3), Wish(effort=effort))
    assert choice.name == "nl-ridge"
    assert choice.instead == ""
    assert ("is correlated" in choice.reason) == (effort != "fast")


@pytest.mark.parametrize(
    ("task", "wish", "message"),
    [
        (
            Denoise(),
            Wish(effort="endless"),
            "'denoise' has no effort 'endless': choose one of fast, balanced, best, pu",
        ),
        (
            Denoise(),
            Wish(method="plug-and-play"),
            "'denoise' cannot be done by 'plug-and-play': choose 'auto' or one of 'self-distillation', 'nl-r",
        ),
        (Denoise(), Wish(method="magic"), "'denoise' cannot be done by 'magic', which is none: choose 'auto' or one"),
        (
            Denoise(),
            Wish(method="nl-ridge", effort="published"),
            "'nl-ridge' has no effort 'published' for 'denoise': choose one of fast, balanced, best$",
        ),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(task: Denoise, wish: Wish, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asked(task, wish)
    with pytest.raises(ValueError, match=message):
        restore(np.arange(64.0).reshape(8, 8), task, wish.method, effort=wish.effort, device="cpu")


def test_exact_settings_are_taken_as_they_are() -> None:
    exact = NLRidge()
    choice = recommend(Denoise(), blank(12, 12), Wish(method="nl-ridge", effort="", settings=exact))
    assert choice.method is exact
    assert (choice.reason, choice.instead, choice.name) == ("", "", "nl-ridge")


# What the image speaks against


@pytest.mark.parametrize(
    ("task", "problem", "clause"),
    [
        (Denoise(), blank(7, 40), "the image is only 7 pixels wide, and patches need 8"),
        (RemoveArtifacts(), blank(40, 40), "the image is no JPEG, or its quantisation tables are not known"),
    ],
)
def test_the_deep_image_prior_stands_in_and_the_sentence_says_why(task: Any, problem: Problem, clause: str) -> None:
    choice = recommend(task, problem, Wish())
    assert choice.instead == clause + INSTEAD
    assert choice.reason == ""
    assert choice.method == settings_for(task, "deep-image-prior")


def test_auto_takes_the_next_method_before_the_deep_image_prior_and_says_why() -> None:
    task = SuperResolve(z_factor=2)
    choice = recommend(task, blank(4, 12, 12, operator=Downsample((2.0, 2.0, 2.0), Bicubic())), Wish(volume=True))
    assert choice.method == settings_for(task, "plug-and-play")
    assert choice.reason.startswith(
        "the factors are 2 × 2 × 2, and its network enlarges either the planes or the depth"
    )
    assert choice.instead == ""


def test_a_method_that_a_person_chose_is_replaced_by_the_deep_image_prior_alone() -> None:
    task = SuperResolve(z_factor=2)
    deep = blank(4, 12, 12, operator=Downsample((2.0, 2.0, 2.0), Bicubic()))
    choice = recommend(task, deep, Wish(method="zero-shot-sr", volume=True))
    assert choice.instead.startswith(
        "the factors are 2 × 2 × 2, and its network enlarges either the planes or the depth"
    )
    assert choice.instead.endswith(INSTEAD)
    assert choice.method == settings_for(task, "deep-image-prior")


def test_what_stands_in_has_the_seed_that_was_given() -> None:
    wish = Wish(method="self-distillation", effort="", settings=SelfDistillation(seed=7))
    assert recommend(Denoise(), blank(5, 5), wish).method == dataclasses.replace(
        settings_for(Denoise(), "deep-image-prior"), seed=7
    )
    assert with_seed_of(NLRidge(), SelfDistillation(seed=7)) == NLRidge()


def test_a_problem_that_even_the_deep_image_prior_cannot_solve_is_refused() -> None:
    wish = Wish(method="deep-image-prior", effort="", settings=DeepImagePrior(code_channels=0))
    with pytest.raises(ValueError, match="the network has no input: there is no guide, and 'code channels' is 0"):
        recommend(Denoise(), blank(12, 12), wish)
    with pytest.raises(ValueError, match="the network has no input"):
        recommend(Guided(), blank(12, 12), Wish(effort="published"))


# Guides


@pytest.mark.parametrize(
    ("method", "guided"),
    [
        (NLRidge(), settings_for(Guided(), "deep-image-prior")),
        (SelfDistillation(seed=5), dataclasses.replace(settings_for(Guided(), "deep-image-prior"), seed=5)),
        (DeepImagePrior(steps=9), DeepImagePrior(steps=9)),
    ],
)
def test_a_guide_is_used_by_the_method_or_by_the_deep_image_prior(method: Method, guided: Method) -> None:
    problem = blank(12, 12, guide=torch.zeros(1, 1, 12, 12))
    choice = recommend(Guided(), problem, Wish(method=name_of(method), effort="", settings=method))
    assert (choice.method, choice.guided) == (method, guided)
    assert isinstance(choice.solver(), GuideComparison)


def test_without_a_guide_the_method_itself_is_the_solver() -> None:
    choice = recommend(Denoise(), blank(12, 12), Wish(effort="fast"))
    assert choice.guided is None
    assert choice.solver() is choice.method


# Settings of the paper for what is missing


def holes(kind: str) -> np.ndarray:
    missing = np.zeros((96, 96), bool)
    if kind == "a large hole":
        missing[10:60, 20:70] = True
    elif kind == "text and scratches":
        missing[::16] = True
    else:
        missing = np.random.default_rng(0).random((96, 96)) < (0.95 if kind == "few known pixels" else 0.5)
    return missing


@pytest.mark.parametrize("kind", PUBLISHED_FOR_HOLES)
def test_the_published_settings_for_filling_fit_what_is_missing(kind: str) -> None:
    problem = blank(96, 96, missing=holes(kind))
    assert kind_of_holes(problem) == kind
    choice = recommend(Inpaint(), problem, Wish(effort="published"))
    assert choice.method == PUBLISHED_FOR_HOLES[kind]
    assert choice.instead == ("" if kind == "scattered pixels" else f"the network was chosen for {kind}")
    seeded = with_seed_of(PUBLISHED_FOR_HOLES["scattered pixels"], DeepImagePrior(seed=3))
    wish = Wish(method="deep-image-prior", effort="published", settings=seeded)
    assert recommend(Inpaint(), problem, wish).method == with_seed_of(PUBLISHED_FOR_HOLES[kind], seeded)


def test_other_tasks_and_other_settings_do_not_look_at_the_holes() -> None:
    problem = blank(96, 96, missing=holes("a large hole"))
    assert recommend(Inpaint(), problem, Wish(method="deep-image-prior")).method == settings_for(
        Inpaint(), "deep-image-prior"
    )
    published = settings_for(Denoise(), "deep-image-prior", "published")
    assert recommend(Denoise(), problem, Wish(effort="published")).method == published


def test_a_hole_of_a_volume_is_as_wide_as_in_its_planes_and_missing_data_count_as_scattered_pixels() -> None:
    missing = np.zeros((3, 96, 96), bool)
    missing[1, 10:50, 10:50] = True
    assert kind_of_holes(blank(3, 96, 96, missing=missing)) == "a large hole"
    assert kind_of_holes(blank(8, 8, missing=np.ones((8, 8), bool))) == "scattered pixels"


# From end to end


def test_the_deep_image_prior_fills_holes_with_the_steps_of_that_task(rng: np.random.Generator) -> None:
    image, mask = rng.random((16, 16)).astype(np.float32), rng.random((16, 16)) < 0.3
    run = restore(image, Inpaint(), method="deep-image-prior", mask=mask, device="cpu")
    assert next(run).total == 2000
    run.close()
    assert run.record.method == settings_for(Inpaint(), "deep-image-prior")
    assert (run.record.asked_method, run.record.effort) == ("deep-image-prior", "balanced")


def test_without_a_method_auto_chooses_a_balanced_one(rng: np.random.Generator) -> None:
    run = restore(rng.random((16, 16)), Denoise(), device="cpu")
    assert run.record.method == SelfDistillation()
    assert (run.record.asked_method, run.record.effort) == ("auto", "balanced")
    assert run.record.reason == SelfDistillation.reason


def test_what_stood_in_is_recorded_beside_what_was_asked_for(rng: np.random.Generator) -> None:
    run = restore(rng.random((5, 5)), Denoise(), NLRidge(), device="cpu")
    next(run)
    run.close()
    record = run.record
    assert record.instead == record.remarks[0] == "the image is only 5 pixels wide, and patches need 8" + INSTEAD
    assert record.method == settings_for(Denoise(), "deep-image-prior")
    assert record.asked_method == "nl-ridge"

"""Settings in a file, and the options that count more."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_deep_prior.cli.chosen import changed_task, recipe_of, saved_inputs, task_of, wish_of, with_recipe
from napari_deep_prior.cli.main import DONE, _parser, main
from napari_deep_prior.files import images
from napari_deep_prior.files.recipes import read_recipe, write_recipe
from napari_deep_prior.methods import DeepImagePrior, SelfDistillation
from napari_deep_prior.runs.efforts import settings_for
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.tasks import Denoise, SuperResolve, Task

from .conftest import QUICK

SAVED = Recipe(
    task=Denoise(sigma=40.0),
    method=DeepImagePrior(steps=7, seed=3),
    asked_method="deep-image-prior",
    effort="balanced",
    volume=True,
)
ENLARGED = Recipe(
    task=SuperResolve(factor=3.0),
    method=settings_for(SuperResolve(), "plug-and-play", "fast"),
    asked_method="auto",
    effort="fast",
    volume=False,
    kernel=[[1.0, 2.0, 1.0]],
)


def options_with(folder: Path, recipe: Recipe, *arguments: str) -> argparse.Namespace:
    path = str(folder / "run.json")
    write_recipe(path, recipe)
    command = [recipe.task.command, "in.tif", "out.tif", "--settings", path, *arguments]
    return with_recipe(_parser(command).parse_args(command))


def asked_for(options: argparse.Namespace) -> tuple[Task, Wish]:
    task = changed_task(task_of(options), options)
    return task, wish_of(task, options)


def test_without_options_the_file_counts(tmp_path: Path) -> None:
    task, wish = asked_for(options_with(tmp_path, SAVED))
    assert (task, wish) == (SAVED.task, SAVED.wish)
    assert recipe_of(task, wish) == SAVED


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--gain", "2"], {"task": Denoise(sigma=40.0, gain=2.0)}),
        (["--steps", "9"], {"method": DeepImagePrior(steps=9, seed=3)}),
        (
            ["--set", "sigma=5", "--set", "seed=4"],
            {"task": Denoise(sigma=5.0), "method": DeepImagePrior(steps=7, seed=4)},
        ),
        (["--method", "self-distillation"], {"method": SelfDistillation(), "asked_method": "self-distillation"}),
        (["--effort", "best"], {"method": settings_for(Denoise(), "deep-image-prior", "best"), "effort": "best"}),
        (["--no-volume"], {"volume": False}),
        (["--volume"], {}),
    ],
)
def test_options_count_more_than_the_file(tmp_path: Path, arguments: list[str], changes: dict[str, Any]) -> None:
    expected = {name: getattr(SAVED, name) for name in ("task", "method", "asked_method", "effort", "volume")} | changes
    assert recipe_of(*asked_for(options_with(tmp_path, SAVED, *arguments))) == Recipe(**expected)


def test_a_file_in_which_nothing_was_changed_leaves_the_choice_to_auto(tmp_path: Path) -> None:
    assert asked_for(options_with(tmp_path, ENLARGED))[1] == Wish(effort="fast")
    assert asked_for(options_with(tmp_path, ENLARGED, "--effort", "best"))[1] == Wish(effort="best")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [([], True), (["--factor", "2"], True), (["--kernel", "gaussian:2"], False), (["--blur", "area"], False)],
)
def test_the_blur_in_the_file_is_used_unless_another_one_is_given(
    tmp_path: Path, arguments: list[str], kept: bool
) -> None:
    found = saved_inputs(ENLARGED.task, options_with(tmp_path, ENLARGED, *arguments))
    assert (found["kernel"].tolist() if kept else found) == (ENLARGED.kernel if kept else {})


def test_a_blur_that_is_no_image_is_refused(tmp_path: Path) -> None:
    broken = Recipe(
        **{name: getattr(ENLARGED, name) for name in ("task", "method", "asked_method", "effort", "volume")},
        kernel=[[1], "box"],
    )
    with pytest.raises(ValueError, match=r"the blur in '.*run\.json' is no image of numbers"):
        saved_inputs(broken.task, options_with(tmp_path, broken))


def test_a_run_by_the_settings_in_its_result_is_the_same_run(folder: Path, noisy: np.ndarray) -> None:
    few = [*QUICK, "--steps", "2"]
    tifffile.imwrite(
        "stack.tif", noisy[:36, :12].reshape(3, 12, 12), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    for name, given in (
        ("stack.tif", ["denoise", "--volume"]),
        ("in.ome.tif", ["super-resolve", "--kernel", "gaussian:1"]),
    ):
        task, *options = given
        assert main([task, name, "first.tif", *options, *few, "--overwrite", "--save-settings", "run.json"]) == DONE
        first = images.read("first.tif")
        assert read_recipe("run.json") == read_recipe("first.tif")
        for settings in ("first.tif", "run.json"):
            assert main([task, name, "again.tif", "--device", "cpu", "--overwrite", "--settings", settings]) == DONE
            again = images.read("again.tif")
            assert again.record["volume"] == ("--volume" in options)
            np.testing.assert_allclose(again.pixels.astype(float), first.pixels.astype(float), atol=1)

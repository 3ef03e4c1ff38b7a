"""Settings of a run in a file: what is written is read again, and what is something else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep_prior.files import images
from napari_deep_prior.files.recipes import read_recipe, refuse_recipe, write_recipe
from napari_deep_prior.methods import DeepImagePrior, NLRidge
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.record import NOT_UNDERSTOOD, Recipe
from napari_deep_prior.tasks import Denoise, Inpaint, SuperResolve


def recipe(**changes: Any) -> Recipe:
    values = {"task": SuperResolve(factor=3), "method": DeepImagePrior(steps=7), "asked_method": "deep-image-prior"}
    return Recipe(**values | {"effort": "best", "volume": True, "kernel": [[1.0, 2.0]]} | changes)


def test_settings_are_json_and_are_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "run.json")
    write_recipe(path, recipe())
    assert read_recipe(path) == recipe()
    assert json.loads(Path(path).read_text())["task"]["factor"] == 3


def test_the_record_in_an_image_is_settings_too(tmp_path: Path) -> None:
    for name, axes in (("a.tif", "YX"), ("a.png", "YX")):
        image = images.ImageFile(pixels=np.eye(8, dtype=np.uint8), axes=axes, record=recipe().to_json())
        images.write(tmp_path / name, image)
        assert read_recipe(str(tmp_path / name)) == recipe()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "cannot read .* as settings"),
        ("{", "cannot read .* as settings"),
        ("[" * 100_000, "cannot read .* as settings"),
        ("[]", NOT_UNDERSTOOD),
        ("3", NOT_UNDERSTOOD),
        ('{"schema": 99}', NOT_UNDERSTOOD),
        (json.dumps(recipe().to_json() | {"volume": "yes"}), NOT_UNDERSTOOD),
        (json.dumps(recipe().to_json() | {"effort": 3}), NOT_UNDERSTOOD),
        (json.dumps(recipe().to_json() | {"kernel": "box"}), NOT_UNDERSTOOD),
        (json.dumps(recipe(task=Denoise()).to_json()).replace("auto", "none"), "noise is 'none'; it must be one of"),
    ],
)
def test_what_is_no_settings_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        read_recipe(str(path))
    with pytest.raises(ValueError, match="settings only replace older settings"):
        refuse_recipe(str(path), overwrite=True)
    assert path.read_text() == content


def test_settings_are_written_to_json_only_and_replace_settings_only_where_it_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the name must end in \.json"):
        refuse_recipe(str(tmp_path / "run.tif"), overwrite=True)
    path = str(tmp_path / "run.json")
    refuse_recipe(path, overwrite=False)
    write_recipe(path, recipe())
    refuse_recipe(path, overwrite=True)
    with pytest.raises(ValueError, match="exists already"):
        refuse_recipe(path, overwrite=False)


@pytest.mark.parametrize(
    ("changes", "wish"),
    [
        # What the method and the effort have by themselves is not fixed: auto may choose another one for each image.
        ({"method": NLRidge(), "asked_method": "auto", "effort": "fast"}, Wish(effort="fast")),
        ({"method": NLRidge(), "asked_method": "nl-ridge", "effort": "best"}, Wish(method="nl-ridge", effort="best")),
        # What was changed, or what an image has made auto choose, is.
        (
            {"method": DeepImagePrior(steps=7), "asked_method": "auto", "effort": "fast"},
            Wish(method="deep-image-prior", effort="fast", settings=DeepImagePrior(steps=7)),
        ),
        # Settings that Python has given have no effort.
        (
            {"method": NLRidge(), "asked_method": "nl-ridge", "effort": ""},
            Wish(method="nl-ridge", effort="", settings=NLRidge()),
        ),
        (
            {"method": NLRidge(), "asked_method": "gone", "effort": "fast"},
            Wish(method="nl-ridge", effort="fast", settings=NLRidge()),
        ),
    ],
)
def test_a_recipe_asks_for_what_was_asked_for(changes: dict[str, Any], wish: Wish) -> None:
    assert recipe(task=Denoise(), volume=False, kernel=None, **changes).wish == wish


def test_the_volume_is_part_of_what_is_asked_for() -> None:
    assert recipe(task=Inpaint()).wish.volume

"""The record of a run: typed, JSON, and enough to do it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.runs.devices import instruction_set
from napari_deep_prior.runs.identity import VERSION
from napari_deep_prior.runs.record import SCHEMA, NoiseRecord, Recipe, Record
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise, Guided, Inpaint, SuperResolve

from .toys import dimming

Make = Callable[..., DeepImagePrior]


def record(**changes: Any) -> Record:
    known: dict[str, Any] = {
        "version": "1",
        "torch": "2",
        "device": "cpu",
        "task": Inpaint(keep_known=False),
        "method": DeepImagePrior(steps=7),
        "asked_method": "auto",
        "effort": "best",
        "reason": "",
        "instead": "",
        "axes": "ZYX",
        "volume": True,
        "dtype": "uint8",
    }
    return Record(**(known | changes))


def saved(of: Record) -> dict[str, Any]:
    """Return a record as it comes back from a file."""
    found: dict[str, Any] = json.loads(json.dumps(of.to_json()))
    return found


def test_the_record_says_what_must_be_the_same_for_the_same_image(noisy: np.ndarray) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run = restore(noisy, Denoise(), dimming(), device="cpu")
        next(run)
        # The record may be read by another thread of the program, which has a number of its own.
        torch.set_num_threads(1)
        found = run.record
    finally:
        torch.set_num_threads(before)
    run.close()
    assert found.threads == 2
    assert found.instruction_set == instruction_set()
    assert found.repeatable.startswith("the same settings and seed give the same image, bit for bit, with Deep Prior ")
    for part in (found.version, found.torch, found.device, found.instruction_set):
        assert part in found.repeatable
    assert found.repeatable.endswith(", 2 threads")


def test_a_record_is_json_with_a_schema_and_lists_that_stay_lists() -> None:
    channel = NoiseModel(gain=2.0, offset=100.0, read_noise=3.0, saturation=4095.0)
    noise = NoiseRecord(misfit="anscombe", in_words="photons", channels=(channel, channel))
    original = record(noise=noise, chosen_steps=[3, None], remarks=["a", "b"], piece_count=2)
    values = original.to_json()
    assert json.loads(json.dumps(values)) == values
    assert values["schema"] == SCHEMA
    assert values["chosen_steps"] == [3, None]
    assert values["remarks"] == ["a", "b"]
    assert values["noise"]["misfit"] == "anscombe"
    assert values["noise"]["channels"][1]["saturation"] == 4095
    assert values["noise"]["channels"][0]["correlation"] == [0, 0]
    assert all(name == name.lower() and " " not in name for name in values)


def test_a_recipe_is_what_the_record_says() -> None:
    recipe = Recipe.from_json(saved(record()))
    assert (recipe.task, recipe.method) == (Inpaint(keep_known=False), DeepImagePrior(steps=7))
    assert (recipe.asked_method, recipe.effort, recipe.volume, recipe.kernel) == ("auto", "best", True, None)
    assert Recipe.from_json(saved(record(kernel=[[1.0]]))).kernel == [[1.0]]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in saved(record()).items() if key != name}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        None,
        [1],
        without("schema"),
        without("task"),
        without("method"),
        without("volume"),
        saved(record()) | {"schema": SCHEMA + 1},
        saved(record()) | {"task": {"kind": "Dream"}},
        saved(record()) | {"task": 3},
        saved(record()) | {"task": DeepImagePrior().to_json()},
        saved(record()) | {"method": Denoise().to_json()},
    ],
)
def test_a_record_that_this_version_does_not_know_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="no settings of Deep Prior that this version understands"):
        Recipe.from_json(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "many"}, "steps is 'many'"),
        ({"network": 3}, "network is 3; settings of .* are needed"),
        ({"flavour": 3}, "has no setting flavour"),
    ],
)
def test_settings_of_the_wrong_type_are_named(change: dict[str, Any], message: str) -> None:
    wrong = saved(record())
    wrong["method"] |= change
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(wrong)


def test_a_run_says_enough_to_do_it_again(noisy: np.ndarray, tiny: Make) -> None:
    image = noisy[:17, :19]
    run = restore(image, Denoise(), tiny(seed=5, stop="none"), device="cpu", dtype="float32")
    result = run.finish()
    assert run.record.version == VERSION
    assert run.record.torch == torch.__version__
    assert run.record.device.startswith("cpu")
    assert (run.record.axes, run.record.dtype) == ("YX", "float32")
    assert (run.record.chosen_steps, run.record.piece_count, run.record.passed_through) == ([3], 1, [])
    recipe = Recipe.from_json(saved(run.record))
    again = restore(image, recipe.task, recipe.method, device="cpu", dtype="float32", volume=recipe.volume)
    np.testing.assert_array_equal(again.finish(), result)


def test_a_blur_that_was_given_is_in_the_record_and_makes_the_run_again(noisy: np.ndarray) -> None:
    image, kernel = noisy[:12, :12], np.array([[1.0, 2.0, 1.0], [2.0, 5.0, 1.0], [1.0, 2.0, 0.0]])
    run = restore(image, SuperResolve(), dimming(), kernel=kernel, device="cpu")
    run.finish()
    found = run.record
    np.testing.assert_allclose(np.asarray(found.kernel), kernel / kernel.sum())
    assert np.sum(found.blur) == pytest.approx(1, abs=1e-3)
    again = restore(image, SuperResolve(), dimming(), kernel=np.asarray(found.kernel), device="cpu")
    np.testing.assert_array_equal(again.finish(), run.image)


def test_the_blur_that_a_task_assumes_is_shown_and_not_said_to_be_given(noisy: np.ndarray) -> None:
    run = restore(noisy[:12, :12], SuperResolve(blur="area"), dimming(), device="cpu")
    # Two pixels wide, seen from the middle of one: half of each neighbour.
    np.testing.assert_allclose(np.asarray(run.record.blur)[2], [0, 0.125, 0.25, 0.125, 0])
    assert run.record.kernel is None
    assert restore(noisy, Denoise(), dimming(), device="cpu").record.blur is None


def test_the_settings_of_what_used_the_guide_are_recorded(noisy: np.ndarray, tiny: Make) -> None:
    guide = np.random.default_rng(1).random((16, 16))
    run = restore(noisy[:16, :16], Guided(), tiny(), guide=guide, device="cpu")
    assert run.record.guided_by is None
    next(run)
    run.close()
    assert run.record.guided_by == tiny().to_json()

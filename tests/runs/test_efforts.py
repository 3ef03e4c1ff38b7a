"""The table of methods and efforts."""

from __future__ import annotations

import json

import pytest

from napari_deep_prior.methods import METHODS, DeepImagePrior
from napari_deep_prior.networks import Hourglass, Plain
from napari_deep_prior.runs.efforts import AUTO, DEFAULT_EFFORT, EFFORTS, TABLE, methods_of, name_of, settings_for
from napari_deep_prior.runs.recommend import Wish, asked
from napari_deep_prior.settings import flat_fields
from napari_deep_prior.tasks import TASKS, Denoise, Guided, Inpaint, SuperResolve

from .toys import dimming

ROWS = [
    (task, method, effort, settings)
    for task, methods in TABLE.items()
    for method, efforts in methods.items()
    for effort, settings in efforts.items()
]


def test_the_table_names_tasks_methods_and_efforts_that_exist() -> None:
    assert set(TABLE) == set(TASKS)
    for task, method, effort, settings in ROWS:
        assert effort in EFFORTS
        assert name_of(settings) == method
        assert settings_for(TASKS[task](), method, effort) is settings
    assert AUTO not in METHODS
    # Each of them is of use.
    assert {method for _, method, _, _ in ROWS} == set(METHODS)


def test_every_method_of_a_task_has_the_efforts_that_people_know() -> None:
    for task, methods in TABLE.items():
        for method, efforts in methods.items():
            assert {"fast", "balanced", "best"} <= set(efforts), (task, method)


def test_every_task_offers_the_deep_image_prior_also_as_published() -> None:
    for kind in TASKS.values():
        assert set(methods_of(kind())["deep-image-prior"]) == set(EFFORTS)


def test_all_settings_survive_json() -> None:
    for task, method, effort, settings in ROWS:
        again = METHODS[method].from_json(json.loads(json.dumps(settings.to_json())))
        assert again == settings, (task, method, effort)


def test_names_of_settings_are_unique_across_task_method_and_network() -> None:
    for task, method, effort, settings in ROWS:
        names = [field.name for part in (TASKS[task](), settings) for field in flat_fields(part)]
        assert len(names) == len(set(names)), (task, method, effort)


def test_more_effort_is_more_work() -> None:
    for task, methods in TABLE.items():
        for efforts in methods.values():
            work = [
                getattr(settings, "steps", getattr(settings, "passes", 0)) * getattr(settings, "members", 1)
                for settings in (efforts["fast"], efforts["balanced"], efforts["best"])
            ]
            assert work == sorted(work), task
        # Somewhere it makes a difference.
        assert any(efforts["fast"] != efforts["best"] for efforts in methods.values())


def test_the_default_is_balanced() -> None:
    assert DEFAULT_EFFORT == "balanced"
    assert settings_for(Inpaint(), "deep-image-prior") is TABLE["inpaint"]["deep-image-prior"]["balanced"]


def test_a_method_that_the_table_does_not_list_goes_by_the_name_of_its_class() -> None:
    assert name_of(DeepImagePrior(steps=5)) == "deep-image-prior"
    assert name_of(dimming()) == "Dimming"


# What was published


def test_the_published_settings_have_the_numbers_of_the_paper() -> None:
    method = settings_for(Denoise(), "deep-image-prior", "published")
    assert method.network == Hourglass(
        channels=(128,) * 5, skip=(4,) * 5, normalise_joined=True, pointwise="all", padding="reflection"
    )
    assert (method.network.upsampling, method.optimizer) == ("bilinear", "adam")
    assert (method.start_at_median, method.jitter_warmup) == (False, 0)
    assert (method.steps, method.rate, method.code_channels, method.averaging) == (3000, 0.01, 32, 0.99)
    assert (method.jitter, method.jitter_source, method.stop) == (1 / 30, "fresh", "none")
    # 5 dB of mean squared error.
    assert method.backtracking == pytest.approx(10 ** (5 / 10))
    assert method.precision == "float32"


def test_the_published_flash_goes_in_without_noise_beside_it() -> None:
    method = settings_for(Guided(), "deep-image-prior", "published")
    assert (method.steps, method.jitter, method.code_channels) == (600, 0.0, 0)


def test_the_published_zero_shot_super_resolution_is_without_patches_and_denoising() -> None:
    method, reason = asked(SuperResolve(), Wish(effort="published"))
    assert reason == "as published"
    assert (method.steps, method.rate, method.rate_policy, method.crop) == (3000, 0.001, "slope", 128)
    assert (method.gradual, method.denoising, method.patches) == (0, "no", False)
    assert (method.optimizer, method.averaging, method.network) == ("adam", 0.0, Plain(channels=(64,) * 7))

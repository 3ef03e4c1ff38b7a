"""Method and effort: what is offered, what is shown, and what is asked for."""

from __future__ import annotations

import dataclasses

import pytest

from napari_deep_prior import Denoise, RemoveArtifacts, settings_for
from napari_deep_prior.plugin.docks import DOCKS
from napari_deep_prior.plugin.method_form import MethodForm
from napari_deep_prior.runs.efforts import AUTO, methods_of
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.tasks import TASKS


@pytest.mark.parametrize("task", [kind() for kind in TASKS.values()], ids=lambda task: task.command)
def test_every_method_and_effort_of_a_task_can_be_chosen_and_shows_its_settings(qtbot, task):
    form = MethodForm(task)
    assert list(form.method.choices) == [AUTO, *methods_of(task)]
    assert "deep-image-prior" in form.method.choices
    for name, efforts in methods_of(task).items():
        form.method.value = name
        assert list(form.effort.choices) == list(efforts)
        for effort, settings in efforts.items():
            form.effort.value = effort
            assert form.form.read() == settings
            assert form.wish() == Wish(method=name, effort=effort)


def test_auto_stays_auto_until_a_setting_is_changed(qtbot):
    form = MethodForm(Denoise())
    assert form.wish() == Wish()
    assert not form.is_changed
    form.form.widgets["steps"].value = 77
    assert form.is_changed
    steps = dataclasses.replace(settings_for(Denoise(), "self-distillation"), steps=77)
    assert form.wish() == Wish(settings=steps)
    form.effort.value = "fast"
    assert form.wish() == Wish(effort="fast")


def test_auto_shows_the_settings_for_a_volume(qtbot):
    form = MethodForm(Denoise())
    form.set_volume(True)
    assert form.form.read() == settings_for(Denoise(), "deep-image-prior")
    assert form.wish() == Wish(volume=True)


def test_an_effort_that_a_method_lacks_is_left_and_the_seed_is_kept(qtbot):
    form = MethodForm(Denoise())
    form.method.value, form.effort.value = "deep-image-prior", "published"
    form.form.widgets["seed"].value = 7
    form.method.value = "self-distillation"
    assert form.effort.value == "balanced"
    assert form.form.read() == dataclasses.replace(settings_for(Denoise(), "self-distillation"), seed=7)


def recipe(task, method, **changes):
    values = {"asked_method": AUTO, "effort": "fast", "volume": False, "kernel": None}
    return Recipe(task=task, method=method, **(values | changes))


def test_a_recipe_of_auto_is_auto_again_only_where_it_would_choose_the_same_method(qtbot):
    form = MethodForm(Denoise())
    form.show_recipe(recipe(Denoise(), settings_for(Denoise(), "nl-ridge", "fast")))
    assert form.wish() == Wish(effort="fast")
    stood_in = settings_for(Denoise(), "deep-image-prior", "fast")
    form.show_recipe(recipe(Denoise(), stood_in))
    assert form.wish() == Wish(method="deep-image-prior", effort="fast")
    exact = dataclasses.replace(stood_in, rate=0.02)
    form.show_recipe(recipe(Denoise(), exact, asked_method="deep-image-prior", effort=""))
    assert form.wish() == Wish(method="deep-image-prior", settings=exact)


def test_a_recipe_of_a_method_that_the_task_has_not_is_refused(qtbot):
    form = MethodForm(RemoveArtifacts())
    with pytest.raises(ValueError, match="'Remove artefacts' has no method 'Self-distilled U-Net'"):
        form.show_recipe(recipe(Denoise(), settings_for(Denoise(), "self-distillation")))


def test_efforts_are_offered_only_where_they_differ(viewer, open_task):
    dock = open_task("Denoise", None)
    effort = dock.method_form.effort.native
    assert effort.isVisibleTo(dock)
    dock.method_form.method.value = "nl-ridge"
    assert not effort.isVisibleTo(dock)
    dock.method_form.method.value = AUTO
    assert effort.isVisibleTo(dock)
    # A change is said where it is folded away.
    assert dock.folded.text() == "▸ Advanced settings"
    dock.method_form.form.widgets["seed"].value = 3
    assert dock.folded.text() == "▸ Advanced settings (changed)"
    dock.folded.expand(animate=False)
    assert dock.folded.text() == "▾ Advanced settings (changed)"


def test_every_task_has_a_dock_with_the_widgets_of_its_inputs():
    assert list(DOCKS) == [f"{kind.__name__}Dock" for kind in TASKS.values()]
    for dock in DOCKS.values():
        assert dock.__init__.__annotations__["viewer"] == "napari.viewer.Viewer"

"""Settings survive the form, nested ones too."""

from __future__ import annotations

import dataclasses

import pytest

from napari_deep_prior import NETWORKS, DeepImagePrior, UNet
from napari_deep_prior.plugin.form import Form
from napari_deep_prior.runs.efforts import TABLE
from napari_deep_prior.settings import fields
from napari_deep_prior.tasks import TASKS

ALL = [
    *(settings for methods in TABLE.values() for efforts in methods.values() for settings in efforts.values()),
    *(task() for task in TASKS.values()),
]


def test_a_form_gives_back_exactly_what_it_was_given(qtbot):
    forms = {}
    for settings in ALL:
        form = forms.setdefault(type(settings), Form(settings, ["guide"]))
        form.show(settings)
        assert form.read() == settings


@pytest.mark.parametrize("kind", dict.fromkeys(map(type, ALL)), ids=lambda kind: kind.__name__)
def test_every_setting_has_a_widget_with_label_and_help(qtbot, kind):
    form = Form(kind(), ["guide"])
    for field in fields(kind):
        widget = form.groups[field.name].choice if field.name in form.groups else form.widgets[field.name]
        assert widget.label == field.about.label
        assert widget.tooltip == field.about.help


def test_a_change_is_announced_and_read(qtbot):
    form = Form(DeepImagePrior())
    changes = []
    form.changed.connect(lambda: changes.append(1))
    network = form.groups["network"].form
    network.widgets["channels"].value = "8, 16"
    network.widgets["skip"].value = "2 2"
    form.widgets["jitter"].value = "0.5"
    assert len(changes) == 3
    method = form.read()
    assert (method.network.channels, method.network.skip, method.jitter) == ((8, 16), (2, 2), 0.5)


def test_the_settings_of_a_group_follow_the_kind_that_is_chosen(qtbot):
    form = Form(DeepImagePrior(network=UNet(channels=(4, 8))))
    group = form.groups["network"]
    assert list(group.choice.choices) == list(NETWORKS)
    assert group.choice.value == "unet"
    for name, kind in NETWORKS.items():
        group.choice.value = name
        assert type(form.read().network) is kind
    group.choice.value = "unet"
    assert form.read() == DeepImagePrior(network=UNet(channels=(4, 8)))


def test_a_setting_that_needs_an_input_is_shown_only_where_the_task_takes_it_and_is_kept(qtbot):
    settings = dataclasses.replace(DeepImagePrior(), guide_dropout=0.4)
    assert "guide_dropout" in Form(settings, ["guide"]).widgets
    form = Form(settings)
    assert "guide_dropout" not in form.widgets
    assert form.read() == settings


@pytest.mark.parametrize(("name", "text"), [("rate", "quick"), ("rate", "9")])
def test_what_cannot_be_read_is_a_sentence(qtbot, name, text):
    form = Form(DeepImagePrior())
    form.widgets[name].value = text
    with pytest.raises(ValueError, match="must"):
        form.read()


@pytest.mark.parametrize("text", ["8, x", ""])
def test_a_list_that_cannot_be_read_is_a_sentence(qtbot, text):
    form = Form(DeepImagePrior())
    form.groups["network"].form.widgets["channels"].value = text
    with pytest.raises(ValueError, match=r"whole numbers|scales|must"):
        form.read()

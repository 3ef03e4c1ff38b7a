"""Settings survive the form."""

from __future__ import annotations

import pytest

from napari_deep_prior.plugin.form import Form
from napari_deep_prior.runs.presets import PRESETS
from napari_deep_prior.settings import flat_fields
from napari_deep_prior.tasks import TASKS

ALL = [method for presets in PRESETS.values() for method in presets.values()] + [task() for task in TASKS.values()]


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: type(settings).__name__)
def test_a_form_gives_back_exactly_what_it_was_given(qtbot, settings):
    assert Form(settings).read() == settings


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: type(settings).__name__)
def test_every_setting_has_a_widget_with_label_and_help(qtbot, settings):
    form = Form(settings)
    for field in flat_fields(settings):
        widget = form.widgets[field.name]
        assert widget.label == field.about.label
        assert widget.tooltip == field.about.help


def test_a_change_is_announced_and_read(qtbot):
    form = Form(PRESETS["denoise"]["deep-image-prior"])
    with qtbot.assertNotEmitted(form.changed) if hasattr(form.changed, "signal") else qtbot.captureExceptions():
        seen = []
        form.changed.connect(lambda: seen.append(1))
        form.widgets["channels"].value = "8, 16"
        form.widgets["skip"].value = "2 2"
        form.widgets["jitter"].value = "0.5"
    assert seen
    method = form.read()
    assert (method.network.channels, method.network.skip, method.jitter) == ((8, 16), (2, 2), 0.5)


@pytest.mark.parametrize(("name", "text"), [("channels", "8, x"), ("rate", "quick"), ("channels", ""), ("rate", "9")])
def test_what_cannot_be_read_is_a_sentence(qtbot, name, text):
    form = Form(PRESETS["denoise"]["deep-image-prior"])
    form.widgets[name].value = text
    with pytest.raises(ValueError, match=r"must|whole numbers|scales"):
        form.read()

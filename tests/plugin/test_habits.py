"""What a person does with the hands: wheel, Enter, tabs, theme, saving."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QFileDialog, QMainWindow

from napari_deep_prior import NLRidge
from napari_deep_prior.files import images
from napari_deep_prior.files.images import RECORD

from .conftest import QUICK

SHOWN = True


def turn_wheel(widget):
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, widget.mapToGlobal(middle), QPoint(0, -120), QPoint(0, -120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def test_the_mouse_wheel_changes_a_choice_only_where_somebody_has_clicked(viewer, open_task, qtbot):
    dock = open_task("Denoise", None)
    effort = dock.method_form.effort
    for widget in (effort, dock.method_form.form.widgets["steps"]):
        before = widget.value
        widget.native.clearFocus()
        turn_wheel(widget.native)
        assert widget.value == before
    dock.window().activateWindow()
    effort.native.setFocus()
    qtbot.waitUntil(effort.native.hasFocus, timeout=5_000)
    turn_wheel(effort.native)
    assert effort.value != "balanced"


def test_enter_presses_run(viewer, open_task, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_task("Denoise")
    for field in (dock.image_input.axes, dock.method_form.form.widgets["steps"]):
        dock.method_form.form.widgets["steps"].native.lineEdit().setText("3")
        qtbot.keyClick(field.native, Qt.Key.Key_Return)
        assert dock.run is not None, dock.outcome.status.text()
        with qtbot.waitSignal(dock.run.finished, timeout=30_000):
            pass
    # What is being typed counts.
    assert viewer.layers[-1].metadata[RECORD]["method"]["steps"] == 3


@pytest.mark.parametrize("name", ["Denoise", "Super-resolve", "Inpaint", "Train", "Batch", "Encode", "Compare"])
def test_every_button_says_what_it_does(viewer, name):
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", name)
    buttons = [button for button in dock.findChildren(QAbstractButton) if button.text()]
    assert len(buttons) > 1
    # What one is for that is named only when it is shown, is said there.
    assert [button.text() for button in buttons if not button.toolTip()] == []


def test_docks_of_the_plugin_become_tabs(viewer, open_task, qtbot):
    docks = [open_task(name, None) for name in ("Denoise", "Inpaint", "Super-resolve")]
    frames = [dock.parent() for dock in docks]
    window = frames[0].window()
    assert isinstance(window, QMainWindow)
    qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(frames[0])) == 2, timeout=5_000)
    qtbot.waitUntil(docks[-1].outcome.run_button.isVisible, timeout=5_000)


def test_the_curve_is_hidden_where_it_shows_nothing_and_follows_the_theme(viewer, open_task, press_run, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_task("Denoise", NLRidge())
    curve = dock.outcome.curve
    assert curve.isHidden()
    press_run(dock)
    assert curve.isHidden()
    dock.method_form.show_settings(QUICK.__class__(steps=60, code_channels=4, network=QUICK.network))
    press_run(dock)
    assert not curve.isHidden()
    assert len(curve.losses) >= 50
    before = viewer.theme
    try:
        for theme in ("light", "dark"):
            viewer.theme = theme
            colour = get_theme(theme).text.as_hex()
            assert curve.getAxis("left").textPen().color().name() == colour
    finally:
        viewer.theme = before


@pytest.mark.parametrize("typed", ["result", "result.tif", "result.ome.tif"])
def test_a_result_is_saved_from_the_dock_with_everything(
    viewer, open_task, press_run, click, noisy, tmp_path, monkeypatch, typed
):
    viewer.add_image(noisy, scale=(0.5, 0.25), units=("um", "um"))
    dock = open_task("Denoise")
    assert dock.outcome.save_button.isHidden()
    layer = press_run(dock)
    asked = []
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *arguments: asked.append(arguments) or (str(tmp_path / typed), "")
    )
    click(dock.outcome.save_button)
    assert asked[0][2].endswith("denoised.ome.tif")
    file = typed if typed.endswith(".tif") else f"{typed}.ome.tif"
    saved = images.read(tmp_path / file)
    np.testing.assert_array_equal(np.squeeze(saved.pixels), layer.data)
    assert saved.record == layer.metadata[RECORD]
    assert (saved.spacing["Y"], saved.spacing["X"]) == (0.5, 0.25)
    assert file in dock.outcome.status.text()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "such" / "folder"), ""))
    click(dock.outcome.save_button)
    assert "could not be written" in dock.outcome.status.text()


def test_settings_that_need_a_guide_are_shown_when_one_is_chosen(viewer, open_task, noisy):
    viewer.add_image(noisy, name="image")
    guide = viewer.add_image(noisy[::-1], name="guide", visible=False)
    dock = open_task("Denoise", None)
    register = dock.task_form.widgets["register"].native
    assert register.isHidden()
    dock.inputs["guide"].layers.value = [guide]
    assert not register.isHidden()

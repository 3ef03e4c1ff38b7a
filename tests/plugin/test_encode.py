"""The dock that shows what a network sees, in a real window."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_deep_prior.files.model_files import write_model
from napari_deep_prior.runs import encode as module

from ..models import trained_model


@pytest.fixture
def dock(viewer, noisy):
    viewer.add_image(noisy, name="cells", scale=(0.5, 0.25), translate=(10, 20), rotate=30, units=("um", "um"))
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Encode")
    return dock


@pytest.fixture
def press(qtbot, click):
    def press(dock):
        click(dock.run_button)
        assert dock.job is not None, dock.status.text()
        with qtbot.waitSignal(dock.job.finished, timeout=60_000):
            pass

    return press


def test_code_and_colours_lie_where_the_layer_lies(viewer, dock, press, tmp_path):
    path = str(tmp_path / "net.safetensors")
    write_model(path, trained_model(enlarges=False))
    dock.model.value = path
    assert not dock.network.visible
    press(dock)
    assert "each 4 pixels of the image wide" in dock.status.text()
    image, code, colours = viewer.layers
    assert (code.name, colours.name) == ("cells: code", "cells: code in colours")
    assert (code.rgb, colours.rgb) == (False, True)
    assert code.axis_labels[0] == "c"
    assert str(code.units[-1]) == "micrometer"
    rows, columns = colours.data.shape[:2]
    assert code.data.shape[1:] == (rows, columns)
    # Corners of pixels: those of the code are those of 4 × 4 pixels of the image.
    for ours, its in (((-0.5, -0.5), (-0.5, -0.5)), ((8.5, 3.5), (35.5, 15.5))):
        np.testing.assert_allclose(colours.data_to_world(ours), image.data_to_world(its), atol=1e-9)
        np.testing.assert_allclose(code.data_to_world((0, *ours))[1:], image.data_to_world(its), atol=1e-9)


def test_planes_of_the_code_are_shown_with_those_of_the_image(viewer, dock, press, noisy, tmp_path):
    path = str(tmp_path / "net.safetensors")
    write_model(path, trained_model(enlarges=False))
    stack = dask.array.from_array(np.stack([noisy] * 6).reshape(2, 3, *noisy.shape), chunks=(1, 1, -1, -1))
    image = viewer.add_image(stack, name="stack", scale=(1, 2, 0.5, 0.5), axis_labels=("t", "z", "y", "x"))
    dock.image.value = image
    dock.model.value = path
    press(dock)
    code, colours = viewer.layers[-2:]
    assert code.axis_labels == ("c", "t", "z", "y", "x")
    assert colours.axis_labels == ("t", "z", "y", "x")
    assert code.data.shape[1:] == colours.data.shape[:-1]
    # Of all layers napari aligns the last axes.
    place = np.array((1, 2, 0, 0))
    np.testing.assert_allclose(code.data_to_world((0, *place))[1:3], image.data_to_world(place)[:2])
    np.testing.assert_allclose(colours.data_to_world(place)[:2], image.data_to_world(place)[:2])


def test_a_network_is_trained_on_the_layer_and_can_be_stopped(viewer, dock, press, click, qtbot, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 20)
    press(dock)
    assert len(viewer.layers) == 3
    monkeypatch.setattr(module, "STEPS", 10**5)
    click(dock.run_button)
    with qtbot.waitSignal(dock.job.told, timeout=30_000):
        pass
    with qtbot.waitSignal(dock.job.finished, timeout=30_000):
        click(dock.stop_button)
    assert dock.status.text() == "Stopped: nothing was added."
    assert len(viewer.layers) == 3
    assert dock.run_button.isEnabled()


def test_what_is_wrong_is_said(viewer, dock, press, click):
    dock.model.value = "nowhere.safetensors"
    press(dock)
    assert "There is no file" in dock.status.text()
    viewer.layers.clear()
    click(dock.run_button)
    assert dock.status.text().startswith("There is no image layer")

"""Try here, and apply to the whole layer: a quick look at the current view, and how it goes on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_deep_prior import Denoise, NLRidge, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.runs.preparation import KNOWN_NOISE

from .conftest import LONG
from .test_crop import look_at, reach

QUICK = NLRidge()


@pytest.fixture
def stack():
    return Camera().expose(cells((3, 100, 120), seed=1), np.random.default_rng(0))


@pytest.fixture
def press(qtbot, click):
    """Click a button and wait until the run is over; return the uppermost layer."""

    def press(dock, button):
        click(button)
        assert dock.run is not None, dock.outcome.status.text()
        with qtbot.waitSignal(dock.run.finished, timeout=60_000):
            pass
        return dock._viewer.layers[-1]

    return press


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_try_is_replaced_by_the_next_one_and_applied_to_all_slices_with_its_settings_and_noise(
    viewer, open_task, press, stack
):
    image = viewer.add_image(stack, name="lyso", scale=(2, 0.5, 0.5))
    viewer.dims.set_point(0, 2)
    dock = open_task("Denoise", QUICK)
    dock.task_form.widgets["neighbours"].value = "0"
    assert dock.outcome.apply_button.isHidden()
    look_at(viewer, (15, 17), zoom=max(reach(viewer)) / 9)
    layer = press(dock, dock.outcome.try_button)
    assert names(viewer) == ["lyso", "lyso denoised (try)"]
    assert layer.data.shape[0] == 1
    assert layer.data.shape[1] < 40
    place = np.rint(image.world_to_data(layer.data_to_world((0, 0, 0)))).astype(int)
    assert place[0] == 1
    part = stack[tuple(slice(at, at + length) for at, length in zip(place, layer.data.shape, strict=True))]
    np.testing.assert_array_equal(layer.data, restore(part, Denoise(neighbours=0), QUICK, axes="ZYX").finish())

    look_at(viewer, (25, 30), zoom=max(reach(viewer)) / 22)
    layer = press(dock, dock.outcome.try_button)
    assert names(viewer) == ["lyso", "lyso denoised (try)"]
    tried = layer.metadata[RECORD]["noise"]["channels"]
    assert "about" in dock.outcome.apply_button.text()

    # What the form says now is the next try; the last one goes on as it was.
    dock.method_form.method.value = "deep-image-prior"
    dock.image_input.extent.value = "this slice"
    whole = press(dock, dock.outcome.apply_button)
    assert names(viewer) == ["lyso", "lyso denoised (try)", "lyso denoised"]
    assert whole.data.shape == stack.shape
    record = whole.metadata[RECORD]
    assert record["method"]["kind"] == "NLRidge"
    assert record["noise"]["channels"] == tried
    assert KNOWN_NOISE in record["remarks"]
    anew = restore(stack, Denoise(neighbours=0), QUICK, axes="ZYX").finish()
    assert not np.array_equal(whole.data, anew)
    truth = Camera().expected(cells(stack.shape, seed=1))
    assert np.std(whole.data - truth) < 1.1 * np.std(anew - truth) < 0.7 * np.std(stack - truth)


def test_a_try_ignores_the_region_and_keeps_the_volume(viewer, open_task, press):
    series = Camera().expose(cells((2, 6, 24, 25), seed=1), np.random.default_rng(0))
    viewer.add_image(series, name="cells", axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_point(0, 1)
    dock = open_task("Denoise", QUICK)
    dock.image_input.extent.value = "as one volume (3D)"
    dock.region_input.choice.value = viewer.add_shapes(name="empty", ndim=4)
    look_at(viewer, (12, 12), zoom=max(reach(viewer)) / 11)
    layer = press(dock, dock.outcome.try_button)
    assert layer.name == "cells denoised (try)"
    assert layer.data.shape[:2] == (1, 6)
    assert layer.data.shape[2:] != (24, 25)
    assert layer.data_to_world((0, 0, 0, 0))[0] == 1
    whole = press(dock, dock.outcome.apply_button)
    assert whole.data.shape == series.shape
    assert whole.metadata[RECORD]["volume"]


def test_a_try_can_be_stopped_and_fails_in_a_sentence(viewer, open_task, qtbot, click, stack):
    viewer.add_image(stack[0, :60, :70], name="lyso")
    dock = open_task("Denoise", dataclasses.replace(LONG))
    look_at(viewer, (5000, 5000), zoom=1)
    click(dock.outcome.try_button)
    assert "lies beside the image" in dock.outcome.status.text()
    look_at(viewer, (30, 30), zoom=max(reach(viewer)) / 15)
    click(dock.outcome.try_button)
    run = dock.run
    assert not dock.outcome.try_button.isEnabled()
    with qtbot.waitSignal(run.updated, timeout=30_000, check_params_cb=lambda update: update.number > 0):
        pass
    with qtbot.waitSignal(run.finished, timeout=30_000):
        click(dock.outcome.stop_button)
    assert names(viewer) == ["lyso", "lyso denoised (try)"]
    assert not dock.outcome.apply_button.isHidden()


def test_without_the_layer_that_was_tried_nothing_can_be_applied(viewer, open_task, press, stack):
    image = viewer.add_image(stack[0, :60, :70], name="lyso")
    dock = open_task("Denoise", QUICK)
    look_at(viewer, (30, 30), zoom=max(reach(viewer)) / 15)
    press(dock, dock.outcome.try_button)
    assert not dock.outcome.apply_button.isHidden()
    viewer.layers.remove(image)
    assert dock.outcome.apply_button.isHidden()
    dock.apply()
    assert "is gone: try them again" in dock.outcome.status.text()


def test_noise_is_estimated_anew_where_a_try_found_none(viewer, open_task, press, stack):
    picture = stack[0, :60, :70].copy()
    picture[:32, :32] = np.add.outer(np.arange(32), np.arange(32))
    viewer.add_image(picture, name="lyso")
    dock = open_task("Denoise", QUICK)
    look_at(viewer, (11, 11), zoom=max(reach(viewer)) / 11)
    press(dock, dock.outcome.try_button)
    whole = press(dock, dock.outcome.apply_button)
    assert KNOWN_NOISE not in whole.metadata[RECORD]["remarks"]
    np.testing.assert_array_equal(whole.data, restore(picture, Denoise(), QUICK).finish())

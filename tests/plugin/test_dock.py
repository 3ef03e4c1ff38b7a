"""The Denoise dock in a real window: clicked as a person clicks it."""

from __future__ import annotations

import dataclasses

import dask.array
import numpy as np
import pytest
from napari.utils import progress

from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, restore, settings_for
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.runs.devices import available_devices, why_no_gpu
from napari_deep_prior.runs.record import Recipe

from .conftest import LONG, NETWORK, QUICK

SHOWN = True


@pytest.fixture
def open_dock(open_task):
    return lambda method=QUICK: open_task("Denoise", method)


def test_run_adds_one_layer_that_equals_the_result_of_the_python_call(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy, name="cells")
    layer = press_run(open_dock())
    assert [each.name for each in viewer.layers] == ["cells", "cells denoised"]
    assert layer.data.dtype == noisy.dtype
    np.testing.assert_array_equal(layer.data, restore(noisy, Denoise(), QUICK).finish())


def test_the_result_lies_and_looks_like_its_input(viewer, open_dock, press_run, noisy):
    image = viewer.add_image(
        noisy, scale=(0.2, 0.3), translate=(5, 7), rotate=20, shear=[0.1], units=("um", "um"), axis_labels=("y", "x"),
        colormap="green", contrast_limits=(100, 300), blending="additive", opacity=0.7, gamma=0.8,
        affine=[[1, 0.1, 3], [0, 1, 4], [0, 0, 1]],
    )  # fmt: skip
    layer = press_run(open_dock())
    for name in ("scale", "translate", "rotate", "shear", "contrast_limits", "opacity", "gamma"):
        np.testing.assert_allclose(getattr(layer, name), getattr(image, name), err_msg=name)
    np.testing.assert_allclose(layer.affine.affine_matrix, image.affine.affine_matrix)
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert (layer.colormap.name, layer.blending) == ("green", "additive")


def test_one_slice_of_a_stack_stands_at_its_place_in_the_world(viewer, open_dock, press_run, noisy_stack):
    image = viewer.add_image(noisy_stack, scale=(2, 0.5, 0.5), translate=(10, 1, 1), rotate=(0, 0, 30))
    viewer.dims.set_point(0, image.data_to_world((2, 0, 0))[0])
    dock = open_dock()
    dock.image_input.extent.value = "this slice"
    layer = press_run(dock)
    assert layer.data.shape == (1, 24, 25)
    np.testing.assert_allclose(layer.data_to_world((0, 3, 4)), image.data_to_world((2, 3, 4)))
    np.testing.assert_array_equal(layer.data[0], restore(noisy_stack[2], Denoise(), QUICK).finish())


def test_a_stack_is_restored_slice_by_slice_or_as_one_volume(viewer, open_dock, press_run, noisy_stack):
    stack = viewer.add_image(noisy_stack)
    dock = open_dock()
    for extent, volume in (("whole stack, slice by slice", False), ("as one volume (3D)", True)):
        dock.image_input.image.value = stack
        dock.image_input.extent.value = extent
        layer = press_run(dock)
        wanted = restore(noisy_stack, Denoise(), QUICK, axes="ZYX", volume=volume).finish()
        np.testing.assert_array_equal(layer.data, wanted)
        assert ("3 of 3 slices" in dock.outcome.status.text()) != volume


def test_an_rgb_image_stays_rgb(viewer, open_dock, press_run):
    image = np.random.default_rng(0).integers(0, 255, (21, 22, 3), dtype=np.uint8)
    viewer.add_image(image, rgb=True)
    dock = open_dock()
    assert dock.image_input.axes.value == "YXS"
    layer = press_run(dock)
    assert layer.rgb
    assert layer.data.shape == image.shape


def test_axis_labels_decide_the_axes_and_can_be_corrected(viewer, open_dock, press_run):
    image = np.random.default_rng(0).normal(size=(2, 20, 21)).astype(np.float32)
    viewer.add_image(image, axis_labels=("channel", "y", "x"))
    dock = open_dock()
    assert dock.image_input.axes.value == "CYX"
    assert not dock.image_input.extent.visible
    dock.image_input.axes.value = "TYX"
    assert "as one volume (3D)" not in dock.image_input.extent.choices
    dock.image_input.axes.value = "CYX"
    np.testing.assert_array_equal(press_run(dock).data, restore(image, Denoise(), QUICK, axes="CYX").finish())


def test_lazy_and_multiscale_layers_are_restored_at_full_resolution(viewer, open_dock, press_run, noisy):
    lazy = dask.array.from_array(noisy)
    viewer.add_image([lazy, lazy[::2, ::2]], multiscale=True)
    layer = press_run(open_dock())
    np.testing.assert_array_equal(layer.data, restore(noisy, Denoise(), QUICK).finish())


def test_float32_is_given_by_choice_and_the_record_says_what_was_done(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    dock = open_dock()
    dock.options.dtype.value = "float32"
    layer = press_run(dock)
    assert layer.data.dtype == np.float32
    record = layer.metadata[RECORD]
    assert {"version", "torch", "device", "axes", "chosen_steps"} <= set(record)
    assert (record["asked_method"], record["method"]["seed"], record["dtype"]) == ("deep-image-prior", 0, "float32")


def test_stop_keeps_the_best_so_far(viewer, open_dock, qtbot, click, begin_run, noisy):
    viewer.add_image(noisy)
    dock = open_dock(LONG)
    run = begin_run(dock, updates=3)
    with qtbot.waitSignals([run.succeeded, run.finished], timeout=30_000, order="strict"):
        click(dock.outcome.stop_button)
    layer = viewer.layers[-1]
    assert layer.data.dtype == noisy.dtype
    (chosen,) = layer.metadata[RECORD]["chosen_steps"]
    assert 1 < chosen < LONG.steps
    assert "Stopped at step" in dock.outcome.status.text()


def test_while_it_runs_preview_curve_progress_and_status_move_and_run_is_not_taken_twice(
    viewer, open_dock, qtbot, click, begin_run, noisy
):
    viewer.add_image(noisy)
    dock = open_dock(LONG)
    run = begin_run(dock)
    before = viewer.layers[-1].data.copy()
    count = dock.outcome.bar.value()
    with qtbot.waitSignals([run.updated] * 2, timeout=30_000):
        pass
    assert viewer.layers[-1].name.endswith("(preview)")
    qtbot.waitUntil(lambda: not np.array_equal(viewer.layers[-1].data, before), timeout=30_000)
    assert dock.outcome.bar.value() > count
    assert dock.outcome.bar.maximum() == LONG.steps
    # Something that moves by itself would have the whole window drawn anew all the time.
    assert not progress._all_instances
    assert len(dock.outcome.curve.losses) > 1
    assert "of at most 100000" in dock.outcome.status.text()
    assert "left" in dock.outcome.status.text()
    assert not dock.outcome.run_button.isEnabled()
    dock.start()
    assert dock.run is run
    with qtbot.waitSignal(run.finished, timeout=30_000):
        click(dock.outcome.stop_button)


def test_deleting_the_input_and_the_preview_during_a_run_loses_nothing(viewer, open_dock, qtbot, begin_run, noisy):
    viewer.add_image(noisy, name="cells")
    dock = open_dock(LONG)
    run = begin_run(dock)
    viewer.layers.clear()
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    with qtbot.waitSignal(run.finished, timeout=30_000):
        dock.stop()
    assert [layer.name for layer in viewer.layers] == ["cells denoised"]


def test_settings_of_a_result_are_taken_over(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    dock = open_dock(DeepImagePrior(steps=12, seed=5, rate=0.0123, code_channels=3, network=NETWORK))
    dock.task_form.show(Denoise(missing="fill"))
    dock.method_form.effort.value = "fast"
    dock.method_form.show_settings(DeepImagePrior(steps=12, seed=5, rate=0.0123, code_channels=3, network=NETWORK))
    layer = press_run(dock)
    used = dock.method_form.wish()
    dock.method_form.method.value = "nl-ridge"
    dock.task_form.show(Denoise())
    dock.image_input.image.value = layer
    assert not dock.reuse.native.isHidden()
    dock.reuse.native.click()
    assert dock.method_form.wish() == used
    assert (used.method, used.effort) == ("deep-image-prior", "fast")
    assert dock.task_form.read() == Denoise(missing="fill")
    assert Recipe.from_json(layer.metadata[RECORD]).method == used.settings


def test_what_is_wrong_with_image_axes_or_numbers_is_one_sentence_and_nothing_starts(viewer, open_dock, told, noisy):
    dock = open_dock()
    assert "open an image first" in told(dock)
    for image, words in ((np.full((8, 8), 7, np.uint8), "constant"), (np.zeros((8, 8), bool), "real numbers")):
        viewer.add_image(image, contrast_limits=(0, 1))
        assert words in told(dock)
        viewer.layers.clear()
    viewer.add_image(noisy)
    for axes, words in (("ZYX", "2"), ("YA", "no X"), ("", "0 axes")):
        dock.image_input.axes.value = axes
        assert words in told(dock)
    dock.image_input.axes.value = "YX"
    dock.method_form.form.widgets["rate"].value = "fast"
    assert "must be a number" in told(dock)


def test_missing_pixels_are_counted_and_filled_on_request(viewer, open_dock, qtbot, click, told):
    image = cells((30, 31)).astype(np.float32)
    image[4, 5:8] = np.nan
    viewer.add_image(image, contrast_limits=(0, 50))
    dock = open_dock()
    assert "3 of 930 pixels" in told(dock)
    assert not dock.outcome.fill_button.isHidden()
    click(dock.outcome.fill_button)
    with qtbot.waitSignal(dock.run.finished, timeout=30_000):
        pass
    assert np.isfinite(viewer.layers[-1].data).all()


def test_an_image_too_large_for_the_memory_is_refused_before_it_starts(viewer, open_dock, told, monkeypatch):
    # Not even a tile fits.
    monkeypatch.setattr("napari_deep_prior.runs.setup.free_memory", lambda _device: 2**20)
    viewer.add_image(np.random.default_rng(0).integers(0, 99, (3000, 3000), np.uint8))
    said = told(open_dock(DeepImagePrior(network=Hourglass(channels=(1024,) * 5))))
    assert "not enough memory" in said.lower()
    assert "GiB" in said


def test_the_device_list_has_what_exists_and_says_why_there_is_no_gpu(open_dock):
    dock = open_dock()
    assert list(dock.options.device.choices) == available_devices()
    assert (why_no_gpu() or "GPU") in dock.device_note.text()


def test_the_dock_begins_with_the_image_that_is_looked_at_and_offers_layers_that_come_later(viewer, open_dock, noisy):
    viewer.add_image(noisy, name="first")
    viewer.add_image(noisy, name="second")
    viewer.add_image(noisy, name="invisible", visible=False)
    dock = open_dock()
    assert dock.image_input.image.value.name == "second"
    viewer.layers.clear()
    assert dock.image_input.layer is None
    layer = viewer.add_image(noisy)
    assert dock.image_input.image.value.name == layer.name
    assert dock.image_input.axes.value == "YX"


def test_a_result_of_unusual_pixels_can_be_restored_again(viewer, open_dock, press_run):
    odd = Camera().expose(cells((33, 47), seed=3), np.random.default_rng(1)).astype(">u2")
    viewer.add_image(odd)
    dock = open_dock()
    dock.image_input.image.value = press_run(dock)
    second = press_run(dock)
    assert second.name.endswith("denoised denoised")
    assert second.data.shape == odd.shape


@pytest.mark.parametrize("rgb", [False, True])
def test_residual_and_uncertainty_are_added_when_asked_for(viewer, open_dock, press_run, noisy, rgb):
    image = np.stack([noisy // 2] * 3, axis=-1).astype(np.uint8) if rgb else noisy
    viewer.add_image(image, name="cells", rgb=rgb, scale=(0.5, 0.5))
    dock = open_dock(dataclasses.replace(QUICK, members=2))
    dock.options.diagnostics.value = True
    press_run(dock)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", "cells denoised", "cells denoised: residual", "cells denoised: uncertainty"]
    for layer in viewer.layers[2:]:
        assert not layer.visible
        assert layer.data.shape == noisy.shape
        np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    assert viewer.layers.selection.active.name == "cells denoised"
    assert any(word in dock.outcome.status.text() for word in ("residual", "removed", "left"))


def test_auto_runs_with_the_effort_that_was_chosen(viewer, open_dock, press_run):
    noisy = Camera().expose(cells((64, 64)), np.random.default_rng(0))
    viewer.add_image(noisy)
    dock = open_dock(None)
    dock.method_form.effort.value = "fast"
    layer = press_run(dock)
    record = layer.metadata[RECORD]
    assert (record["asked_method"], record["effort"], record["method"]["kind"]) == ("auto", "fast", "NLRidge")
    wanted = restore(noisy, Denoise(), settings_for(Denoise(), "nl-ridge", "fast")).finish()
    np.testing.assert_array_equal(layer.data, wanted)

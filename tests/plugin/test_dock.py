"""The Denoise dock in a real window: clicked as a person clicks it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import dask.array
import numpy as np
import pytest
from napari.utils import progress
from qtpy.QtCore import Qt

from napari_deep_prior import DeepImagePrior, Denoise, Hourglass, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import Method
from napari_deep_prior.plugin import run as run_module
from napari_deep_prior.runs.presets import PRESETS
from napari_deep_prior.tasks import from_record

from .conftest import LONG, QUICK


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


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
    dock.extent.value = "this slice"
    layer = press_run(dock)
    assert layer.data.shape == (1, 24, 25)
    np.testing.assert_allclose(layer.data_to_world((0, 3, 4)), image.data_to_world((2, 3, 4)))
    np.testing.assert_array_equal(layer.data[0], restore(noisy_stack[2], Denoise(), QUICK).finish())


def test_a_whole_stack_is_restored_slice_by_slice(viewer, open_dock, press_run, noisy_stack):
    viewer.add_image(noisy_stack)
    dock = open_dock()
    dock.extent.value = "whole stack, slice by slice"
    layer = press_run(dock)
    np.testing.assert_array_equal(layer.data, restore(noisy_stack, Denoise(), QUICK, axes="ZYX").finish())
    assert "3 of 3 slices" in dock.status.text()


def test_a_volume_is_restored_as_one(viewer, open_dock, press_run, noisy_stack):
    viewer.add_image(noisy_stack)
    dock = open_dock()
    dock.extent.value = "as one volume (3D)"
    layer = press_run(dock)
    np.testing.assert_array_equal(layer.data, restore(noisy_stack, Denoise(), QUICK, axes="ZYX", volume=True).finish())


def test_an_rgb_image_stays_rgb(viewer, open_dock, press_run):
    image = np.random.default_rng(0).integers(0, 255, (21, 22, 3), dtype=np.uint8)
    viewer.add_image(image, rgb=True)
    dock = open_dock()
    assert dock.axes.value == "YXS"
    layer = press_run(dock)
    assert layer.rgb
    assert layer.data.shape == image.shape


def test_axis_labels_decide_the_axes_and_can_be_corrected(viewer, open_dock, press_run):
    image = np.random.default_rng(0).normal(size=(2, 20, 21)).astype(np.float32)
    viewer.add_image(image, axis_labels=("channel", "y", "x"))
    dock = open_dock()
    assert dock.axes.value == "CYX"
    assert not dock.extent.visible
    dock.axes.value = "TYX"
    assert "as one volume (3D)" not in dock.extent.choices
    dock.axes.value = "CYX"
    np.testing.assert_array_equal(press_run(dock).data, restore(image, Denoise(), QUICK, axes="CYX").finish())


def test_lazy_and_multiscale_layers_are_restored_at_full_resolution(viewer, open_dock, press_run, noisy):
    lazy = dask.array.from_array(noisy)
    viewer.add_image([lazy, lazy[::2, ::2]], multiscale=True)
    layer = press_run(open_dock())
    np.testing.assert_array_equal(layer.data, restore(noisy, Denoise(), QUICK).finish())


def test_float32_is_given_by_choice(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    dock = open_dock()
    dock.dtype.value = "float32"
    assert press_run(dock).data.dtype == np.float32


def test_stop_keeps_the_best_so_far(viewer, open_dock, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_dock(LONG)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignals([run.updated] * 3, timeout=30_000):
        pass
    with qtbot.waitSignals([run.succeeded, run.finished], timeout=30_000, order="strict"):
        click(qtbot, dock.stop_button)
    layer = viewer.layers[-1]
    assert layer.data.dtype == noisy.dtype
    chosen = layer.metadata["deep-prior"]["chosen step"]
    assert 1 < chosen < LONG.steps
    assert f"the image is from step {chosen}" in dock.status.text()
    assert dock.run_button.isEnabled()


def test_while_it_runs_preview_curve_progress_and_status_move_and_run_is_not_taken_twice(
    viewer, open_dock, qtbot, noisy
):
    viewer.add_image(noisy)
    dock = open_dock(LONG)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    before = viewer.layers[-1].data.copy()
    bars = [bar for bar in progress._all_instances if bar.desc.startswith("Image")] or list(progress._all_instances)
    count = bars[0].n
    with qtbot.waitSignals([run.updated] * 2, timeout=30_000):
        pass
    assert viewer.layers[-1].name.endswith("(preview)")
    assert not np.array_equal(viewer.layers[-1].data, before)
    assert bars[0].n > count
    assert bars[0].total == LONG.steps
    assert len(dock.curve.losses) > 1
    assert "of at most 100000" in dock.status.text()
    assert "left" in dock.status.text()
    assert not dock.run_button.isEnabled()
    dock.start()
    assert dock.run is run
    with qtbot.waitSignal(run.finished, timeout=30_000):
        click(qtbot, dock.stop_button)
    assert not progress._all_instances


def test_deleting_the_input_and_the_preview_during_a_run_loses_nothing(viewer, open_dock, qtbot, noisy):
    viewer.add_image(noisy, name="cells")
    dock = open_dock(LONG)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    viewer.layers.clear()
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    with qtbot.waitSignal(run.finished, timeout=30_000):
        dock.stop()
    assert [layer.name for layer in viewer.layers] == ["cells denoised"]


def test_closing_the_dock_stops_the_run_and_keeps_its_result(viewer, open_dock, qtbot, noisy):
    viewer.add_image(noisy, name="cells")
    dock = open_dock(LONG)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    with qtbot.waitSignal(run.finished, timeout=30_000):
        viewer.window.remove_dock_widget("all")
        dock.deleteLater()
    assert viewer.layers[-1].name == "cells denoised"


def test_closing_the_viewer_during_a_run_ends_the_run(viewer, open_dock, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_dock(LONG)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignal(run.updated, timeout=30_000):
        pass
    with qtbot.waitSignal(run.worker.finished, timeout=30_000):
        viewer.close()
    assert not run_module.ACTIVE


@dataclass(frozen=True, kw_only=True)
class FailsInTheMiddle(Method):
    """Does a few honest steps, then what PyTorch does when a kernel fails."""

    def fit(self, problem):
        for step in QUICK.fit(problem):
            yield step
            if step.number == 20:
                raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore lines")

    def memory(self, problem):
        return 0


def test_a_runtime_error_ends_the_run_in_words_and_leaves_the_viewer_usable(
    viewer, open_dock, qtbot, press_run, noisy, monkeypatch
):
    viewer.add_image(noisy)
    dock = open_dock()
    monkeypatch.setattr(dock.method_form, "read", FailsInTheMiddle)
    click(qtbot, dock.run_button)
    run = dock.run
    with qtbot.waitSignals([run.failed, run.finished], timeout=30_000, order="strict"):
        pass
    assert "illegal memory access" in dock.status.text()
    assert "more lines" not in dock.status.text()
    assert viewer.layers[-1].name.endswith("(unfinished)")
    assert not progress._all_instances
    monkeypatch.undo()
    viewer.layers.pop()
    assert press_run(dock).name.endswith("denoised")


def test_settings_of_a_result_are_taken_over(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    dock = open_dock(DeepImagePrior(steps=12, seed=5, rate=0.0123, code_channels=3, network=QUICK.network))
    dock.task_form.show(Denoise(missing="fill"))
    layer = press_run(dock)
    used = dock.method_form.read()
    dock.method_form.show(PRESETS["denoise"]["paper"])
    dock.task_form.show(Denoise())
    dock.image.value = layer
    assert dock.reuse.enabled
    dock.reuse.native.click()
    assert dock.method_form.read() == used
    assert dock.task_form.read() == Denoise(missing="fill")
    assert from_record(layer.metadata["deep-prior"]) == (Denoise(missing="fill"), used)


def test_the_record_says_all_that_was_done(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    record = press_run(open_dock()).metadata["deep-prior"]
    assert {"version", "torch", "device", "task", "method", "axes", "dtype", "chosen step"} <= set(record)
    assert record["method"]["seed"] == 0


def test_a_preset_fills_the_form_and_a_change_is_told(open_dock):
    dock = open_dock()
    assert dock.preset.value == "(changed)"
    dock.preset.value = "paper"
    assert dock.method_form.read() == PRESETS["denoise"]["paper"]
    dock.method_form.widgets["seed"].value = 7
    assert dock.preset.value == "paper"
    dock.method_form.widgets["rate"].value = "0.02"
    assert dock.preset.value == "(changed)"
    assert dock.method_form.read().rate == 0.02
    dock.preset.value = "balanced"
    assert dock.method_form.read().seed == 7


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "open an image first"),
        (np.full((8, 8), 7, np.uint8), "constant"),
        (np.zeros((8, 8), bool), "real numbers"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_starts(viewer, open_dock, qtbot, image, words):
    if image is not None:
        viewer.add_image(image, contrast_limits=(0, 1))
    dock = open_dock()
    click(qtbot, dock.run_button)
    if dock.run is not None:
        with qtbot.waitSignal(dock.run.finished, timeout=30_000):
            pass
    assert words in dock.status.text()
    assert len(viewer.layers) == (image is not None)


@pytest.mark.parametrize(("axes", "words"), [("ZYX", "2"), ("YA", "no X"), ("", "0 axes")])
def test_wrong_axes_are_told(viewer, open_dock, qtbot, noisy, axes, words):
    viewer.add_image(noisy)
    dock = open_dock()
    dock.axes.value = axes
    click(qtbot, dock.run_button)
    assert dock.run is None
    assert words in dock.status.text()


def test_a_wrong_number_in_the_form_is_told(viewer, open_dock, qtbot, noisy):
    viewer.add_image(noisy)
    dock = open_dock()
    dock.method_form.widgets["rate"].value = "fast"
    click(qtbot, dock.run_button)
    assert "must be a number" in dock.status.text()


def test_missing_pixels_are_counted_and_filled_on_request(viewer, open_dock, qtbot):
    image = cells((30, 31)).astype(np.float32)
    image[4, 5:8] = np.nan
    viewer.add_image(image, contrast_limits=(0, 50))
    dock = open_dock()
    click(qtbot, dock.run_button)
    assert "3 of 930 pixels" in dock.status.text()
    assert not dock.fill_button.isHidden()
    click(qtbot, dock.fill_button)
    with qtbot.waitSignal(dock.run.finished, timeout=30_000):
        pass
    assert np.isfinite(viewer.layers[-1].data).all()


def test_an_image_too_large_for_the_memory_is_refused_before_it_starts(viewer, open_dock, qtbot):
    viewer.add_image(np.random.default_rng(0).normal(size=(4000, 4000)))
    dock = open_dock(DeepImagePrior(network=Hourglass(channels=(1024,) * 5)))
    click(qtbot, dock.run_button)
    assert dock.run is None
    assert "not enough memory" in dock.status.text().lower()
    assert "GiB" in dock.status.text()


def test_the_device_list_has_what_exists_and_says_why_there_is_no_gpu(open_dock):
    from napari_deep_prior.runs.devices import available_devices, why_no_gpu

    dock = open_dock()
    assert list(dock.device.choices) == available_devices()
    assert (why_no_gpu() or "GPU") in dock.device_note.text()


def test_the_dock_begins_with_the_image_that_is_looked_at(viewer, open_dock, noisy):
    viewer.add_image(noisy, name="first")
    viewer.add_image(noisy, name="second")
    viewer.add_image(noisy, name="hidden", visible=False)
    assert open_dock().image.value.name == "second"


def test_a_layer_added_later_can_be_chosen(viewer, open_dock, noisy):
    dock = open_dock()
    assert dock.image.value is None
    layer = viewer.add_image(noisy)
    assert dock.image.value.name == layer.name
    assert dock.axes.value == "YX"


def test_a_wild_sample_is_restored_again_from_its_own_result(viewer, open_dock, press_run):
    odd = Camera().expose(cells((33, 47), seed=3), np.random.default_rng(1)).astype(">u2")
    viewer.add_image(odd)
    dock = open_dock()
    first = press_run(dock)
    dock.image.value = first
    second = press_run(dock)
    assert second.name == "odd denoised denoised" or second.name.endswith("denoised denoised")
    assert second.data.shape == odd.shape


@pytest.mark.parametrize("rgb", [False, True])
def test_residual_and_uncertainty_are_added_when_asked_for(viewer, open_dock, press_run, noisy, rgb):
    image = np.stack([noisy // 2] * 3, axis=-1).astype(np.uint8) if rgb else noisy
    viewer.add_image(image, name="cells", rgb=rgb, scale=(0.5, 0.5))
    dock = open_dock(dataclasses.replace(QUICK, members=2))
    dock.diagnostics.value = True
    press_run(dock)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", "cells denoised", "cells denoised: residual", "cells denoised: uncertainty"]
    for layer in viewer.layers[2:]:
        assert not layer.visible
        assert layer.data.shape == noisy.shape
        np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    assert viewer.layers.selection.active.name == "cells denoised"
    assert "residual" in dock.status.text() or "removed" in dock.status.text() or "left" in dock.status.text()


def test_the_noise_is_told_in_words(viewer, open_dock, qtbot):
    viewer.add_image(Camera().expose(cells((128, 128)), np.random.default_rng(0)))
    dock = open_dock()
    qtbot.waitUntil(lambda: "photon noise" in dock.noise_note.text(), timeout=10_000)
    dock.axes.value = "YX"


def test_the_fast_preset_runs_and_shows_only_its_own_settings(viewer, open_dock, press_run):
    noisy = Camera().expose(cells((64, 64)), np.random.default_rng(0))
    viewer.add_image(noisy)
    dock = open_dock()
    dock.preset.value = "fast"
    layer = press_run(dock)
    assert layer.metadata["deep-prior"]["method"]["kind"] == "NonLocalRidge"
    np.testing.assert_array_equal(layer.data, restore(noisy, Denoise(), PRESETS["denoise"]["fast"]).finish())
    dock.preset.value = "balanced"
    assert dock.method_form.read() == PRESETS["denoise"]["balanced"]

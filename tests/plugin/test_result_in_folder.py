"""Results that grow in a folder: shown lazily, stopped, gone on with, and never mixed with those of other settings."""

from __future__ import annotations

from pathlib import Path

import dask.array
import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_deep_prior import Denoise, NLRidge, SelfDistillation, UNet, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files import images
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.files.model_files import read_model
from napari_deep_prior.files.reordered import Reordered
from napari_deep_prior.plugin import request as requests

from .conftest import LONG

pytest.importorskip("zarr")

SHOWN = True

PATCHES = NLRidge()


@pytest.fixture
def stack():
    return Camera().expose(cells((6, 32, 33), seed=1), np.random.default_rng(0))


@pytest.fixture
def open_dock(viewer, open_task, stack, tmp_path):
    """Open the dock for all slices of a lazy layer, with a folder for the result."""

    def open_dock(method=PATCHES, folder=tmp_path / "out"):
        if not viewer.layers:
            lazy = dask.array.from_array(stack, chunks=(1, 32, 33))
            viewer.add_image(lazy, name="cells", scale=(2, 0.5, 0.5), translate=(4, 1, 1), contrast_limits=(90, 200))
        dock = open_task("Denoise", method)
        dock.task_form.show(Denoise(neighbours=0))
        dock.image_input.extent.value = "whole stack, slice by slice"
        dock.place.line.setText(str(folder))
        return dock

    return open_dock


@pytest.fixture
def stop_after(qtbot, click):
    """Click Run, stop after a number of slices, and return how the run has ended."""

    def stop_after(dock, slices):
        click(dock.outcome.run_button)
        run = dock.run
        with qtbot.waitSignal(run.succeeded, timeout=60_000) as ended:
            run.updated.connect(lambda update: run.stop() if update.piece_number > slices else None)
        qtbot.waitUntil(lambda: dock.run is None, timeout=10_000)
        return ended.args[0]

    return stop_after


def test_a_result_grows_in_a_folder_and_lies_where_its_input_lay(viewer, open_dock, press_run, stack, tmp_path):
    dock = open_dock()
    layer = press_run(dock)
    expected = restore(stack, Denoise(neighbours=0), PATCHES, axes="ZYX").finish()
    assert isinstance(layer.data, Reordered)
    np.testing.assert_array_equal(np.asarray(layer.data), expected)
    assert (tuple(layer.scale), tuple(layer.translate)) == ((2, 0.5, 0.5), (4, 1, 1))
    assert layer.name == "cells denoised"
    assert dock.outcome.save_button.isHidden()
    viewer.dims.set_point(0, 8)
    assert layer.get_value((8, 1 + 5 * 0.5, 1 + 6 * 0.5), world=True) == expected[2, 5, 6]
    found = images.read(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.record["identity"]
    assert dict(found.spacing) == {"Z": 2.0, "Y": 0.5, "X": 0.5}
    assert not (tmp_path / "out.ome.zarr" / "deep-prior-pieces").exists()
    # The same once more is opened, not made again.
    with_it = len(viewer.layers)
    press_run(dock)
    assert "is the finished result of this image and these settings: it was opened" in dock.outcome.status.text()
    assert len(viewer.layers) == with_it + 1
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data), expected)


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_unfinished_result_is_gone_on_with_or_begun_anew(
    viewer, open_dock, stop_after, click, qtbot, stack, tmp_path, goes_on
):
    dock = open_dock()
    outcome = stop_after(dock, 2)
    assert outcome.missing in (2, 3, 4)
    assert not dock.outcome.go_on_button.isHidden()
    assert dock.outcome.status.text().startswith(f"{6 - outcome.missing} of 6 slices restored")
    layer = viewer.layers[-1]
    assert layer.name == f"cells denoised ({6 - outcome.missing} of 6 slices)"
    assert not np.asarray(layer.data)[-1].any()
    # As after a restart: another dock, which knows nothing of it.
    for each in list(viewer.layers)[1:]:
        viewer.layers.remove(each)
    viewer.window.remove_dock_widget("all")
    dock = open_dock()
    click(dock.outcome.run_button)
    with qtbot.waitSignal(dock.run.finished, timeout=60_000):
        pass
    done = f"({6 - outcome.missing} of 6 slices): go on with it?"
    assert f"'out.ome.zarr' has an unfinished result of these settings {done}" in dock.outcome.status.text()
    assert len(viewer.layers) == 1
    click(dock.outcome.resume_button if goes_on else dock.outcome.anew_button)
    pieces = []
    dock.run.updated.connect(lambda update: pieces.append(update.piece_number) if update.number else None)
    with qtbot.waitSignal(dock.run.finished, timeout=60_000):
        pass
    assert (min(pieces) == 7 - outcome.missing) == goes_on
    expected = restore(stack, Denoise(neighbours=0), PATCHES, axes="ZYX").finish()
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data), expected)
    assert len(viewer.layers[-1].metadata[RECORD]["chosen_steps"]) == 6


def test_the_button_goes_on_in_the_same_layer(viewer, open_dock, stop_after, click, qtbot, stack):
    dock = open_dock()
    stop_after(dock, 2)
    layer = viewer.layers[-1]
    click(dock.outcome.go_on_button)
    with qtbot.waitSignal(dock.run.finished, timeout=60_000):
        pass
    assert viewer.layers[-1] is layer
    expected = restore(stack, Denoise(neighbours=0), PATCHES, axes="ZYX").finish()
    np.testing.assert_array_equal(np.asarray(layer.data), expected)


def test_other_settings_and_other_folders_are_refused(viewer, open_dock, press_run, told, tmp_path):
    press_run(open_dock())
    dock = open_dock()
    dock.task_form.show(Denoise(neighbours=1))
    words = told(dock)
    assert "of another run: its input, settings or version were others" in words
    assert "--overwrite" not in words
    Path(tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    dock.place.line.setText(str(tmp_path / "mine.zarr"))
    (tmp_path / "mine").rename(tmp_path / "mine.zarr")
    assert "is not empty, and not a result of this program" in told(dock)
    assert (tmp_path / "mine.zarr" / "notes.txt").read_text() == "mine"
    dock.place.line.setText(str(tmp_path / "new"))
    dock.options.diagnostics.value = True
    assert "untick 'Also add'" in told(dock)


def test_a_result_that_does_not_fit_is_offered_a_folder(
    viewer, open_dock, told, click, qtbot, monkeypatch, tmp_path, stack
):
    dock = open_dock(folder="")
    monkeypatch.setattr(requests, "free_memory", lambda _: stack.nbytes - 1)
    assert "choose a folder for it under 'Result in'" in told(dock)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "large"), ""))
    click(dock.outcome.folder_button)
    with qtbot.waitSignal(dock.run.finished, timeout=60_000):
        pass
    assert isinstance(viewer.layers[-1].data, Reordered)
    assert (tmp_path / "large.ome.zarr").is_dir()


def test_the_network_of_all_slices_is_saved(viewer, open_dock, press_run, click, monkeypatch, tmp_path):
    quick = SelfDistillation(steps=3, crop=16, examples=2, precision="float32", network=UNet(channels=(8, 8)))
    dock = open_dock(quick, folder="")
    press_run(dock)
    assert not dock.outcome.model_button.isHidden()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "m"), ""))
    click(dock.outcome.model_button)
    assert "the network of all slices as 'm.safetensors'" in dock.outcome.status.text()
    assert read_model(tmp_path / "m.safetensors").training["steps"] == 3
    dock.method_form.show_settings(PATCHES)
    press_run(dock)
    assert dock.outcome.model_button.isHidden()


def test_the_slice_under_way_is_shown_and_not_written(viewer, open_dock, click, qtbot, tmp_path):
    dock = open_dock(LONG)
    click(dock.outcome.run_button)
    run = dock.run

    def stop_when_shown(_update):
        if run.layer is not None and np.array(run.layer.data[0, :, :]).any():
            run.stop()

    with qtbot.waitSignal(run.succeeded, timeout=60_000):
        run.updated.connect(stop_when_shown)
    assert not np.asarray(images.read(tmp_path / "out.ome.zarr", lazily=True).pixels[0, :, :]).any()
    assert not np.asarray(viewer.layers[-1].data).any()

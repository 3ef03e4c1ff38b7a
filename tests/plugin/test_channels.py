"""Channels in the docks: chosen by number or name, restored together or one by one, and what the result then has."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_deep_prior import Denoise, NLRidge, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files import images
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin.layers import FILE

SHOWN = True

NAMES = [{"Name": "DAPI"}, {"Name": "GFP"}, {"Name": "Cy5"}]
PATCHES = NLRidge()


@pytest.fixture
def series():
    """Two frames of three channels."""
    return Camera().expose(cells((6, 24, 25)).reshape(2, 3, 24, 25), np.random.default_rng(0))


@pytest.fixture
def add(viewer, series):
    def add(data=series):
        said = {"remarks": [], "channels": NAMES, "planes": {}, "about": {}}
        return viewer.add_image(data, name="cells", axis_labels=("t", "c", "y", "x"), metadata={FILE: said})

    return add


@pytest.fixture
def open_dock(open_task):
    def open_dock():
        dock = open_task("Denoise", PATCHES)
        dock.task_form.show(Denoise(neighbours=0))
        dock.image_input.extent.value = "whole stack, slice by slice"
        return dock

    return open_dock


@pytest.mark.parametrize("lazy", [False, True])
def test_the_result_has_the_chosen_channels(viewer, add, open_dock, press_run, series, lazy, tmp_path):
    add(dask.array.from_array(series, chunks=(1, 1, 24, 25)) if lazy else series)
    dock = open_dock()
    line = dock.image_input.channels.line
    assert not line.native.isHidden()
    assert line.native.placeholderText() == "all: 0 (DAPI), 1 (GFP), 2 (Cy5)"
    line.value = "cy5, 0"
    layer = press_run(dock)
    np.testing.assert_array_equal(
        layer.data, restore(series[:, [0, 2]], Denoise(neighbours=0), PATCHES, axes="TCYX").finish()
    )
    assert [each["Name"] for each in layer.metadata[FILE]["channels"]] == ["DAPI", "Cy5"]
    assert layer.metadata[RECORD]["file_remarks"] == [
        "'cells': of its 3 channels, 0 (DAPI), 2 (Cy5) were taken; left out: 1 (GFP)"
    ]
    layer.save(str(tmp_path / "result.ome.tif"), plugin="napari-deep-prior")
    assert [each["Name"] for each in images.read(tmp_path / "result.ome.tif").channels] == ["DAPI", "Cy5"]


def test_channels_that_follow_each_other_stay_in_their_place(viewer, add, open_dock, press_run, series):
    add()
    dock = open_dock()
    dock.image_input.channels.line.value = "1,2"
    layer = press_run(dock)
    assert tuple(layer.translate) == (0, 1, 0, 0)
    assert layer.data.shape == (2, 2, 24, 25)


def test_channels_are_restored_one_by_one_and_the_settings_are_used_again(
    viewer, add, open_dock, press_run, click, series
):
    add()
    dock = open_dock()
    dock.image_input.channels.separate.value = True
    layer = press_run(dock)
    assert layer.metadata[RECORD]["piece_count"] == 6
    expected = restore(series, Denoise(neighbours=0), PATCHES, axes="TCYX", separate_channels=True).finish()
    np.testing.assert_array_equal(layer.data, expected)
    dock.image_input.channels.separate.value = False
    dock.image_input.image.value = layer
    click(dock.reuse.native)
    assert dock.image_input.channels.separate.value


def test_what_is_no_channel_is_told_and_one_channel_has_nothing_to_choose(viewer, add, open_dock, told, series):
    add()
    dock = open_dock()
    dock.image_input.channels.line.value = "RFP"
    assert "There is no channel 'RFP': give numbers, counted from 0, or names, of 0 (DAPI)" in told(dock)
    dock.image_input.axes.value = "TZYX"
    assert dock.image_input.channels.line.native.isHidden()
    dock.image_input.axes.value = "CTYX"
    assert dock.image_input.channels.line.native.placeholderText() == "all: 0 (DAPI), 1 (GFP)"


def test_a_mask_lies_on_the_chosen_channels(viewer, add, open_task, press_run, series):
    add()
    mask = np.zeros(series.shape, np.uint8)
    mask[:, 2, 10:13, 10:13] = 1
    viewer.add_labels(mask, name="mask")
    dock = open_task("Inpaint", None)
    dock.image_input.image.value = viewer.layers["cells"]
    dock.method_form.effort.value = "fast"
    dock.image_input.extent.value = "this slice"
    dock.image_input.channels.line.value = "0,2"
    changed = press_run(dock).data[0] != series[0][[0, 2]]
    np.testing.assert_array_equal(changed, changed & (mask[0][[0, 2]] > 0))
    assert changed.any()


def test_a_batch_takes_axes_and_channels(viewer, open_task, qtbot, click, series, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    # The file calls its channels depth.
    images.write(raw / "a.tif", images.ImageFile(pixels=series, axes="TZYX"))
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Batch")
    choices = dock.choices
    choices.tasks.form.method_form.show_settings(PATCHES)
    for widget, value in ((choices.folder, raw), (choices.results, tmp_path / "out")):
        widget.line.setText(str(value))
    choices.axes.value, choices.channels.line.value = "TCYX", "2"
    choices.channels.separate.value = True
    click(dock.run_button)
    with qtbot.waitSignal(dock.batch.finished, timeout=60_000):
        pass
    result = images.read(tmp_path / "out" / "a.tif")
    assert (result.axes, result.pixels.shape) == ("TCYX", (2, 1, 24, 25))
    assert result.record["separate_channels"]

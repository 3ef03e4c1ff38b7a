"""The Compare dock in a real window: clicked as a person clicks it."""

from __future__ import annotations

import contextlib
import csv
import math
import threading
from pathlib import Path

import dask.array
import napari
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_deep_prior.arrays.metrics import hfen, mse, psnr, ssim
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.plugin.compare_choices import CompareChoices

SCALE = (0.5, 0.5)


@pytest.fixture
def truth():
    return Camera().expected(cells((40, 36), seed=1))


@pytest.fixture
def layers(viewer, truth):
    """A noisy image, and its truth."""
    noisy = truth + np.random.default_rng(0).normal(0, 20, truth.shape).astype(np.float32)
    return [viewer.add_image(noisy, name="noisy", scale=SCALE), viewer.add_image(truth, name="truth", scale=SCALE)]


@pytest.fixture
def dock(viewer, layers):
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Compare")
    dock.choices.results.tick([layers[0]])
    return dock


@pytest.fixture
def press(qtbot, click):
    """Click a button, and wait for what it began."""

    def press(dock, button):
        click(button)
        if dock.job is not None:
            with qtbot.waitSignal(dock.job.finished, timeout=30_000):
                pass

    return press


@pytest.fixture
def waiting(viewer, click):
    """Compare an array that is not read before an event is set; return the job under way, and the event."""

    def waiting(dock, pixels, viewer=viewer):
        begun, go_on = threading.Event(), threading.Event()

        def slow(block):
            begun.set()
            go_on.wait(30)
            return block

        meta = np.empty((0, 0), np.float32)
        lazy = dask.array.from_array(pixels, chunks=-1).map_blocks(slow, dtype=np.float32, meta=meta)
        dock.choices.results.tick([viewer.add_image(lazy, name="slow", visible=False, contrast_limits=(0, 1))])
        begun.clear()
        click(dock.compare_button)
        assert begun.wait(30)
        return dock.job, go_on

    return waiting


@pytest.fixture
def compare(press):
    """Click Compare, and return the texts of the table; empty if there is a problem."""

    def compare(dock):
        press(dock, dock.compare_button)
        if dock.status.text():
            return []
        table = dock.table
        columns = range(table.columnCount())
        return [[table.item(row, column).text() for column in columns] for row in range(table.rowCount())]

    return compare


@pytest.fixture
def click_name(qtbot):
    """Click a layer's name in the list of results."""

    def click_name(dock, name):
        ticks = dock.choices.results
        (item,) = ticks.findItems(name, Qt.MatchFlag.MatchExactly)
        qtbot.mouseClick(ticks.viewport(), Qt.MouseButton.LeftButton, pos=ticks.visualItemRect(item).center())

    return click_name


def test_the_table_has_the_measures_of_every_ticked_layer(viewer, layers, truth, dock, compare, click_name):
    viewer.add_image(truth.copy(), name="same", scale=SCALE)
    assert dock.choices.reference.value is layers[1]
    click_name(dock, "same")
    first, same = compare(dock)
    wanted = [measure(layers[0].data, truth) for measure in (mse, psnr, ssim, hfen)]
    assert [float(text) for text in first[1:]] == pytest.approx(wanted, rel=2e-3)
    assert (first[0], same) == ("noisy", ["same", "0.000", "inf", "1.0000", "0.000"])
    assert dock.about.text().startswith("Compared with truth, all pixels. Data range")
    assert "15 × 15" in dock.table.horizontalHeaderItem(4).text()
    click_name(dock, "noisy")
    assert [row[0] for row in compare(dock)] == ["same"]


def test_the_dock_begins_with_the_active_layer_and_the_truth(viewer, layers):
    viewer.layers.selection.active = layers[0]
    _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Compare")
    assert (dock.choices.results.ticked, dock.choices.reference.value) == ([layers[0]], layers[1])


def test_without_a_truth_the_active_layer_is_compared_with_another_one(viewer, truth):
    first, second = (viewer.add_image(truth + number, name=f"picture {number}") for number in (1, 2))
    for active, other in ((first, second), (second, first)):
        viewer.layers.selection.active = active
        choices = CompareChoices(viewer)
        choices.choose_first()
        assert choices.results.ticked == [active]
        assert choices.reference.value is other


def test_the_reference_is_not_compared_with_itself(layers, dock):
    dock.choices.results.tick(layers)
    with pytest.raises(ValueError, match="'truth' is the reference, and a result, too: untick it"):
        dock.choices.work()


def test_a_click_on_a_box_or_on_its_name_ticks_a_layer(layers, dock, click_name, qtbot):
    ticks = dock.choices.results
    click_name(dock, "truth")
    assert ticks.ticked == layers
    at = ticks.visualItemRect(ticks.item(1))
    box = QPoint(at.left() + 8, at.center().y())
    qtbot.mouseClick(ticks.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert ticks.ticked == layers[:1]
    qtbot.mouseClick(ticks.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert ticks.ticked == layers
    ticks.setCurrentRow(0)
    qtbot.keyClick(ticks, Qt.Key.Key_Space)
    assert ticks.ticked == layers[1:]
    click_name(dock, "noisy")
    assert ticks.ticked == layers


def test_a_fit_is_said_and_shown(viewer, truth, dock, compare, qtbot):
    changed = viewer.add_image(2 * truth + 100.0, name="changed", scale=SCALE)
    dock.choices.results.tick([changed])
    box = dock.choices.fit.native
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    (row,) = compare(dock)
    assert row[-2:] == ["0.5", "-50"]
    assert "fitted to the reference by least squares" in dock.about.text()
    assert float(row[1]) < 1e-6


@pytest.mark.parametrize("kind", ["labels", "rectangle", "ellipse"])
def test_only_the_region_is_compared(viewer, layers, truth, dock, compare, kind):
    mask = np.zeros(truth.shape, bool)
    mask[9:29, 7:27] = True
    if kind == "labels":
        region = viewer.add_labels(mask.astype(np.uint8), name="region", scale=SCALE)
    else:
        # A layer without the scale of the images; no edge lies on the centre of a pixel.
        corners = np.array([[8.4, 6.4], [8.4, 26.4], [28.4, 26.4], [28.4, 6.4]])
        region = viewer.add_shapes([corners * SCALE], shape_type=kind, name="region")
    if kind == "ellipse":
        rows, columns = np.ogrid[: truth.shape[0], : truth.shape[1]]
        mask = (rows - 18.4) ** 2 + (columns - 16.4) ** 2 < 100
    dock.choices.region.value = region
    compare(dock)
    assert "inside region" in dock.about.text()
    (row,) = dock.compared.table.rows
    assert row.pixels == mask.sum()
    assert row.mse == pytest.approx(mse(layers[0].data[mask], truth[mask]))


def test_the_difference_lies_on_the_reference_with_white_at_zero(viewer, layers, truth, dock, compare, press):
    layers[1].translate = layers[0].translate = (3, 4)
    compare(dock)
    press(dock, dock.difference_button)
    layer = viewer.layers["noisy less truth"]
    np.testing.assert_allclose(layer.data, layers[0].data - truth, rtol=1e-5, atol=1e-3)
    assert (tuple(layer.scale), tuple(layer.translate)) == (SCALE, (3, 4))
    assert layer.contrast_limits[0] == -layer.contrast_limits[1]
    np.testing.assert_allclose(layer.colormap.map(0.5)[:3], 1, atol=0.05)


def test_the_planes_of_colours_and_a_smaller_image_are_rows(viewer, truth, dock, compare, press):
    colours = np.stack([truth, truth // 2, truth // 3], axis=-1)
    reference = viewer.add_image(colours, rgb=True, name="colours")
    small = viewer.add_image(colours[::2, ::2], rgb=True, name="small")
    dock.choices.reference.value = reference
    dock.choices.results.tick([small])
    dock.choices.per_plane.value = True
    rows = compare(dock)
    assert [row[1] for row in rows] == ["all", "S 0", "S 1", "S 2"] * 3
    assert rows[8][0] == "small (bicubic)"
    dock.table.selectRow(9)
    press(dock, dock.difference_button)
    assert viewer.layers["small (bicubic) less colours"].data.shape == truth.shape


def test_lazy_layers_are_read_by_planes_and_never_in_the_viewers_thread(viewer, truth, dock, compare):
    stack = np.stack([truth, truth + 1, truth + 2]).astype(np.float32)
    reference = viewer.add_image(stack, name="stack")
    read = []

    def noted(block):
        read.append((block.shape, threading.current_thread() is threading.main_thread()))
        return block

    lazy = dask.array.from_array(stack + 1, chunks=(1, -1, -1)).map_blocks(noted, dtype=np.float32, meta=stack[:0])
    layer = viewer.add_image(lazy, name="lazy", visible=False, contrast_limits=(0, 1))
    dock.choices.reference.value = reference
    dock.choices.results.tick([layer])
    read.clear()
    assert compare(dock)[0][1] == "1.000"
    assert set(read) == {((1, *truth.shape), False)}


def test_stop_ends_a_comparison_that_waits_for_its_data(truth, dock, waiting, qtbot, click):
    job, go_on = waiting(dock, truth)
    with qtbot.waitSignal(job.finished, timeout=10_000):
        click(dock.stop_button)
    go_on.set()
    assert dock.status.text() == "Stopped: nothing was compared."
    assert dock.compare_button.isEnabled()


@pytest.mark.parametrize("error", [RuntimeError, KeyError])
def test_what_goes_wrong_while_a_layer_is_read_is_said(viewer, truth, dock, compare, error):
    def fail(block):
        raise error("the disk is gone")

    meta = np.empty((0, 0), np.float32)
    lazy = dask.array.from_array(truth, chunks=-1).map_blocks(fail, dtype=np.float32, meta=meta)
    layer = viewer.add_image(np.zeros(truth.shape, np.float32), name="lost")
    dock.choices.results.tick([layer])
    layer.visible = False
    layer._data = lazy  # as if its store was lost after it was opened
    assert compare(dock) == []
    assert "he disk is gone" in dock.status.text()
    assert dock.compare_button.isEnabled()


def test_what_cannot_be_compared_is_said(viewer, layers, truth, dock, compare):
    def said(**changes):
        for name, value in changes.items():
            getattr(dock.choices, name).value = value
        assert compare(dock) == []
        return dock.status.text()

    large = viewer.add_image(np.ones((3, 40, 36)), name="large")
    holes = viewer.add_image(np.where(np.eye(40, 36) > 0, np.nan, truth), name="holes", contrast_limits=(0, 1))
    empty = viewer.add_labels(np.zeros(truth.shape, np.uint8), name="empty", scale=SCALE)
    deep = viewer.add_shapes(np.array([[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]]), name="deep")
    line = viewer.add_shapes([[1, 1], [9, 9]], shape_type="line", name="line")
    assert said(region=empty).startswith("The mask 'empty' has no pixel")
    assert "have 3 axes, the reference 'truth' only 2" in said(region=deep)
    assert said(region=line).startswith("Nothing is enclosed in 'line': draw a rectangle")
    assert "the data range is '1O'" in said(region=None, data_range="1O").replace("The", "the")
    assert said(data_range="", reference=large).startswith("The reference 'large' is constant")
    assert said(reference=holes).startswith("The reference 'holes' has values that are NaN")
    dock.choices.results.tick([viewer.add_image(np.ones((41, 36)), name="higher")])
    assert said(reference=layers[1]).startswith("'higher' has shape (41, 36); the reference 'truth' has (40, 36)")
    dock.choices.results.tick([])
    assert said().startswith("No result is ticked")
    viewer.layers.clear()
    assert said().startswith("There is no image layer")


def test_a_result_that_lies_elsewhere_is_named(layers, dock, compare):
    compare(dock)
    assert "does not lie" not in dock.about.text()
    layers[0].translate = (5, 5)
    compare(dock)
    assert "'noisy' does not lie where the reference lies: pixels are compared by their row" in dock.about.text()


def test_the_table_is_copied_and_saved(dock, compare, click, tmp_path, monkeypatch):
    compare(dock)
    click(dock.copy_button)
    header, row = QApplication.clipboard().text().splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["result"] == "noisy"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "table"), ""))
    click(dock.save_button)
    with Path(tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert math.isclose(float(line["mse"]), dock.compared.table.rows[0].mse)
    assert dock.status.text() == "Saved as 'table.csv'."


def test_layers_that_come_and_go_are_offered(viewer, layers, dock, compare, press):
    compare(dock)
    viewer.add_image(layers[1].data, name="third")
    assert (dock.choices.results.count(), dock.choices.results.ticked) == (3, [layers[0]])
    layers[0].name = "renamed"
    assert dock.choices.results.item(0).text() == "renamed"
    viewer.layers.remove(layers[0])
    assert dock.choices.results.ticked == []
    press(dock, dock.difference_button)
    assert dock.status.text() == "A layer of this comparison is gone: compare again"


def test_a_region_on_one_plane_of_a_stack_and_one_across_planes(viewer, truth, dock, compare):
    stack = np.stack([truth, truth + 5, truth])
    dock.choices.reference.value = viewer.add_image(stack, name="stack")
    dock.choices.results.tick([viewer.add_image(stack + np.arange(3)[:, None, None], name="shifted")])
    flat = np.array([[2, 5.5, 5.5], [2, 5.5, 15.5], [2, 15.5, 15.5], [2, 15.5, 5.5]])
    dock.choices.region.value = viewer.add_shapes([flat], shape_type="polygon", name="flat")
    assert compare(dock)[0][1] == "4.000"
    steep = np.array([[0, 5, 5], [0, 5, 15], [2, 15, 15], [2, 15, 5]])
    dock.choices.region.value = viewer.add_shapes([steep], shape_type="polygon", name="steep")
    assert compare(dock) == []
    assert dock.status.text().startswith("A shape in 'steep' lies across the planes of 'stack'")


def test_enter_compares(dock, qtbot):
    qtbot.keyClick(dock.choices.data_range.native, Qt.Key.Key_Return)
    with qtbot.waitSignal(dock.job.finished, timeout=30_000):
        pass
    assert dock.table.rowCount() == 1


def test_a_dock_that_is_closed_ends_its_comparison(viewer, layers, dock, waiting, qtbot):
    job, go_on = waiting(dock, layers[1].data)
    with qtbot.waitSignal(job.finished, timeout=10_000):
        viewer.window.remove_dock_widget(dock.parent())
        dock.deleteLater()
    go_on.set()
    assert len(viewer.layers) == 3


def test_closing_the_window_ends_a_comparison(qapp, truth, waiting, qtbot):
    viewer = napari.Viewer(show=True)
    try:
        for name in ("noisy", "truth"):
            viewer.add_image(truth, name=name)
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Compare")
        job, go_on = waiting(dock, truth, viewer)
        with qtbot.waitSignal(job.finished, timeout=10_000):
            viewer.close()
        go_on.set()
    finally:
        with contextlib.suppress(RuntimeError):
            viewer.close()


@pytest.fixture
def stack(truth):
    return np.stack([truth, truth[::-1], truth[:, ::-1]])


def test_a_slice_that_was_cut_out_of_a_stack_is_compared_with_the_slice_where_it_lies(viewer, dock, compare, stack):
    place = {"scale": (2, 0.5, 0.5)}
    dock.choices.reference.value = viewer.add_image(stack, name="stack", **place)
    result = viewer.add_image(stack[2:] + 3, name="slice", translate=(4, 0, 0), **place)
    dock.choices.results.tick([result])
    assert compare(dock)[0][1] == "9.000"
    assert "Compared with Z 2 of 'stack'." in dock.about.text()
    painted = np.zeros(stack.shape, np.uint8)
    painted[2, 5:9, 5:9] = 1
    dock.choices.region.value = viewer.add_labels(painted, name="painted", **place)
    assert compare(dock)[0][1] == "9.000"


def test_the_difference_of_a_slice_lies_where_the_slice_lies(viewer, dock, compare, press, stack):
    dock.choices.reference.value = viewer.add_image(stack, name="stack", scale=(2, 0.5, 0.5))
    dock.choices.results.tick(
        [viewer.add_image(stack[1:2] + 3, name="slice", translate=(2, 0, 0), scale=(2, 0.5, 0.5))]
    )
    compare(dock)
    press(dock, dock.difference_button)
    layer = viewer.layers[-1]
    assert layer.data.shape == (1, *stack.shape[1:])
    np.testing.assert_allclose(layer.data, 3, atol=1e-3)
    np.testing.assert_allclose(layer.translate, [2, 0, 0])


def test_a_plane_and_a_stack_are_compared_at_the_slice_that_is_shown(viewer, layers, dock, compare, stack):
    own = viewer.add_image(stack, name="stack", scale=(1, *SCALE))
    plane = viewer.add_image(stack[1] + 2, name="plane", scale=SCALE)
    viewer.dims.set_point(0, 1)
    dock.choices.reference.value = own
    dock.choices.results.tick([plane])
    assert compare(dock)[0][1] == "4.000"
    assert "Compared with Z 1 of 'stack'." in dock.about.text()
    dock.choices.reference.value = plane
    dock.choices.results.tick([own])
    assert compare(dock)[0][1] == "4.000"
    assert "Of 'stack' Z 1 is compared, which is shown." in dock.about.text()


def test_different_slices_are_refused(viewer, dock, compare, stack):
    dock.choices.reference.value = viewer.add_image(stack, name="stack")
    one, two = (viewer.add_image(stack[at : at + 1], name=f"{at}", translate=(at, 0, 0)) for at in (0, 1))
    dock.choices.results.tick([one, two])
    assert dock.job is None
    dock.start()
    assert "show different slices of 'stack'" in dock.status.text()

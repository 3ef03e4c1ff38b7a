"""The Batch dock in a real window: a folder of images in, a folder of results and a table out."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import tifffile

from napari_deep_prior import PlugAndPlay, SelfDistillation, UNet
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import main
from napari_deep_prior.files import images
from napari_deep_prior.files.folders import TABLE
from napari_deep_prior.files.model_files import write_model
from napari_deep_prior.plugin.batch_choices import LAYERS, REPLACE, SHARED
from napari_deep_prior.plugin.batch_table_view import COLUMNS
from napari_deep_prior.plugin.viewer_job import ACTIVE

from ..models import trained_model
from .conftest import LONG, QUICK


@pytest.fixture
def raw(tmp_path):
    """Three images in a folder, one of them broken, and the truth of one in another one."""
    for name in ("raw", "truth"):
        (tmp_path / name).mkdir()
    for number in range(2):
        truth = cells((24, 25), seed=number)
        noisy = Camera().expose(truth, np.random.default_rng(number))
        tifffile.imwrite(tmp_path / "raw" / f"{number}.tif", noisy)
    tifffile.imwrite(tmp_path / "truth" / "0.tif", Camera().expected(cells((24, 25), seed=0)).astype(np.float32))
    (tmp_path / "raw" / "broken.tif").write_bytes(b"II*\0")
    return tmp_path / "raw"


@pytest.fixture
def open_batch(viewer):
    def open_batch(folder=None, method=QUICK):
        _, dock = viewer.window.add_plugin_dock_widget("napari-deep-prior", "Batch")
        if method is not None:
            dock.choices.tasks.form.method_form.show_settings(method)
        if folder is not None:
            dock.choices.folder.line.setText(str(folder))
            dock.choices.results.line.setText(str(folder.parent / "out"))
        return dock

    return open_batch


@pytest.fixture
def run_batch(qtbot, click):
    def run_batch(dock):
        click(dock.run_button)
        assert dock.batch is not None, dock.status.text()
        with qtbot.waitSignal(dock.batch.finished, timeout=60_000):
            pass

    return run_batch


@pytest.fixture
def refused(click):
    """Click Run, which must not begin anything, and return what is said."""

    def refused(dock):
        click(dock.run_button)
        assert dock.batch is None
        return dock.status.text()

    return refused


def column(dock, name):
    at = COLUMNS.index(name)
    return [dock.table.item(row, at).text() for row in range(dock.table.rowCount())]


def rows_of(folder):
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_a_folder_is_restored_with_a_row_for_each_file_and_errors_at_the_end(open_batch, run_batch, raw):
    dock = open_batch(raw)
    dock.choices.reference.line.setText(str(raw.parent / "truth"))
    run_batch(dock)
    assert column(dock, "Image") == ["0.tif", "1.tif", "broken.tif"]
    assert column(dock, "State") == ["restored", "restored", "failed"]
    before, after = map(float, column(dock, "PSNR (dB)")[0].split(" → "))
    assert after > before
    assert column(dock, "PSNR (dB)")[1:] == ["", ""]
    assert all("noise" in words for words in column(dock, "Noise")[:2])
    assert float(column(dock, "Seconds")[0]) >= 0
    assert dock.errors.text().startswith("broken.tif: failed: cannot read")
    assert "2 restored, 1 failed of 3 files" in dock.status.text()
    assert {name: row["status"] for name, row in rows_of(raw.parent / "out").items()} == {
        "0.tif": "done", "1.tif": "done", "broken.tif": "failed",
    }  # fmt: skip
    assert dock.run_button.isEnabled()


def test_results_are_those_of_the_command_and_each_skips_what_the_other_has_made(open_batch, run_batch, raw):
    (raw / "broken.tif").unlink()
    out = raw.parent / "out"
    assert main(["batch", "denoise", str(raw), str(out), "--effort", "fast", "--pattern", "0.tif"]) == 0
    dock = open_batch(raw, None)
    dock.choices.tasks.form.method_form.effort.value = "fast"
    run_batch(dock)
    assert column(dock, "State") == ["restored earlier", "restored"]
    by_command = raw.parent / "1.tif"
    assert main(["denoise", str(raw / "1.tif"), str(by_command), "--effort", "fast"]) == 0
    np.testing.assert_array_equal(images.read(out / "1.tif").pixels, images.read(by_command).pixels)
    assert main(["batch", "denoise", str(raw), str(out), "--effort", "fast"]) == 0
    assert {row["status"] for row in rows_of(out).values()} == {"skipped"}


def test_other_results_are_refused_with_the_remedy_of_the_dock_and_replaced_on_request(open_batch, run_batch, raw):
    (raw / "broken.tif").unlink()
    dock = open_batch(raw)
    dock.choices.pattern.value = "0.*"
    run_batch(dock)
    first = images.read(raw.parent / "out" / "0.tif").record["identity"]
    dock.choices.tasks.form.method_form.form.widgets["rate"].value = "0.005"
    run_batch(dock)
    assert column(dock, "State") == ["refused"]
    assert f"tick {REPLACE!r}" in dock.errors.text()
    assert "--overwrite" not in dock.errors.text()
    assert images.read(raw.parent / "out" / "0.tif").record["identity"] == first
    dock.choices.replace.value = True
    run_batch(dock)
    assert column(dock, "State") == ["restored"]
    assert dock.errors.isHidden()
    assert images.read(raw.parent / "out" / "0.tif").record["identity"] != first


def test_selected_layers_are_restored_into_files_with_their_pixel_size(viewer, open_batch, run_batch, tmp_path):
    stack = Camera().expose(cells((2, 24, 25), seed=1), np.random.default_rng(0))
    one = viewer.add_image(stack, name="one", scale=(2, 0.5, 0.5), units=("um", "um", "um"))
    two = viewer.add_image(stack[0], name="a/b")
    viewer.add_image(stack[1], name="not selected")
    viewer.layers.selection = {one, two}
    dock = open_batch()
    dock.choices.source.value = LAYERS
    dock.choices.results.line.setText(str(tmp_path / "out"))
    assert dock.choices.folder.isHidden()
    run_batch(dock)
    assert column(dock, "State") == ["restored", "restored"]
    written = images.read(tmp_path / "out" / "one.tif")
    assert written.axes == "ZYX"
    assert written.spacing["X"] == pytest.approx(0.5)
    assert written.pixels.shape == stack.shape
    assert (tmp_path / "out" / "a_b.tif").is_file()
    run_batch(dock)
    assert column(dock, "State") == ["restored earlier", "restored earlier"]
    dock.table.itemDoubleClicked.emit(dock.table.item(0, 0))
    assert viewer.layers[-1].data.shape == stack.shape
    np.testing.assert_allclose(viewer.layers[-1].scale, one.scale)


def test_stop_keeps_what_is_finished_and_the_reopened_dock_shows_the_batch(
    viewer, open_batch, qtbot, click, raw, run_batch
):
    (raw / "broken.tif").unlink()
    dock = open_batch(raw, LONG)
    click(dock.run_button)
    batch = dock.batch
    with qtbot.waitSignal(batch.progressed, timeout=30_000, check_params_cb=lambda progress: progress.step is not None):
        pass
    assert dock.status.text().startswith("Image 1 of 2: step")
    assert column(dock, "State") == ["restoring", "waiting"]
    viewer.window.remove_dock_widget(dock)
    assert batch in ACTIVE
    again = open_batch(None, None)
    assert again.batch is batch
    assert not again.run_button.isEnabled()
    with qtbot.waitSignal(batch.finished, timeout=30_000):
        click(again.stop_button)
    assert again.status.text().startswith("Stopped. Nothing was written of 2 files.")
    assert column(again, "State") == ["not restored", "not restored"]
    assert not list((raw.parent / "out").glob("*.tif"))
    assert batch not in ACTIVE


def test_masks_come_from_a_folder_and_rows_follow_the_task(open_batch, run_batch, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "masks").mkdir()
    image = Camera().expected(cells((32, 32))).astype(np.uint16)
    mask = np.zeros((32, 32), np.uint8)
    mask[10:13, 5:20] = 1
    tifffile.imwrite(tmp_path / "raw" / "a.tif", np.where(mask, 0, image).astype(np.uint16))
    tifffile.imwrite(tmp_path / "masks" / "a.tif", mask)
    dock = open_batch(tmp_path / "raw", None)
    masks = dock.choices.others["mask"]
    assert masks.isHidden()
    dock.choices.tasks.choice.value = "inpaint"
    assert not masks.isHidden()
    dock.choices.tasks.form.method_form.effort.value = "fast"
    masks.line.setText(str(tmp_path / "masks"))
    run_batch(dock)
    assert column(dock, "State") == ["restored"], dock.errors.text()
    filled = images.read(tmp_path / "out" / "a.tif").pixels
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert np.abs(filled[mask > 0].astype(float) - image[mask > 0]).mean() < image[mask > 0].mean() / 4


def test_what_is_wrong_with_the_form_is_one_sentence(viewer, open_batch, refused, raw):
    dock = open_batch()
    assert "nothing is chosen under 'Results in'" in refused(dock).lower().replace("results in", "Results in")
    dock.choices.results.line.setText(str(raw))
    assert "nothing is chosen under 'Folder'" in refused(dock).replace("Nothing", "nothing")
    dock.choices.folder.line.setText(str(raw))
    assert "choose another folder" in refused(dock)
    dock.choices.results.line.setText(str(raw.parent / "out"))
    dock.choices.pattern.value = "*.png"
    assert "no files that match '*.png'" in refused(dock)
    dock.choices.pattern.value = ""
    dock.choices.reference.line.setText(str(raw / "nowhere"))
    assert "there is no folder" in refused(dock).replace("There", "there")
    dock.choices.reference.line.setText("")
    dock.choices.source.value = LAYERS
    assert "no image layer is selected" in refused(dock).replace("No", "no")
    layers = [viewer.add_image(np.zeros((8, 8)), name=name) for name in ("a:b", "a?b")]
    viewer.layers.selection = set(layers)
    assert "would have one result" in refused(dock)
    dock.choices.tasks.form.method_form.form.widgets["rate"].value = "quick"
    assert "Learning rate is 'quick'" in refused(dock)
    dock.choices.tasks.choice.value = "guide"
    assert "'Guides'" in refused(dock)


def test_zarr_comes_back_as_zarr_and_layers_too_where_that_is_asked_for(viewer, open_batch, run_batch, raw):
    zarr = pytest.importorskip("zarr")
    for name in ("0.tif", "1.tif", "broken.tif"):
        (raw / name).unlink()
    planes = np.random.default_rng(0).poisson(30, (2, 20, 19)).astype(np.uint16)
    zarr.create_array(str(raw / "s.zarr"), data=planes, chunks=(1, 20, 19))
    dock = open_batch(raw)
    dock.choices.axes.value = "ZYX"
    run_batch(dock)
    assert column(dock, "State") == ["restored"], dock.errors.text()
    dock.table.itemDoubleClicked.emit(dock.table.item(0, 0))
    assert viewer.layers["s"].data.shape == planes.shape
    viewer.layers.selection = {viewer.add_image(planes[0], name="one plane")}
    dock.choices.source.value = LAYERS
    dock.choices.axes.value = ""
    dock.choices.zarr.value = True
    run_batch(dock)
    assert images.read(raw.parent / "out" / "one plane.ome.zarr").pixels.shape == (20, 19)
    dock.choices.tasks.form.method_form.show_settings(dataclasses.replace(QUICK, seed=8))
    run_batch(dock)
    assert column(dock, "State") == ["refused"]
    assert f"choose another name, or tick {REPLACE!r}" in dock.errors.text()


def test_an_original_is_never_replaced(open_batch, refused, raw):
    out = raw.parent / "out"
    out.mkdir()
    (out / "0.tif").symlink_to(raw / "0.tif")
    assert "the original would be lost" in refused(open_batch(raw))


def test_an_enlarged_layer_overlays_its_input_when_its_file_is_opened(viewer, open_batch, run_batch, tmp_path):
    picture = Camera().expected(cells((20, 23), seed=1)).astype(np.uint16)
    image = viewer.add_image(picture, name="p", scale=(0.5, 0.25), translate=(5, -7), rotate=30, shear=[0.2])
    viewer.layers.selection = {image}
    dock = open_batch(None, None)
    dock.choices.source.value = LAYERS
    dock.choices.results.line.setText(str(tmp_path / "out"))
    dock.choices.tasks.choice.value = "super-resolve"
    dock.choices.tasks.form.method_form.show_settings(PlugAndPlay(passes=2, search_radius=3, group_size=10))
    run_batch(dock)
    assert column(dock, "State") == ["restored"], dock.errors.text()
    (layer,) = viewer.open(tmp_path / "out" / "p.tif", plugin="napari-deep-prior")
    assert layer.data.shape == (40, 46)
    for ours, its in (((-0.5, -0.5), (-0.5, -0.5)), ((39.5, -0.5), (19.5, -0.5)), ((39.5, 45.5), (19.5, 22.5))):
        np.testing.assert_allclose(layer.data_to_world(ours), image.data_to_world(its), atol=1e-6)


def test_a_trained_network_restores_all_images_as_the_command_does(raw, open_batch, run_batch, refused, tmp_path):
    for name, enlarges in (("net", False), ("large", True)):
        write_model(str(tmp_path / f"{name}.safetensors"), trained_model(enlarges=enlarges))
    (raw / "broken.tif").unlink()
    dock = open_batch(raw, None)
    choices = dock.choices
    choices.tasks.form.method_form.effort.value = "fast"
    choices.model.file.value = str(raw / "0.tif")
    assert "as a model" in refused(dock)
    choices.model.file.value = str(tmp_path / "large.safetensors")
    assert "was trained for 'super-resolve', and the images are to keep their size" in refused(dock)
    choices.model.file.value = path = str(tmp_path / "net.safetensors")
    run_batch(dock)
    assert column(dock, "State") == ["restored", "restored"]
    assert images.read(raw.parent / "out" / "0.tif").record["method"]["kind"] == "TrainedNetwork"
    assert main(["batch", "denoise", str(raw), str(raw.parent / "out"), "--effort", "fast", "--model", path]) == 0
    assert {row["status"] for row in rows_of(raw.parent / "out").values()} == {"skipped"}
    choices.tasks.choice.value = "inpaint"
    assert choices.model.file.native.isHidden()


def test_one_network_is_trained_for_all_images(viewer, raw, open_batch, run_batch, click):
    quick = SelfDistillation(steps=4, crop=16, examples=2, precision="float32", network=UNet(channels=(8, 8)))
    dock = open_batch(raw, quick)
    choices = dock.choices
    assert not choices.shared.native.isHidden()
    choices.shared.value = True
    run_batch(dock)
    for number in range(2):
        remarks = images.read(raw.parent / "out" / f"{number}.tif").record["remarks"]
        assert "one network was trained for all images, on 0.tif, 1.tif" in remarks
    choices.tasks.form.method_form.show_settings(QUICK)
    click(dock.run_button)
    assert dock.batch is None
    assert f"choose the method 'Self-distillation' or the effort 'balanced', or untick {SHARED!r}" in dock.status.text()
    choices.tasks.choice.value = "inpaint"
    assert choices.shared.native.isHidden()

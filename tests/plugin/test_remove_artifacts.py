"""The dock that removes compression artefacts: a file on the disk tells how it was compressed, or the image does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_deep_prior import NLDeblocking, RemoveArtifacts, restore
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.files.jpeg import read_tables
from napari_deep_prior.plugin.layers import tables_of

QUICK = NLDeblocking(passes=2, group_size=10, search_radius=4)
MAN = data.camera()[100:137, 190:233]
WOMAN = data.astronaut()[80:113, 190:225]

BY_FILE = "the file says how coarsely it was rounded"
BY_IMAGE = "how coarsely it was rounded was found in the image"


@pytest.fixture
def open_dock(open_task):
    return lambda: open_task("Remove artefacts", QUICK)


@pytest.fixture
def files(tmp_path):
    """A folder with man.jpg and woman.jpg, of quality 15."""
    Image.fromarray(MAN).save(tmp_path / "man.jpg", quality=15)
    Image.fromarray(WOMAN).save(tmp_path / "woman.jpg", quality=15)
    return tmp_path


def result_of(image, **options):
    return restore(image, RemoveArtifacts(**options.pop("task", {})), QUICK, device="cpu", **options).finish()


@pytest.mark.parametrize(("name", "rgb"), [("man.jpg", False), ("woman.jpg", True)])
def test_a_layer_opened_from_a_jpeg_is_restored_by_the_tables_of_its_file(
    viewer, open_dock, press_run, files, name, rgb
):
    (image,) = viewer.open(files / name, plugin="napari")
    assert image.rgb == rgb
    assert tables_of(image) == read_tables(files / name)
    dock = open_dock()
    layer = press_run(dock)
    assert [each.name for each in viewer.layers] == [image.name, f"{image.name} without artefacts"]
    assert (layer.data.shape, layer.data.dtype, layer.rgb) == (image.data.shape, np.uint8, rgb)
    assert layer.metadata[RECORD]["remarks"] == [BY_FILE]
    assert BY_FILE[1:] in dock.outcome.status.text()
    np.testing.assert_array_equal(layer.data, result_of(image.data, jpeg=read_tables(files / name)))
    assert not np.array_equal(layer.data, image.data)


def test_of_a_layer_without_a_file_the_image_tells_it(viewer, open_dock, press_run, files):
    jpeg = np.asarray(Image.open(files / "man.jpg"))
    image = viewer.add_image(jpeg, name="man", scale=(0.5, 0.25), translate=(3, 4))
    assert tables_of(image) is None
    layer = press_run(open_dock())
    assert layer.metadata[RECORD]["remarks"] == [BY_IMAGE]
    np.testing.assert_array_equal(layer.data, result_of(jpeg))
    np.testing.assert_array_equal(layer.scale, image.scale)
    np.testing.assert_array_equal(layer.translate, image.translate)


def test_a_file_counts_only_while_it_is_there_and_of_the_layers_size(viewer, files):
    (image,) = viewer.open(files / "man.jpg", plugin="napari")
    image.data = np.asarray(image.data)[8:]
    assert tables_of(image) is None
    (other,) = viewer.open(files / "woman.jpg", plugin="napari")
    (files / "woman.jpg").unlink()
    assert tables_of(other) is None


def test_the_quality_may_be_given_or_left_empty(viewer, open_dock, press_run, files):
    (image,) = viewer.open(files / "man.jpg", plugin="napari")
    dock = open_dock()
    quality = dock.task_form.widgets["quality"]
    assert quality.value == ""
    assert dock.task_form.read() == RemoveArtifacts()
    quality.value = "5"
    assert dock.task_form.read() == RemoveArtifacts(quality=5)
    layer = press_run(dock)
    assert layer.metadata[RECORD]["remarks"] == ["taken for a JPEG of quality 5"]
    np.testing.assert_array_equal(layer.data, result_of(image.data, task={"quality": 5}))
    viewer.layers.selection = {layer}
    dock.image_input.image.value = layer
    quality.value = ""
    dock.reuse.native.click()
    assert dock.task_form.read() == RemoveArtifacts(quality=5)
    assert dock.method_form.form.read() == QUICK


def test_a_quality_that_is_none_is_told_and_nothing_starts(viewer, open_dock, told):
    viewer.add_image(MAN)
    dock = open_dock()
    for text, words in [("many", "Quality is 'many'; it must be a whole number"), ("101", "it must lie between 1")]:
        dock.task_form.widgets["quality"].value = text
        assert words in told(dock)


def test_a_stack_is_restored_slice_by_slice_and_a_volume_is_refused(viewer, open_dock, press_run, files, told):
    jpeg = np.asarray(Image.open(files / "man.jpg"))
    stack = np.stack([jpeg, jpeg[::-1, ::-1]])[:, :32, :40]
    viewer.add_image(stack)
    dock = open_dock()
    dock.image_input.extent.value = "as one volume (3D)"
    assert "JPEG compresses planes, and no volumes: restore plane by plane" in told(dock)
    dock.image_input.extent.value = "this slice"
    viewer.dims.set_point(0, 0)
    layer = press_run(dock)
    assert layer.data.shape == (1, 32, 40)
    np.testing.assert_array_equal(layer.data[0], result_of(stack[0]))


def test_what_is_no_jpeg_that_can_be_undone_is_told(viewer, open_dock, files, told):
    Image.fromarray(WOMAN).convert("CMYK").save(files / "inks.jpg")
    viewer.open(files / "inks.jpg", plugin="napari")
    dock = open_dock()
    assert "inks.jpg' as a JPEG: it has CMYK values" in told(dock)


def test_for_an_image_that_was_never_compressed_the_deep_image_prior_stands_in_and_it_is_said(
    viewer, open_dock, qtbot, click, begin_run
):
    viewer.add_image(MAN)
    dock = open_dock()
    run = begin_run(dock)
    with qtbot.waitSignals([run.succeeded, run.finished], timeout=30_000, order="strict"):
        click(dock.outcome.stop_button)
    assert "the deep image prior was used instead" in dock.outcome.status.text()
    assert "neither a file nor the image shows how it was compressed" in dock.outcome.status.text().lower()
    assert viewer.layers[-1].data.dtype == np.uint8
    assert viewer.layers[-1].metadata[RECORD]["method"]["kind"] == "DeepImagePrior"

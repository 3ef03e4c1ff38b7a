"""The Super-resolve dock in a real window: the result lies exactly on its input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from napari.layers import Image

from napari_deep_prior import PlugAndPlay, SuperResolve, ZeroShotSR, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin.voxels import voxels_as_cubes
from napari_deep_prior.runs.recommend import Wish

QUICK = PlugAndPlay(passes=2, search_radius=3, group_size=10)
LONG = PlugAndPlay(passes=1000)


@pytest.fixture
def picture():
    return Camera().expected(cells((20, 23), seed=1)).astype(np.uint16)


@pytest.fixture
def stack():
    return Camera().expected(cells((3, 16, 19), seed=1)).astype(np.uint16)


@pytest.fixture
def open_dock(open_task):
    """Open the Super-resolve dock as the menu does, with settings for a short run."""

    def open_dock(method=QUICK, **task):
        dock = open_task("Super-resolve", method)
        dock.task_form.show(SuperResolve(**task))
        return dock

    return open_dock


def corners(layer):
    """Return where the outer corners of the pixels of a layer lie in the world."""
    shape = layer.data.shape[: layer.ndim]
    edges = itertools.product(*((-0.5, length - 0.5) for length in shape))
    return np.array([layer.data_to_world(edge) for edge in edges])


def result_of(image, method=QUICK, axes=None, volume=False, kernel=None, **task):
    return restore(image, SuperResolve(**task), method, axes=axes, volume=volume, kernel=kernel).finish()


@pytest.mark.parametrize("factor", [2, 16])
def test_the_result_overlays_its_input_exactly(viewer, open_dock, press_run, picture, factor):
    image = viewer.add_image(
        picture, name="cells", scale=(0.5, 0.25), translate=(5, -7), rotate=30, shear=[0.2], units=("um", "um"),
        axis_labels=("y", "x"), colormap="green", affine=[[1, 0.1, 3], [0, 1, 4], [0, 0, 1]],
    )  # fmt: skip
    layer = press_run(open_dock(factor=factor))
    assert [each.name for each in viewer.layers] == ["cells", "cells super-resolved"]
    assert layer.data.shape == (20 * factor, 23 * factor)
    assert layer.data.dtype == picture.dtype
    np.testing.assert_allclose(layer.scale, np.divide(image.scale, factor))
    np.testing.assert_allclose(corners(layer), corners(image), atol=1e-9)
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert layer.colormap.name == "green"
    np.testing.assert_array_equal(layer.data, result_of(picture, factor=factor))


def test_with_a_factor_that_does_not_divide_the_size_the_first_corner_is_kept(viewer, open_dock, press_run, picture):
    image = viewer.add_image(picture, scale=(0.5, 0.25), translate=(5, 7))
    layer = press_run(open_dock(factor=1.5))
    assert layer.data.shape == (30, 34)
    np.testing.assert_allclose(layer.data_to_world((-0.5, -0.5)), image.data_to_world((-0.5, -0.5)))
    # 34.5 pixels would be needed: half of a pixel of the result is missing at the end.
    np.testing.assert_allclose(layer.data_to_world((29.5, 34)), image.data_to_world((19.5, 22.5)))


def test_one_plane_of_a_stack_lies_on_its_plane(viewer, open_dock, press_run, stack):
    image = viewer.add_image(stack, scale=(2, 0.5, 0.25), translate=(10, 1, 1), rotate=(0, 0, 30))
    viewer.dims.set_point(0, image.data_to_world((2, 0, 0))[0])
    dock = open_dock()
    dock.image_input.extent.value = "this slice"
    layer = press_run(dock)
    assert layer.data.shape == (1, 32, 38)
    for row, column in itertools.product((-0.5, 15.5), (-0.5, 18.5)):
        there = layer.data_to_world((0, 2 * row + 0.5, 2 * column + 0.5))
        np.testing.assert_allclose(there, image.data_to_world((2, row, column)))
    np.testing.assert_allclose(layer.scale, (2, 0.25, 0.125))
    np.testing.assert_array_equal(layer.data[0], result_of(stack[2]))


def test_a_whole_stack_lies_on_its_input(viewer, open_dock, press_run, stack):
    image = viewer.add_image(stack, scale=(2, 0.5, 0.25), translate=(10, 1, 1), rotate=(0, 0, 30))
    dock = open_dock()
    dock.image_input.extent.value = "whole stack, slice by slice"
    layer = press_run(dock)
    assert layer.data.shape == (3, 32, 38)
    np.testing.assert_allclose(corners(layer), corners(image), atol=1e-9)
    np.testing.assert_array_equal(layer.data, result_of(stack, axes="ZYX"))
    assert "3 of 3 slices" in dock.outcome.status.text()


def test_a_volume_lies_on_its_input(viewer, open_dock, press_run, stack):
    image = viewer.add_image(stack, scale=(2, 0.5, 0.25), translate=(10, 1, 1), rotate=(0, 0, 30))
    dock = open_dock(factor=2, z_factor=3)
    dock.image_input.extent.value = "as one volume (3D)"
    layer = press_run(dock)
    assert layer.data.shape == (9, 32, 38)
    np.testing.assert_allclose(corners(layer), corners(image), atol=1e-9)
    np.testing.assert_array_equal(layer.data, result_of(stack, axes="ZYX", volume=True, z_factor=3))


def test_a_colour_image_stays_one(viewer, open_dock, press_run):
    image = np.random.default_rng(0).integers(0, 255, (15, 16, 4), dtype=np.uint8)
    source = viewer.add_image(image, rgb=True, scale=(0.5, 0.25), translate=(1, 2))
    layer = press_run(open_dock())
    assert layer.rgb
    assert layer.data.shape == (30, 32, 4)
    np.testing.assert_allclose(corners(layer), corners(source))
    np.testing.assert_array_equal(layer.data, result_of(image, axes="YXS"))


def test_a_layer_can_show_the_blur(viewer, open_dock, press_run, picture):
    bead = np.outer([1, 2, 3, 2, 1], [0, 1, 4, 1, 0]).astype(np.uint8)
    dock = open_dock()
    viewer.add_image(picture, name="cells")
    blur = viewer.add_image(bead, name="bead")
    # A layer that comes later is offered, and not taken unasked.
    assert dock.inputs["kernel"].layer.value is None
    dock.image_input.image.value = viewer.layers["cells"]
    dock.inputs["kernel"].layer.value = blur
    layer = press_run(dock)
    np.testing.assert_array_equal(layer.data, result_of(picture, kernel=bead))
    np.testing.assert_allclose(layer.metadata[RECORD]["kernel"], bead / bead.sum())
    viewer.layers.remove(blur)
    assert dock.inputs["kernel"].layer.value is None
    assert press_run(dock).metadata[RECORD]["kernel"] is None


def test_a_preview_is_shown_in_its_place_and_stop_keeps_the_best_so_far(
    viewer, open_dock, qtbot, picture, click, begin_run
):
    image = viewer.add_image(picture, name="cells", scale=(0.5, 0.25), rotate=30)
    dock = open_dock(LONG)
    run = begin_run(dock, updates=2)
    preview = viewer.layers[-1]
    assert preview.name == "cells super-resolved (preview)"
    assert preview.data.shape == (40, 46)
    np.testing.assert_allclose(corners(preview), corners(image), atol=1e-9)
    assert np.isfinite(preview.data).all()
    assert "of at most 2000" in dock.outcome.status.text()
    with qtbot.waitSignals([run.succeeded, run.finished], timeout=30_000, order="strict"):
        click(dock.outcome.stop_button)
    assert len(viewer.layers) == 2
    assert preview.name == "cells super-resolved"
    assert preview.data.dtype == picture.dtype
    assert "Stopped at step" in dock.outcome.status.text()
    first = np.rint(restore(picture, SuperResolve(), LONG).image)
    assert not np.array_equal(preview.data, first)


def test_what_does_not_fit_is_told_and_nothing_starts(viewer, open_dock, told, picture):
    viewer.add_image(picture)
    viewer.add_image(np.ones((3, 3, 3)), name="bead", contrast_limits=(0, 1))
    dock = open_dock(factor=1)
    dock.image_input.image.value = viewer.layers[0]
    assert "factors are all 1: nothing would be enlarged" in told(dock)
    dock.task_form.show(SuperResolve(z_factor=2))
    assert "restore as one volume" in told(dock)
    dock.task_form.show(SuperResolve())
    dock.inputs["kernel"].layer.value = viewer.layers["bead"]
    assert "kernel is for 3 axes" in told(dock)


def test_settings_of_a_result_are_taken_over(viewer, open_dock, press_run, picture):
    viewer.add_image(picture)
    dock = open_dock(factor=2.5, blur="gaussian", blur_width=0.7)
    layer = press_run(dock)
    dock.task_form.show(SuperResolve())
    dock.method_form.method.value = "deep-image-prior"
    dock.image_input.image.value = layer
    dock.reuse.native.click()
    assert dock.task_form.read() == SuperResolve(factor=2.5, blur="gaussian", blur_width=0.7)
    assert dock.method_form.wish() == Wish(method="plug-and-play", settings=QUICK)


# Voxels to cubes


def test_voxels_of_a_layer_become_cubes(viewer, open_dock, click, press_run, stack):
    image = viewer.add_image(stack, name="cells", scale=(1, 0.25, 0.25), translate=(10, 1, 1), units=("um",) * 3)
    dock = open_dock(None)
    click(dock.voxel_tools.isotropic_button)
    assert dock.task_form.read() == SuperResolve(factor=1, z_factor=4)
    assert dock.image_input.extent.value == "as one volume (3D)"
    assert dock.method_form.wish() == Wish(volume=True)
    assert "4 planes for one, estimated from the planes themselves" in dock.outcome.status.text()
    dock.method_form.show_settings(ZeroShotSR(steps=20))
    layer = press_run(dock)
    assert layer.data.shape == (12, 16, 19)
    np.testing.assert_allclose(layer.scale, (0.25, 0.25, 0.25))
    np.testing.assert_allclose(corners(layer), corners(image), atol=1e-9)
    remarks = layer.metadata[RECORD]["remarks"]
    assert remarks[0].startswith("planes were interpolated from what the others show")
    assert "Planes were interpolated from what the others show" in dock.outcome.status.text()
    # The blur is one along Z alone: what is shown is its middle plane, a point.
    assert np.shape(layer.metadata[RECORD]["blur"])[1:] == (1, 1)
    assert dock.outcome.blur.isVisibleTo(dock)


def test_what_was_set_besides_the_factors_is_kept(viewer, open_dock, stack, click):
    viewer.add_image(stack, scale=(0.75, 0.25, -0.25))
    dock = open_dock(factor=3, blur="area", blur_width=0.7)
    click(dock.voxel_tools.isotropic_button)
    assert dock.task_form.read() == SuperResolve(factor=1, z_factor=3, blur="area", blur_width=0.7)


def test_voxels_that_cannot_become_cubes_are_told(viewer, open_dock, click):
    dock = open_dock(None)
    for shape, place, words in [
        (None, {}, "There is no image layer: open an image first"),
        ((16, 19), {"scale": (2, 1)}, "The axes YX have no Z, only a volume has voxels: correct them if it is one"),
        ((3, 16, 19), {}, "The planes are 1 apart and the pixels 1 wide: nothing is to be enlarged. This comes from"),
    ]:
        if shape:
            viewer.layers.clear()
            viewer.add_image(np.random.default_rng(0).integers(0, 99, shape, dtype=np.uint8), **place)
        click(dock.voxel_tools.isotropic_button)
        assert words in dock.outcome.status.text()
        assert dock.task_form.read() == SuperResolve()
    dock.task_form.widgets["blur_width"].value = "wide"
    click(dock.voxel_tools.isotropic_button)
    assert "Blur width is 'wide'; it must be a number" in dock.outcome.status.text()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"scale": (2, 1, 0.5)}, "the pixels are 1 × 0.5, no squares: enlarge the planes first"),
        ({"scale": (20, 1, 1)}, "z_factor is 20.0; it must lie between 1 and 16"),
        ({"scale": (2, 1, 1), "units": ("nm", "um", "um")}, "the voxels are measured in several units"),
    ],
)
def test_voxels_of_other_shapes_are_refused(place, words):
    with pytest.raises(ValueError, match=words):
        voxels_as_cubes(SuperResolve(), Image(np.zeros((3, 16, 19)), **place), "ZYX")


# The blur


def test_the_blur_that_was_undone_is_shown(viewer, open_dock, press_run, picture):
    viewer.add_image(picture)
    dock = open_dock(blur="gaussian", blur_width=1.2)
    assert not dock.outcome.blur.isVisibleTo(dock)
    blur = press_run(dock).metadata[RECORD]["blur"]
    rows, columns = np.shape(blur)
    assert dock.outcome.blur.isVisibleTo(dock)
    assert dock.outcome.blur.toolTip() == f"The blur that was undone, {rows} × {columns} pixels of the result"
    shown = dock.outcome.blur.pixmap().toImage()
    assert (shown.height(), shown.width()) == (64, 64)
    middle, corner = shown.pixelColor(32, 32).value(), shown.pixelColor(0, 0).value()
    assert middle == 255
    assert corner < 20


def test_the_blur_is_found_in_the_image_and_told(viewer, open_dock, press_run):
    viewer.add_image(Camera().expected(cells((64, 64), seed=1)).astype(np.uint16))
    dock = open_dock(blur="estimated")
    layer = press_run(dock)
    record = layer.metadata[RECORD]
    assert record["kernel"] is None
    assert record["task"]["blur"] == "estimated"
    assert record["remarks"][0].startswith("the blur is about ")
    assert "The blur is about " in dock.outcome.status.text()
    assert "Made as coarse again, the result is " in dock.outcome.status.text()


def test_the_factor_can_be_given_as_the_size_of_new_pixels(viewer, open_dock, picture):
    viewer.add_image(picture, scale=(0.5, 0.5))
    dock = open_dock()
    dock.voxel_tools.pixel_size.value = "0.2"
    assert dock.task_form.read().factor == 2.5
    for wrong in ("0", "wide", "3", "0.001"):
        dock.voxel_tools.pixel_size.value = wrong
        assert "it must be a number from 0.0312 to 0.5" in dock.outcome.status.text()
        assert dock.task_form.read().factor == 2.5

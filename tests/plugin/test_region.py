"""A region of a layer in a real window: only it is read, and the result lies exactly on it."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import zarr

from napari_deep_prior import DeepImagePrior, Denoise, Inpaint, NLRidge, PlugAndPlay, SuperResolve, restore
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin import plan
from napari_deep_prior.plugin.crop import view_of
from napari_deep_prior.plugin.region_input import VIEW

from .conftest import NETWORK
from .test_crop import look_at, reach, rectangle

SHOWN = True
QUICK = NLRidge()


@pytest.fixture
def picture():
    return Camera().expose(cells((90, 110), seed=1), np.random.default_rng(0))


@pytest.fixture
def zoom_in(viewer, qtbot):
    """Zoom so that a part of the world 40 long is shown, and return the rows and columns of a layer that it holds."""

    def zoom_in(layer, centre):
        world = layer.data_to_world([*(0,) * (layer.ndim - 2), *centre])[-2:]
        look_at(viewer, world, zoom=2 * max(reach(viewer)) / (40 * layer.scale[-1]))

    return zoom_in


def corner_of(layer):
    """Return where in the world the outer corner of the first pixel of a layer lies."""
    return np.array(layer.data_to_world([*(0,) * (layer.ndim - 2), -0.5, -0.5]))


def part_of(layer, image):
    """Return the rows and columns of an image on which a layer lies."""
    place = np.rint(image.world_to_data(layer.data_to_world((0,) * layer.ndim))).astype(int)[-2:]
    rows, columns = layer.data.shape[layer.ndim - 2 : layer.ndim]
    return slice(place[0], place[0] + rows), slice(place[1], place[1] + columns)


def test_the_current_view_is_restored_and_lies_where_it_was(viewer, open_task, press_run, zoom_in, picture):
    image = viewer.add_image(
        picture, name="lyso", scale=(0.2, 0.2), translate=(5, 7), rotate=20, units=("um", "um"), colormap="green",
        affine=[[1, 0.1, 3], [0, 1, 4], [0, 0, 1]],
    )  # fmt: skip
    dock = open_task("Denoise", QUICK)
    zoom_in(image, (45, 55))
    dock.region_input.choice.value = VIEW
    layer = press_run(dock)
    assert layer.name == "lyso denoised (view)"
    rows, columns = part_of(layer, image)
    assert 16 <= rows.stop - rows.start < 70
    assert rows.start > 0
    assert columns.start > 0
    np.testing.assert_array_equal(layer.data, restore(picture[rows, columns], Denoise(), QUICK).finish())
    np.testing.assert_allclose(
        layer.data_to_world((3, 4)), image.data_to_world((rows.start + 3, columns.start + 4)), atol=1e-9
    )
    assert (layer.units, layer.colormap.name) == (image.units, "green")
    (remark,) = layer.metadata[RECORD]["file_remarks"]
    assert f"from row {rows.start} and column {columns.start} on" in remark


@pytest.mark.parametrize("rgb", [False, True])
def test_a_rectangle_on_one_slice_or_all_of_them(viewer, open_task, press_run, rgb):
    stack = Camera().expose(cells((2, 40, 50), seed=1), np.random.default_rng(0))
    if rgb:
        stack = np.stack([stack // 4] * 3, axis=-1).astype(np.uint8)
    image = viewer.add_image(stack, name="stack", rgb=rgb, scale=(2, 0.5, 0.25))
    viewer.add_shapes([rectangle(5, 2, 15, 10)], name="box")
    viewer.dims.set_point(0, 2)
    dock = open_task("Denoise", QUICK)
    dock.task_form.widgets["neighbours"].value = "0"
    dock.image_input.image.value = image
    dock.region_input.choice.value = viewer.layers["box"]
    for extent, slices in (("this slice", slice(1, 2)), ("whole stack, slice by slice", slice(0, 2))):
        dock.image_input.image.value = image
        dock.image_input.extent.value = extent
        layer = press_run(dock)
        assert layer.name.startswith("stack denoised (rectangle)")
        # 5 to 15 of pixels that are 0.5 high, 2 to 10 of pixels that are 0.25 wide.
        part = stack[slices, 10:31, 8:41]
        axes = "ZYXS" if rgb else "ZYX"
        np.testing.assert_array_equal(layer.data, restore(part, Denoise(neighbours=0), QUICK, axes=axes).finish())
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), image.data_to_world((slices.start, 10, 8)))
        assert layer.rgb == rgb


def test_an_enlarged_region_overlays_its_pixels(viewer, open_task, press_run):
    picture = Camera().expected(cells((60, 70), seed=1)).astype(np.uint16)
    image = viewer.add_image(picture, scale=(0.5, 0.25), translate=(5, -7), rotate=30, shear=[0.2])
    box = viewer.add_shapes([rectangle(20, 30, 37, 49)], name="box")
    for name in ("scale", "translate", "rotate", "shear"):
        setattr(box, name, getattr(image, name))
    method = PlugAndPlay(passes=2, search_radius=3, group_size=10)
    dock = open_task("Super-resolve", method)
    dock.task_form.show(SuperResolve(factor=2))
    dock.image_input.image.value = image
    dock.region_input.choice.value = box
    layer = press_run(dock)
    assert layer.data.shape == (36, 40)
    np.testing.assert_allclose(corner_of(layer), image.data_to_world((19.5, 29.5)), atol=1e-9)
    np.testing.assert_allclose(layer.data_to_world((35.5, 39.5)), image.data_to_world((37.5, 49.5)), atol=1e-9)
    np.testing.assert_array_equal(layer.data, restore(picture[20:38, 30:50], SuperResolve(factor=2), method).finish())


def test_of_lazy_multiscale_layers_only_the_region_is_read(viewer, open_task, press_run, zoom_in, tmp_path):
    picture = Camera().expose(cells((128, 160), seed=1), np.random.default_rng(0))
    reads = []

    def read(block_info=None):
        reads.append(tuple(block_info[None]["chunk-location"]))
        (top, bottom), (left, right) = block_info[None]["array-location"]
        return picture[top:bottom, left:right]

    lazy = dask.array.map_blocks(read, chunks=((16,) * 8, (16,) * 10), dtype=picture.dtype, meta=picture[:0, :0])
    # The coarser level is what the viewer shows when it draws the whole image.
    image = viewer.add_image([lazy, picture[::2, ::2]], multiscale=True, contrast_limits=(100, 400), visible=False)
    dock = open_task("Denoise", QUICK)
    zoom_in(image, (64, 80))
    dock.region_input.choice.value = VIEW
    reads.clear()
    layer = press_run(dock)
    rows, columns = part_of(layer, image)
    np.testing.assert_array_equal(layer.data, restore(picture[rows, columns], Denoise(), QUICK).finish())
    inside = {
        (row, column)
        for row in range(rows.start // 16, (rows.stop - 1) // 16 + 1)
        for column in range(columns.start // 16, (columns.stop - 1) // 16 + 1)
    }
    assert set(reads) == inside
    assert len(inside) < 40


def test_a_rectangle_of_a_zarr_layer_is_restored(viewer, open_task, press_run, tmp_path, picture):
    stored = zarr.create_array(tmp_path / "a.zarr", data=np.stack([picture, picture]), chunks=(1, 32, 32))
    image = viewer.add_image(stored, name="stored", contrast_limits=(100, 400))
    box = viewer.add_shapes([rectangle(20, 30, 50, 70)], name="box")
    dock = open_task("Denoise", QUICK)
    dock.image_input.image.value = image
    dock.image_input.extent.value = "this slice"
    dock.region_input.choice.value = box
    np.testing.assert_array_equal(press_run(dock).data[0], restore(picture[20:51, 30:71], Denoise(), QUICK).finish())


def test_what_cannot_be_restored_is_one_sentence_and_nothing_starts(viewer, open_task, told, picture):
    viewer.add_image(picture, name="lyso")
    dock = open_task("Denoise", QUICK)
    dock.region_input.choice.value = VIEW
    look_at(viewer, (900, 900), zoom=1)
    assert told(dock).startswith("The view lies beside the image 'lyso'")
    look_at(viewer, (45, 50), zoom=max(reach(viewer)) / 2)
    assert "zoom out" in told(dock)
    viewer.dims.ndisplay = 3
    assert "leave the 3D view" in told(dock)
    viewer.dims.ndisplay = 2
    box = viewer.add_shapes([rectangle(300, 300, 400, 400)], name="box")
    dock.region_input.choice.value = box
    assert "lies beside the image" in told(dock)
    box.data = [np.array([(0, 30), (30, 60), (60, 30), (30, 0)], float)]
    assert "rotated" in told(dock)
    dock.image_input.axes.value = "ZYX"
    assert "names 3 axes" in told(dock)


def test_the_plan_is_that_of_the_region_and_follows_the_view(viewer, open_task, qtbot, zoom_in, picture, monkeypatch):
    monkeypatch.setattr(plan, "DELAY", 10)
    image = viewer.add_image(picture, name="lyso")
    dock = open_task("Denoise", QUICK)
    dock.region_input.choice.value = VIEW
    zoom_in(image, (45, 55))
    qtbot.waitUntil(lambda: "of memory" in dock.notes.plan_note.text() and not dock.notes._busy, timeout=30_000)
    with qtbot.waitSignal(dock.notes.wanted, timeout=10_000):
        viewer.scene.camera.zoom *= 4
    assert "zoom out" in dock.notes.plan_note.text()


def test_the_view_is_what_napari_draws(viewer, qtbot, picture):
    image = viewer.add_image(picture, scale=(0.3, 0.7), translate=(4, -9), rotate=30)
    look_at(viewer, image.data_to_world((40, 60)), zoom=max(reach(viewer)) / 8)

    def drawn():
        crop = view_of(viewer, image, "YX")
        here = np.array([(span.start, span.stop - 1) for span in crop.spans.values()]).T
        return np.abs(image.corner_pixels - here).max() <= 1

    qtbot.waitUntil(drawn, timeout=10_000)
    assert image.corner_pixels[0].min() > 0


def test_of_a_compressed_image_whole_blocks_are_restored(viewer, open_task):
    image = viewer.add_image(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8))
    box = viewer.add_shapes([rectangle(40, 70, 90, 290)], name="box")
    dock = open_task("Remove artefacts", None)
    dock.image_input.image.value = image
    dock.region_input.choice.value = box
    part = dock._asked().part()
    assert (part.offset, part.pixels.shape) == ((32, 64), (64, 236))


def test_masks_and_guides_are_those_of_the_region(viewer, open_task, press_run, picture):
    image = viewer.add_image(picture, name="lyso", scale=(0.5, 0.5))
    mask = np.zeros(picture.shape, np.uint8)
    mask[30:33, 35:60] = 1
    viewer.add_labels(mask, scale=(0.5, 0.5))
    edges = viewer.add_image(cells(picture.shape, seed=1), name="edges", scale=(0.5, 0.5))
    box = viewer.add_shapes([rectangle(10, 10, 25, 32)], name="box")
    rows, columns = slice(20, 51), slice(20, 65)
    method = PlugAndPlay(passes=2, search_radius=3, group_size=10)
    dock = open_task("Inpaint", method)
    dock.image_input.image.value = image
    dock.region_input.choice.value = box
    filled = press_run(dock).data
    wanted = restore(picture[rows, columns], Inpaint(), method, mask=mask[rows, columns] > 0).finish()
    np.testing.assert_array_equal(filled, wanted)
    dock = open_task("Guided reconstruction", DeepImagePrior(steps=2, code_channels=4, network=NETWORK))
    dock.image_input.image.value = image
    dock.region_input.choice.value = box
    dock.inputs["guide"].layers.value = [edges]
    request = dock._asked()
    given = dock.inputs["guide"].read(request.part(), request)
    np.testing.assert_allclose(given[0], edges.data[rows, columns], rtol=1e-6)


def test_the_result_of_a_stack_can_be_scrolled_while_it_grows(viewer, open_task, qtbot, click, noisy_stack):
    viewer.add_image(noisy_stack, name="stack")
    dock = open_task("Denoise", DeepImagePrior(steps=60, stop="none", code_channels=4, network=NETWORK))
    dock.image_input.extent.value = "whole stack, slice by slice"
    dock.task_form.widgets["neighbours"].value = "0"
    click(dock.outcome.run_button)
    run = dock.run
    second = lambda update: update.piece_number > 1 and update.number > 0  # noqa: E731
    with qtbot.waitSignal(run.updated, timeout=60_000, check_params_cb=second):
        pass
    preview = viewer.layers[-1]
    assert preview.name == "stack denoised (preview)"
    viewer.dims.set_point(0, 0)
    finished = preview.data[0].copy()
    assert finished.any()
    np.testing.assert_array_equal(preview._slice.image.raw, finished)
    with qtbot.waitSignal(run.finished, timeout=60_000):
        pass
    np.testing.assert_array_equal(viewer.layers[-1].data[0], finished)

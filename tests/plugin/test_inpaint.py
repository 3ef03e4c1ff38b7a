"""The Inpaint dock in a real window: what is painted is filled, wherever the mask lies, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior import Inpaint, PlugAndPlay, restore
from napari_deep_prior.files.images import RECORD
from napari_deep_prior.plugin.layers import Part

QUICK = PlugAndPlay(passes=2, search_radius=3, group_size=10)
LONG = PlugAndPlay(passes=1000)


@pytest.fixture
def open_dock(open_task):
    return lambda method=QUICK: open_task("Inpaint", method)


@pytest.fixture
def press_new_mask(click, viewer):
    """Click "New mask layer" and return the layer."""

    def press_new_mask(dock):
        click(dock.inputs["mask"].new_button)
        return viewer.layers[-1]

    return press_new_mask


def read_mask(dock):
    """Return the mask that a run on the whole layer would be given."""
    layer = dock.image_input.layer
    part = Part(layer, layer.data, dock.image_input.letters, (0,) * layer.ndim)
    return dock.inputs["mask"].read(part, None)


def scratched(shape):
    """Return a mask of two lines and a block."""
    mask = np.zeros(shape, bool)
    mask[..., 7, :] = True
    mask[..., 3:20, 11] = True
    mask[..., 12:16, 14:20] = True
    return mask


def assert_filled(result, image, mask):
    """Fail unless the result is the image to the bit where it is not masked, and another one where it is."""
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert (result != image)[mask].mean() > 0.7


def result_of(image, mask, axes=None, volume=False):
    return restore(image, Inpaint(), QUICK, mask=mask, axes=axes, volume=volume).finish()


# A new mask


def test_a_new_mask_lies_on_the_image_and_is_ready_to_paint(viewer, open_dock, press_new_mask, noisy):
    place = {"scale": (0.2, 0.3), "translate": (5, 7), "rotate": 20, "shear": [0.1]}
    image = viewer.add_image(
        noisy, name="cells", units=("um", "um"), axis_labels=("y", "x"),
        affine=[[1, 0.1, 3], [0, 1, 4], [0, 0, 1]], **place,
    )  # fmt: skip
    dock = open_dock()
    mask = press_new_mask(dock)
    assert (mask.name, mask.mode) == ("cells mask", "paint")
    assert mask.data.shape == noisy.shape
    assert not mask.data.any()
    for name in place:
        np.testing.assert_allclose(getattr(mask, name), getattr(image, name), err_msg=name)
    for corner in [(0, 0), (39, 0), (17, 36)]:
        np.testing.assert_allclose(mask.data_to_world(corner), image.data_to_world(corner))
    assert (mask.units, mask.axis_labels) == (image.units, image.axis_labels)
    assert viewer.layers.selection.active.name == mask.name
    assert dock.inputs["mask"].labels.value.name == mask.name
    assert dock.image_input.image.value.name == "cells"
    assert "Paint what is to be filled" in dock.outcome.status.text()


def test_a_new_mask_is_chosen_although_there_are_other_labels(viewer, open_dock, press_new_mask, noisy):
    viewer.add_image(noisy, name="cells")
    viewer.add_labels(np.ones(noisy.shape, np.uint8), name="segmentation")
    dock = open_dock()
    assert dock.inputs["mask"].labels.value.name == "segmentation"
    press_new_mask(dock)
    assert dock.inputs["mask"].labels.value.name == "cells mask"


def test_a_new_mask_has_all_axes_of_the_image_but_its_colours(viewer, open_dock, press_new_mask, rng):
    dock = open_dock(None)
    for rgb, shape in [(True, (20, 21, 3)), (True, (20, 21, 4)), (False, (4, 20, 21))]:
        dock.image_input.image.value = viewer.add_image(rng.integers(0, 255, shape, dtype=np.uint8), rgb=rgb)
        assert press_new_mask(dock).data.shape == ((20, 21) if rgb else shape)


def test_a_new_mask_has_the_full_resolution_of_a_multiscale_image(viewer, open_dock, press_new_mask, press_run, noisy):
    viewer.add_image([noisy, noisy[::2, ::2]], multiscale=True)
    dock = open_dock()
    mask = press_new_mask(dock)
    assert mask.data.shape == noisy.shape
    mask.data = scratched(noisy.shape).astype(np.uint8)
    np.testing.assert_array_equal(press_run(dock).data, result_of(noisy, scratched(noisy.shape)))


def test_without_an_image_there_is_nothing_to_paint_on(open_dock, viewer, click):
    dock = open_dock()
    click(dock.inputs["mask"].new_button)
    assert not viewer.layers
    assert "open an image first" in dock.outcome.status.text()


# What is painted is filled


def test_what_is_painted_is_filled_and_all_else_stays_to_the_bit(viewer, open_dock, press_new_mask, press_run, noisy):
    image = viewer.add_image(noisy, name="cells", scale=(0.2, 0.3), translate=(5, 7), rotate=20, colormap="green")
    dock = open_dock()
    mask = press_new_mask(dock)
    mask.brush_size = 3
    for column in range(4, 30, 2):
        mask.paint((15, column), 1)
    mask.paint((30, 8), 2)
    painted = mask.data > 0
    layer = press_run(dock)
    assert [each.name for each in viewer.layers] == ["cells", "cells mask", "cells inpainted"]
    assert_filled(layer.data, noisy, painted)
    np.testing.assert_array_equal(layer.data, result_of(noisy, painted))
    for name in ("scale", "translate", "rotate"):
        np.testing.assert_allclose(getattr(layer, name), getattr(image, name), err_msg=name)
    assert layer.colormap.name == "green"
    assert layer.metadata[RECORD]["task"]["kind"] == "Inpaint"


def test_one_label_alone_is_filled_on_request_and_one_that_nobody_painted_is_told(
    viewer, open_dock, press_run, told, noisy
):
    labels = np.zeros(noisy.shape, np.int32)
    labels[7], labels[20:24, 9:15] = 1, 2
    viewer.add_image(noisy)
    viewer.add_labels(labels, name="dust")
    dock = open_dock()
    dock.inputs["mask"].label.value = 300
    assert "nothing is painted in the mask 'dust'" in told(dock).lower()
    dock.inputs["mask"].label.value = 2
    assert_filled(press_run(dock).data, noisy, labels == 2)


def test_of_two_masks_one_is_chosen(viewer, open_dock, press_run, noisy):
    first, second = scratched(noisy.shape), np.roll(scratched(noisy.shape), 9, axis=0)
    viewer.add_image(noisy)
    viewer.add_labels(first.astype(np.uint8), name="first")
    viewer.add_labels(second.astype(np.uint8), name="second")
    dock = open_dock(None)
    for name, mask in (("second", second), ("first", first)):
        dock.inputs["mask"].labels.value = viewer.layers[name]
        np.testing.assert_array_equal(read_mask(dock), mask)


def test_painting_while_it_runs_changes_nothing_any_more(viewer, open_dock, qtbot, noisy, click, begin_run):
    painted = scratched(noisy.shape)
    viewer.add_image(noisy)
    mask = viewer.add_labels(painted.astype(np.uint8))
    dock = open_dock(LONG)
    run = begin_run(dock)
    mask.data = np.ones_like(mask.data)
    viewer.layers.remove(mask)
    with qtbot.waitSignal(run.finished, timeout=60_000):
        click(dock.outcome.stop_button)
    assert_filled(viewer.layers[-1].data, noisy, painted)
    assert dock.inputs["mask"].labels.value is None


# Wherever the mask lies


@pytest.mark.parametrize("rotate", [0, 30])
def test_a_mask_of_half_the_resolution_covers_four_pixels_with_each(viewer, open_dock, press_run, noisy, rotate):
    image = noisy[:, :36]
    coarse = np.zeros((20, 18), np.uint8)
    coarse[4], coarse[10:13, 5] = 1, 1
    layer = viewer.add_image(image, scale=(0.5, 0.25), translate=(5, -7), rotate=rotate)
    # The outer edges lie on each other: the first large pixel is centred half a pixel further.
    viewer.add_labels(coarse, scale=(1.0, 0.5), translate=layer.data_to_world((0.5, 0.5)), rotate=rotate)
    np.testing.assert_array_equal(read_mask(open_dock(None)), np.kron(coarse, np.ones((2, 2))) > 0)


def test_a_mask_of_twice_the_resolution_covers_each_pixel_that_it_touches(viewer, open_dock, press_run, noisy):
    fine = np.zeros((80, 74), np.uint8)
    fine[21], fine[40:60, 33] = 1, 1
    viewer.add_image(noisy, scale=(2, 2))
    viewer.add_labels(fine, translate=(-0.5, -0.5))
    touched = fine.reshape(40, 2, 37, 2).any(axis=(1, 3))
    np.testing.assert_array_equal(read_mask(open_dock(None)), touched)


def test_a_small_mask_elsewhere_covers_what_lies_under_it(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy, scale=(0.5, 0.5), translate=(100, 200))
    viewer.add_labels(np.ones((4, 50), np.uint8), scale=(0.5, 0.5), translate=(106, 205))
    mask = np.zeros(noisy.shape, bool)
    mask[12:16, 10:] = True
    np.testing.assert_array_equal(read_mask(open_dock(None)), mask)


def test_a_mask_beside_the_image_is_told(viewer, open_dock, noisy, told):
    viewer.add_image(noisy)
    viewer.add_labels(np.ones((5, 5), np.uint8), translate=(100, 100), name="dust")
    said = told(open_dock())
    assert said.startswith("The mask 'dust' does not overlap the image in world coordinates")
    assert "check scale and translate" in said


# Stacks, colours and channels


def test_a_plane_mask_fills_this_slice_of_a_stack(viewer, open_dock, press_run, noisy_stack):
    mask = scratched(noisy_stack.shape[1:])
    image = viewer.add_image(noisy_stack, scale=(2, 0.5, 0.5), translate=(10, 1, 1))
    viewer.add_labels(mask.astype(np.uint8), scale=(0.5, 0.5), translate=(1, 1))
    viewer.dims.set_point(0, image.data_to_world((2, 0, 0))[0])
    dock = open_dock()
    dock.image_input.extent.value = "this slice"
    layer = press_run(dock)
    assert layer.data.shape == (1, 24, 25)
    assert_filled(layer.data[0], noisy_stack[2], mask)
    np.testing.assert_allclose(layer.data_to_world((0, 3, 4)), image.data_to_world((2, 3, 4)))


def test_what_is_painted_on_other_slices_does_not_count_for_this_one(viewer, open_dock, press_run, noisy_stack):
    mask = np.zeros(noisy_stack.shape, bool)
    mask[0], mask[2] = scratched(noisy_stack.shape[1:]), scratched(noisy_stack.shape[1:])[::-1]
    viewer.add_image(noisy_stack)
    viewer.add_labels(mask.astype(np.uint8))
    viewer.dims.set_point(0, 2)
    dock = open_dock()
    dock.image_input.extent.value = "this slice"
    assert_filled(press_run(dock).data[0], noisy_stack[2], mask[2])


def test_a_plane_mask_fills_every_slice_of_a_stack(viewer, open_dock, press_run, noisy_stack):
    mask = scratched(noisy_stack.shape[1:])
    viewer.add_image(noisy_stack)
    viewer.add_labels(mask.astype(np.uint8))
    dock = open_dock()
    dock.image_input.extent.value = "whole stack, slice by slice"
    layer = press_run(dock)
    assert_filled(layer.data, noisy_stack, np.broadcast_to(mask, noisy_stack.shape))
    assert "3 of 3 slices" in dock.outcome.status.text()


def test_a_volume_is_filled_as_one(viewer, open_dock, press_run, noisy_stack):
    mask = scratched(noisy_stack.shape)
    mask[1] = False
    viewer.add_image(noisy_stack)
    viewer.add_labels(mask.astype(np.uint8))
    dock = open_dock()
    dock.image_input.extent.value = "as one volume (3D)"
    layer = press_run(dock)
    assert_filled(layer.data, noisy_stack, mask)
    np.testing.assert_array_equal(layer.data, result_of(noisy_stack, mask, axes="ZYX", volume=True))


def test_slices_of_a_stack_that_were_not_painted_stay_as_they_were(
    viewer, open_dock, press_new_mask, press_run, noisy_stack, told
):
    viewer.add_image(noisy_stack, name="stack")
    dock = open_dock()
    mask = press_new_mask(dock)
    mask.data[1] = scratched(noisy_stack.shape[1:])
    mask.refresh()
    dock.image_input.extent.value = "whole stack, slice by slice"
    assert_filled(press_run(dock).data, noisy_stack, mask.data > 0)
    dock.image_input.image.value = viewer.layers["stack"]
    dock.image_input.extent.value = "this slice"
    viewer.dims.set_point(0, 2)
    said = told(dock)
    assert said.startswith("Nothing is painted in the mask 'stack mask' where the image is restored")


@pytest.mark.parametrize("samples", [3, 4])
def test_a_colour_image_is_filled_and_stays_one(viewer, open_dock, press_new_mask, press_run, rng, samples):
    image = rng.integers(0, 255, (21, 22, samples), dtype=np.uint8)
    viewer.add_image(image, rgb=True)
    dock = open_dock()
    mask = press_new_mask(dock)
    mask.data = scratched((21, 22)).astype(np.uint8)
    layer = press_run(dock)
    assert layer.rgb
    assert_filled(layer.data[..., :3], image[..., :3], mask.data > 0)
    np.testing.assert_array_equal(layer.data[..., 3:], image[..., 3:])


def test_channels_are_filled_by_one_mask_or_by_one_each(viewer, open_dock, press_run, rng):
    image = rng.integers(0, 255, (2, 21, 22), dtype=np.uint8)
    mask = np.stack([scratched((21, 22)), scratched((21, 22))[::-1]])
    viewer.add_image(image, axis_labels=("channel", "y", "x"), name="channels")
    viewer.add_labels(mask[0].astype(np.uint8), name="one")
    viewer.add_labels(mask.astype(np.uint8), name="each")
    dock = open_dock()
    assert dock.image_input.axes.value == "CYX"
    dock.inputs["mask"].labels.value = viewer.layers["one"]
    assert_filled(press_run(dock).data, image, np.stack([mask[0]] * 2))
    dock.image_input.image.value = viewer.layers["channels"]
    dock.inputs["mask"].labels.value = viewer.layers["each"]
    assert_filled(press_run(dock).data, image, mask)


def test_a_mask_of_more_axes_than_the_image_is_told(viewer, open_dock, noisy, told):
    viewer.add_image(noisy)
    viewer.add_labels(np.ones((3, *noisy.shape), np.uint8), name="dust")
    said = told(open_dock())
    assert "'dust' has 3 axes" in said
    assert "of as many axes, or of fewer" in said


# Nothing to fill


def test_a_mask_in_which_nothing_is_painted_is_told(viewer, open_dock, press_new_mask, noisy, told):
    viewer.add_image(noisy, name="cells")
    dock = open_dock()
    press_new_mask(dock)
    assert told(dock).startswith("Nothing is painted in the mask 'cells mask' where the image is restored")


def test_a_mask_that_covers_everything_is_told(viewer, open_dock, press_new_mask, noisy, told):
    viewer.add_image(noisy)
    dock = open_dock()
    mask = press_new_mask(dock)
    mask.data = np.ones_like(mask.data)
    assert told(dock).startswith("The mask covers everything")


def test_without_a_labels_layer_an_image_without_nan_has_nothing_to_fill(viewer, open_dock, noisy, told):
    layer = viewer.add_image(noisy)
    dock = open_dock()
    assert dock.inputs["mask"].labels.value is None
    assert told(dock).startswith("There is no mask")
    layer.data = noisy.astype(np.float32)
    assert told(dock).startswith("No pixel is masked or missing")
    assert dock.outcome.run_button.isEnabled()


def test_without_a_labels_layer_missing_pixels_are_filled(viewer, open_dock, press_run, noisy):
    image = noisy.astype(np.float32)
    image[scratched(noisy.shape)] = np.nan
    viewer.add_image(image, contrast_limits=(100, 400))
    result = press_run(open_dock()).data
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[~np.isnan(image)], image[~np.isnan(image)])


# The form


def test_known_pixels_need_not_be_kept(viewer, open_dock, press_run, noisy):
    viewer.add_image(noisy)
    viewer.add_labels(scratched(noisy.shape).astype(np.uint8))
    dock = open_dock()
    assert dock.task_form.read() == Inpaint()
    dock.task_form.widgets["keep_known"].value = False
    layer = press_run(dock)
    assert layer.metadata[RECORD]["task"]["keep_known"] is False
    wanted = restore(noisy, Inpaint(keep_known=False), QUICK, mask=scratched(noisy.shape)).finish()
    np.testing.assert_array_equal(layer.data, wanted)


def test_other_docks_ask_for_no_mask(open_task):
    assert "mask" not in open_task("Denoise", None).inputs
    assert "mask" in open_task("Inpaint", None).inputs


def test_the_mask_can_be_chosen_among_labels_layers_only(viewer, open_dock, noisy):
    dock = open_dock()
    viewer.add_image(noisy)
    viewer.add_points([[1, 1]])
    assert list(dock.inputs["mask"].labels.choices) == []
    mask = viewer.add_labels(np.zeros((4, 4), np.uint8))
    assert [layer.name for layer in dock.inputs["mask"].labels.choices] == [mask.name]
    viewer.layers.remove(mask)
    assert dock.inputs["mask"].labels.value is None

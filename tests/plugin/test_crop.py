"""What the viewer shows of a layer, or lies within a rectangle: the pixels that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from napari.layers import Image, Shapes

from napari_deep_prior.plugin.crop import Crop, CroppedArray, camera_of, rectangle_of, view_of
from napari_deep_prior.plugin.layers import take
from napari_deep_prior.plugin.region_input import DRAW


def look_at(viewer, centre, zoom):
    camera_of(viewer).center = (0, *centre)
    camera_of(viewer).zoom = zoom


def spans(crop):
    return [(span.start, span.stop) for span in (crop.spans["Y"], crop.spans["X"])]


def reach(viewer):
    """Return how far the canvas reaches from its middle at a zoom of 1."""
    rows, columns = viewer.canvas.size
    return rows / 2, columns / 2


def test_the_view_is_every_pixel_of_which_a_part_is_reach(viewer):
    image = viewer.add_image(np.zeros((300, 400)))
    rows, columns = reach(viewer)
    look_at(viewer, (100, 150), zoom=max(rows, columns) / 20.3)
    (top, bottom), (left, right) = spans(view_of(viewer, image, "YX"))
    long, short = (top, bottom), (left, right)
    if columns > rows:
        long, short = (left, right), (top, bottom)
    # From 20.3 before the middle to 20.3 behind it: a part of the pixel 20 away from it is shown, and none of the next.
    assert (long[1] - long[0]) == 41
    middle = 150 if columns > rows else 100
    assert long == (middle - 20, middle + 21)
    assert 16 <= short[1] - short[0] < 41


def test_the_view_follows_scale_translation_and_half_turns_of_the_layer(viewer):
    image = viewer.add_image(np.zeros((300, 400)), scale=(2, 0.5), translate=(30, -10))
    rows, columns = reach(viewer)
    world = image.data_to_world((120, 200))
    look_at(viewer, world, zoom=1.0 * max(rows, columns) / 40)
    (top, bottom), (left, right) = spans(view_of(viewer, image, "YX"))
    assert (top + bottom) / 2 == pytest.approx(120.5, abs=1)
    assert (left + right) / 2 == pytest.approx(200.5, abs=1)
    # Twice 40 of the world along the longer side of the canvas, in pixels that are half as wide.
    wide = 80 / 0.5 if columns >= rows else 80 / 2
    assert (right - left if columns >= rows else bottom - top) == pytest.approx(wide, abs=2)


def test_of_a_rotated_layer_the_view_is_the_box_around_what_is_reach(viewer):
    upright = viewer.add_image(np.zeros((300, 300)))
    turned = viewer.add_image(np.zeros((300, 300)), rotate=90, translate=(299, 0))
    rows, columns = reach(viewer)
    look_at(viewer, (100, 150), zoom=max(rows, columns) / 30)
    (top, bottom), (left, right) = spans(view_of(viewer, upright, "YX"))
    corners = [turned.data_to_world(corner) for corner in np.array(spans(view_of(viewer, turned, "YX"))).T]
    np.testing.assert_allclose(np.sort(np.array(corners).T, axis=1), [(top, bottom), (left, right)], atol=1.1)


def test_a_view_that_cannot_be_restored_is_refused_in_a_sentence(viewer):
    image = viewer.add_image(np.zeros((300, 400)), name="cells")
    rows, columns = reach(viewer)
    look_at(viewer, (5000, 5000), zoom=1)
    with pytest.raises(ValueError, match="the view lies beside the image 'cells': move the image into view"):
        view_of(viewer, image, "YX")
    look_at(viewer, (100, 150), zoom=max(rows, columns) / 3)
    with pytest.raises(ValueError, match=r"16 × 16 are needed .*: zoom out"):
        view_of(viewer, image, "YX")
    look_at(viewer, (100, 150), zoom=1)
    viewer.canvas.grid.enabled = True
    with pytest.raises(ValueError, match="in the grid every layer"):
        view_of(viewer, image, "YX")
    viewer.canvas.grid.enabled = False
    stack = viewer.add_image(np.zeros((20, 300, 400)), name="stack")
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(ValueError, match="does not show rows and columns of 'stack'"):
        view_of(viewer, stack, "ZYX")
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    with pytest.raises(ValueError, match="leave the 3D view"):
        view_of(viewer, stack, "ZYX")
    viewer.dims.ndisplay = 2


def test_a_view_of_a_layer_that_is_turned_over_is_that_of_its_rows_and_columns(viewer):
    stack = viewer.add_image(np.zeros((3, 200, 100)))
    viewer.dims.order = (0, 2, 1)
    look_at(viewer, (50, 100), zoom=0.5)
    assert spans(view_of(viewer, stack, "ZYX")) == [(0, 200), (0, 100)]
    viewer.dims.order = (0, 1, 2)


def rectangle(top, left, bottom, right):
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)], float)


def test_a_rectangle_holds_the_pixels_whose_middles_lie_within_it():
    image = Image(np.zeros((60, 70)))
    assert spans(rectangle_of(Shapes([rectangle(9.6, 20.2, 40, 50.4)]), image, "YX")) == [(10, 41), (21, 51)]


def test_a_rectangle_may_reach_beyond_the_image_and_have_another_place_or_more_axes():
    image = Image(np.zeros((60, 70)), scale=(2, 3), translate=(10, 0))
    assert spans(rectangle_of(Shapes([rectangle(-50, 30, 50, 900)]), image, "YX")) == [(0, 21), (10, 70)]
    deep = np.insert(rectangle(-50, 30, 50, 900), 0, 7, axis=1)
    assert spans(rectangle_of(Shapes([deep]), image, "YX")) == [(0, 21), (10, 70)]
    stack = Image(np.zeros((5, 60, 70)), scale=(9, 2, 3), translate=(4, 10, 0))
    assert spans(rectangle_of(Shapes([rectangle(-50, 30, 50, 900)]), stack, "ZYX")) == [(0, 21), (10, 70)]
    turned = Image(np.zeros((60, 70)), rotate=90)
    found = rectangle_of(Shapes([rectangle(-40, 5, -10, 45)]), turned, "YX")
    corners = [turned.data_to_world(corner) for corner in np.array(spans(found)).T - [(0, 0), (1, 1)]]
    np.testing.assert_allclose(np.sort(np.array(corners).T, axis=1), [(-40, -10), (5, 45)], atol=1e-6)


def test_a_rectangle_that_cannot_be_restored_is_refused_in_a_sentence():
    image = Image(np.zeros((60, 70)), name="cells")
    cases = [
        (Shapes(ndim=2, name="S"), "there is no rectangle in 'S': draw one"),
        (Shapes([rectangle(0, 0, 9, 9)], shape_type="ellipse", name="S"), "there is no rectangle in 'S'"),
        (Shapes([rectangle(100, 0, 150, 40)], name="S"), "the rectangle lies beside the image 'cells'"),
        (Shapes([rectangle(5, 5, 40, 11)], name="S"), "36 × 7 pixels of 'cells'; 16 × 16 are needed.*larger"),
        (Shapes([np.array([(0, 30), (30, 60), (60, 30), (30, 0)])], name="S"), "'S' is rotated against 'cells'"),
    ]
    for shapes, words in cases:
        with pytest.raises(ValueError, match=words):
            rectangle_of(shapes, image, "YX")


def test_of_several_rectangles_the_selected_one_is_meant():
    image = Image(np.zeros((60, 70)))
    shapes = Shapes([rectangle(0, 0, 20, 20), rectangle(30, 30, 50, 60)], name="S")
    with pytest.raises(ValueError, match="'S' has 2 rectangles: select one"):
        rectangle_of(shapes, image, "YX")
    shapes.selected_data = {1}
    assert spans(rectangle_of(shapes, image, "YX")) == [(30, 51), (30, 61)]


def test_a_crop_on_blocks_grows_to_their_borders_and_ends_with_the_image():
    crop = Crop("view", {"Y": slice(33, 70), "X": slice(0, 99)}).on_blocks(32, {"Y": 300, "X": 100})
    assert spans(crop) == [(32, 96), (0, 100)]


def test_a_part_of_a_lazy_array_is_read_where_it_is_sliced(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (4, 30, 40))
    stored = zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(1, 10, 10))
    part = CroppedArray(stored, [slice(1, 3), slice(5, 25), slice(10, 40)])
    inner = values[1:3, 5:25, 10:40]
    assert (part.shape, part.dtype) == (inner.shape, inner.dtype)
    for index in (0, (1, slice(3, 9)), (slice(None), slice(0, 20, 7), slice(None, None, 3)), (slice(0, 9), 19, 2)):
        np.testing.assert_array_equal(part[index], inner[index])
    np.testing.assert_array_equal(np.asarray(part), inner)


def test_a_part_has_its_offset_and_the_whole_layer_is_not_wrapped():
    layer = Image(np.arange(2 * 30 * 40).reshape(2, 30, 40))
    crop = Crop("view", {"Y": slice(4, 25), "X": slice(3, 33)})
    part = take(layer, "ZYX", "slice", (1, 0, 0), crop)
    assert part.offset == (1, 4, 3)
    np.testing.assert_array_equal(part.pixels, layer.data[1:2, 4:25, 3:33])
    assert take(layer, "ZYX", "stack", (1, 0, 0)).pixels is layer.data


def test_to_draw_a_rectangle_adds_a_layer_that_is_then_chosen(viewer, open_task):
    image = viewer.add_image(np.zeros((60, 70)), name="cells", scale=(2, 3), translate=(5, 6))
    dock = open_task("Denoise")
    dock.region_input.choice.value = DRAW
    shapes = viewer.layers[-1]
    assert isinstance(shapes, Shapes)
    assert dock.region_input.choice.value is shapes
    assert shapes.mode == "add_rectangle"
    np.testing.assert_allclose(shapes.scale, image.scale)
    assert dock.image_input.image.value is image
    shapes.add_rectangles([rectangle(10, 20, 40, 50)])
    assert spans(dock.region_input.crop(image, "YX")) == [(10, 41), (20, 51)]
    viewer.layers.remove(shapes)
    assert dock.region_input.crop(image, "YX") is None

"""Saved and opened again in napari: nothing about the image is lost."""

from __future__ import annotations

import numpy as np

from napari_deep_prior import Denoise
from napari_deep_prior.runs.record import Recipe

from .conftest import QUICK


def test_a_saved_result_comes_back_with_pixel_size_units_labels_and_settings(
    viewer, open_task, press_run, noisy_stack, tmp_path
):
    viewer.add_image(noisy_stack, scale=(2, 0.5, 0.25), units=("um", "um", "um"), axis_labels=("z", "y", "x"))
    layer = press_run(open_task("Denoise"))
    path = tmp_path / "result.ome.tif"
    assert layer.save(str(path), plugin="napari-deep-prior") == [str(path)]
    (again,) = viewer.open(str(path), plugin="napari-deep-prior")
    np.testing.assert_array_equal(np.squeeze(again.data), np.squeeze(layer.data))
    spacing = dict(zip(again.axis_labels, again.scale, strict=True))
    assert (spacing["y"], spacing["x"]) == (0.5, 0.25)
    assert {str(unit) for unit in again.units} <= {"micrometer", "pixel"}
    recipe = Recipe.from_json(again.metadata["deep-prior"])
    assert (recipe.task, recipe.method) == (Denoise(), QUICK)


def test_an_rgb_layer_survives(viewer, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (20, 21, 3), dtype=np.uint8)
    layer = viewer.add_image(image, rgb=True)
    layer.save(str(tmp_path / "colour.ome.tif"), plugin="napari-deep-prior")
    (again,) = viewer.open(str(tmp_path / "colour.ome.tif"), plugin="napari-deep-prior")
    assert again.rgb
    np.testing.assert_array_equal(again.data, image)

"""Saved and opened again in napari: nothing about the image is lost."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager

from napari_deep_prior import Denoise
from napari_deep_prior.arrays.pieces import plan
from napari_deep_prior.files import images
from napari_deep_prior.files.sizes import OME_UNITS
from napari_deep_prior.plugin.files import reader
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.runs.zarr_output import ZarrOutput
from napari_deep_prior.runs.zarr_place import ZarrPlace

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


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("name", ["a.ome.tif", "a.OME.TIFF", "a.tif", "a.tiff"])
@pytest.mark.parametrize("labels", [("z", "y", "x"), ("c", "y", "x"), ("y", "x", "c"), ("r", "y", "x")])
def test_a_layer_comes_back_where_it_lay_under_every_name_that_the_writer_offers(viewer, tmp_path, name, labels):
    across, along = labels.index("y"), labels.index("x")
    turned, sheared, affine = np.eye(3), np.eye(3), np.diag([1.0, 2, 1, 1])
    turned[np.ix_([across, along], [across, along])] = [[0.8, -0.6], [0.6, 0.8]]
    sheared[across, along], affine[:3, 3] = 0.3, (5, 6, 7)
    place = {"scale": (2, -0.5, 0.25), "translate": (3, -7, 11), "rotate": turned, "shear": sheared}
    data = np.random.default_rng(0).random((3, 5, 4)).astype(np.float32)
    layer = viewer.add_image(data, axis_labels=labels, units=("um",) * 3, affine=affine, **place)
    layer.save(str(tmp_path / name), plugin="napari-deep-prior")
    (again,) = viewer.open(str(tmp_path / name), plugin="napari-deep-prior")
    order = [again.axis_labels.index({"r": "t"}.get(label, label)) for label in labels]
    np.testing.assert_array_equal(np.transpose(again.data, order), data)
    for corner in np.ndindex(2, 2, 2):
        there = np.empty(3)
        there[order] = corner
        np.testing.assert_allclose(np.array(again.data_to_world(there))[order], layer.data_to_world(corner), rtol=1e-9)
    np.testing.assert_allclose(again.scale[order], layer.scale)
    assert again.name == "a"


def test_a_pixel_size_that_another_program_corrected_counts(viewer, tmp_path):
    path = tmp_path / "a.ome.tif"
    layer = viewer.add_image(np.zeros((5, 7), np.uint8), scale=(0.5, 0.25), units=("um", "um"), translate=(3, 4))
    layer.save(str(path), plugin="napari-deep-prior")
    path.write_bytes(path.read_bytes().replace(b'PhysicalSizeX="0.25"', b'PhysicalSizeX="0.75"'))
    (again,) = viewer.open(str(path), plugin="napari-deep-prior")
    np.testing.assert_array_equal(again.scale, (0.5, 0.75))
    np.testing.assert_array_equal(again.translate, (3, 4))


def test_frames_of_a_layer_without_a_unit_of_time_get_none(viewer, tmp_path):
    layer = viewer.add_image(np.zeros((3, 5, 7), np.uint8), axis_labels=("t", "y", "x"), scale=(4, 2, 2))
    layer.save(str(tmp_path / "a.ome.tif"), plugin="napari-deep-prior")
    assert "T" not in images.read(tmp_path / "a.ome.tif").spacing
    (again,) = viewer.open(str(tmp_path / "a.ome.tif"), plugin="napari-deep-prior")
    np.testing.assert_array_equal(again.scale, (4, 2, 2))


def test_channels_and_times_of_a_file_are_written_again(viewer, tmp_path):
    channels = ({"Name": "DAPI", "Color": "65535"}, {"Name": "GFP"})
    picture = images.ImageFile(
        pixels=np.zeros((3, 2, 5, 7), np.uint8),
        axes="TCYX",
        spacing={"T": 2.5, "Y": 0.5, "X": 0.25},
        units={"T": "min", "Y": "µm", "X": "µm"},
        channels=channels,
        about={"Name": "embryo 7"},
    )
    images.write(tmp_path / "in.ome.tif", picture)
    (layer,) = viewer.open(str(tmp_path / "in.ome.tif"), plugin="napari-deep-prior")
    layer.save(str(tmp_path / "out.ome.tif"), plugin="napari-deep-prior")
    again = images.read(tmp_path / "out.ome.tif")
    assert (again.channels, again.about) == (channels, picture.about)
    assert (again.spacing, again.units) == (picture.spacing, picture.units)


@pytest.mark.parametrize("unit", sorted({*OME_UNITS.values()}))
def test_every_unit_of_a_file_is_one_of_the_viewer(viewer, tmp_path, unit):
    picture = images.ImageFile(
        pixels=np.zeros((5, 7), np.uint8), axes="YX", spacing={"Y": 2, "X": 2}, units={"Y": unit, "X": unit}
    )
    images.write(tmp_path / "in.ome.tif", picture)
    (layer,) = viewer.open(str(tmp_path / "in.ome.tif"), plugin="napari-deep-prior")
    layer.save(str(tmp_path / "out.ome.tif"), plugin="napari-deep-prior")
    assert images.read(tmp_path / "out.ome.tif").units == picture.units


def test_what_is_to_be_known_of_a_file_is_said_and_stands_in_the_record(
    viewer, open_task, press_run, noisy_stack, tmp_path
):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.asarray(noisy_stack), photometric="minisblack")
    with notification_manager:
        viewer.open(str(path), plugin="napari-deep-prior")
    sentence = "stack.tif: it does not say what its axes are: they were taken for ZYX; correct them in the dock if not"
    assert notification_manager.records[-1].message == sentence
    layer = press_run(open_task("Denoise"))
    assert layer.metadata["deep-prior"]["file_remarks"] == [sentence]


def test_a_zarr_result_is_a_lazy_layer_with_its_pyramid_place_and_settings(viewer, tmp_path):
    pytest.importorskip("zarr")
    pixels = np.random.default_rng(0).integers(0, 999, (3, 300, 280)).astype(np.uint16)
    spacing = {"Z": 2.0, "Y": 0.5, "X": 0.25}
    known = images.ImageFile(pixels=None, axes="ZYX", spacing=spacing, units=dict.fromkeys("ZYX", "µm"))
    path = tmp_path / "clean.ome.zarr"
    output = ZarrOutput(pixels.shape, pixels.dtype, ZarrPlace(path=path, identity="run 1"), known)
    pieces = plan(pixels.shape, "ZYX")
    output.write(pieces[1], pixels[1])
    (growing,) = viewer.open(str(path), plugin="napari-deep-prior")
    assert not growing.multiscale
    np.testing.assert_array_equal(growing.data.compute()[1], pixels[1])
    for piece in pieces[::2]:
        output.write(piece, pixels[piece.write])
    output.finish({"task": "Denoise"})
    viewer.layers.clear()
    (layer,) = viewer.open(str(path), plugin="napari-deep-prior")
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(3, 300, 280), (3, 150, 140)]
    assert all(isinstance(level, dask.array.Array) for level in layer.data)
    np.testing.assert_array_equal(layer.data[0].compute(), pixels)
    assert (layer.name, tuple(layer.scale), layer.axis_labels) == ("clean", (2, 0.5, 0.25), ("z", "y", "x"))
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.metadata["deep-prior"]["task"] == "Denoise"


def test_the_zarr_of_another_program_is_left_to_others(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "other.zarr"), data=np.zeros((5, 7), np.uint8))
    assert reader(str(tmp_path / "other.zarr")) is None
    assert reader(str(tmp_path)) is None

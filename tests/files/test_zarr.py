"""Zarr in: plain arrays, OME-Zarr of every version, planes of TIFF files; read only where they are asked for."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_deep_prior.files.images import ImageFile, read, write
from napari_deep_prior.files.lazy_pixels import LazyPixels
from napari_deep_prior.files.reordered import Reordered

zarr = pytest.importorskip("zarr")

SCALE = {"type": "scale", "scale": [1, 2, 0.5, 0.25]}
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
OMERO = {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]}


def some_pixels(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 999, shape).astype(np.uint16)


def make_image(path: Path, pixels: np.ndarray, image: dict[str, Any], *, version: str = "0.5") -> None:
    """Write an OME-Zarr as other programs do."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    group.create_array("full", data=pixels, chunks=(1,) * (pixels.ndim - 2) + pixels.shape[-2:])
    attributes = {"multiscales": [{"datasets": [{"path": "full"}], **image}], "omero": OMERO}
    group.attrs.update({"ome": {"version": version, **attributes}} if version == "0.5" else attributes)


# Zarr


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_tells_axes_sizes_units_place_and_channels(tmp_path: Path, version: str) -> None:
    pixels = some_pixels((2, 3, 5, 7))
    steps = [SCALE, {"type": "translation", "translation": [0, 0, 10, 20]}]
    datasets = [{"path": "full", "coordinateTransformations": steps}, {"path": "small"}]
    make_image(tmp_path / "in.zarr", pixels, {"axes": AXES, "datasets": datasets, "name": "cells"}, version=version)
    image = read(tmp_path / "in.zarr")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.axes, image.remarks) == ("CZYX", ())
    assert image.spacing == {"Z": 2, "Y": 0.5, "X": 0.25}
    assert image.units == dict.fromkeys("ZYX", "µm")
    assert [channel["Name"] for channel in image.channels] == ["DAPI", "GFP"]
    assert image.about == {"Name": "cells"}
    assert image.place["translate"] == [0, 0, 10, 20]


def test_a_time_step_without_a_unit_is_kept_and_said(tmp_path: Path) -> None:
    axes = [{"name": "t", "type": "time"}, *AXES[2:]]
    datasets = [{"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [2, 0.5, 0.25]}]}]
    make_image(tmp_path / "in.zarr", some_pixels((3, 5, 7)), {"axes": axes, "datasets": datasets})
    image = read(tmp_path / "in.zarr")
    assert image.spacing == {"T": 2, "Y": 0.5, "X": 0.25}
    assert image.remarks == ("its time step of 2 has no unit: an OME-Zarr keeps it, an OME-TIFF cannot",)


def test_scales_of_the_whole_image_count_too(tmp_path: Path) -> None:
    time = [{"name": "t", "type": "time", "unit": "second"}, *AXES[2:]]
    image = {
        "axes": time,
        "datasets": [{"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.5]}]}],
        "coordinateTransformations": [{"type": "scale", "scale": [30, 2, 2]}],
    }
    make_image(tmp_path / "in.zarr", some_pixels((4, 5, 7)), image)
    found = read(tmp_path / "in.zarr")
    assert found.spacing == {"T": 30, "Y": 1, "X": 1}
    assert found.units == {"T": "s", "Y": "µm", "X": "µm"}


@pytest.mark.parametrize(("axes", "letters"), [(["z", "y", "x"], "ZYX"), (None, "TCZYX")])
def test_old_versions_without_types_of_axes_are_read(tmp_path: Path, axes: Any, letters: str) -> None:
    image = {} if axes is None else {"axes": axes}
    make_image(tmp_path / "in.zarr", some_pixels((2, 3, 4, 5, 7)[-len(letters) :]), image, version="0.3")
    found = read(tmp_path / "in.zarr")
    assert (found.axes, found.spacing) == (letters, {})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_axes_of_a_plain_array_are_guessed_or_given(tmp_path: Path, zarr_format: int) -> None:
    pixels = some_pixels((3, 5, 7))
    zarr.create_array(str(tmp_path / "in.zarr"), data=pixels, zarr_format=zarr_format)
    guessed = read(tmp_path / "in.zarr")
    assert guessed.axes == "ZYX"
    assert "taken for ZYX; name them with --axes if not" in guessed.remarks[0]
    given = read(tmp_path / "in.zarr", axes="tyx")
    assert (given.axes, given.remarks) == ("TYX", ())
    np.testing.assert_array_equal(given.pixels, pixels)


def test_an_array_that_names_its_axes_needs_no_guess(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), data=some_pixels((3, 5, 7)), dimension_names=["t", "y", "x"])
    assert (read(tmp_path / "in.zarr").axes, read(tmp_path / "in.zarr").remarks) == ("TYX", ())


def test_the_only_array_of_a_group_and_the_first_image_of_several_are_read(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w").create_array("volume", data=some_pixels((3, 5, 7)))
    assert "its array 'volume' was read" in read(tmp_path / "a.zarr").remarks
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w")
    for number in "01":
        make_image(tmp_path / "b.zarr" / number, some_pixels((5, 7)), {"axes": AXES[2:]})
    image = read(tmp_path / "b.zarr")
    assert image.pixels.shape == (5, 7)
    assert "it holds several images: the first" in image.remarks[0]


def test_a_group_without_an_image_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "in.zarr"), mode="w")
    for name in ("a", "b"):
        group.create_array(name, data=some_pixels((5, 7)))
    with pytest.raises(ValueError, match="a group that holds 'a', 'b': give the path of one of its arrays or images"):
        read(tmp_path / "in.zarr")
    assert read(tmp_path / "in.zarr" / "a").pixels.shape == (5, 7)
    group.attrs["ome"] = {"plate": {}}
    with pytest.raises(ValueError, match="it is a plate: give the path of one of its images"):
        read(tmp_path / "in.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ValueError, match="it is a folder, and not a Zarr array or group"):
        read(tmp_path / "empty.zarr")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"axes": AXES[1:]}, "its metadata name 3 axes, and its array has 4"),
        ({"axes": AXES, "datasets": []}, "its OME-Zarr metadata are damaged"),
        ({"axes": 3}, "its OME-Zarr metadata are damaged"),
        (
            {"axes": AXES, "coordinateTransformations": [{"type": "scale", "scale": [1, 2]}]},
            "it has 4 axes, and sizes of pixels for another number",
        ),
        ({"axes": AXES, "datasets": [{"path": "gone"}]}, "name the array 'gone', and it holds 'full': it is damaged"),
    ],
)
def test_damaged_metadata_are_refused(tmp_path: Path, image: dict[str, Any], message: str) -> None:
    make_image(tmp_path / "in.zarr", some_pixels((2, 3, 5, 7)), image)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "in.zarr")


def test_metadata_that_break_off_are_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "in.zarr"
    zarr.create_array(str(path), data=some_pixels((5, 7)))
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="it is damaged, its metadata are broken off or overwritten"):
        read(path)


def test_a_voxel_size_of_zero_is_left_out_and_said(tmp_path: Path) -> None:
    steps = [{"type": "scale", "scale": [1, 0, 0.5, 0.5]}]
    datasets = [{"path": "full", "coordinateTransformations": steps}]
    make_image(tmp_path / "in.zarr", some_pixels((2, 3, 5, 7)), {"axes": AXES, "datasets": datasets})
    image = read(tmp_path / "in.zarr")
    assert image.spacing == {"Y": 0.5, "X": 0.5}
    assert "its size of a pixel along Z is '0.0', which is no size" in image.remarks[0]


def test_missing_and_damaged_chunks_are_said(tmp_path: Path) -> None:
    path = tmp_path / "in.zarr"
    array = zarr.create_array(str(path), data=some_pixels((3, 5, 7)), chunks=(1, 5, 7))
    assert array.nchunks_initialized == 3
    (path / "c" / "1" / "0" / "0").unlink()
    image = read(path, axes="ZYX", lazily=True)
    assert image.remarks == ("1 of its 3 chunks are not stored: they are read as 0",)
    (path / "c" / "2" / "0" / "0").write_bytes(b"\0\1")
    assert image.pixels[0].any()
    with pytest.raises(ValueError, match=r"cannot read .*in.zarr' as an image at \[2\]"):
        image.pixels[2]
    with pytest.raises(ValueError, match=r"cannot read .*in.zarr' as an image at \[1:3, 0:, 2:4\]"):
        image.pixels[1:3, :, 2:4]


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "in.zarr"
    pixels = some_pixels((3, 5, 7))
    zarr.create_array(str(path), data=pixels, chunks=(1, 5, 7))
    for damaged in "02":
        (path / "c" / damaged / "0" / "0").write_bytes(b"damaged")
    image = read(path, axes="ZYX", lazily=True)
    np.testing.assert_array_equal(image.pixels[1, 1:3], pixels[1, 1:3])
    assert (image.pixels.shape, image.pixels.nbytes) == ((3, 5, 7), 210)


# Planes of TIFF files


def write_tiff(path: Path, kind: str) -> None:
    pixels = some_pixels((4, 3, 2, 32, 40))
    match kind:
        case "imagej":
            tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TZCYX"})
        case "ome":
            tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "TZCYX"}, compression="zlib")
        case "tiles":
            tifffile.imwrite(path, pixels[0, 0], tile=(16, 16), photometric="minisblack")
        case "big-endian":
            tifffile.imwrite(path, pixels[:, 0, 0], byteorder=">", photometric="minisblack")
        case "colours":
            tifffile.imwrite(path, pixels.reshape(-1, 16, 40, 3).astype(np.uint8), photometric="rgb")
        case "samples first":
            tifffile.imwrite(path, pixels.reshape(-1, 3, 16, 40), photometric="rgb", planarconfig="separate")
        case "ours":
            write(path, ImageFile(pixels=pixels[:1, :, :1], axes="TZCYX"))


@pytest.mark.parametrize("kind", ["imagej", "ome", "tiles", "big-endian", "colours", "samples first", "ours"])
def test_planes_are_the_same_one_by_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in.tif"
    write_tiff(path, kind)
    whole, lazy = read(path), read(path, lazily=True)
    assert isinstance(lazy.pixels, LazyPixels)
    assert (lazy.axes, lazy.remarks, lazy.pixels.dtype) == (whole.axes, whole.remarks, whole.pixels.dtype)
    np.testing.assert_array_equal(lazy.pixels, whole.pixels)
    for index in (
        (slice(0, 1), -1, slice(None), slice(1, 5), 0)[-whole.pixels.ndim :],
        (0, slice(0, 2), 0, slice(None), slice(3, 9))[-whole.pixels.ndim :],
    ):
        np.testing.assert_array_equal(lazy.pixels[index], whole.pixels[index])
    # The file is closed with its last user; else the test would end with a warning.
    del lazy
    gc.collect()


def test_what_must_be_converted_or_completed_is_read_as_a_whole(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "inverted.tif", some_pixels((3, 32, 40)), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "turned.tif", some_pixels((32, 40)), extratags=[(274, "H", 1, 6, True)])
    for name in ("inverted.tif", "turned.tif"):
        image = read(tmp_path / name, lazily=True)
        assert isinstance(image.pixels, np.ndarray)
        np.testing.assert_array_equal(image.pixels, read(tmp_path / name).pixels)


@pytest.mark.parametrize("index", [
    (slice(None), slice(None), slice(None)), (1, slice(None), slice(2, 5)), (slice(0, 2), 3, slice(None)), (0, 1, 2),
    (1, 2, 3), (2, slice(0, 2), slice(None)), (slice(None, None, 2), slice(None), 1),
])  # fmt: skip
@pytest.mark.parametrize("place", [(1, slice(0, 4), slice(0, 5)), (1, slice(2, 4), slice(1, 3)), (slice(1, 3), 2, 3)])
def test_what_is_put_on_top_is_shown_wherever_it_lies_and_not_stored(tmp_path: Path, index: Any, place: Any) -> None:
    stored = np.arange(60).reshape(3, 4, 5)
    array = Reordered(zarr.create_array(str(tmp_path / "a.zarr"), data=stored.transpose(2, 0, 1)), (2, 0, 1))
    values = -np.arange(1, 1 + stored[place].size).reshape(stored[place].shape)
    shown = stored.copy()
    shown[place] = values
    array.put_on_top(place, values)
    np.testing.assert_array_equal(array[index], shown[index])
    array.take_away()
    np.testing.assert_array_equal(array[index], stored[index])

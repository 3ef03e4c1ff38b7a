"""What a file says besides its pixels is kept in every format that can hold it; independent readers find it there."""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from napari_deep_prior.files import images
from napari_deep_prior.files.tiff_writer import FURTHER_AXES, ome_order

PIXELS = np.random.default_rng(0).integers(0, 250, (2, 3, 2, 5, 7)).astype(np.uint16)
RICH = {
    "PhysicalSizeX": 0.11, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.22, "PhysicalSizeYUnit": "µm",
    "PhysicalSizeZ": 300, "PhysicalSizeZUnit": "nm", "TimeIncrement": 2.5, "TimeIncrementUnit": "min",
    "Channel": {
        "Name": ["DAPI", "GFP <&>"], "Color": [65535, -16776961], "EmissionWavelength": [461, 509],
        "EmissionWavelengthUnit": ["nm", "nm"], "Fluor": ["DAPI", "EGFP"],
    },
    "Plane": [{"ExposureTime": number / 8, "ExposureTimeUnit": "ms", "PositionX": 7.5} for number in range(12)],
    "Name": "embryo 7", "Description": "second day", "AcquisitionDate": "2026-11-02T10:00:00",
}  # fmt: skip


def element(path: Path, name: str) -> list[dict[str, str]]:
    """Return the attributes of the elements of a name in an OME-TIFF, as a plain XML reader finds them."""
    with Image.open(path) as picture:
        text = picture.tag_v2[270].encode("latin-1")
    tree = ET.fromstring(text)  # noqa: S314  (written by this test)
    return [dict(found.attrib) for found in tree.iter() if found.tag.endswith("}" + name)]


def rewritten(path: Path, image: images.ImageFile | None = None) -> Path:
    """Read a file and write what was read, as a restoration does."""
    image = image or images.read(path)
    images.write(path.with_name("out.ome.tif"), image)
    return path.with_name("out.ome.tif")


def test_an_ome_tiff_keeps_channels_sizes_times_and_descriptions(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.ome.tif", PIXELS, metadata={"axes": "TZCYX", **RICH})
    out = rewritten(tmp_path / "in.ome.tif")
    (pixels,) = element(out, "Pixels")
    sizes = {letter: float(pixels[f"PhysicalSize{letter}"]) for letter in "ZYX"}
    assert sizes == {"Z": 300, "Y": 0.22, "X": 0.11}
    assert [pixels[f"PhysicalSize{letter}Unit"] for letter in "ZYX"] == ["nm", "µm", "µm"]
    assert (float(pixels["TimeIncrement"]), pixels["TimeIncrementUnit"]) == (2.5, "min")
    names = [(each["Name"], each["Color"], each["EmissionWavelength"]) for each in element(out, "Channel")]
    assert names == [("DAPI", "65535", "461"), ("GFP <&>", "-16776961", "509")]
    exposures = [float(each["ExposureTime"]) for each in element(out, "Plane")]
    assert exposures == [number / 8 for number in range(12)]
    assert element(out, "Plane")[5] == element(tmp_path / "in.ome.tif", "Plane")[5]
    assert element(out, "Image")[0]["Name"] == "embryo 7"
    again, before = images.read(out), images.read(tmp_path / "in.ome.tif")
    for field in ("spacing", "units", "channels", "planes", "about", "axes", "remarks"):
        assert getattr(again, field) == getattr(before, field)
    assert again.about["AcquisitionDate"] == "2026-11-02T10:00:00"


@pytest.mark.parametrize(("unit", "microns"), [("INCH", 25400), ("CENTIMETER", 10000)])
@pytest.mark.parametrize("writer", ["tifffile", "pillow"])
def test_a_resolution_in_inches_or_centimetres_is_a_pixel_size(
    tmp_path: Path, unit: str, microns: float, writer: str
) -> None:
    path = tmp_path / "a.tif"
    if writer == "tifffile":
        tifffile.imwrite(path, PIXELS[0, 0, 0], resolution=(5000, 2500), resolutionunit=unit)
    else:
        number = {"INCH": 2, "CENTIMETER": 3}[unit]
        Image.fromarray(PIXELS[0, 0, 0]).save(path, x_resolution=5000.0, y_resolution=2500.0, resolution_unit=number)
    image = images.read(path)
    assert image.spacing == pytest.approx({"X": microns / 5000, "Y": microns / 2500})
    assert image.units == {"X": "µm", "Y": "µm"}
    with Image.open(rewritten(path)) as written:
        assert float(written.tag_v2[282]) == pytest.approx(1e4 / image.spacing["X"], rel=1e-5)
        assert float(written.tag_v2[283]) == pytest.approx(1e4 / image.spacing["Y"], rel=1e-5)
        assert written.tag_v2[296] == 3
    (pixels,) = element(path.with_name("out.ome.tif"), "Pixels")
    assert float(pixels["PhysicalSizeX"]) == pytest.approx(microns / 5000)


def test_an_imagej_file_keeps_sizes_frame_interval_and_colours_of_channels(tmp_path: Path) -> None:
    tables = [np.zeros((3, 256), np.uint8) for _ in range(2)]
    tables[0][0] = tables[1][1] = np.arange(256)
    metadata = {"axes": "TZCYX", "spacing": 0.7, "unit": "um", "finterval": 1.5, "mode": "composite", "LUTs": tables}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, imagej=True, resolution=(10, 4), metadata=metadata)
    out = rewritten(path)
    (pixels,) = element(out, "Pixels")
    sizes = [float(pixels[name]) for name in ("PhysicalSizeZ", "PhysicalSizeY", "PhysicalSizeX", "TimeIncrement")]
    assert sizes == pytest.approx([0.7, 0.25, 0.1, 1.5])
    assert [int(each["Color"]) & 0xFFFFFFFF for each in element(out, "Channel")] == [0xFF0000FF, 0x00FF00FF]


def test_an_imagej_file_without_a_unit_is_measured_in_that_of_its_resolution(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "spacing": 0.01}
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS[0, :, 0], imagej=True, resolution=(1e4, 1e4), resolutionunit=3, metadata=metadata
    )
    image = images.read(tmp_path / "a.tif")
    assert image.spacing == pytest.approx({"Z": 100, "Y": 1, "X": 1})
    assert set(image.units.values()) == {"µm"}


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_resolution_profile_and_record_pass_from_format_to_format(tmp_path: Path, ending: str) -> None:
    profile = b"a profile of colours, which no reader here looks into"
    path = tmp_path / f"a{ending}"
    pixels = PIXELS[0, 0, 0].astype(np.uint8)
    Image.fromarray(pixels).save(path, dpi=(300, 150), icc_profile=profile)
    image = dataclasses.replace(images.read(path), record={"schema": 1, "note": "µ"})
    assert image.spacing == pytest.approx({"X": 25400 / 300, "Y": 25400 / 150}, rel=1e-3)
    for name in ("b.png", "b.tif"):
        images.write(tmp_path / name, image)
        with Image.open(tmp_path / name) as written:
            assert [float(part) for part in written.info["dpi"]] == pytest.approx([300, 150], rel=1e-3)
            assert written.info["icc_profile"] == profile
        again = images.read(tmp_path / name)
        assert (again.record, again.profile) == (image.record, profile)
        assert again.spacing == pytest.approx(image.spacing, rel=1e-4)


@pytest.mark.parametrize("size", ["inf", "-1", "0", "nan", "wide", "", "1e999"])
def test_an_impossible_pixel_size_is_left_out_with_a_word(tmp_path: Path, size: str) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0, 0, 0], metadata=metadata)
    image = images.read(tmp_path / "a.ome.tif")
    assert image.spacing == {"Y": 0.5}
    assert image.remarks == (f"its PhysicalSizeX is {size!r}, which is no size: it was left out",)


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"spacing": "deep", "unit": "um"}, "its spacing is 'deep'"),
        ({"finterval": "inf"}, "its TimeIncrement is 'inf'"),
    ],
)
def test_impossible_sizes_of_an_imagej_file_are_left_out_with_a_word(
    tmp_path: Path, metadata: dict[str, str], word: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0, :, 0], imagej=True, metadata={"axes": "ZYX", **metadata})
    image = images.read(tmp_path / "a.tif")
    assert word in image.remarks[0]
    assert not {"Z", "T"} & set(image.spacing)


def test_a_resolution_of_zero_is_left_out_with_a_word(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0, 0, 0], resolution=(0, 5), resolutionunit="INCH")
    image = images.read(tmp_path / "a.tif")
    assert set(image.spacing) == {"Y"}
    assert "its XResolution is" in image.remarks[0]


def test_sizes_in_an_unknown_unit_are_kept_without_one(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 2, "PhysicalSizeXUnit": "furlong"}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0, 0, 0], metadata=metadata)
    image = images.read(tmp_path / "a.ome.tif")
    assert (image.spacing, image.units) == ({"X": 2}, {"X": "pixel"})
    assert "'furlong', which is no unit that is known: the sizes were kept without a unit" in image.remarks[0]
    metadata = {"axes": "TYX", "TimeIncrement": 2, "TimeIncrementUnit": "moon"}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0, :, 0], metadata=metadata)
    image = images.read(tmp_path / "a.ome.tif")
    assert image.spacing == {}
    assert "'moon', which is no unit that is known: the time was left out" in image.remarks[0]


@pytest.mark.parametrize("record", ["{", "[1]", "null"])
def test_a_damaged_record_is_left_out_with_a_word(tmp_path: Path, record: str) -> None:
    metadata = {"axes": "YX", "MapAnnotation": {images.RECORD: record}}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0, 0, 0], metadata=metadata)
    image = images.read(tmp_path / "a.ome.tif")
    assert image.record == {}
    assert "its record of a restoration is damaged" in image.remarks[0]


@settings(max_examples=15)
@given(
    sizes=some.fixed_dictionaries({letter: some.floats(1e-4, 1e7) for letter in "TZYX"}),
    length=some.sampled_from(["nm", "µm", "mm", "cm", "in", "Å", "pixel"]),
    time=some.sampled_from(["ms", "s", "min", "h"]),
)
def test_any_size_in_any_unit_comes_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, float], length: str, time: str
) -> None:
    units = dict.fromkeys("ZYX", length) | {"T": time}
    path = tmp_path_factory.getbasetemp() / "sizes.tif"
    image = images.ImageFile(pixels=PIXELS[:, :, 0], axes="TZYX", spacing=sizes, units=units)
    images.write(path, image, overwrite=True)
    again = images.read(path)
    assert (again.spacing, again.units, again.remarks) == (sizes, units, ())


# Axes


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 5, 7), "ZYX"), ((2, 3, 5, 7), "TZYX"), ((2, 2, 3, 5, 7), "TCZYX"), ((2, 1, 2, 3, 5, 7), "PTCZYX")],
)
def test_unknown_axes_are_guessed_and_it_is_said_how_to_name_them(
    tmp_path: Path, shape: tuple[int, ...], axes: str
) -> None:
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    image = images.read(tmp_path / "a.tif")
    assert image.axes == axes
    assert image.remarks == (
        f"it does not say what its axes are: they were taken for {axes}; name them with --axes if not",
    )
    assert images.read(tmp_path / "a.tif", axes=axes.replace("Z", "A")).remarks == ()
    images.write(tmp_path / "b.tif", image)
    again = images.read(tmp_path / "b.tif")
    assert sorted(again.axes) == sorted(axes)
    np.testing.assert_array_equal(again.pixels, np.transpose(pixels, [axes.index(letter) for letter in again.axes]))


def test_pages_without_a_description_are_planes_and_colours_stay_colours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0, :, 0], photometric="minisblack", metadata=None)
    assert images.read(tmp_path / "a.tif").axes == "ZYX"
    colours = np.zeros((2, 4, 5, 7, 3), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", colours, photometric="rgb")
    assert images.read(tmp_path / "b.tif").axes == "TZYXS"


@settings(max_examples=30)
@given(some.data())
def test_any_axes_that_tifffile_or_a_person_names_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, data: some.DataObject
) -> None:
    colour = data.draw(some.booleans())
    letters = sorted(set(string.ascii_uppercase) - set("YXSC" if colour else "YXS"))
    outer = data.draw(some.lists(some.sampled_from(letters), max_size=4 if colour else 6, unique=True))
    axes = "".join(data.draw(some.permutations([*outer, "Y", "X"]))) + "S" * colour
    shape = tuple(data.draw(some.integers(1, 2)) for _ in axes[: len(axes) - colour]) + (3,) * colour
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(np.uint16)
    path = tmp_path_factory.getbasetemp() / "axes.tif"
    images.write(path, images.ImageFile(pixels=pixels, axes=axes), overwrite=True)
    again = images.read(path)
    stored, order = ome_order(axes)
    assert (again.axes, again.remarks) == (stored, ())
    assert all(letter in "TZCYXS" + FURTHER_AXES for letter in stored)
    np.testing.assert_array_equal(again.pixels, np.transpose(pixels, order))

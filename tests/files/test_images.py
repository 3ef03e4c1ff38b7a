from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_deep_prior.files.images import ImageFile, read, refuse_image, refuse_output, write

RECORD = {
    "version": "1",
    "task": {"kind": "Denoise", "missing": "refuse"},
    "chosen step": [1, None],
    "note": "<µm & λ>",
}


def some_pixels(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (5, 7)),
        ("YX", (1, 2)),
        ("YX", (2, 1)),
        ("ZYX", (3, 5, 7)),
        ("TYX", (3, 5, 7)),
        ("CYX", (2, 5, 7)),
        ("YXS", (5, 7, 3)),
        ("YXS", (5, 7, 4)),
        ("ZYXS", (2, 5, 7, 3)),
        ("TZCYX", (2, 3, 4, 5, 7)),
        ("ZYX", (1, 5, 7)),
        ("TCYX", (1, 1, 5, 7)),
        ("TZYX", (2, 1, 5, 7)),
        ("CYX", (2, 1, 1)),
    ],
)
def test_an_ome_tiff_keeps_pixels_axes_spacing_units_and_record(
    tmp_path: Path, axes: str, shape: tuple[int, ...]
) -> None:
    spacing = {letter: 0.1 * (number + 1) for number, letter in enumerate("ZYX") if letter in axes}
    units = dict.fromkeys(spacing, "nm")
    before = ImageFile(pixels=some_pixels(shape), axes=axes, spacing=spacing, units=units, record=RECORD)
    write(tmp_path / "a.ome.tif", before)
    after = read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert after.axes == axes
    assert after.spacing == pytest.approx(spacing)
    assert after.units == units
    assert after.record == RECORD


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_an_ome_tiff_keeps_the_type(tmp_path: Path, dtype: str) -> None:
    pixels = some_pixels((5, 7), dtype)
    write(tmp_path / "a.tif", ImageFile(pixels=pixels, axes="YX"))
    after = read(tmp_path / "a.tif")
    assert after.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(after.pixels, pixels)


def test_half_precision_is_written_as_single_precision(tmp_path: Path) -> None:
    pixels = some_pixels((5, 7), "float16")
    write(tmp_path / "a.tif", ImageFile(pixels=pixels, axes="YX"))
    assert read(tmp_path / "a.tif").pixels.dtype == np.float32
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize(("axes", "stored"), [("YXC", "CYX"), ("XY", "YX"), ("ZTYX", "TZYX"), ("PYX", "TYX")])
def test_axes_are_written_in_the_order_of_ome(tmp_path: Path, axes: str, stored: str) -> None:
    pixels = some_pixels((2, 3, 4, 5)[-len(axes) :])
    write(tmp_path / "a.tif", ImageFile(pixels=pixels, axes=axes))
    after = read(tmp_path / "a.tif")
    assert after.axes == stored
    source = axes.replace("P", "T")
    np.testing.assert_array_equal(after.pixels, np.transpose(pixels, [source.index(letter) for letter in stored]))


def test_units_of_other_programs_are_written_as_those_of_ome(tmp_path: Path) -> None:
    before = ImageFile(pixels=some_pixels((5, 7)), axes="YX", spacing={"Y": 2.0, "X": 3.0}, units={"Y": "micrometer"})
    write(tmp_path / "a.tif", before)
    after = read(tmp_path / "a.tif")
    assert after.units == {"Y": "µm", "X": "µm"}
    assert after.spacing == {"Y": 2, "X": 3}


def test_an_ome_tiff_without_spacing_or_record_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", ImageFile(pixels=some_pixels((5, 7)), axes="YX"))
    after = read(tmp_path / "a.tif")
    assert after.spacing == after.record == {}


@pytest.mark.parametrize("unit", ["um", "micron", r"\u00B5m"])
def test_the_voxel_size_of_an_imagej_tiff_is_read(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "imagej.tif"
    pixels = some_pixels((3, 5, 7))
    metadata = {"spacing": 0.7, "unit": unit, "axes": "ZYX"}
    tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / 0.1, 1 / 0.25), metadata=metadata)
    image = read(path)
    assert image.axes == "ZYX"
    assert image.spacing == pytest.approx({"Z": 0.7, "Y": 0.25, "X": 0.1})
    assert set(image.units.values()) == {"µm"}
    np.testing.assert_array_equal(image.pixels, pixels)


def test_sizes_of_an_imagej_tiff_without_a_unit_are_kept_without_one(tmp_path: Path) -> None:
    metadata = {"spacing": 0.7, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", some_pixels((3, 5, 7)), imagej=True, resolution=(4, 2), metadata=metadata)
    image = read(tmp_path / "a.tif")
    assert image.spacing == pytest.approx({"Z": 0.7, "Y": 0.5, "X": 0.25})
    assert set(image.units.values()) == {"pixel"}
    tifffile.imwrite(tmp_path / "b.tif", some_pixels((5, 7)), imagej=True)
    assert read(tmp_path / "b.tif").spacing == {}


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str) -> None:
    pixels = some_pixels((33, 29))
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, pixels)


def test_a_plain_tiff_of_several_pages_can_be_given_its_axes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.TIFF", some_pixels((3, 5, 7)), photometric="minisblack")
    assert read(tmp_path / "a.TIFF", axes="zyx").axes == "ZYX"
    with pytest.raises(ValueError, match="names 2 axes, but the image has 3"):
        read(tmp_path / "a.TIFF", axes="YX")


def test_spacing_of_an_axis_that_was_renamed_is_dropped(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", ImageFile(pixels=some_pixels((3, 5, 7)), axes="ZYX", spacing={"Z": 2.0, "Y": 1, "X": 1}))
    assert set(read(tmp_path / "a.tif", axes="TYX").spacing) == {"Y", "X"}


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [((5, 7), "uint8", "YX"), ((5, 7), "uint16", "YX"), ((5, 7, 3), "uint8", "YXS"), ((5, 7, 4), "uint8", "YXS")],
)
def test_a_png_keeps_its_pixels(tmp_path: Path, shape: tuple[int, ...], dtype: str, axes: str) -> None:
    pixels = some_pixels(shape, dtype) * (256 if dtype == "uint16" else 1)
    write(tmp_path / "a.png", ImageFile(pixels=pixels, axes=axes))
    after = read(tmp_path / "a.png")
    assert after.axes == axes
    assert after.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(after.pixels, pixels)


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    imageio.imwrite(tmp_path / "a.jpg", np.full((8, 8), 100, np.uint8))
    assert abs(read(tmp_path / "a.jpg").pixels.astype(int) - 100).max() < 3


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tiff", "a.png", "a.jpg", "a.txt"])
def test_a_file_that_is_no_image_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is a text, and nothing but a text" * 20)
    with pytest.raises(ValueError, match=f"cannot read .*{name}.* as an image: "):
        read(tmp_path / name)


def test_a_tiff_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", some_pixels((64, 64)))
    whole = (tmp_path / "a.tif").read_bytes()
    for length in (0, 20, 100, len(whole) // 2, len(whole) - 5):
        (tmp_path / "b.tif").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot read"):
            read(tmp_path / "b.tif")


@pytest.mark.parametrize("name", ["missing.tif", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        read(tmp_path / name)


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"precious")
    image = ImageFile(pixels=some_pixels((5, 7)), axes="YX")
    with pytest.raises(ValueError, match=r"exists already.*--overwrite"):
        write(path, image)
    assert path.read_bytes() == b"precious"
    write(path, image, overwrite=True)
    np.testing.assert_array_equal(read(path).pixels, image.pixels)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", "must end in .tif"),
        ("a", "must end in .tif"),
        ("folder.tif", "it is a folder"),
        ("nowhere/a.tif", "there is no folder"),
    ],
)
def test_an_impossible_output_is_refused_before_any_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(ValueError, match=message):
        refuse_output(tmp_path / name, overwrite=True)


def unwritable_folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o500)
    # Root may write anywhere but into the kernel's own folders.
    return Path("/proc") if os.access(tmp_path, os.W_OK) else tmp_path


@pytest.mark.skipif(not Path("/proc").is_dir() and sys.platform == "win32", reason="folders have other rights there")
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot write into the folder"):
        refuse_output(unwritable_folder(tmp_path) / "a.tif", overwrite=False)
    tmp_path.chmod(0o700)


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    path.write_bytes(b"precious")
    unplaceable = ImageFile(pixels=some_pixels((1,) * 7 + (3, 3)), axes="RAHPTZCYX")
    unwritable_record = ImageFile(pixels=some_pixels((5, 7)), axes="YX", record={"method": object()})
    for image, error in ((unplaceable, ValueError), (unwritable_record, TypeError)):
        with pytest.raises(error):
            write(path, image, overwrite=True)
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]


def test_checking_the_output_leaves_nothing_behind(tmp_path: Path) -> None:
    refuse_output(tmp_path / "a.tif", overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="files have other rights there")
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", ImageFile(pixels=some_pixels((5, 7)), axes="YX"))
    (tmp_path / "any").touch()
    assert (tmp_path / "a.tif").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits"])
def test_a_tiff_with_damaged_pixels_is_refused(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, some_pixels((64, 64), "uint8"), compression=compression)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    damaged = bytearray(path.read_bytes())
    damaged[offset : offset + 40] = bytes(byte ^ 255 for byte in damaged[offset : offset + 40])
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="cannot read"):
        read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("length", [4, 8])
def test_a_tiff_of_a_few_bytes_is_refused(tmp_path: Path, length: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", some_pixels((9, 8), "uint8"))
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:length])
    with pytest.raises(ValueError, match="cannot read"):
        read(tmp_path / "b.tif")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_without_words_of_a_library(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.png"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"(the file is empty|it is empty, damaged, or of another kind than its name says)$"
    ):
        read(path)


def test_a_png_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(ValueError, match="cannot read"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_with_opacity_keeps_both(tmp_path: Path, name: str) -> None:
    pixels = some_pixels((9, 8, 2), "uint8")
    write(tmp_path / name, ImageFile(pixels=pixels, axes="YXS"))
    after = read(tmp_path / name)
    assert after.axes == "YXS"
    np.testing.assert_array_equal(after.pixels, pixels)


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype", "message"),
    [
        ("a.png", "YX", (5, 7), "float32", "a PNG cannot hold a float32 image with axes YX"),
        ("a.PNG", "YXS", (5, 7, 3), "uint16", "a PNG cannot hold a uint16 image with axes YXS"),
        ("a.png", "YXS", (5, 7, 5), "uint8", "a PNG cannot hold"),
        ("a.png", "ZYX", (2, 5, 7), "uint8", "a PNG cannot hold"),
        ("a.tif", "YX", (5, 7), "int64", "an OME-TIFF cannot hold pixels of type int64: write float32"),
        ("a.tif", "YX", (5, 7), "bool", "an OME-TIFF cannot hold pixels of type bool"),
        ("a.tif", "RAHPTZCYX", (2,) * 9, "uint8", "holds at most 6 axes besides rows"),
    ],
)
def test_an_image_that_its_format_cannot_hold_is_refused_before_any_work(
    tmp_path: Path, name: str, axes: str, shape: tuple[int, ...], dtype: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        refuse_image(name, axes=axes, shape=shape, dtype=np.dtype(dtype))
    with pytest.raises(ValueError, match=message):
        write(tmp_path / name, ImageFile(pixels=np.zeros(shape, dtype), axes=axes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype"),
    [
        ("a.png", "YX", (5, 7), "uint16"),
        ("a.png", "YXS", (5, 7, 4), "uint8"),
        ("a.tif", "PTCYX", (2, 2, 2, 5, 7), "float16"),
        ("a.tif", "TYXS", (2, 5, 7, 2), "uint8"),
        ("a.tif", "YXS", (5, 7, 5), "uint8"),
        ("a.tif", "SYX", (4, 5, 7), "uint16"),
        ("a.ome.tif", "YX", (5, 7), ">u2"),
    ],
)
def test_an_image_that_its_format_can_hold_is_written(
    tmp_path: Path, name: str, axes: str, shape: tuple[int, ...], dtype: str
) -> None:
    refuse_image(name, axes=axes, shape=shape, dtype=np.dtype(dtype))
    write(tmp_path / name, ImageFile(pixels=np.zeros(shape, dtype), axes=axes))
    assert sorted(read(tmp_path / name).pixels.shape) == sorted(shape)

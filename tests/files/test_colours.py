"""Colours and orientation: what a file means by its values is what is read, and every conversion is said."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_deep_prior.files import images
from napari_deep_prior.files.colours import OPACITY, OPAQUE

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (24, 40, 3)).astype(np.uint8)
GREY = RNG.integers(0, 256, (24, 40)).astype(np.uint8)
LABELS = RNG.integers(0, 5, (24, 40)).astype(np.uint8)
LABEL_COLOURS = np.zeros((256, 3), np.uint8)
LABEL_COLOURS[1:5] = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0]]
FIRE = np.stack([np.clip(np.arange(256) * scale - shift, 0, 255) for scale, shift in ((3, 0), (3, 255), (3, 510))], 1)


def paletted(path: Path, indices: np.ndarray, colours: np.ndarray, **options: object) -> Path:
    """Write a picture of indices into a palette."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, indices, colormap=colours.T.astype(np.uint16) * 257, photometric="palette", **options)
    else:
        picture = Image.fromarray(indices)
        picture.putpalette(colours.astype(np.uint8).tobytes())
        picture.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_palette_of_colours_is_converted_to_rgb_and_said(tmp_path: Path, name: str) -> None:
    image = images.read(paletted(tmp_path / name, LABELS, LABEL_COLOURS))
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.pixels, LABEL_COLOURS[LABELS])
    assert image.remarks == ("palette colours were converted to RGB",)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_palette_of_greys_is_converted_to_grey_values(tmp_path: Path, name: str) -> None:
    ramp = np.repeat(np.arange(256)[:, None], 3, axis=1)
    image = images.read(paletted(tmp_path / name, GREY, ramp[::-1]))
    np.testing.assert_array_equal(image.pixels, 255 - GREY)
    assert image.remarks == ("its palette of greys was converted to grey values",)
    image = images.read(paletted(tmp_path / name, GREY, ramp))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.remarks == ()


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_palette_that_gets_brighter_only_shows_measured_values_which_are_kept(tmp_path: Path, name: str) -> None:
    image = images.read(paletted(tmp_path / name, GREY, FIRE))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert "a table for showing" in image.remarks[0]


def test_the_table_of_an_imagej_file_does_not_change_its_values(tmp_path: Path) -> None:
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, colormap=table)
    image = images.read(tmp_path / "a.tif")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.pixels, GREY)


def test_a_palette_of_16_bits_keeps_them(tmp_path: Path) -> None:
    table = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GREY, colormap=table, photometric="palette")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels, table.T[GREY])


def test_a_palette_with_opacity_keeps_it(tmp_path: Path) -> None:
    paletted(tmp_path / "a.png", LABELS, LABEL_COLOURS, transparency=0)
    image = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels[..., :3], LABEL_COLOURS[LABELS])
    np.testing.assert_array_equal(image.pixels[..., 3], np.where(LABELS, 255, 0))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("opaque", [True, False])
def test_opacity_that_is_full_everywhere_is_left_out_and_other_opacity_kept_and_both_said(
    tmp_path: Path, kind: type[np.unsignedinteger], colours: int, opaque: bool
) -> None:
    largest = np.iinfo(kind).max
    pixels = RNG.integers(0, largest, (20, 24, colours + 1)).astype(kind)
    pixels[..., -1] = largest
    if not opaque:
        pixels[3, 4, -1] = largest // 2
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    image = images.read(tmp_path / "a.png")
    seen = np.squeeze(pixels[..., :-1]) if opaque else pixels
    np.testing.assert_array_equal(image.pixels, seen)
    assert image.axes == ("YX" if opaque and colours == 1 else "YXS")
    assert image.remarks == (OPAQUE if opaque else OPACITY,)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "pillow.tif"])
def test_inks_are_converted_to_rgb_and_said(tmp_path: Path, name: str) -> None:
    smooth = np.linspace(0, 255, 24 * 40).reshape(24, 40).astype(np.uint8)
    inks = np.stack([smooth, 255 - smooth, smooth // 2, smooth // 4], axis=-1)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, inks, photometric="separated")
    else:
        Image.fromarray(inks, "CMYK").save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))
    image = images.read(tmp_path / name)
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")).astype(int)
    assert (image.axes, image.pixels.shape) == ("YXS", (24, 40, 3))
    assert np.abs(image.pixels - expected).max() <= (6 if name == "a.jpg" else 1)
    assert image.remarks == ("inks (CMYK) were converted to RGB, without a colour profile",)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_where_0_is_white_the_values_are_inverted_and_it_is_said(tmp_path: Path, dtype: str) -> None:
    values = GREY.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    image = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, np.iinfo(dtype).max - values)
    assert image.pixels.dtype == dtype
    assert "0 is white" in image.remarks[0]


def test_a_picture_of_black_and_white_is_white_where_it_looks_so(tmp_path: Path) -> None:
    ink = GREY > 100
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="miniswhite")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels != 0, ~ink)
    with Image.open(tmp_path / "a.tif") as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("L")) > 0, ~ink)


def test_values_with_a_sign_and_those_of_imagej_are_not_inverted_and_it_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.float32), photometric="miniswhite")
    image = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert "its values were kept" in image.remarks[0]
    tifffile.imwrite(tmp_path / "b.tif", GREY, photometric="miniswhite", description="ImageJ=1.54f\n", metadata=None)
    np.testing.assert_array_equal(images.read(tmp_path / "b.tif").pixels, GREY)


@pytest.mark.parametrize("kind", ["cielab", "icclab", "logluv"])
def test_colours_that_cannot_be_converted_are_refused(tmp_path: Path, kind: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, photometric=kind)
    with pytest.raises(ValueError, match=r"its colours are stored as \w+: save it as RGB"):
        images.read(tmp_path / "a.tif")


def test_luminance_and_chrominance_that_no_decoder_converts_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, photometric="ycbcr", metadata=None)
    with pytest.raises(ValueError, match="cannot read"):
        images.read(tmp_path / "a.tif")
    smooth = np.repeat(np.linspace(0, 255, 40)[None, :, None], 24, axis=0).astype(np.uint8) * np.ones(3, np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", smooth, photometric="rgb", compression="jpeg", metadata=None)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.YCBCR
    assert np.abs(images.read(tmp_path / "b.tif").pixels.astype(int) - smooth).max() < 6


def test_samples_that_are_neither_colours_nor_opacity_are_channels(tmp_path: Path) -> None:
    channels = RNG.integers(0, 256, (24, 40, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", channels, photometric="minisblack", planarconfig="contig", metadata=None)
    image = images.read(tmp_path / "a.tif")
    assert image.axes == "YXC"
    np.testing.assert_array_equal(image.pixels, channels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_picture_is_turned_upright_by_its_orientation(tmp_path: Path, name: str, orientation: int) -> None:
    path = tmp_path / name
    if name == "a.tif":
        extra = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, COLOURS, photometric="rgb", extratags=extra, resolution=(10, 20), resolutionunit=3)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(COLOURS).save(path, exif=exif, dpi=(100, 200), **({"quality": 95} if name == "a.jpg" else {}))
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    image = images.read(path)
    np.testing.assert_array_equal(image.pixels, expected)
    assert any("turned upright" in remark for remark in image.remarks) == (orientation != 1)
    wide = {"Y", "X"} - {"Y" if orientation < 5 else "X"}
    assert max(image.spacing, key=lambda letter: image.spacing[letter]) in wide


def test_a_photograph_can_be_left_as_it_is_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    image = images.read(tmp_path / "a.jpg", turned=False)
    assert image.pixels.shape == COLOURS.shape
    assert "was left so" in image.remarks[0]


def test_an_animation_is_read_as_a_series_of_times(tmp_path: Path) -> None:
    frames = [np.roll(COLOURS, 3 * number, axis=0) for number in range(3)]
    first, *others = map(Image.fromarray, frames)
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    image = images.read(tmp_path / "a.png")
    assert image.axes == "TYXS"
    np.testing.assert_array_equal(image.pixels[..., :3], np.stack(frames))
    assert "an animation of 3 pictures" in image.remarks[0]


def test_of_several_photographs_in_a_jpeg_the_first_is_read(tmp_path: Path) -> None:
    first, second = Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1])
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    image = images.read(tmp_path / "a.jpg")
    assert image.axes == "YXS"
    assert "holds 2 pictures: the first was read" in image.remarks[0]


def test_of_several_images_in_a_tiff_the_first_is_read_and_it_is_said(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(GREY)
        tiff.write(GREY[:5])
    image = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert "holds 2 images of different shapes or pixel types: the first was read" in image.remarks[0]


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_colours_of_16_bits_keep_all_of_them(tmp_path: Path, samples: int) -> None:

    values = RNG.integers(0, 65536, (24, 40, samples)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    image = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, values)
    assert image.axes == "YXS"


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_greys_of_few_bits_span_the_whole_range(tmp_path: Path, bits: int) -> None:

    values = (np.arange(24 * 40).reshape(24, 40) % 2**bits).astype(np.uint8)
    picture = Image.fromarray(values * (255 // (2**bits - 1)))
    (picture.convert("1") if bits == 1 else picture).save(tmp_path / "a.png")
    image = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels.astype(bool), values.astype(bool))


def test_a_value_that_a_png_shows_as_transparent_is_kept_and_said(tmp_path: Path) -> None:
    grey = np.arange(80, dtype=np.uint8).reshape(8, 10)
    for values, marked in ((grey, 7), (np.stack([grey] * 3, axis=-1), (7, 7, 7))):
        Image.fromarray(values).save(tmp_path / "a.png", transparency=marked)
        image = images.read(tmp_path / "a.png")
        np.testing.assert_array_equal(image.pixels, values)
        assert image.remarks == ("one of its values is shown as transparent: it was kept as a value",)

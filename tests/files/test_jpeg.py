from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_deep_prior.files.jpeg import read_tables
from napari_deep_prior.physics.jpeg import JpegTables, tables_of_quality

COLOUR = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}
"""Pillow's numbers for subsampling, and the rows and columns that share a chrominance."""

SKEW = tuple(tuple(5 + 3 * row + 40 * (column > row) for column in range(8)) for row in range(8))
"""A table that differs from its transpose and from itself in any other order."""


def saved(path: Path, image: np.ndarray, **options: object) -> Path:
    Image.fromarray(image).save(path, "JPEG", **options)
    return path


@pytest.mark.parametrize("quality", [1, 49, 50, 100])
@pytest.mark.parametrize("number", SUBSAMPLINGS)
def test_tables_of_a_quality_are_those_that_pillow_writes(tmp_path: Path, quality: int, number: int) -> None:
    colour = saved(tmp_path / "colour.jpg", COLOUR, quality=quality, subsampling=number)
    expected = tables_of_quality(quality, colour=True, subsampling=SUBSAMPLINGS[number])
    assert read_tables(colour) == expected
    with Image.open(colour) as image:
        assert list(np.ravel(expected.luminance)) == image.quantization[0]
        assert list(np.ravel(expected.chrominance)) == image.quantization[1]
    grey = saved(tmp_path / "grey.jpg", COLOUR[..., 0], quality=quality)
    assert read_tables(grey) == tables_of_quality(quality, colour=False) == JpegTables(expected.luminance)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_tables_are_read_row_by_row_from_every_kind_of_jpeg(tmp_path: Path, options: dict[str, bool]) -> None:
    flat = [int(step) for step in np.ravel(SKEW)]
    other = [step + 7 for step in flat]
    file = saved(tmp_path / "a.jpg", COLOUR, qtables=[flat, other], subsampling=1, **options)
    assert read_tables(file) == JpegTables(SKEW, tuple(tuple(step + 7 for step in row) for row in SKEW), (1, 2))


@pytest.mark.parametrize(("code", "expected"), [(0x12, (2, 1)), (0x41, (1, 4)), (0x44, (4, 4))])
def test_rare_subsamplings_are_read(tmp_path: Path, code: int, expected: tuple[int, int]) -> None:
    file = saved(tmp_path / "a.jpg", COLOUR)
    header = bytearray(file.read_bytes())
    start = header.index(b"\xff\xc0")
    assert header[start + 10 : start + 12] == b"\x01\x22"
    header[start + 11] = code
    file.write_bytes(header)
    assert read_tables(file).subsampling == expected


def test_a_file_that_is_no_jpeg_has_no_tables(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "other.jpg", "PNG")
    (tmp_path / "words.jpg").write_text("no image at all", encoding="utf-8")
    (tmp_path / "empty.jpg").touch()
    assert [read_tables(tmp_path / f"{name}.jpg") for name in ("other", "words", "empty")] == [None] * 3
    with pytest.raises(ValueError, match=r"there is no file .*nothing"):
        read_tables(tmp_path / "nothing.jpg")


def test_jpegs_of_other_kinds_are_refused_with_a_sentence(tmp_path: Path) -> None:
    colour = Image.fromarray(COLOUR)
    colour.convert("CMYK").save(tmp_path / "inks.jpg")
    with pytest.raises(ValueError, match=r"inks.jpg' as a JPEG: it has CMYK values"):
        read_tables(tmp_path / "inks.jpg")
    colour.save(tmp_path / "raw.jpg", keep_rgb=True)
    with pytest.raises(ValueError, match=r"raw.jpg' as a JPEG: it has RGB values"):
        read_tables(tmp_path / "raw.jpg")
    colour.save(tmp_path / "three.jpg", qtables=[[10] * 64, [20] * 64, [30] * 64])
    with pytest.raises(ValueError, match=r"three.jpg' .* chrominances differently"):
        read_tables(tmp_path / "three.jpg")
    # Luminance of two rows for chrominances of four, which no whole number of pixels shares.
    header = bytearray(saved(tmp_path / "odd.jpg", COLOUR).read_bytes())
    start = header.index(b"\xff\xc0")
    header[start + 14] = header[start + 17] = 0x14
    (tmp_path / "odd.jpg").write_bytes(header)
    with pytest.raises(ValueError, match=r"chrominances have 4 × 1 values where luminance has 2 × 2"):
        read_tables(tmp_path / "odd.jpg")

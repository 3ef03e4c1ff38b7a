"""Quantisation tables of JPEG files."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ..physics.jpeg import BLOCK, JpegTables, Table
from .reading import reading


def read_tables(path: str | os.PathLike[str]) -> JpegTables | None:
    """Return the tables of a JPEG file; None if the file is no JPEG, whatever its name.

    Raises
    ------
    ValueError
        If there is no such file, or it is a JPEG of a rare kind: not of luminance and two chrominances with the same
        table and size, but of inks (CMYK), of red, green and blue, or with chrominances that differ.
    """
    file = Path(path)
    with reading(file, "a JPEG"):
        try:
            with Image.open(file, formats=["JPEG"]) as image:
                return _tables_of(image) if isinstance(image, JpegImageFile) else None
        except UnidentifiedImageError:
            return None


def _tables_of(image: JpegImageFile) -> JpegTables:
    components: list[tuple[int, int, int, int]] = image.layer
    kinds, rows, columns, numbers = zip(*((kind, down, right, at) for kind, right, down, at in components), strict=True)
    # Pillow gives the tables row by row, not in the zigzag order of the file.
    tables = [_in_rows(image.quantization[number]) for number in numbers]
    if len(components) == 1:
        return JpegTables(tables[0])
    if len(components) != 3 or _is_red_green_blue(image, kinds):
        raise ValueError(f"it has {image.mode} values, not of luminance and chrominance: save it anew")
    if tables[1] != tables[2] or rows[1] != rows[2] or columns[1] != columns[2]:
        raise ValueError("it treats its two chrominances differently: save it anew")
    if rows[0] % rows[1] or columns[0] % columns[1]:
        raise ValueError(
            f"its chrominances have {rows[1]} × {columns[1]} values where luminance has "
            f"{rows[0]} × {columns[0]}: save it anew"
        )
    return JpegTables(tables[0], tables[1], (rows[0] // rows[1], columns[0] // columns[1]))


def _in_rows(steps: list[int]) -> Table:
    return tuple(tuple(steps[start : start + BLOCK]) for start in range(0, BLOCK * BLOCK, BLOCK))


def _is_red_green_blue(image: JpegImageFile, kinds: tuple[int, ...]) -> bool:
    """Return whether red, green and blue were stored as such, by the rules of libjpeg for its markers."""
    if "jfif" in image.info:
        return False
    return image.info.get("adobe_transform", -1) == 0 or ("adobe" not in image.info and bytes(kinds) == b"RGB")

"""PNG and JPEG: pixels as they are meant, resolution, colour profile and the record of the restoration."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from ..arrays.axes import Array
from .colours import INKS, RGB, TRANSPARENT, inks_to_rgb, resolve_palette, upright, without_full_opacity
from .image_file import RECORD, ImageFile
from .sizes import MICRONS, checked_record, size_in_microns

FORMATS = ("PNG", "JPEG")
"""Pillow's names of the formats that are read; a JPEG may hold several pictures."""

ORIENTATION = 0x0112
"""EXIF's number for the orientation of a picture."""

TURNED = "it was turned upright, as its EXIF orientation says"
AS_STORED = "it is stored turned, by its EXIF orientation, and was left so"
BITS_OF_PNG = 24
"""Byte of a PNG file that says how many bits a value has; the next one says which kind of colour it is."""

INCH = MICRONS["in"]

LONGEST_TEXT = 1_000_000
"""Letters of a text in a PNG, beyond which Pillow would refuse to read the file again."""


def read_picture(file: Path, *, turned: bool = True) -> ImageFile:
    """Return the picture in a PNG or JPEG file; ``turned`` by its EXIF orientation."""
    content = file.read_bytes()
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        pixels, axes, remarks = _pixels(image, content)
        if (orientation := image.getexif().get(ORIENTATION, 1)) != 1:
            pixels = upright(pixels, axes, orientation) if turned else pixels
            remarks.append(TURNED if turned else AS_STORED)
        spacing = {}
        for letter, density in zip("XY", image.info.get("dpi", ()), strict=False):
            if size := size_in_microns(density, INCH, f"resolution along {letter}", remarks):
                spacing[letter] = size
        if orientation in (5, 6, 7, 8) and turned:
            spacing = {letter: spacing[other] for letter, other in ("YX", "XY") if other in spacing}
        record = checked_record(image.info.get(RECORD, "{}"), remarks)
        # A profile of inks says nothing about red, green and blue.
        profile = b"" if {INKS, RGB} & set(remarks) else image.info.get("icc_profile") or b""
    return ImageFile(
        pixels=pixels,
        axes=axes,
        spacing=spacing,
        units=dict.fromkeys(spacing, "µm"),
        profile=profile,
        record=record,
        remarks=tuple(remarks),
    )


def write_png(name: str, image: ImageFile) -> None:
    """Write a PNG of 8 bits, or of grey values of 16 bits."""
    text = PngInfo()
    record = json.dumps(image.record)
    if image.record and len(record) < LONGEST_TEXT:
        text.add_itxt(RECORD, record, zip=True)
    options: dict[str, Any] = {}
    microns = [image.spacing.get(letter, 0.0) * MICRONS.get(image.units.get(letter, "µm"), 0.0) for letter in "XY"]
    if min(microns) > 0 and all(1 <= INCH / size < 1e8 for size in microns):
        options["dpi"] = tuple(INCH / size for size in microns)
    if image.profile:
        options["icc_profile"] = image.profile
    Image.fromarray(image.pixels).save(name, format="PNG", pnginfo=text, **options)


def _pixels(image: Image.Image, content: bytes) -> tuple[Array, str, list[str]]:
    """Return values, axes and remarks."""
    remarks: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format == "PNG":
        if content[BITS_OF_PNG] == 16:
            raise ValueError("it is an animation of 16 bits: save its pictures as a TIFF")
        remarks.append(f"it is an animation of {frames} pictures: they were read as times (T)")
        every = [_plane(frame, content, remarks) for frame in ImageSequence.Iterator(image)]
        depth = max(plane.ndim for plane in every)
        every = [plane if plane.ndim == depth else np.array(image.convert("RGBA")) for plane in every]
        pixels, opacity = without_full_opacity(np.stack(every)) if depth == 3 else (np.stack(every), "")
        axes = "TYXS" if pixels.ndim == 4 else "TYX"
        return pixels, axes, list(dict.fromkeys([*remarks, *filter(None, [opacity])]))
    if frames > 1:
        remarks.append(f"it holds {frames} pictures: the first was read")
    plane, opacity = without_full_opacity(_plane(image, content, remarks))
    return plane, "YXS" if plane.ndim == 3 else "YX", [*remarks, *filter(None, [opacity])]


def _plane(image: Image.Image, content: bytes, remarks: list[str]) -> Array:
    bits, kind = content[BITS_OF_PNG : BITS_OF_PNG + 2] if image.format == "PNG" else (8, 0)
    if bits == 16 and kind != 0:
        # Pillow would keep the upper 8 bits only.
        return np.asarray(imagecodecs.png_decode(content))
    if image.mode in ("P", "PA"):
        return _of_palette(image, remarks)
    if "transparency" in image.info:
        remarks.append(TRANSPARENT)
    if image.mode == "CMYK":
        remarks.append(INKS)
        return inks_to_rgb(np.array(image))
    if image.mode.startswith("I"):
        # Grey values of 16 bits, which some versions of Pillow give as 32 bits.
        return np.array(image).astype(np.uint16)
    return np.array(image)


def _of_palette(image: Image.Image, remarks: list[str]) -> Array:
    if image.mode == "PA" or "transparency" in image.info:
        remarks.append(RGB)
        return np.array(image.convert("RGBA"))
    colours = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    pixels, remark = resolve_palette(np.array(image), colours)
    remarks += [remark] if remark else []
    return pixels

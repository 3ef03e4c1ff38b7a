"""Files that are odd or damaged, drawn at random: images of all formats, kernels, masks."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from scipy.io import savemat

from napari_deep_prior.files import images

Random = np.random.Generator

LENGTHS = (5, 8, 12)
"""Pixels along an axis: few, so that what the program estimates for each size is soon known."""

DTYPES = ("uint8", "uint16", "int16", "int8", "uint32", "int32", "float32", "float64", "float16")
ODD_DTYPES = ("bool", "int64", "uint64", "complex64")

TAGS = (256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 282, 284, 296, 317, 320, 322, 338, 339, 50838)
"""Of a TIFF: sizes, types, compression, colours, places, resolution."""

TAG_BYTES = 12


def one_of(random: Random, choices: Any) -> Any:
    """Draw one of several things."""
    choices = list(choices)
    return choices[random.integers(len(choices))]


def chance(random: Random, share: float) -> bool:
    """Return whether something happens that happens with some probability."""
    return bool(random.random() < share)


def pixels_of(random: Random, shape: tuple[int, ...], *, odd: bool = True) -> np.ndarray:
    """Draw pixels: mostly photons of a blob, sometimes what nobody would call an image."""
    dtype = np.dtype(one_of(random, ODD_DTYPES if odd and chance(random, 0.05) else DTYPES))
    blob = sum(np.cos(np.linspace(-2, 2, length)).reshape(-1, *[1] * at) for at, length in enumerate(shape[::-1]))
    values = random.poisson(np.clip(20 * np.asarray(blob) + 30, 0, None) * np.ones(shape)).astype(float)
    if odd and chance(random, 0.2):
        changes = {
            "constant": lambda: values * 0 + random.integers(0, 99),
            "sparse": lambda: values * (random.random(shape) < 0.03),
            "negative": lambda: -values,
            "huge": lambda: values * 10.0 ** random.integers(5, 308),
            "tiny": lambda: values * 10.0 ** -random.integers(5, 308),
            "holes": lambda: np.where(random.random(shape) < 0.2, one_of(random, [np.nan, np.inf, -np.inf]), values),
        }
        with np.errstate(all="ignore"):
            values = changes[one_of(random, changes)]()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.nan_to_num(values), float(limits.min), float(limits.max) * (1 - 1e-9))
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def shape_of(random: Random) -> tuple[int, ...]:
    """Draw a shape: mostly that of a plane, sometimes of a stack or of colours."""
    plane = tuple(int(one_of(random, LENGTHS)) for _ in "YX")
    more = [(), (), (), (), (1,), (2,), (3,), (2, 2), (1, 3, 2)]
    shape = (*one_of(random, more), *plane)
    shape = (*shape, int(one_of(random, [1, 2, 3, 4, 5]))) if chance(random, 0.15) else shape
    return tuple(int(one_of(random, [1, 2, 3])) if chance(random, 0.03) else length for length in shape)


def write_image(random: Random, folder: Path, stem: str, *, shape: tuple[int, ...] | None = None) -> str:
    """Write an image of any format that is whole; return its name. Of a shape it is a likely mask, guide or truth."""
    pixels = pixels_of(random, shape or shape_of(random), odd=shape is None)
    writer = one_of(random, [_tiff, _tiff, _tiff, _ome, _ome, _imagej, _png, _jpeg])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(writer(random, folder, stem, pixels))
    except (ValueError, OSError, TypeError, KeyError, RuntimeError, struct.error, ImportError):
        # That format cannot hold these pixels.
        np.save(folder / f"{stem}.npy", np.zeros(1))
        (folder / f"{stem}.npy").rename(folder / f"{stem}.tif")
        return f"{stem}.tif"


def _tiff(random: Random, folder: Path, stem: str, pixels: np.ndarray) -> str:
    name = f"{stem}.{one_of(random, ['tif', 'tif', 'tiff', 'TIF'])}"
    options: dict[str, Any] = {
        "compression": one_of(random, [None, None, "zlib", "lzw", "packbits"]),
        "photometric": one_of(random, [None, None, "minisblack", "miniswhite", "rgb", "separated"]),
        "bigtiff": chance(random, 0.1),
        "byteorder": one_of(random, "<>"),
        "tile": (16, 16) if chance(random, 0.1) else None,
        "resolution": tuple(random.random(2) * 10) if chance(random, 0.2) else None,
        "metadata": one_of(random, [None, {}, {"axes": "QYX"}]),
    }
    tifffile.imwrite(folder / name, pixels, **{key: value for key, value in options.items() if value is not None})
    return name


def _ome(random: Random, folder: Path, stem: str, pixels: np.ndarray) -> str:
    axes = "TCZYXS"[5 - pixels.ndim : 5] if pixels.ndim < 6 else "QTCZYX"
    spacing = {letter: float(10 ** random.uniform(-3, 3)) for letter in axes if letter in "ZYX"}
    image = images.ImageFile(pixels=pixels, axes=axes, spacing=spacing, units=dict.fromkeys(spacing, "µm"))
    images.write(folder / f"{stem}.ome.tif", image)
    return f"{stem}.ome.tif"


def _imagej(random: Random, folder: Path, stem: str, pixels: np.ndarray) -> str:
    metadata = {"unit": one_of(random, ["um", "", "pixel", "\\u00B5m", "inch"]), "spacing": random.uniform(-1, 3)}
    tifffile.imwrite(folder / f"{stem}.tif", pixels, imagej=True, metadata=metadata, resolution=(3.0, 2.0))
    return f"{stem}.tif"


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    plane = pixels.reshape(-1, *pixels.shape[-2:])[0]
    return np.nan_to_num(np.abs(plane.astype(float)) % 256, posinf=255).astype(np.uint8)


def _png(random: Random, folder: Path, stem: str, pixels: np.ndarray) -> str:
    picture = Image.fromarray(_eight_bit(pixels))
    mode = one_of(random, ["1", "L", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    if mode == "I;16":
        picture = Image.fromarray(_eight_bit(pixels).astype(np.uint16) * 200)
    elif mode != "L":
        picture = picture.convert(mode)
    frames = [picture.copy()] if chance(random, 0.1) else []
    picture.save(folder / f"{stem}.png", dpi=(300, 300), save_all=bool(frames), append_images=frames)
    return f"{stem}.png"


def _jpeg(random: Random, folder: Path, stem: str, pixels: np.ndarray) -> str:
    picture = Image.fromarray(_eight_bit(pixels)).convert(one_of(random, ["L", "L", "RGB", "CMYK"]))
    turned = Image.Exif()
    turned[0x0112] = int(random.integers(0, 10))
    name = f"{stem}.{one_of(random, ['jpg', 'jpeg', 'JPG'])}"
    picture.save(folder / name, quality=int(random.integers(1, 100)), exif=turned, format="JPEG")
    return name


def write_kernel(random: Random, folder: Path) -> str:
    """Write a kernel in one of its formats; return its name."""
    values = random.random(tuple(random.integers(0, 6, one_of(random, [1, 2, 2, 2, 3])))).astype(one_of(random, DTYPES))
    ending = one_of(random, ["npy", "mat", "tif", "png"])
    name = f"kernel.{ending}"
    if ending == "mat":
        savemat(folder / name, {"kernel": values})
    elif ending == "tif" and values.ndim > 1 and values.size:
        tifffile.imwrite(folder / name, values, photometric="minisblack")
    elif ending == "png" and values.ndim == 2 and values.size:
        Image.fromarray(np.abs(values.astype(float) * 255 % 256).astype(np.uint8)).save(folder / name)
    else:
        with (folder / name).open("wb") as file:
            np.save(file, values)
    return name


def damage(random: Random, file: Path) -> None:
    """Damage a file as disks, networks and careless programs do."""
    content = bytearray(file.read_bytes())
    kinds = [_flip_bits, _flip_bits, _flip_bits_of_header, _cut_off, _overwrite, _insert, _change_tag, _change_tag]
    for _ in range(one_of(random, [1, 1, 1, 2, 5])):
        if content:
            one_of(random, kinds)(random, content)
    if chance(random, 0.03):
        content = bytearray(one_of(random, [b"", b"no image", b"II*\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
    file.write_bytes(content)


def _flip_bits(random: Random, content: bytearray, *, end: int | None = None) -> None:
    for _ in range(one_of(random, [1, 1, 3, 20])):
        content[random.integers(end or len(content))] ^= 1 << int(random.integers(8))


def _flip_bits_of_header(random: Random, content: bytearray) -> None:
    _flip_bits(random, content, end=min(len(content), 200))


def _cut_off(random: Random, content: bytearray) -> None:
    del content[random.integers(len(content)) :]


def _overwrite(random: Random, content: bytearray) -> None:
    start, length = int(random.integers(len(content))), int(random.integers(1, 64))
    value = one_of(random, [0, 255, None])
    for at in range(start, min(start + length, len(content))):
        content[at] = int(random.integers(256)) if value is None else value


def _insert(random: Random, content: bytearray) -> None:
    at = random.integers(len(content))
    content[at:at] = bytes(random.integers(0, 256, int(random.integers(1, 40))).astype(np.uint8))


def _change_tag(random: Random, content: bytearray) -> None:
    """Give a tag of a TIFF another type, number of values or value; of other files, change some bytes."""
    places = _tags(bytes(content)) or [int(random.integers(max(1, len(content) - TAG_BYTES)))]
    order = ">" if content[:2] == b"MM" else "<"
    at = one_of(random, places)
    field, where = one_of(random, [("H", 0), ("H", 2), ("I", 4), ("I", 8)])
    numbers = [0, 1, 2, 3, 5, 7, 8, 12, 13, 16, 17, 255, 65535, 2**31, 2**32 - 1, int(one_of(random, TAGS))]
    changed = struct.pack(order + field, one_of(random, numbers) % 2 ** (8 * struct.calcsize(field)))
    content[at + where : at + where + len(changed)] = changed


def _tags(content: bytes) -> list[int]:
    """Return the places of the tags of the first directory of a TIFF; none if it is another file."""
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            return [int(tag.offset) for tag in tiff.pages[0].tags]  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001  (whatever damaged files do to the reader)
        return []

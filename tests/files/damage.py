"""Damaged files for tests: valid files of every format that is read, and the ways in which they are damaged."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
from PIL import Image
from scipy.io import savemat

SHAPE = (13, 17)
Damage = Callable[[bytes, np.random.Generator], bytes]


def valid_files() -> dict[str, bytes]:
    """Return the content of a valid file for each of some names, small, of all formats that are read."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 250, SHAPE).astype(np.uint8)
    stack = rng.integers(0, 2000, (4, *SHAPE)).astype(np.uint16)
    colours = rng.integers(0, 250, (*SHAPE, 3)).astype(np.uint8)
    table = rng.integers(0, 65535, (3, 256)).astype(np.uint16)
    with TemporaryDirectory() as name:
        folder = Path(name)
        tifffile.imwrite(folder / "plain.tif", stack, photometric="minisblack")
        tifffile.imwrite(folder / "packed.tif", stack, photometric="minisblack", compression="zlib", predictor=True)
        tifffile.imwrite(folder / "tiles.tif", colours, photometric="rgb", compression="lzw", tile=(16, 16))
        tifffile.imwrite(folder / "palette.tif", grey, colormap=table, photometric="palette", metadata=None)
        tifffile.imwrite(folder / "inks.tif", np.dstack([colours, grey]), photometric="separated", metadata=None)
        metadata = {"axes": "ZYX", "PhysicalSizeX": 0.1, "Channel": {"Name": ["c"]}}
        tifffile.imwrite(folder / "image.ome.tif", stack, metadata=metadata, compression="zlib")
        metadata = {"axes": "TYX", "unit": "um", "finterval": 2.0}
        tifffile.imwrite(folder / "imagej.tif", stack, imagej=True, resolution=(10, 10), metadata=metadata)
        tifffile.imwrite(folder / "big.tif", stack.astype(np.float32), photometric="minisblack", bigtiff=True)
        Image.fromarray(grey).save(folder / "grey.png", dpi=(300, 300))
        Image.fromarray(colours).save(folder / "colours.png")
        Image.fromarray(colours).quantize(8).save(folder / "palette.png")
        Image.fromarray(stack[0]).save(folder / "deep.png")
        first, *others = [Image.fromarray(np.roll(grey, number)) for number in range(3)]
        first.save(folder / "animation.png", save_all=True, append_images=others)
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(colours).save(folder / "photo.jpg", exif=exif, dpi=(72, 72))
        Image.fromarray(np.dstack([colours, grey]), "CMYK").save(folder / "inks.jpg")
        np.save(folder / "kernel.npy", np.eye(5))
        savemat(folder / "kernel.mat", {"kernel": np.eye(5)}, do_compression=True)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip up to twenty bits anywhere."""
    damaged = bytearray(content)
    for place in rng.integers(0, len(damaged), rng.integers(1, 20)):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def flip_first_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip a few bits of the first 400 bytes, where most formats describe what follows."""
    damaged = bytearray(content)
    for place in rng.integers(0, min(len(damaged), 400), rng.integers(1, 5)):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    """Keep the first part."""
    return content[: int(rng.integers(len(content)))]


def set_tag(content: bytes, rng: np.random.Generator) -> bytes:
    """Give a tag of a TIFF another type, count or value; of other formats overwrite four bytes."""
    damaged = bytearray(content)
    new = rng.choice(np.array([0, 1, 2, 3, 5, 7, 12, 13, 255, 65535, 2**31, 2**32 - 1], np.uint32)).tobytes()
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            tag = rng.choice([tag.offset for tag in tiff.pages.first.tags])
        place, width = [(tag + 2, 2), (tag + 4, 4), (tag + 8, 4)][rng.integers(3)]
    except tifffile.TiffFileError:
        place, width = int(rng.integers(len(damaged) - 4)), 4
    damaged[place : place + width] = new[:width]
    return bytes(damaged)


DAMAGES: tuple[Damage, ...] = (flip_bits, flip_first_bits, cut_off, set_tag)


def damaged_files(folder: Path, *, count: int, seed: int) -> Iterator[Path]:
    """Write ``count`` damaged files into a folder, one after another, and yield the path of each."""
    rng = np.random.default_rng(seed)
    files = valid_files()
    for number in range(count):
        name = list(files)[number % len(files)]
        damage = DAMAGES[number // len(files) % len(DAMAGES)]
        path = folder / f"{number}-{name}"
        path.write_bytes(damage(files[name], rng))
        yield path
        path.unlink()

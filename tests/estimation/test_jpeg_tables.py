"""The tables of compressed images are found, and none in images that were never compressed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_deep_prior.arrays.axes import Array
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.jpeg_tables import ENOUGH, _coefficients, estimate_tables
from napari_deep_prior.physics.jpeg import tables_of_quality

CAMERA, ASTRONAUT = data.camera()[120:280, 120:280], data.astronaut()[:160, 120:280]
SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}


def compressed(picture: Array, **options: int) -> Array:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", **options)
    with Image.open(file) as image:
        return np.asarray(image)


@pytest.mark.parametrize("quality", [5, 20, 60, 75, 95])
def test_the_quality_of_a_grey_image_is_found(quality: int) -> None:
    assert estimate_tables(compressed(CAMERA, quality=quality)) == tables_of_quality(quality, colour=False)


@pytest.mark.parametrize(("quality", "subsampling"), [(10, 0), (95, 0), (75, 1), (40, 2), (90, 2)])
def test_the_quality_and_the_subsampling_of_a_colour_image_are_found(quality: int, subsampling: int) -> None:
    found = estimate_tables(compressed(ASTRONAUT, quality=quality, subsampling=subsampling))
    assert found == tables_of_quality(quality, colour=True, subsampling=SUBSAMPLINGS[subsampling])


def test_sides_need_not_be_whole_blocks() -> None:
    image = compressed(np.ascontiguousarray(ASTRONAUT[:117, :99]), quality=30)
    assert estimate_tables(image) == tables_of_quality(30, colour=True)


@pytest.mark.parametrize("quality", [10, 50, 75])
def test_the_quality_of_a_smooth_image_is_found(quality: int) -> None:
    image = compressed(np.ascontiguousarray(data.cell()[234:426, 179:371]), quality=quality)
    assert estimate_tables(image) == tables_of_quality(quality, colour=False)


def test_of_a_large_image_only_some_blocks_are_evaluated() -> None:
    plane = np.random.default_rng(0).uniform(-100, 100, (1024, 1024))
    assert ENOUGH <= len(_coefficients(plane, np.ones(plane.shape, bool))) < 2 * ENOUGH


def test_the_quality_is_found_although_grey_levels_were_clipped() -> None:
    bright = np.clip(CAMERA.astype(int) * 2 - 60, 0, 255).astype(np.uint8)
    assert ((bright == 0) | (bright == 255)).mean() > 0.3
    assert estimate_tables(compressed(bright, quality=30)) == tables_of_quality(30, colour=False)


def test_the_tables_of_a_grey_image_stored_as_colours_are_found() -> None:
    image = np.repeat(compressed(CAMERA, quality=30)[..., None], 3, axis=2)
    found = estimate_tables(image)
    assert found is not None
    assert found.luminance == tables_of_quality(30, colour=False).luminance


def test_the_dtype_does_not_matter() -> None:
    image = compressed(CAMERA, quality=30)
    assert estimate_tables(image.astype(np.float32)) == estimate_tables(image.astype(np.uint16)) != None  # noqa: E711


GENERATOR = np.random.default_rng(0)
NEVER = {
    "camera": CAMERA,
    "astronaut": ASTRONAUT,
    "cell": data.cell()[200:456, 100:356],
    "brick": data.brick()[:256, :256],
    "page": data.page(),
    "text": data.text(),
    "noise": GENERATOR.integers(0, 256, (160, 160)),
    "colour noise": GENERATOR.integers(0, 256, (96, 96, 3)),
    "smooth": (cells((160, 160)) / cells((160, 160)).max() * 250).astype(np.uint8),
    "photons": np.clip(Camera().expose(cells((160, 160)), GENERATOR) / 16, 0, 255).astype(np.uint8),
    "a slope": np.add.outer(np.arange(128), np.arange(128)) // 2,
    "squares": np.kron(GENERATOR.integers(0, 256, (16, 16)), np.ones((8, 8), int)),
    "stripes": np.tile(np.arange(160) % 16 * 10, (160, 1)),
    "constant": np.full((64, 64), 9),
    "white": np.full((64, 64), 255),
    "with opacity": GENERATOR.integers(0, 256, (96, 96, 4)),
    "a volume": GENERATOR.integers(0, 256, (9, 16, 16)),
    "tiny": CAMERA[:7, :90],
    "sixteen bits": CAMERA.astype(np.uint16) * 257,
    "between 0 and 1": CAMERA / 255,
    "negative": CAMERA.astype(int) - 128,
    "not a number": np.where(np.eye(160, dtype=bool), np.nan, CAMERA),
}


@pytest.mark.parametrize("image", NEVER.values(), ids=NEVER.keys())
def test_in_an_image_that_was_never_compressed_no_tables_are_found(image: Array) -> None:
    assert estimate_tables(image) is None


CHANGED = {
    "cropped across the blocks": lambda image: image[3:, 5:],
    "smaller": lambda image: np.asarray(Image.fromarray(image).resize((120, 120))),
    "brighter": lambda image: (image * 0.9 + 9).astype(np.uint8),
    "noisier": lambda image: np.clip(image + GENERATOR.normal(0, 3, image.shape), 0, 255),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_in_an_image_that_was_changed_later_no_tables_are_found(change: object) -> None:
    assert estimate_tables(change(compressed(CAMERA, quality=30))) is None


@pytest.mark.parametrize(("rows", "columns"), [(8, 16), (40, 24)])
def test_in_an_image_cropped_along_the_blocks_the_tables_are_found(rows: int, columns: int) -> None:
    image = compressed(CAMERA, quality=30)[rows:, columns:]
    assert estimate_tables(image) == tables_of_quality(30, colour=False)

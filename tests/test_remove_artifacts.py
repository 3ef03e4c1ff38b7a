"""Removing compression artefacts through ``restore``: what the file tells, what the image tells, and neither."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_deep_prior import RemoveArtifacts, metrics, preset, restore
from napari_deep_prior.axes import Array
from napari_deep_prior.jpeg import tables_of_quality

FAST = preset(RemoveArtifacts(), "fast")
PICTURES = {"grey": data.camera()[100:196, 140:236], "colour": data.astronaut()[16:112, 160:256]}
# Black and white, and a little too much of both.
PICTURES = {
    name: np.clip(1.6 * picture.astype(float) - 70, 0, 255).astype(np.uint8) for name, picture in PICTURES.items()
}


def compressed(picture: Array) -> Array:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=10)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("name", PICTURES)
def test_an_image_whose_levels_were_cut_off_tells_what_its_file_would_have_told(name: str) -> None:
    truth = PICTURES[name]
    measured, tables = compressed(truth), tables_of_quality(10, colour=truth.ndim == 3)
    told, blind = (restore(measured, RemoveArtifacts(), FAST, jpeg=jpeg, device="cpu") for jpeg in (tables, None))
    np.testing.assert_array_equal(told.finish(), blind.finish())
    assert blind.record["remarks"] == ["how coarsely it was rounded was found in the image"]
    assert metrics.psnr(told.image, truth) > metrics.psnr(measured, truth) + 0.5
    assert metrics.ssim(told.image, truth, channel_axis=-1 if truth.ndim == 3 else None) > metrics.ssim(
        measured, truth, channel_axis=-1 if truth.ndim == 3 else None
    )

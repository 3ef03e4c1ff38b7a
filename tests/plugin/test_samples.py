"""Sample data, as File ▸ Open Sample opens it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.estimation.jpeg_tables import estimate_tables
from napari_deep_prior.physics.jpeg import tables_of_quality

PLUGIN = "napari-deep-prior"
KEYS = ["cells", "cells-3d", "camera", "damaged", "two-stains", "jpeg", "large-pixels"]


@pytest.mark.parametrize("key", ["cells", "cells-3d", "camera"])
def test_a_sample_opens_with_its_truth(viewer, key):
    noisy, truth = viewer.open_sample(PLUGIN, key)
    assert noisy.data.shape == truth.data.shape
    assert noisy.name.endswith("(noisy)")
    assert not truth.visible
    assert 15 < psnr(noisy.data, truth.data) < 30
    np.testing.assert_array_equal(noisy.scale, truth.scale)


@pytest.mark.parametrize("key", KEYS)
def test_samples_are_the_same_every_time(viewer, key):
    first, second = ([layer.data for layer in viewer.open_sample(PLUGIN, key)] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_damaged_cells_differ_from_their_truth_exactly_where_the_mask_is_painted(viewer):
    image, truth, mask = viewer.open_sample(PLUGIN, "damaged")
    assert type(mask).__name__ == "Labels"
    assert set(np.unique(mask.data)) == {0, 1, 2}
    np.testing.assert_array_equal(image.data != truth.data, mask.data > 0)
    np.testing.assert_array_equal(image.scale, mask.scale)


def test_the_other_stain_shows_where_the_dim_cells_are_and_has_far_less_noise(viewer):
    guide, dim, truth = viewer.open_sample(PLUGIN, "two-stains")
    moved = np.roll(guide.data, (-3, 2), axis=(0, 1))
    likeness = [np.corrcoef(image.ravel(), truth.data.ravel())[0, 1] for image in (dim.data, guide.data, moved)]
    assert likeness[2] > 0.9
    assert likeness[2] > likeness[1] + 0.05
    assert likeness[2] > likeness[0] + 0.05
    assert dim.visible
    assert not guide.visible


def test_the_jpeg_tells_how_it_was_compressed(viewer):
    image, truth = viewer.open_sample(PLUGIN, "jpeg")
    assert image.rgb
    assert image.data.shape == truth.data.shape
    assert estimate_tables(np.asarray(image.data)) == tables_of_quality(10, colour=True)


def test_the_large_pixels_cover_what_their_truth_covers(viewer):
    small, truth = viewer.open_sample(PLUGIN, "large-pixels")
    for layer in (small, truth):
        edges = [layer.data_to_world(np.array(corner)) for corner in ((-0.5, -0.5), np.array(layer.data.shape) - 0.5)]
        np.testing.assert_allclose(edges, [(-0.05, -0.05), (19.15, 19.15)], atol=1e-9)
    means = truth.data.reshape(96, 2, 96, 2).mean(axis=(1, 3))
    assert psnr(small.data, means) > 35

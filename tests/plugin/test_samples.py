"""Sample data, as File ▸ Open Sample opens it."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer

from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.estimation.jpeg_tables import estimate_tables
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.plugin import samples

PLUGIN = "napari-deep-prior"
SAMPLES = {
    "cells": samples.cells,
    "cells-3d": samples.cells_3d,
    "camera": samples.camera,
    "damaged": samples.damaged,
    "two-stains": samples.two_stains,
    "jpeg": samples.jpeg,
    "large-pixels": samples.large_pixels,
    "fields": samples.fields,
}


def layers(key):
    return [Layer.create(*layer) for layer in SAMPLES[key]()]


def test_every_sample_opens_and_is_the_same_every_time(viewer):
    for key, sample in SAMPLES.items():
        opened = viewer.open_sample(PLUGIN, key)
        for layer, (data, about, kind) in zip(opened, sample(), strict=True):
            np.testing.assert_array_equal(layer.data, data)
            assert (layer.name.partition(" [")[0], layer._type_string) == (about["name"], kind)
        viewer.layers.clear()


@pytest.mark.parametrize("key", ["cells", "cells-3d", "camera"])
def test_a_noisy_sample_has_its_truth(key):
    noisy, truth = layers(key)
    assert noisy.data.shape == truth.data.shape
    assert noisy.name.endswith("(noisy)")
    assert not truth.visible
    assert 15 < psnr(noisy.data, truth.data) < 30
    np.testing.assert_array_equal(noisy.scale, truth.scale)


def test_the_damaged_cells_differ_from_their_truth_exactly_where_the_mask_is_painted():
    image, truth, mask = layers("damaged")
    assert type(mask).__name__ == "Labels"
    assert set(np.unique(mask.data)) == {0, 1, 2}
    np.testing.assert_array_equal(image.data != truth.data, mask.data > 0)
    np.testing.assert_array_equal(image.scale, mask.scale)


def test_the_other_stain_shows_where_the_dim_cells_are_and_has_far_less_noise():
    guide, dim, truth = layers("two-stains")
    moved = np.roll(guide.data, (-3, 2), axis=(0, 1))
    likeness = [np.corrcoef(image.ravel(), truth.data.ravel())[0, 1] for image in (dim.data, guide.data, moved)]
    assert likeness[2] > 0.9
    assert likeness[2] > likeness[1] + 0.05
    assert likeness[2] > likeness[0] + 0.05
    assert dim.visible
    assert not guide.visible


def test_the_jpeg_tells_how_it_was_compressed():
    image, truth = layers("jpeg")
    assert image.rgb
    assert image.data.shape == truth.data.shape
    assert estimate_tables(np.asarray(image.data)) == tables_of_quality(10, colour=True)


def test_the_large_pixels_cover_what_their_truth_covers():
    small, truth = layers("large-pixels")
    for layer in (small, truth):
        edges = [layer.data_to_world(np.array(corner)) for corner in ((-0.5, -0.5), np.array(layer.data.shape) - 0.5)]
        np.testing.assert_allclose(edges, [(-0.05, -0.05), (19.15, 19.15)], atol=1e-9)
    means = truth.data.reshape(96, 2, 96, 2).mean(axis=(1, 3))
    assert psnr(small.data, means) > 35

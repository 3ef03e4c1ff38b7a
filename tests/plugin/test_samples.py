"""Sample data, as File ▸ Open Sample opens it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.metrics import psnr


@pytest.mark.parametrize("key", ["cells", "cells-3d", "camera"])
def test_a_sample_opens_with_its_truth(viewer, key):
    noisy, truth = viewer.open_sample("napari-deep-prior", key)
    assert noisy.data.shape == truth.data.shape
    assert noisy.name.endswith("(noisy)")
    assert not truth.visible
    assert 15 < psnr(noisy.data, truth.data) < 30
    np.testing.assert_array_equal(noisy.scale, truth.scale)


def test_samples_are_the_same_every_time(viewer):
    first, second = (viewer.open_sample("napari-deep-prior", "cells")[0].data for _ in range(2))
    np.testing.assert_array_equal(first, second)

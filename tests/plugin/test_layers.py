"""Layers to arrays with axes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_deep_prior.plugin.layers import axes_of, take


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((5, 6), {}, "YX"),
        ((4, 5, 6), {}, "ZYX"),
        ((2, 4, 5, 6), {}, "TZYX"),
        ((2, 2, 4, 5, 6), {}, "TCZYX"),
        ((2, 2, 2, 4, 5, 6), {}, "PTCZYX"),
        ((5, 6, 3), {"rgb": True}, "YXS"),
        ((5, 6, 3), {"rgb": False}, "ZYX"),
        ((7, 5, 6, 3), {"rgb": True}, "ZYXS"),
        ((4, 5, 6), {"axis_labels": ("t", "y", "x")}, "TYX"),
        ((4, 5, 6), {"axis_labels": ("Channel", "Y", "X")}, "CYX"),
        ((5, 6, 4), {"axis_labels": ("y", "x", "c"), "rgb": False}, "YXC"),
        ((4, 5, 6), {"axis_labels": ("a", "b", "c")}, "ZYX"),
    ],
)
def test_axes_come_from_labels_and_the_rgb_flag(shape, options, axes):
    assert axes_of(Image(np.zeros(shape, np.uint8), **options)) == axes


def test_a_slice_keeps_its_axes_and_knows_its_corner():
    layer = Image(np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5), scale=(1, 2, 1, 1), translate=(0, 10, 0, 0))
    part = take(layer, "TZYX", "slice", (1, 14, 0, 0))
    assert part.offset == (1, 2, 0, 0)
    np.testing.assert_array_equal(part.pixels, layer.data[1:2, 2:3])


def test_sliders_outside_of_the_layer_are_told():
    layer = Image(np.zeros((3, 4, 5)), name="stack")
    with pytest.raises(ValueError, match="outside of the layer 'stack' along Z"):
        take(layer, "ZYX", "slice", (7, 0, 0))


def test_a_layer_with_fewer_axes_than_the_viewer_uses_the_last_sliders():
    layer = Image(np.arange(3 * 4 * 5).reshape(3, 4, 5))
    assert take(layer, "ZYX", "slice", (9, 2, 0, 0)).offset == (2, 0, 0)

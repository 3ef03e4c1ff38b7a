"""Principal components: what they keep, and in which colours they are shown."""

from __future__ import annotations

import numpy as np

from napari_deep_prior.arrays.components import as_colours, principal_components


def test_components_are_uncorrelated_and_hold_the_most_variance_first() -> None:
    random = np.random.default_rng(0)
    hidden = random.normal(size=(2, 30, 40)) * np.array([3, 1])[:, None, None]
    channels = np.tensordot(random.normal(size=(5, 2)), hidden, axes=1) + 7
    components, shares = principal_components(channels)
    assert components.shape == (3, 30, 40)
    assert shares[0] > shares[1] > 0
    np.testing.assert_allclose(shares.sum(), 1)
    # Two of them explain everything.
    assert np.abs(components[2]).max() < 1e-6
    np.testing.assert_allclose((components[0] * components[1]).mean(), 0, atol=1e-9)
    np.testing.assert_allclose((components**2).mean(axis=(1, 2)).sum(), channels.var(axis=(1, 2)).sum())


def test_fewer_channels_and_constant_images_give_empty_components() -> None:
    image = np.arange(12.0).reshape(1, 3, 4)
    components, shares = principal_components(image)
    np.testing.assert_allclose(components[0], image[0] - image.mean())
    np.testing.assert_array_equal(components[1:], 0)
    np.testing.assert_allclose(shares, [1, 0, 0])
    assert not principal_components(np.ones((4, 3, 4)))[1].any()


def test_every_colour_has_its_own_range() -> None:
    colours = as_colours(np.stack([np.linspace(0, 1, 1000), np.linspace(5, -5, 1000), np.zeros(1000)]))
    assert colours.shape == (1000, 3)
    assert colours.dtype == np.uint8
    np.testing.assert_array_equal(colours[[0, -1]], [[0, 255, 0], [255, 0, 0]])

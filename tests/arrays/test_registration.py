from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_deep_prior.arrays.registration import MOST_PIXELS, TRUSTED, _middle, registration_shift
from napari_deep_prior.arrays.resampling import shifted


def structures(*shape: int, correlation_length: float = 2.0, seed: int = 0) -> np.ndarray:
    """Return smooth blobs of some pixels, of mean 0 and deviation 1."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), correlation_length, mode="wrap")
    return blobs / blobs.std()


def noisy(image: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Return an image with noise of a share of its own deviation."""
    return image + np.random.default_rng(seed).normal(0, share * image.std(), image.shape)


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-2, 1), (4, -4), (8, 8), (-3, 20)])
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_a_guide_of_the_opposite_contrast_is_registered_in_noise(name: str, shift: tuple[int, int]) -> None:
    image = getattr(data, name)()[40:290, 40:300].astype(float)
    row, column = shift
    target, guide = image[25:225, 25:225], image[25 + row : 225 + row, 25 + column : 225 + column]
    found = registration_shift(noisy(target, 0.5), 300 - np.sqrt(guide) * 10)
    assert found.trusted
    assert found.score >= TRUSTED
    np.testing.assert_allclose(found.shift, shift, atol=0.3)
    inner = (slice(30, -30),) * 2
    np.testing.assert_allclose(shifted(guide, np.rint(found.shift))[inner], target[inner], rtol=1e-6)


@pytest.mark.parametrize("quarters", [(0, 0), (1, 3), (-14, 2), (18, -33)])
def test_shifts_by_parts_of_a_pixel_are_found(quarters: tuple[int, int]) -> None:
    # Every fourth pixel of an image four times as fine: the guide starts some of the fine pixels later.
    fine = structures(520, 520, correlation_length=8)
    row, column = quarters
    target, guide = fine[40:480:4, 40:480:4], fine[40 + row : 480 + row : 4, 40 + column : 480 + column : 4]
    found = registration_shift(noisy(target, 0.1), -(guide**3))
    assert found.trusted
    np.testing.assert_allclose(found.shift, np.divide(quarters, 4), atol=0.1)


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, -2, 4), (-4, 8, 0)])
def test_volumes_are_registered_along_all_axes(shift: tuple[int, int, int]) -> None:
    volume = structures(32, 70, 70)
    starts, lengths = (7, 11, 11), (18, 48, 48)
    first = tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
    second = tuple(slice(part.start + step, part.stop + step) for part, step in zip(first, shift, strict=True))
    found = registration_shift(noisy(volume[first], 0.5), 5 - volume[second])
    assert found.trusted
    np.testing.assert_allclose(found.shift, shift, atol=0.3)


def test_a_few_planes_are_registered_within_the_plane() -> None:
    volume = structures(3, 110, 110)
    found = registration_shift(volume[:, 5:105, 5:105], -volume[:, 9:109, :100])
    assert found.trusted
    np.testing.assert_allclose(found.shift, (0, 4, -5), atol=0.2)
    assert found.shift[0] == 0


def test_exchanging_target_and_guide_reverses_the_shift() -> None:
    image = data.coins().astype(float)
    target, guide = image[20:200, 20:200], image[26:206, 17:197]
    there, back = registration_shift(target, guide), registration_shift(guide, target)
    np.testing.assert_allclose(there.shift, (6, -3), atol=0.05)
    np.testing.assert_allclose(there.shift, np.negative(back.shift), atol=0.05)


def unrelated() -> list[tuple[np.ndarray, np.ndarray]]:
    camera, coins, moon = (getattr(data, name)()[:200, :200].astype(float) for name in ("camera", "coins", "moon"))
    first, second = structures(96, 96), structures(96, 96, seed=1)
    volumes = structures(12, 40, 40), structures(12, 40, 40, seed=1)
    return [(camera, coins), (coins, moon), (moon, camera), (first, second), (noisy(first, 0.5), second), volumes]


@pytest.mark.parametrize("pair", range(6))
def test_unrelated_images_are_not_moved(pair: int) -> None:
    target, guide = unrelated()[pair]
    found = registration_shift(target, guide)
    assert not found.trusted
    assert found.score < TRUSTED
    assert found.shift == (0.0,) * target.ndim


@pytest.mark.parametrize("value", [0, 7, 1e30, np.nan, np.inf])
def test_constant_and_missing_images_are_not_moved(value: float) -> None:
    blank, image = np.full((60, 60), value), structures(60, 60)
    for target, guide in ((blank, image), (image, blank), (blank, blank)):
        found = registration_shift(target, guide)
        assert (found.shift, found.trusted) == ((0.0, 0.0), False)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7), (1, 200), (1, 1, 1), (4, 9, 9)])
def test_images_too_small_to_register_are_not_moved(shape: tuple[int, ...]) -> None:
    image = structures(*shape) if max(shape) > 1 else np.ones(shape)
    found = registration_shift(image, structures(*shape, seed=1) if max(shape) > 1 else image)
    assert (found.shift, found.trusted) == ((0.0,) * len(shape), False)


def test_a_shift_beyond_the_largest_is_not_mistaken_for_another() -> None:
    image = data.camera().astype(float)
    target, guide = image[100:300, 100:300], image[112:312, 100:300]
    assert registration_shift(target, guide, largest=12).trusted
    found = registration_shift(target, guide, largest=11)
    assert (found.shift, found.trusted) == ((0.0, 0.0), False)


def test_a_shift_is_no_more_than_a_quarter_of_the_image() -> None:
    image = structures(90, 90)
    assert registration_shift(image[:64, :64], image[15:79, :64]).trusted
    assert not registration_shift(image[:64, :64], image[16:80, :64]).trusted


def test_the_shift_of_a_periodic_pattern_is_not_trusted() -> None:
    rows, columns = np.indices((150, 150))
    grid = ((rows % 12 < 3) | (columns % 12 < 3)).astype(float)
    assert not registration_shift(noisy(grid[:140, :140], 0.1), grid[4:144, 4:144]).trusted


@pytest.mark.parametrize("missing", ["bright", "dark", "lines", "a corner"])
def test_values_that_are_not_finite_are_no_edges(missing: str) -> None:
    image = data.coins().astype(float)
    target, guide = noisy(image[50:250, 100:300], 0.2), 255 - image[56:256, 97:297]
    rows, columns = np.indices(target.shape)
    unknown = {
        "bright": target > np.quantile(target, 0.9),
        "dark": target < np.quantile(target, 0.3),
        "lines": (rows % 25 == 0) | (columns % 17 == 0),
        "a corner": (rows < 60) & (columns < 90),
    }[missing]
    target[unknown], guide[unknown] = np.nan, -np.inf
    found = registration_shift(target, guide)
    assert found.score > 2 * TRUSTED
    np.testing.assert_allclose(found.shift, (6, -3), atol=0.3)


def test_one_good_channel_is_enough() -> None:
    image = data.coins().astype(float)
    target, other = image[20:220, 20:220], image[25:225, 12:212]
    guide = np.stack([np.zeros_like(other), 255 - other, np.full_like(other, np.nan)])
    found = registration_shift(target, guide)
    np.testing.assert_allclose(found.shift, (5, -8), atol=0.1)
    colour = np.stack([target, 0 * target, 3 * target])
    np.testing.assert_allclose(registration_shift(colour, guide, spatial=2).shift, found.shift, atol=0.1)
    np.testing.assert_allclose(registration_shift(colour, other, spatial=2).shift, found.shift, atol=0.1)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_shift_is_the_same_in_every_unit_of_intensity(scale: float) -> None:
    image = data.coins()[:200, :200]
    target, guide = image[:190, :190], image[4:194, 1:191]
    wanted = registration_shift(target, guide)
    found = registration_shift(scale * (target + 100.0), scale * guide)
    assert found.trusted
    np.testing.assert_allclose(found.shift, wanted.shift, atol=0.01)


@pytest.mark.parametrize(
    ("target", "guide", "spatial"),
    [
        ((9, 9), (9, 8), None),
        ((9, 9), (2, 2, 9, 9), None),
        ((2, 9, 9), (9, 9), None),
        ((9,), (9,), None),
        ((9, 9), (9, 9), 1),
    ],
)
def test_images_of_other_shapes_are_refused(
    target: tuple[int, ...], guide: tuple[int, ...], spatial: int | None
) -> None:
    with pytest.raises(ValueError, match=r"of the same shape are needed, .* resample the guide first"):
        registration_shift(np.ones(target), np.ones(guide), spatial=spatial)


@pytest.mark.parametrize("shape", [(100, 100), (9000, 3000), (40, 4096, 4096), (5000, 20, 5000)])
def test_the_middle_of_a_large_image_is_registered(shape: tuple[int, ...]) -> None:
    middle = _middle(shape)
    lengths = [part.stop - part.start for part in middle]
    assert MOST_PIXELS / 2 < np.prod(lengths) <= MOST_PIXELS or tuple(lengths) == shape
    for part, length in zip(middle, shape, strict=True):
        assert 0 <= part.start - (length - part.stop) + 1 <= 2

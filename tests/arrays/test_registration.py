from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.transform import rescale

from napari_deep_prior.arrays.registration import (
    MOST_PIXELS,
    TRUSTED,
    _middle,
    refuse_no_overlap,
    registration_shift,
    resample,
    shifted,
)


def affine(*, scale: tuple[float, ...], shift: tuple[float, ...], degrees: float = 0) -> np.ndarray:
    """Return the homogeneous matrix that scales, turns the last two axes, and shifts."""
    matrix = np.diag([*scale, 1.0])
    angle = np.deg2rad(degrees)
    turn = np.eye(len(scale) + 1)
    turn[-3:-1, -3:-1] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = turn @ matrix
    matrix[:-1, -1] = shift
    return matrix


def moved_by(*shift: float) -> np.ndarray:
    return affine(scale=(1,) * len(shift), shift=shift)


def by_areas(*scale: float) -> np.ndarray:
    """Return the transform of a target of which every pixel is made of ``scale`` pixels of the source."""
    return affine(scale=scale, shift=tuple((factor - 1) / 2 for factor in scale))


def structures(*shape: int, correlation_length: float = 2.0, seed: int = 0) -> np.ndarray:
    """Return smooth blobs of some pixels, of mean 0 and deviation 1."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), correlation_length, mode="wrap")
    return blobs / blobs.std()


def noisy(image: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Return an image with noise of a share of its own deviation."""
    return image + np.random.default_rng(seed).normal(0, share * image.std(), image.shape)


# Onto the grid of another image


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("shape", [(5, 8), (3, 4, 5)])
def test_the_same_grid_gives_an_exact_copy(shape: tuple[int, ...], order: int) -> None:
    values = structures(*shape).astype(np.float32)
    values.flat[3] = np.nan
    resampled, covered = resample(values, transform=np.eye(len(shape) + 1), shape=shape, order=order)
    np.testing.assert_array_equal(resampled, values)
    assert resampled.dtype == np.float32
    assert not np.shares_memory(resampled, values)
    assert covered.all()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.int64, ">u2", np.float64])
def test_masks_and_labels_keep_their_type(kind: str | type, rng: np.random.Generator) -> None:
    values = rng.integers(0, 2, (6, 7)).astype(kind)
    for transform in (np.eye(3), moved_by(0.3, -0.2), by_areas(2, 2)):
        resampled, _ = resample(values, transform=transform, shape=(6, 7), order=0)
        assert resampled.dtype == np.dtype(kind).newbyteorder("=")


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("whole", [(2, -3), (0, 5), (-1, 1, 2)])
def test_shifts_by_whole_pixels_are_exact_although_world_coordinates_are_rounded(
    whole: tuple[int, ...], order: int, rng: np.random.Generator
) -> None:
    values = rng.random((9,) * len(whole), dtype=np.float32)
    # As a file may have it: some millionths of a pixel are lost.
    scale, start = 0.162517, 1234.567
    target = affine(scale=(scale,) * len(whole), shift=tuple(round(start + step * scale, 5) for step in whole))
    source = affine(scale=(scale,) * len(whole), shift=(start,) * len(whole))
    transform = np.linalg.inv(source) @ target
    resampled, covered = resample(values, transform=transform, shape=values.shape, order=order)
    inside = tuple(slice(max(-step, 0), 9 - max(step, 0)) for step in whole)
    outside = np.ones(values.shape, bool)
    outside[inside] = False
    np.testing.assert_array_equal(resampled[inside], values[tuple(slice(max(s, 0), 9 + min(s, 0)) for s in whole)])
    np.testing.assert_array_equal(covered, ~outside)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_axes_that_are_turned_around_or_swapped_are_exact(order: int, rng: np.random.Generator) -> None:
    values = rng.random((5, 8), dtype=np.float32)
    transform = np.array([[0, -1, 4], [1, 0, 0], [0, 0, 1]], float)
    resampled, covered = resample(values, transform=transform, shape=(8, 5), order=order)
    np.testing.assert_array_equal(resampled, values[::-1].T)
    assert covered.all()


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(
    ("degrees", "scale", "start"),
    [
        (0, (1, 1), (3.3, -2.6)),
        (0, (2, 0.5), (0, 0)),
        (0, (0.5, 2), (4, 4.5)),
        (10, (1, 1), (2, -3)),
        (-10, (2, 2), (1, 7)),
        (10, (0.5, 0.5), (5, 9)),
        (0, (1, 2, 0.5), (0.5, -1, 3)),
        (10, (2, 1, 1), (0, 3, 0.25)),
    ],
)
def test_what_a_source_shows_comes_to_the_same_place_in_the_world(
    degrees: float, scale: tuple[float, ...], start: tuple[float, ...], order: int
) -> None:
    axes = len(scale)

    def seen(world: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        places = np.indices(shape).reshape(axes, -1)
        places = world[:-1, :-1] @ places + world[:-1, -1:]
        waves = [np.sin(place / (9 + 2 * axis)) for axis, place in enumerate(places)]
        return np.sum(waves, axis=0).reshape(shape)

    own, other = affine(scale=(1.5,) * axes, shift=(-20,) * axes, degrees=5), (30, 36, 34)[:axes]
    target = own @ affine(scale=scale, shift=start, degrees=degrees)
    wanted = seen(target, (24,) * axes)
    resampled, covered = resample(
        seen(own, other), transform=np.linalg.inv(own) @ target, shape=(24,) * axes, order=order
    )
    # Borders are replicated, and smoothed differently: the target less what is near those of the source.
    inner = resample(
        np.pad(np.ones(np.subtract(other, 6)), 3), transform=np.linalg.inv(own) @ target, shape=wanted.shape, order=1
    )
    inner = inner[0] == 1
    assert inner.mean() > 0.2
    assert covered[inner].all()
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled[inner], wanted[inner], atol=0.02)


def test_a_coarser_image_is_smoothed_before_it_is_sampled_as_scikit_image_does() -> None:
    image = data.camera()[100:260, 60:240].astype(np.float32)
    for factors in ((2, 2), (4, 2), (3, 1)):
        resampled, covered = resample(
            image,
            transform=by_areas(*factors),
            shape=tuple(length // factor for length, factor in zip(image.shape, factors, strict=True)),
            order=1,
        )
        wanted = rescale(
            image[: 160 // factors[0] * factors[0]], [1 / factor for factor in factors], order=1, anti_aliasing=True
        )
        np.testing.assert_allclose(resampled[4:-4, 4:-4], wanted[4:-4, 4:-4], atol=0.1)
        assert covered.all()


def test_a_pattern_too_fine_for_the_target_becomes_grey_and_no_other_pattern() -> None:
    fine = np.indices((40, 40)).sum(axis=0) % 2
    resampled, _ = resample(fine, transform=affine(scale=(4, 4), shift=(0, 0)), shape=(10, 10), order=1)
    assert np.abs(resampled[2:-2, 2:-2] - 0.5).max() < 0.01


@pytest.mark.parametrize("factors", [(2, 2), (3, 2), (1, 4), (5, 1), (1, 2, 2), (2, 3, 1)])
def test_a_mask_marks_every_coarser_pixel_that_has_a_marked_one_and_no_other(
    factors: tuple[int, ...], rng: np.random.Generator
) -> None:
    shape = tuple(4 * factor for factor in factors)
    fine = rng.random(shape) < 0.1
    blocks = fine.reshape([part for factor in factors for part in (4, factor)])
    wanted = blocks.any(axis=tuple(range(1, 2 * len(factors), 2)))
    resampled, covered = resample(fine, transform=by_areas(*factors), shape=wanted.shape, order=0)
    np.testing.assert_array_equal(resampled, wanted)
    assert 0 < wanted.mean() < 1
    assert covered.all()


def test_a_coarser_mask_is_as_large_as_its_pixels() -> None:
    coarse = np.eye(3, dtype=np.uint8)
    resampled, _ = resample(coarse, transform=by_areas(0.5, 0.5), shape=(6, 6), order=0)
    np.testing.assert_array_equal(resampled, np.kron(coarse, np.ones((2, 2))))


@pytest.mark.parametrize("degrees", [0, 10, 45])
@pytest.mark.parametrize("scale", [1.2, 2, 3.3])
def test_no_pixel_of_a_thin_line_is_lost_in_a_coarser_mask(scale: float, degrees: float) -> None:
    fine = np.zeros((60, 60), bool)
    fine[np.arange(5, 55), np.arange(5, 55)[::-1]] = True
    fine[20, :] = fine[:, 33] = True
    fine[47, 11] = True
    transform = affine(scale=(scale, scale), shift=(0.3, 0.1), degrees=degrees)
    resampled, _ = resample(fine, transform=transform, shape=(70, 70), order=0)
    places = np.linalg.inv(transform) @ np.vstack([np.nonzero(fine), np.ones(fine.sum())])
    rows, columns = np.rint(places[:2]).astype(int)
    inside = (rows >= 0) & (columns >= 0) & (rows < 70) & (columns < 70)
    assert inside.sum() > 30
    assert resampled[rows[inside], columns[inside]].all()
    assert resampled.sum() < 3 * fine.sum()


def test_of_several_labels_in_a_pixel_the_largest_stays() -> None:
    labels = np.array([[0, 3, 0, 0], [7, 0, 0, 0]])
    resampled, _ = resample(labels, transform=by_areas(2, 2), shape=(1, 2), order=0)
    assert resampled.tolist() == [[7, 0]]


def test_beyond_the_source_a_mask_is_empty_and_an_image_goes_on() -> None:
    values = np.full((4, 4), 9)
    for order, beyond in ((0, 0), (1, 9), (3, 9)):
        resampled, covered = resample(values, transform=moved_by(-2, 0), shape=(8, 4), order=order)
        assert covered.all(axis=1).tolist() == [False, False, True, True, True, True, False, False]
        np.testing.assert_allclose(resampled[covered], 9, rtol=1e-6)
        np.testing.assert_allclose(resampled[~covered], beyond, rtol=1e-6)


def test_a_pixel_is_covered_when_its_centre_is_within_the_area_of_the_source() -> None:
    source = np.ones((3, 1))
    for start, wanted in ((-1.6, [0, 0, 1, 1, 1, 0]), (-1.4, [0, 1, 1, 1, 0, 0])):
        _, covered = resample(source, transform=moved_by(start, 0), shape=(6, 1), order=1)
        assert covered[:, 0].tolist() == wanted
    # A square of 17 pixels that stands on its corner, in the middle of a target.
    oriented = affine(scale=(1, 1), shift=(8, 8 - 12 * np.sqrt(2)), degrees=45)
    _, covered = resample(np.ones((17, 17)), transform=oriented, shape=(25, 25), order=0)
    np.testing.assert_array_equal(covered, np.abs(np.indices((25, 25)) - 12).sum(axis=0) <= 12)


@pytest.mark.parametrize("order", [1, 3])
def test_values_that_are_not_finite_do_not_spread(order: int) -> None:
    image = structures(12, 12)
    broken = image.copy()
    broken[5, 5], broken[8, 2] = np.nan, np.inf
    resampled, _ = resample(broken, transform=moved_by(0.3, 0.3), shape=(12, 12), order=order)
    wanted, _ = resample(image, transform=moved_by(0.3, 0.3), shape=(12, 12), order=order)
    assert np.argwhere(~np.isfinite(resampled)).tolist() == [[5, 5], [8, 2]]
    assert np.isnan(resampled[8, 2])
    np.testing.assert_allclose(resampled[:3], wanted[:3], atol=0.05)
    nothing, _ = resample(np.full((3, 3), np.nan), transform=moved_by(0.5, 0), shape=(4, 4), order=order)
    assert np.isnan(nothing).all()


@pytest.mark.parametrize(
    ("values", "transform", "shape", "order", "sentence"),
    [
        (np.ones((2, 2)), np.eye(4), (2, 2), 1, r"2 axes .* transform of shape \(4, 4\): .* \(3, 3\) are needed"),
        (np.ones((2, 2)), np.eye(3), (2, 2, 2), 1, "2 axes cannot be brought onto 3 axes"),
        (np.ones((2, 2)), np.eye(3), (2, 2), 2, "order of interpolation is 2; it must be 0"),
        (np.ones((2, 2)), np.diag([1, 1, 2]), (2, 2), 1, "not affine: its last row must be 0, ..., 0, 1"),
        (np.ones((2, 2)), np.diag([1, np.nan, 1]), (2, 2), 1, "not affine"),
        (np.ones((0, 2)), np.eye(3), (2, 2), 1, r"shape \(0, 2\) has no pixels"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(
    values: np.ndarray, transform: np.ndarray, shape: tuple[int, ...], order: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        resample(values, transform=transform, shape=shape, order=order)


def test_a_guide_that_lies_elsewhere_is_refused_by_name() -> None:
    _, covered = resample(np.ones((5, 5)), transform=moved_by(0, 40), shape=(5, 5), order=1)
    with pytest.raises(ValueError, match=r"the guide 'flash' does not overlap the image .*: check scale and translate"):
        refuse_no_overlap(covered, "the guide 'flash'")
    covered[2, 2] = True
    refuse_no_overlap(covered, "the guide 'flash'")


# Moving


def test_moving_by_whole_pixels_is_exact_and_replicates_the_edges() -> None:
    values = np.arange(12).reshape(3, 4)
    wanted = [[0, 0, 0, 1], [0, 0, 0, 1], [4, 4, 4, 5]]
    for order, kind in ((0, values.dtype), (1, np.float32), (3, np.float32)):
        moved = shifted(values, (1, 2), order=order)
        assert moved.tolist() == wanted
        assert moved.dtype == kind
    assert shifted(values, (0, 0)).tolist() == values.tolist()


def test_moving_by_parts_of_pixels_goes_the_same_way() -> None:
    ramp = np.arange(20.0)[:, None] * np.ones(5)
    np.testing.assert_allclose(shifted(ramp, (2.25, 0))[4:], ramp[4:] - 2.25, atol=1e-5)
    np.testing.assert_allclose(shifted(ramp, (-2.25, 0), order=3)[8:12], ramp[8:12] + 2.25, atol=1e-3)


def test_channels_are_moved_alike() -> None:
    channels = np.stack([structures(9, 9, seed=seed) for seed in range(3)])
    moved = shifted(channels, (0.5, -2))
    for channel, own in zip(channels, moved, strict=True):
        np.testing.assert_array_equal(own, shifted(channel, (0.5, -2)))
    with pytest.raises(ValueError, match=r"along 2 axes, \[1, 2\], is too long for an array of 1 axes"):
        shifted(np.ones(3), (1, 2))


# Registration


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-2, 1), (4, -4), (8, 8), (-3, 20)])
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_a_guide_of_the_opposite_contrast_is_found_in_noise(name: str, shift: tuple[int, int]) -> None:
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
def test_shifts_by_parts_of_pixels_are_found(quarters: tuple[int, int]) -> None:
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


def test_changing_target_and_guide_changes_the_direction() -> None:
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
def test_unrelated_images_stay_where_they_are(pair: int) -> None:
    target, guide = unrelated()[pair]
    found = registration_shift(target, guide)
    assert not found.trusted
    assert found.score < TRUSTED
    assert found.shift == (0.0,) * target.ndim


@pytest.mark.parametrize("value", [0, 7, 1e30, np.nan, np.inf])
def test_constant_and_missing_images_stay_where_they_are(value: float) -> None:
    blank, image = np.full((60, 60), value), structures(60, 60)
    for target, guide in ((blank, image), (image, blank), (blank, blank)):
        found = registration_shift(target, guide)
        assert (found.shift, found.trusted) == ((0.0, 0.0), False)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7), (1, 200), (1, 1, 1), (4, 9, 9)])
def test_images_too_small_to_say_stay_where_they_are(shape: tuple[int, ...]) -> None:
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


def test_a_periodic_pattern_could_lie_anywhere() -> None:
    rows, columns = np.indices((150, 150))
    grid = ((rows % 12 < 3) | (columns % 12 < 3)).astype(float)
    assert not registration_shift(noisy(grid[:140, :140], 0.1), grid[4:144, 4:144]).trusted


@pytest.mark.parametrize("missing", ["bright", "dark", "lines", "a corner"])
def test_values_that_are_not_finite_are_no_edges(missing: str) -> None:
    image = data.coins().astype(float)
    target, guide = noisy(image[50:250, 100:300], 0.2), 255 - image[56:256, 97:297]
    rows, columns = np.indices(target.shape)
    gone = {
        "bright": target > np.quantile(target, 0.9),
        "dark": target < np.quantile(target, 0.3),
        "lines": (rows % 25 == 0) | (columns % 17 == 0),
        "a corner": (rows < 60) & (columns < 90),
    }[missing]
    target[gone], guide[gone] = np.nan, -np.inf
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


def test_a_registration_cannot_be_changed() -> None:
    found = registration_shift(np.ones((9, 9)), np.ones((9, 9)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.trusted = True


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
def test_of_a_large_image_the_middle_is_looked_at(shape: tuple[int, ...]) -> None:
    middle = _middle(shape)
    lengths = [part.stop - part.start for part in middle]
    assert MOST_PIXELS / 2 < np.prod(lengths) <= MOST_PIXELS or tuple(lengths) == shape
    for part, length in zip(middle, shape, strict=True):
        assert 0 <= part.start - (length - part.stop) + 1 <= 2

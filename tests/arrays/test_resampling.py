from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.transform import rescale

from napari_deep_prior.arrays.resampling import refuse_no_overlap, resample, shifted


def affine(*, scale: tuple[float, ...], shift: tuple[float, ...], degrees: float = 0) -> np.ndarray:
    """Return the homogeneous matrix that scales, rotates the last two axes, and shifts."""
    matrix = np.diag([*scale, 1.0])
    angle = np.deg2rad(degrees)
    rotation = np.eye(len(scale) + 1)
    rotation[-3:-1, -3:-1] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = rotation @ matrix
    matrix[:-1, -1] = shift
    return matrix


def translation(*shift: float) -> np.ndarray:
    return affine(scale=(1,) * len(shift), shift=shift)


def scaled(*scale: float) -> np.ndarray:
    """Return the transform of a target whose pixels are each as large as ``scale`` pixels of the source."""
    return affine(scale=scale, shift=tuple((factor - 1) / 2 for factor in scale))


def structures(*shape: int, correlation_length: float = 2.0, seed: int = 0) -> np.ndarray:
    """Return smooth blobs of some pixels, of mean 0 and deviation 1."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), correlation_length, mode="wrap")
    return blobs / blobs.std()


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
    for transform in (np.eye(3), translation(0.3, -0.2), scaled(2, 2)):
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
def test_flipped_or_swapped_axes_are_exact(order: int, rng: np.random.Generator) -> None:
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
def test_structures_keep_their_world_coordinates(
    degrees: float, scale: tuple[float, ...], start: tuple[float, ...], order: int
) -> None:
    axes = len(scale)

    def pattern(world: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        places = np.indices(shape).reshape(axes, -1)
        places = world[:-1, :-1] @ places + world[:-1, -1:]
        waves = [np.sin(place / (9 + 2 * axis)) for axis, place in enumerate(places)]
        return np.sum(waves, axis=0).reshape(shape)

    own, other = affine(scale=(1.5,) * axes, shift=(-20,) * axes, degrees=5), (30, 36, 34)[:axes]
    target = own @ affine(scale=scale, shift=start, degrees=degrees)
    wanted = pattern(target, (24,) * axes)
    resampled, covered = resample(
        pattern(own, other), transform=np.linalg.inv(own) @ target, shape=(24,) * axes, order=order
    )
    # Borders are replicated, and smoothed differently, so pixels near those of the source are left out.
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
            transform=scaled(*factors),
            shape=tuple(length // factor for length, factor in zip(image.shape, factors, strict=True)),
            order=1,
        )
        wanted = rescale(
            image[: 160 // factors[0] * factors[0]], [1 / factor for factor in factors], order=1, anti_aliasing=True
        )
        np.testing.assert_allclose(resampled[4:-4, 4:-4], wanted[4:-4, 4:-4], atol=0.1)
        assert covered.all()


def test_a_pattern_too_fine_for_the_target_becomes_grey_without_aliasing() -> None:
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
    resampled, covered = resample(fine, transform=scaled(*factors), shape=wanted.shape, order=0)
    np.testing.assert_array_equal(resampled, wanted)
    assert 0 < wanted.mean() < 1
    assert covered.all()


def test_each_pixel_of_a_coarser_mask_covers_all_target_pixels_in_it() -> None:
    coarse = np.eye(3, dtype=np.uint8)
    resampled, _ = resample(coarse, transform=scaled(0.5, 0.5), shape=(6, 6), order=0)
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
    resampled, _ = resample(labels, transform=scaled(2, 2), shape=(1, 2), order=0)
    assert resampled.tolist() == [[7, 0]]


def test_beyond_the_source_a_mask_is_empty_and_an_image_repeats_its_edge() -> None:
    values = np.full((4, 4), 9)
    for order, beyond in ((0, 0), (1, 9), (3, 9)):
        resampled, covered = resample(values, transform=translation(-2, 0), shape=(8, 4), order=order)
        assert covered.all(axis=1).tolist() == [False, False, True, True, True, True, False, False]
        np.testing.assert_allclose(resampled[covered], 9, rtol=1e-6)
        np.testing.assert_allclose(resampled[~covered], beyond, rtol=1e-6)


def test_a_pixel_is_covered_when_its_centre_is_within_the_area_of_the_source() -> None:
    source = np.ones((3, 1))
    for start, wanted in ((-1.6, [0, 0, 1, 1, 1, 0]), (-1.4, [0, 1, 1, 1, 0, 0])):
        _, covered = resample(source, transform=translation(start, 0), shape=(6, 1), order=1)
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
    resampled, _ = resample(broken, transform=translation(0.3, 0.3), shape=(12, 12), order=order)
    wanted, _ = resample(image, transform=translation(0.3, 0.3), shape=(12, 12), order=order)
    assert np.argwhere(~np.isfinite(resampled)).tolist() == [[5, 5], [8, 2]]
    assert np.isnan(resampled[8, 2])
    np.testing.assert_allclose(resampled[:3], wanted[:3], atol=0.05)
    nothing, _ = resample(np.full((3, 3), np.nan), transform=translation(0.5, 0), shape=(4, 4), order=order)
    assert np.isnan(nothing).all()


@pytest.mark.parametrize(
    ("values", "transform", "shape", "order", "sentence"),
    [
        (np.ones((2, 2)), np.eye(4), (2, 2), 1, r"2 axes .* transform of shape \(4, 4\): .* \(3, 3\) are needed"),
        (np.ones((2, 2)), np.eye(3), (2, 2, 2), 1, "2 axes cannot be resampled onto 3 axes"),
        (np.ones((2, 2)), np.eye(3), (2, 2), 2, "order of interpolation is 2; it must be 0"),
        (np.ones((2, 2)), np.diag([1, 1, 2]), (2, 2), 1, "not affine: its last row must be 0, ..., 0, 1"),
        (np.ones((2, 2)), np.diag([1, np.nan, 1]), (2, 2), 1, "not affine"),
        (np.ones((0, 2)), np.eye(3), (2, 2), 1, r"shape \(0, 2\) has no pixels"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_a_sentence(
    values: np.ndarray, transform: np.ndarray, shape: tuple[int, ...], order: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        resample(values, transform=transform, shape=shape, order=order)


def test_a_guide_without_overlap_is_refused_by_name() -> None:
    _, covered = resample(np.ones((5, 5)), transform=translation(0, 40), shape=(5, 5), order=1)
    with pytest.raises(ValueError, match=r"the guide 'flash' does not overlap the image .*: check scale and translate"):
        refuse_no_overlap(covered, "the guide 'flash'")
    covered[2, 2] = True
    refuse_no_overlap(covered, "the guide 'flash'")


# Shifts


def test_a_shift_by_whole_pixels_is_exact_and_replicates_the_edges() -> None:
    values = np.arange(12).reshape(3, 4)
    wanted = [[0, 0, 0, 1], [0, 0, 0, 1], [4, 4, 4, 5]]
    for order, kind in ((0, values.dtype), (1, np.float32), (3, np.float32)):
        moved = shifted(values, (1, 2), order=order)
        assert moved.tolist() == wanted
        assert moved.dtype == kind
    assert shifted(values, (0, 0)).tolist() == values.tolist()


def test_a_shift_by_parts_of_a_pixel_has_the_same_direction() -> None:
    ramp = np.arange(20.0)[:, None] * np.ones(5)
    np.testing.assert_allclose(shifted(ramp, (2.25, 0))[4:], ramp[4:] - 2.25, atol=1e-5)
    np.testing.assert_allclose(shifted(ramp, (-2.25, 0), order=3)[8:12], ramp[8:12] + 2.25, atol=1e-3)


def test_all_channels_are_moved_by_the_same_shift() -> None:
    channels = np.stack([structures(9, 9, seed=seed) for seed in range(3)])
    moved = shifted(channels, (0.5, -2))
    for channel, own in zip(channels, moved, strict=True):
        np.testing.assert_array_equal(own, shifted(channel, (0.5, -2)))
    with pytest.raises(ValueError, match=r"along 2 axes, \[1, 2\], is too long for an array of 1 axes"):
        shifted(np.ones(3), (1, 2))

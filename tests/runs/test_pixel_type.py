"""Whether the type of the input can hold the result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.runs.pixel_type import changed_mean, faintest_window, type_that_holds

SCENE = cells((64, 64)) / cells((64, 64)).mean()


def counts(mean: float, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).poisson(mean * SCENE[:size, :size])


def taken(image: np.ndarray, axes: str = "YX") -> str:
    return type_that_holds(windows_of(image, axes), image.dtype).name


@settings(max_examples=20)
@given(
    mean=st.floats(0.02, 1.5),
    size=st.sampled_from([32, 64]),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "uint32", "int64"]),
)
def test_few_photons_need_single_precision(mean: float, size: int, dtype: str) -> None:
    assert taken(counts(mean, size).astype(dtype)) == "float32"


@settings(max_examples=20)
@given(
    mean=st.floats(30, 3000),
    offset=st.sampled_from([0.0, 100.0, 10_000.0]),
    read_noise=st.floats(0, 10),
    dtype=st.sampled_from(["uint16", "int32"]),
)
def test_ordinary_images_of_cameras_keep_their_type(mean: float, offset: float, read_noise: float, dtype: str) -> None:
    image = Camera(gain=1.0, offset=offset, read_noise=read_noise).expose(mean * SCENE, np.random.default_rng(0))
    assert taken(image.astype(dtype)) == dtype


@pytest.mark.parametrize("sigma", [0, 5, 25])
def test_ordinary_images_of_eight_bit_keep_their_type(sigma: float) -> None:
    image = 200 * SCENE / SCENE.max() + 20 + np.random.default_rng(0).normal(0, sigma, SCENE.shape)
    assert taken(image.clip(0, 255).astype(np.uint8)) == "uint8"


def test_a_black_ground_loses_nothing() -> None:
    image = np.where(SCENE > 2, counts(100), 0)
    assert taken(image.astype(np.uint16)) == "uint16"


def test_a_few_bright_spots_do_not_hide_the_light_that_is_lost_around_them() -> None:
    image = counts(0.3)
    image[::16, ::16] += 300
    assert taken(image.astype(np.uint16)) == "float32"


def test_every_channel_and_every_slice_with_light_must_be_held() -> None:
    bright, dim = counts(500).astype(np.uint16), counts(0.3).astype(np.uint16)
    assert taken(np.stack([bright, dim]), "CYX") == "float32"
    assert taken(np.stack([bright, bright]), "CYX") == "uint16"
    # Beside slices of hundreds of photons one that is almost dark has no light to lose.
    assert taken(np.stack([dim, bright, bright]), "ZYX") == "uint16"
    assert taken(np.stack([dim, 3 * dim, dim]), "ZYX") == "float32"


def test_the_larger_type_is_only_taken_where_it_holds_more() -> None:
    far = counts(0.3).astype(np.uint32) + 2**31
    assert taken(far) == "uint32"
    assert taken((counts(50) + 20_000).astype(np.float16)) == "float32"
    for dtype in ("float16", "float32", "float64"):
        assert taken(counts(0.3).astype(dtype)) == dtype


def test_what_shows_nothing_keeps_its_type() -> None:
    assert taken(np.full((9, 9), 3, np.uint8)) == "uint8"
    assert taken(np.zeros((3, 9, 9), np.uint8), "ZYX") == "uint8"


@pytest.mark.parametrize(("axes", "place"), [("CYX", 0), ("YXC", 2), ("ZYX", 0)])
def test_the_plane_that_rounding_changes_the_most_is_found(axes: str, place: int) -> None:
    exact = np.stack([np.full((4, 5), mean, np.float32) for mean in (100.4, 0.3, 1.9)], axis=place)
    assert changed_mean(exact, exact.round(), axes) == pytest.approx((0.3, 0))
    kept = np.where(exact == exact.min(), 0, exact)
    assert changed_mean(kept, kept.round(), axes) is None


def test_rounding_errors_that_cancel_change_no_mean() -> None:
    exact = np.random.default_rng(0).uniform(0, 3, (40, 40))
    assert changed_mean(exact, exact.round(), "YX") is None


def test_the_darkest_plane_that_a_type_changes_is_found_before_the_run() -> None:
    bright, faint, fainter = (counts(mean).astype(np.uint16) for mean in (20_000, 0.3, 0.01))
    windows = windows_of(np.stack([bright, faint, bright, fainter, bright]), "ZYX")
    place, (before, after) = faintest_window(windows, np.dtype(np.uint16))
    assert place == {"Z": 3}
    assert before == pytest.approx(fainter.mean(), rel=0.1)
    assert after < 0.1 * before
    assert faintest_window(windows, np.dtype(np.float32)) is None
    assert faintest_window(windows_of(np.stack([bright, bright]), "ZYX"), np.dtype(np.uint16)) is None

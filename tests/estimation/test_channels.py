"""The noise of every channel: estimated, given, or both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.channels import (
    Disagreement,
    GivenNoise,
    correlation_length,
    estimate_windows,
)
from napari_deep_prior.estimation.sampling import windows_of
from napari_deep_prior.physics.noise_model import NoiseModel


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """A photon-limited image of 96 × 96 pixels, smooth enough to estimate its noise."""
    rows, columns = np.mgrid[:96, :96]
    photons = 60 + 40 * np.sin(rows / 20) * np.cos(columns / 25)
    return Camera(gain=4.0, offset=100.0, read_noise=6.0).expose(photons, np.random.default_rng(0))


def of(image: np.ndarray, axes: str = "YX", **given: float) -> tuple[NoiseModel, ...]:
    return estimate_windows(windows_of(image, axes), GivenNoise(**given))[0]


# What is given


def test_the_noise_is_estimated_where_it_is_not_given(smooth: np.ndarray) -> None:
    (found,) = of(smooth)
    assert found.reliable
    assert found.gain == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize(
    ("given", "name"), [({"gain": 3.0}, "gain"), ({"offset": 90.0}, "offset"), ({"sigma": 5.0}, "read_noise")]
)
def test_what_is_given_is_taken_and_the_rest_estimated(smooth: np.ndarray, given: dict[str, float], name: str) -> None:
    (plain,), (found,) = of(smooth), of(smooth, **given)
    assert getattr(found, name) == next(iter(given.values()))
    assert found.correlation == plain.correlation
    if name != "gain":
        assert found.gain == plain.gain


def test_with_a_given_offset_the_read_noise_is_that_at_zero_light(smooth: np.ndarray) -> None:
    (found,) = of(smooth, offset=100.0)
    assert found.offset == 100
    assert found.variance(300) == pytest.approx(4 * 200 + 36, rel=0.15)


def test_everything_given_is_believed_even_where_nothing_can_be_estimated() -> None:
    (found,) = of(np.zeros((5, 5)), gain=2.0, offset=10.0, sigma=3.0)
    assert (found.gain, found.offset, found.read_noise) == (2, 10, 3)
    assert found.reliable
    assert found.reasons == ()


@pytest.mark.parametrize("image", [np.arange(81.0).reshape(9, 9), np.full((20, 20), np.nan)])
def test_an_image_too_small_to_estimate_its_noise_has_none(image: np.ndarray) -> None:
    (found,) = of(image)
    assert (found.gain, found.read_noise, found.reliable) == (0, 0, False)
    assert found.reasons == ("the image is too small to estimate its noise",)


def test_pixels_that_are_not_finite_do_not_count(smooth: np.ndarray) -> None:
    holed = smooth.astype(np.float32)
    holed[10:20, 30:50] = np.inf
    holed[60, :] = np.nan
    assert of(holed)[0].gain == pytest.approx(of(smooth)[0].gain, rel=0.2)


# Channels


def test_a_constant_channel_is_not_reliable_and_leaves_the_others_their_model(smooth: np.ndarray) -> None:
    first, second = of(np.stack([smooth, np.full_like(smooth, 7)]), "CYX")
    assert first == of(smooth)[0]
    assert not second.reliable


@pytest.mark.parametrize(("axes", "place"), [("CYX", 0), ("YXC", 2), ("YCX", 1)])
def test_every_channel_has_a_model_of_its_own(smooth: np.ndarray, axes: str, place: int) -> None:
    channels = np.stack([smooth, 10 * smooth.astype(np.int32), smooth + 1000], axis=place)
    gains = [model.gain for model in of(channels, axes)]
    assert gains == pytest.approx([gains[0], 10 * gains[0], gains[0]], rel=0.01)


@pytest.mark.parametrize(("samples", "measured"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_opacity_has_no_noise(smooth: np.ndarray, samples: int, measured: int) -> None:
    assert len(of(np.stack([smooth[:32, :32]] * samples, axis=-1), "YXS")) == measured


# Correlation


@pytest.mark.parametrize(
    ("correlation", "length"), [((0.0, 0.0), 1), ((0.15, 0.1), 1), ((0.1, 0.3), 3), ((0.4, 0.2), 3), ((0.0, 0.5), 5)]
)
def test_correlated_noise_has_a_length_that_the_most_correlated_channel_decides(
    correlation: tuple[float, float], length: int
) -> None:
    noise = NoiseModel(read_noise=3.0, correlation=correlation)
    assert correlation_length((noise,)) == length
    assert correlation_length((NoiseModel(read_noise=3.0), noise)) == length


def test_noise_of_which_nothing_is_known_counts_as_independent() -> None:
    assert correlation_length(()) == 1


def test_the_texture_of_a_small_plane_is_not_taken_for_correlated_noise(rng: np.random.Generator) -> None:
    white = rng.normal(100, 10, (240, 240))
    correlated = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1]) / 3
    assert max(of(correlated)[0].correlation) > 0.15
    assert of(correlated[:96, :96])[0].correlation == (0, 0)


# Time lapses


def test_frames_of_a_time_lapse_show_the_noise_of_an_image_full_of_texture(rng: np.random.Generator) -> None:
    camera = Camera(gain=4.0, offset=100.0, read_noise=6.0)
    photons = cells((48, 48))
    frames = np.stack([camera.expose(photons, rng) for _ in range(6)])
    (found,) = of(frames, "TYX")
    assert found.reliable
    assert max(found.correlation) < 0.15
    assert found.variance(200) == pytest.approx(4 * 100 + 36, rel=0.2)
    # Wherever the axis lies, and a single frame is no time lapse.
    assert of(np.moveaxis(frames, 0, 2), "YXT") == (found,)
    assert of(frames[:1], "TYX") == of(frames[0])


# Stacks

CAMERA = Camera(gain=4.0, offset=100.0, read_noise=6.0)
ROWS, COLUMNS = np.mgrid[:64, :64]
SCENE = 60 + 55 * np.sin(ROWS / 12) * np.cos(COLUMNS / 15)
"""Smooth, so that its noise can be told from its texture."""


def of_stack(planes: np.ndarray, axes: str = "ZYX") -> tuple[NoiseModel, tuple[Disagreement, ...]]:
    models, disagreements = estimate_windows(windows_of(planes, axes), GivenNoise())
    return models[0], disagreements


@settings(max_examples=12)
@examples(
    dark=st.sets(st.integers(0, 4), max_size=4),
    light=st.sampled_from([0.0, 1e-4, 0.02]),
    offset=st.sampled_from([0.0, 100.0]),
    axes=st.sampled_from(["ZYX", "TYX"]),
)
def test_dark_slices_leave_the_noise_of_a_stack_as_it_is(
    dark: set[int], light: float, offset: float, axes: str
) -> None:
    camera = Camera(gain=4.0, offset=offset, read_noise=6.0 if offset else 0.0)
    generator = np.random.default_rng(0)
    stack = np.stack([camera.expose((light if at in dark else 1) * SCENE, generator) for at in range(5)])
    model, disagreements = of_stack(stack, axes)
    level = float(stack[min({*range(5)} - dark)].mean())
    true = 4 * (level - offset) + camera.read_noise**2
    assert model.variance(level) == pytest.approx(true, rel=0.5)
    assert disagreements == ()


def test_dim_and_bright_slices_complete_each_other() -> None:
    generator = np.random.default_rng(0)
    flat = np.stack([CAMERA.expose(np.full((64, 64), float(light)), generator) for light in (3, 30, 300)])
    assert not any(of(plane)[0].gain for plane in flat)
    model, _ = of_stack(flat)
    assert model.gain == pytest.approx(4, rel=0.15)
    assert model.variance(112) == pytest.approx(36 + 4 * 12, rel=0.5)


@pytest.mark.parametrize("place", [0, 3])
def test_a_slice_of_much_stronger_noise_is_named_and_does_not_count(place: int) -> None:
    generator = np.random.default_rng(0)
    planes = generator.normal(100, 3, (5, 48, 48))
    planes[place] = generator.normal(100, 30, (48, 48))
    model, (found,) = of_stack(planes)
    assert model.variance(100) == pytest.approx(9, rel=0.3)
    assert found.strong == {"Z": place}
    assert found.ratio == pytest.approx(10, rel=0.3)


def test_slices_of_one_camera_do_not_disagree() -> None:
    generator = np.random.default_rng(0)
    planes = np.stack([CAMERA.expose(cells((64, 64), seed=seed), generator) for seed in range(6)])
    assert of_stack(planes)[1] == ()

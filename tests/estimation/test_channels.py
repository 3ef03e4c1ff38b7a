"""The noise of every channel: estimated, given, or both."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.channels import (
    MOST_FRAMES,
    GivenNoise,
    correlation_length,
    estimate_channels,
    middle_frames,
)
from napari_deep_prior.physics.noise_model import NoiseModel


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """A photon-limited image of 96 × 96 pixels, smooth enough to estimate its noise."""
    rows, columns = np.mgrid[:96, :96]
    photons = 60 + 40 * np.sin(rows / 20) * np.cos(columns / 25)
    return Camera(gain=4.0, offset=100.0, read_noise=6.0).expose(photons, np.random.default_rng(0))


def of(image: np.ndarray, axes: str = "YX", **given: float) -> tuple[NoiseModel, ...]:
    return estimate_channels(image, axes, GivenNoise(**given))


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


def test_the_frames_are_from_the_middle_of_time_and_of_all_other_stack_axes() -> None:
    image = np.arange(20 * 2 * 3 * 4 * 5).reshape(20, 2, 3, 4, 5)
    np.testing.assert_array_equal(middle_frames(image, "TCZYX"), image[6:14, :, 1:2])
    np.testing.assert_array_equal(middle_frames(image, "TCZYX", frames=3), image[8:11, :, 1:2])
    np.testing.assert_array_equal(middle_frames(image[:5], "TCZYX"), image[:5, :, 1:2])
    np.testing.assert_array_equal(middle_frames(image[:, 0, 0], "TYX", frames=1), image[9:10, 0, 0])
    np.testing.assert_array_equal(middle_frames(image[0], "CPYX"), image[0][:, 1:2])


def test_of_a_lazy_array_nothing_else_is_read() -> None:
    read = []

    class Lazy:
        shape = (40, 3, 4, 5)

        def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
            read.append(np.zeros(self.shape)[index])
            return read[-1]

    assert middle_frames(Lazy(), "TZYX").shape == (MOST_FRAMES, 1, 4, 5)
    assert [part.size for part in read] == [MOST_FRAMES * 4 * 5]

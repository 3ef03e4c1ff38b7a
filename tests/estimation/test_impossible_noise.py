"""What a person says of the noise, compared with the image."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.channels import GivenNoise
from napari_deep_prior.estimation.impossible_noise import objections, refuse_impossible
from napari_deep_prior.estimation.sampling import windows_of


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return Camera(gain=2.0, offset=100.0, read_noise=3.0).expose(cells((48, 48)), np.random.default_rng(0))


def said(image: np.ndarray, axes: str = "YX", **given: float) -> tuple[str, ...]:
    return refuse_impossible(windows_of(image, axes), GivenNoise(**given))


@pytest.mark.parametrize(
    ("given", "clause"),
    [
        (
            {"sigma": 1e6},
            r"with sigma 1e\+06 the noise has a standard deviation of 1e\+06 grey levels, and all pixels lie ",
        ),
        ({"gain": 1e5}, r"with gain 100000 the noise has a standard deviation of .* grey levels, and all pixels lie "),
        ({"offset": 1e4}, "the offset is 10000 grey levels, and the brightest pixel has "),
        ({"gain": 2.0, "offset": -1e9}, r"with gain 2 and offset -1e\+09 the noise has a standard deviation of "),
        ({"gain": 2.0, "sigma": 1e300}, r"with gain 2 and sigma 1e\+300 the noise has a standard deviation of inf "),
    ],
)
def test_noise_that_cannot_be_is_refused_with_both_numbers(
    image: np.ndarray, given: dict[str, float], clause: str
) -> None:
    with pytest.raises(ValueError, match=clause) as refusal:
        said(image, **given)
    assert str(refusal.value).endswith("give what is true of the camera, or leave it out to be estimated")
    assert len(re.findall(r"\d+", str(refusal.value))) >= 2


@pytest.mark.parametrize("given", [{"sigma": 120.0}, {"gain": 300.0}, {"offset": 200.0}])
def test_noise_that_is_hardly_true_is_doubted(image: np.ndarray, given: dict[str, float]) -> None:
    assert image.std() < 90
    (clause,) = said(image, **given)
    assert "and the whole image only one of" in clause or "of the pixels are darker than this offset" in clause


@pytest.mark.parametrize("given", [{"gain": 1e-9}, {"gain": 0.01, "sigma": 0.1}, {"gain": 1e-9, "offset": 100.0}])
def test_noise_far_weaker_than_the_image_shows_is_doubted_with_both_numbers(given: dict[str, float]) -> None:
    light = cells((128, 128))
    image = Camera(gain=2.0, offset=100.0, read_noise=3.0).expose(light, np.random.default_rng(0))
    (clause,) = said(image, **given)
    numbers = re.search(
        r"a standard deviation of (\S+) grey levels where it is bright, and the image shows one of (\S+) ", clause
    )
    assert numbers is not None
    shown = float(numbers[2])
    assert 3 * float(numbers[1]) < shown
    assert shown == pytest.approx(np.sqrt(2.0 * (np.quantile(image, 0.99) - 100) + 9), rel=0.3)


@pytest.mark.parametrize(
    "given", [{"offset": -5000.0}, {"offset": -1e6}, {"gain": 2.0, "offset": -1e5}, {"gain": 60.0}]
)
def test_noise_far_stronger_than_the_image_shows_is_doubted_with_both_numbers(given: dict[str, float]) -> None:
    light = 20 * cells((64, 64))
    image = Camera(gain=2.0, offset=100.0, read_noise=3.0).expose(light, np.random.default_rng(0))
    try:
        (clause,) = said(image, **given)
    except ValueError as error:
        clause = str(error)
    numbers = re.search(r"a standard deviation of (\S+) grey levels.*(?:image shows one of|all pixels lie) ", clause)
    assert numbers is not None
    assert float(numbers[1]) > 60


def test_an_image_without_noise_has_no_more_than_was_given() -> None:
    assert said(np.round(1000 * cells((128, 128)) / cells((128, 128)).max()), gain=1e-9) == ()


@settings(max_examples=25)
@examples(
    gain=st.floats(0.2, 50),
    offset=st.floats(0, 500),
    read_noise=st.floats(0, 30),
    light=st.floats(0.05, 20),
    told=st.sets(st.sampled_from(["gain", "offset", "sigma"]), min_size=1),
)
def test_what_is_true_of_the_camera_is_never_doubted(
    gain: float, offset: float, read_noise: float, light: float, told: set[str]
) -> None:
    camera = Camera(gain=gain, offset=offset, read_noise=read_noise)
    image = camera.expose(light * cells((48, 48)), np.random.default_rng(0))
    true = {"gain": gain, "offset": offset, "sigma": read_noise}
    assert said(image, **{name: true[name] for name in told}) == ()


def test_noise_that_one_channel_allows_is_not_refused_for_the_sake_of_another(image: np.ndarray) -> None:
    both = np.stack([image, image // 64])
    (clause,) = said(both, "CYX", sigma=20.0)
    assert "with sigma 20" in clause
    with pytest.raises(ValueError, match="sigma 1e"):
        said(both, "CYX", sigma=1e6)


def test_an_image_that_shows_nothing_speaks_against_nothing() -> None:
    assert objections(windows_of(np.full((9, 9), 5), "YX"), GivenNoise(sigma=3.0)) == ()
    assert objections([], GivenNoise(sigma=3.0)) == ()
    assert objections(windows_of(np.arange(81).reshape(9, 9), "YX"), GivenNoise()) == ()

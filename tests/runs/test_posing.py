from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from napari_deep_prior.runs.posing import Noise, estimate_channels, pose

from napari_deep_prior.arrays.frame import Frame, canonical
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.physics.misfit import Anscombe, Gaussian, Poisson
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.tasks import Denoise

CPU = torch.device("cpu")


@pytest.fixture
def smooth(rng: np.random.Generator) -> np.ndarray:
    """A photon-limited picture of 96 × 96 pixels, smooth enough to tell its noise."""
    rows, columns = np.mgrid[:96, :96]
    photons = 60 + 40 * np.sin(rows / 20) * np.cos(columns / 25)
    return Camera(gain=4.0, offset=100.0, read_noise=6.0).expose(photons, rng)


def of(image: np.ndarray, axes: str = "YX", **given: object) -> tuple[NoiseModel, ...]:
    return estimate_channels(image, axes, Denoise(**given))


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


def test_a_given_offset_tells_read_noise_from_zero_light(smooth: np.ndarray) -> None:
    (found,) = of(smooth, offset=100.0)
    assert found.offset == 100
    assert found.variance(300) == pytest.approx(4 * 200 + 36, rel=0.15)


def test_everything_given_is_believed_even_where_nothing_can_be_told() -> None:
    (found,) = of(np.zeros((5, 5)), gain=2.0, offset=10.0, sigma=3.0)
    assert (found.gain, found.offset, found.read_noise) == (2, 10, 3)
    assert found.reliable
    assert found.reasons == ()


@pytest.mark.parametrize("image", [np.arange(81.0).reshape(9, 9), np.full((20, 20), np.nan)])
def test_an_image_too_small_to_tell_its_noise_has_none(image: np.ndarray) -> None:
    (found,) = of(image)
    assert (found.gain, found.read_noise, found.reliable) == (0, 0, False)
    assert found.reasons == ("the image is too small to tell its noise",)


def test_a_constant_channel_is_not_reliable_and_leaves_the_others_their_model(smooth: np.ndarray) -> None:
    image = np.stack([smooth, np.full_like(smooth, 7)])
    first, second = of(image, "CYX")
    assert first.reliable
    assert not second.reliable
    measured, weight, frame = canonical(image, "CYX", device=CPU)
    problem, noise = pose(Denoise(), measured, weight, frame, (first, second))
    assert noise.misfit == "anscombe"
    assert torch.isfinite(problem.misfit.pointwise(measured, measured)).all()


@pytest.mark.parametrize(("axes", "place"), [("CYX", 0), ("YXC", 2), ("YCX", 1)])
def test_every_channel_has_a_model_of_its_own(smooth: np.ndarray, axes: str, place: int) -> None:
    channels = np.stack([smooth, 10 * smooth.astype(np.int32), smooth + 1000], axis=place)
    gains = [model.gain for model in of(channels, axes)]
    assert gains == pytest.approx([gains[0], 10 * gains[0], gains[0]], rel=0.01)


@pytest.mark.parametrize(("samples", "measured"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_opacity_has_no_noise(smooth: np.ndarray, samples: int, measured: int) -> None:
    assert len(of(np.stack([smooth] * samples, axis=-1), "YXS")) == measured


def test_frames_of_a_time_lapse_tell_the_noise_of_a_picture_full_of_texture(rng: np.random.Generator) -> None:
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


def test_pixels_that_are_not_finite_do_not_count(smooth: np.ndarray) -> None:
    holed = smooth.astype(np.float32)
    holed[10:20, 30:50] = np.inf
    holed[60, :] = np.nan
    assert of(holed)[0].gain == pytest.approx(of(smooth)[0].gain, rel=0.2)


def posed(task: Denoise, *noise: NoiseModel) -> tuple[object, Noise]:
    measured = torch.rand(1, max(len(noise), 1), 6, 7)
    units = np.zeros(len(noise)), np.full(len(noise), 500.0)
    return pose(task, measured, torch.ones_like(measured), Frame("CYX", *units), noise)


@pytest.mark.parametrize(
    ("name", "kind"), [("auto", Anscombe), ("anscombe", Anscombe), ("poisson", Poisson), ("gaussian", Gaussian)]
)
def test_the_task_names_the_misfit(name: str, kind: type) -> None:
    problem, noise = posed(Denoise(noise=name), NoiseModel(gain=2.0, offset=0.0, read_noise=3.0))
    assert type(problem.misfit) is kind
    assert noise.misfit == ("anscombe" if name == "auto" else name)


@pytest.mark.parametrize(
    ("correlation", "grain"), [((0.0, 0.0), 1), ((0.15, 0.1), 1), ((0.1, 0.3), 3), ((0.4, 0.2), 3), ((0.0, 0.5), 5)]
)
def test_correlated_noise_has_a_grain(correlation: tuple[float, float], correlation_length: int) -> None:
    noise = NoiseModel(read_noise=3.0, correlation=correlation)
    assert posed(Denoise(), noise)[0].correlation_length == correlation_length
    # The most correlated channel decides.
    assert posed(Denoise(), NoiseModel(read_noise=3.0), noise)[0].correlation_length == correlation_length


def test_nothing_known_is_a_plain_gaussian_misfit_without_grain() -> None:
    problem, noise = posed(Denoise())
    assert problem.misfit == Gaussian()
    assert problem.correlation_length == 1
    assert noise.in_words() == "noise not estimated"


def test_the_record_of_the_noise_is_json_and_names_equal_channels_once() -> None:
    model = NoiseModel(gain=2.0, offset=100.0, read_noise=3.0, saturation=4095.0)
    _, noise = posed(Denoise(), model, model)
    record = json.loads(json.dumps(noise.record()))
    assert record["misfit"] == "anscombe"
    assert record["in words"] == model.in_words()
    assert record["channels"] == [json.loads(json.dumps(dataclasses.asdict(model)))] * 2

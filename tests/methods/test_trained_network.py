"""A trained network is applied to other images; where it does not fit, what needs no training takes over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep_prior import Denoise, SelfDistillation, SuperResolve, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.methods import TrainedNetwork
from napari_deep_prior.methods.applied_model import AppliedModel
from napari_deep_prior.methods.trained_network import is_worse
from napari_deep_prior.physics.noise_model import NoiseModel
from napari_deep_prior.problem import Problem
from napari_deep_prior.training.held_out import hold_out

from ..models import tiny_model, trained_model

CAMERA = Camera()
DENOISE = Denoise(gain=CAMERA.gain, offset=CAMERA.offset, sigma=CAMERA.read_noise)
WILD = 30.0
"""Times the weights of a network that was never trained are too large for it to do no harm."""


@pytest.fixture
def truth() -> np.ndarray:
    """Cells that no network was trained on."""
    return CAMERA.expected(cells((72, 80), seed=9))


@pytest.fixture
def noisy() -> np.ndarray:
    return CAMERA.expose(cells((72, 80), seed=9), np.random.default_rng(1))


def half(image: np.ndarray) -> np.ndarray:
    return np.asarray((image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4)


def test_a_trained_network_denoises_another_image(noisy: np.ndarray, truth: np.ndarray) -> None:
    model = trained_model(enlarges=False)
    image = restore(noisy, DENOISE, TrainedNetwork(compare=False), model=model, device="cpu", dtype="float32").finish()
    assert psnr(image, truth) > psnr(noisy.astype(float), truth) + 2
    run = restore(noisy, DENOISE, model=model, device="cpu", dtype="float32")
    assert psnr(run.finish(), truth) > psnr(image, truth) - 0.3
    assert isinstance(run.record.method, TrainedNetwork)
    assert run.record.reason == "a trained network was given"


def test_last_passes_of_similar_patches_make_the_image_better(noisy: np.ndarray, truth: np.ndarray) -> None:
    options = {"model": trained_model(enlarges=False), "device": "cpu", "dtype": "float32"}
    without, image = (
        restore(noisy, DENOISE, TrainedNetwork(compare=False, patches=each), **options).finish()
        for each in (False, True)
    )
    assert psnr(image, truth) > psnr(without, truth) + 0.3


def test_a_window_is_predicted_as_in_the_whole_image() -> None:
    network = AppliedModel(trained_model(enlarges=False), torch.device("cpu"))
    image = torch.rand(1, 1, 250, 270, generator=torch.Generator().manual_seed(0))
    window = (slice(64, 128), slice(128, 192))
    around, inside = network.around(window, tuple(image.shape))
    assert image[around].numel() < image.numel() / 2
    part, whole = network.predict(image[around], 1)[inside], network.predict(image, 1)[(..., *window)]
    torch.testing.assert_close(part, whole, atol=0.01, rtol=0)
    assert (whole - image[(..., *window)]).abs().max() > 0.05


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_network_fits_images_of_other_exposures(truth: np.ndarray, scale: float) -> None:
    bright = CAMERA.expected(scale * cells((72, 80), seed=9))
    noisy = CAMERA.expose(scale * cells((72, 80), seed=9), np.random.default_rng(2))
    method = TrainedNetwork(compare=False, patches=False)
    image = restore(noisy, DENOISE, method, model=trained_model(enlarges=False), device="cpu", dtype="float32").finish()
    assert psnr(image, bright) > psnr(noisy.astype(float), bright) + 2


@pytest.mark.parametrize(("shift", "worse"), [(0.0, False), (1.0, True)])
def test_a_network_is_worse_where_held_out_pixels_say_so(
    noisy: np.ndarray, truth: np.ndarray, pose: Callable[..., Problem], shift: float, worse: bool
) -> None:
    noise = NoiseModel(gain=CAMERA.gain, offset=CAMERA.offset, read_noise=CAMERA.read_noise)
    problem = pose(noisy, noise=[noise])
    factor, low = float(np.ptp(noisy)) / 0.9, float(noisy.min())
    true = torch.from_numpy(((truth - low) / factor + 0.05).astype(np.float32))[None, None]
    held_out, _ = hold_out(problem, 0.05, torch.Generator().manual_seed(0))
    assert is_worse(problem, problem.misfit.expected(true) + shift, held_out) == worse


def test_where_a_network_does_not_fit_similar_patches_restore_the_image_and_the_record_says_so(
    noisy: np.ndarray, truth: np.ndarray
) -> None:
    model = tiny_model(scale=WILD)
    run = restore(noisy, DENOISE, model=model, device="cpu", dtype="float32")
    image = run.finish()
    assert any("does not fit this image: held-out pixels" in remark for remark in run.record.remarks)
    patches = restore(noisy, DENOISE, "nl-ridge", device="cpu", dtype="float32").finish()
    np.testing.assert_array_equal(image, patches)
    blind = restore(noisy, DENOISE, TrainedNetwork(compare=False), model=model, device="cpu", dtype="float32").finish()
    assert psnr(blind, truth) < psnr(image, truth)


def test_a_trained_network_enlarges_another_image(truth: np.ndarray) -> None:
    run = restore(half(truth), SuperResolve(blur="area"), model=trained_model(enlarges=True), device="cpu")
    interpolated = run.image
    assert psnr(run.finish(), truth) > psnr(interpolated, truth) + 0.5


def test_a_network_that_enlarges_worse_than_interpolation_is_not_used(truth: np.ndarray) -> None:
    model = tiny_model(factor=2.0, scale=WILD)
    run = restore(half(truth), SuperResolve(), "trained-network", model=model, device="cpu")
    step = next(run)
    assert "does not fit this image: on the image reduced once more" in step.remark
    run.close()


def test_another_blur_is_named(truth: np.ndarray) -> None:
    model = trained_model(enlarges=True)
    runs = [
        restore(half(truth), task, TrainedNetwork(compare=False), model=model, device="cpu")
        for task in (SuperResolve(), SuperResolve(blur="gaussian", blur_width=2.0))
    ]
    for run in runs:
        run.finish()
    same, other = (any("trained for another blur" in remark for remark in run.record.remarks) for run in runs)
    assert not same
    assert other


def test_a_network_for_one_channel_takes_the_channels_and_planes_one_by_one(noisy: np.ndarray) -> None:
    model, method = trained_model(enlarges=False), TrainedNetwork(compare=False)
    task = dataclasses.replace(DENOISE, neighbours=0)
    stack = np.stack([noisy, noisy[::-1]])
    alone = restore(noisy, task, method, model=model, device="cpu", dtype="float32").finish()
    options = {"model": model, "device": "cpu", "dtype": "float32"}
    channels = restore(stack, task, method, axes="CYX", **options).finish()
    np.testing.assert_allclose(channels[0], alone, rtol=1e-4)
    volume = restore(np.stack([noisy] * 3), task, method, axes="ZYX", volume=True, **options).finish()
    # The light of faint spots is given back with noise that is drawn for the volume as a whole.
    assert np.abs(volume[1] - alone).mean() < 0.02 * alone.std()


@pytest.mark.parametrize(
    ("model", "task", "shape", "text"),
    [
        (tiny_model(channels=3), DENOISE, (40, 40), "trained on images of 3 channels, and this one has 1"),
        (tiny_model(factor=2.0), DENOISE, (40, 40), "was trained to super-resolve, and nothing is to be enlarged"),
        (tiny_model(), SuperResolve(), (40, 40), "was trained to denoise, and the image is to be enlarged"),
        (tiny_model(factor=2.0), SuperResolve(factor=3), (40, 40), "enlarge by 2 × 2, and by 3 × 3 is asked for"),
        (tiny_model(factor=2.0), SuperResolve(factor=1, z_factor=2), (5, 40, 40), "and by 2 × 1 is asked for"),
    ],
)
def test_a_network_for_something_else_is_refused(model: object, task: object, shape: tuple, text: str) -> None:
    image = np.random.default_rng(0).random(shape)
    with pytest.raises(ValueError, match=text):
        restore(image, task, model=model, device="cpu", volume=len(shape) == 3)


def test_what_excludes_a_trained_network_is_refused(noisy: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'nl-ridge' does not use the trained network that was given"):
        restore(noisy, DENOISE, "nl-ridge", model=tiny_model(), device="cpu")
    with pytest.raises(ValueError, match="'self-distillation', of which settings were given, does not use the trained"):
        restore(noisy, DENOISE, SelfDistillation(steps=1), model=tiny_model(), device="cpu")
    with pytest.raises(ValueError, match="no trained network was given: give it with --model, or choose another"):
        restore(noisy, DENOISE, "trained-network", device="cpu")
    with pytest.raises(ValueError, match="a guide and a trained network exclude each other"):
        restore(noisy, DENOISE, model=tiny_model(), guide=noisy, device="cpu")
    with pytest.raises(ValueError, match="the model is a str"):
        restore(noisy, DENOISE, model="m.safetensors", device="cpu")

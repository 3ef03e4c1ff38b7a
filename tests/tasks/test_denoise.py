from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.methods import DeepImagePrior, SelfDistillation
from napari_deep_prior.networks import Hourglass, UNet
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise

SMALL = SelfDistillation(steps=4, crop=16, examples=2, precision="float32", network=UNet(channels=(8, 8)))


def test_on_correlated_noise_the_deep_image_prior_stands_in_and_the_record_says_so() -> None:
    rng = np.random.default_rng(0)
    shape = (208, 208)
    noise = rng.normal(0, 8, (209, 209))
    image = (
        50 * cells(shape) / cells(shape).max() + (noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]) / 2
    )
    run = restore(image, Denoise(), SMALL, device="cpu")
    next(run)
    assert isinstance(run.record.method, DeepImagePrior)
    assert "neighbouring pixels is correlated" in run.record.instead
    assert "deep image prior was used instead" in run.record.instead
    run.close()


@pytest.mark.slow
def test_texture_of_a_small_image_is_not_taken_for_correlated_noise(
    noisy: np.ndarray, truth: np.ndarray, tiny: Callable[..., DeepImagePrior]
) -> None:
    image = restore(
        noisy,
        Denoise(),
        tiny(steps=300, network=Hourglass(channels=(16, 16, 16), skip=(2, 2, 2)), code_channels=16, averaging=0.97),
        device="cpu",
        dtype="float32",
    ).finish()
    assert metrics.psnr(image, truth) > metrics.psnr(noisy, truth) + 3


def test_a_camera_that_clips_its_read_noise_at_black_keeps_no_noise_in_the_dark() -> None:
    rng = np.random.default_rng(0)
    light = cells((128, 128))
    photons = 2 * light / light.max() + 0.3
    truth = 10 * (photons + 1)
    noisy = 10 * (rng.poisson(photons) + rng.normal(1, 1, photons.shape))
    image = restore(np.clip(noisy.round(), 0, 255).astype(np.uint8), Denoise(), effort="fast", device="cpu").finish()
    # 10.6 dB where the dark has no read noise; with the noise of the camera given it is 18.8 dB.
    assert metrics.psnr(image.astype(float), truth, span=20) > 17

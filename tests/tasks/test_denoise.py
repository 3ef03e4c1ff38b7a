from __future__ import annotations

import numpy as np

from napari_deep_prior.arrays.phantom import cells
from napari_deep_prior.methods import SelfDistillation
from napari_deep_prior.networks import UNet
from napari_deep_prior.runs.restoration import restore
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
    assert run.record["method"]["kind"] == "DeepImagePrior"
    assert "neighbouring pixels is correlated" in run.record["instead"]
    assert "deep image prior was used instead" in run.record["instead"]
    run.close()

"""Train networks on images of one kind from Python; denoise and enlarge one that they were not trained on."""

from __future__ import annotations

import numpy as np

from napari_deep_prior import Denoise, SuperResolve, TrainingImage, TrainingSettings, UNet, restore, train
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.networks import ENLARGING_AUTOENCODER

camera, generator = Camera(), np.random.default_rng(0)
fields = [cells((96, 96), seed=seed) for seed in range(6)]
*noisy, unknown = [camera.expose(photons, generator) for photons in fields]
truth = camera.expected(fields[-1])

# Five noisy images are all that there is: one of them is held out, and decides which weights are kept.
images = [TrainingImage(name=f"field {number}", pixels=pixels) for number, pixels in enumerate(noisy, 1)]
settings = TrainingSettings(epochs=400, crop=64, rate=0.003, network=UNet(channels=(16, 32)))
for step in (run := train(images, Denoise(), settings)):
    if step.validation is not None:
        print(f"step {step.number}: error on the held-out image {step.validation.loss:.4f}")

# It is compared with similar patches first: held-out pixels of the image say whether it fits.
denoised = restore(unknown, Denoise(), "trained-network", model=run.model).finish()

for name, image in (("noisy", unknown), ("denoised", denoised)):
    print(f"{name:9} PSNR {metrics.psnr(image, truth):.2f} dB")

# To enlarge, sharp images are needed: here those without noise. The autoencoder has no connections past its code.
sharp = [camera.expected(photons) for photons in fields[:-1]]
settings = TrainingSettings(epochs=40, crop=64, network=ENLARGING_AUTOENCODER)
for step in train(sharp, SuperResolve(factor=2), settings):
    if (validation := step.validation) is not None:
        before, after = validation.before.psnr, validation.after.psnr
        print(f"step {step.number}: the held-out image enlarged, PSNR {before:.2f} → {after:.2f} dB")

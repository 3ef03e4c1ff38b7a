"""Denoise an image from Python: all at once, or step by step with a stop of one's own."""

from __future__ import annotations

import numpy as np

from napari_deep_prior import Denoise, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import Camera, cells

camera = Camera()
photons = cells((96, 96))
noisy, truth = camera.expose(photons, np.random.default_rng(0)), camera.expected(photons)

# All at once, in a few seconds. The default effort is "balanced", which takes longer and is better.
fast = restore(noisy, Denoise(), effort="fast").finish()

# Step by step: stopping is not asking again; the image so far is always there.
for step in (run := restore(noisy, Denoise(), "deep-image-prior")):
    if step.number == 100:
        break
run.close()

for name, image in (("noisy", noisy), ("fast", fast), ("100 steps", run.image)):
    print(f"{name:10} PSNR {metrics.psnr(image, truth):.2f} dB")
print(run.record.noise.in_words)

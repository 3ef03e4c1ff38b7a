"""Guided reconstruction from Python: a clean image of the same place helps to denoise a dim one."""

from __future__ import annotations

import numpy as np

from napari_deep_prior import Denoise, Guided, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import Camera, cells

photons = 0.2 * cells((80, 80))
camera = Camera()
dim, truth = camera.expose(photons, np.random.default_rng(0)), camera.expected(photons)
# Another stain of the same cells: brighter, of another contrast, three pixels off.
guide = np.roll(np.sqrt(photons), (3, -2), axis=(0, 1))

alone = restore(dim, Denoise(), effort="fast").finish()
run = restore(dim, Guided(), effort="fast", guide=guide)
guided = run.finish()

for name, image in (("dim", dim), ("alone", alone), ("guided", guided)):
    print(f"{name:7} PSNR {metrics.psnr(image, truth):.2f} dB")
print(*run.record.remarks)

"""Encoder-decoders as deep image priors, from Python; and what such a network sees in the image."""

from __future__ import annotations

import numpy as np

from napari_deep_prior import Autoencoder, DeepImagePrior, Denoise, EncoderDecoder, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.runs.encode import encode

camera = Camera()
photons = cells((96, 96))
noisy, truth = camera.expose(photons, np.random.default_rng(0)), camera.expected(photons)
print(f"noisy: PSNR {metrics.psnr(noisy, truth):.2f} dB")

# Bilinear upsampling is fixed, and draws the image before its noise; transposed convolutions are fitted, and less so.
networks = {
    "autoencoder": Autoencoder(),
    "transposed": EncoderDecoder(upsampling="transposed"),
}
for name, network in networks.items():
    image = restore(noisy, Denoise(), DeepImagePrior(steps=150, network=network)).finish()
    print(f"{name}: PSNR {metrics.psnr(image, truth):.2f} dB")

# The encoder alone: the image as 12 × 12 pixels with 32 numbers each, and these in three colours.
code = encode(noisy)
print(code.in_words(), code.colours.shape)

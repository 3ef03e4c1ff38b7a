"""How fast this computer is, beside the one that the methods' times were measured on."""

from __future__ import annotations

import functools
import time

import torch
from torch.nn import functional

REFERENCE = 0.079
"""Seconds of the training step below on two cores with AVX2 (AMD EPYC, PyTorch 2.13): the least of 15, which was 0.097
for six images at once; one after the other they took 0.81 of that time on one core."""

IMAGES, CHANNELS, SIDE = 6, 32, 96
"""Of the step: six crops of 96 × 96 pixels and 32 channels, one after the other, which takes little memory, through two
convolutions and back."""

REPEATS = 3


@functools.cache
def slowness(device: torch.device) -> float:
    """Return how many times longer a device takes than two cores with AVX2; measured once, in a tenth of a second."""
    image = torch.full((1, CHANNELS, SIDE, SIDE), 0.5, device=device)
    weight = torch.full((CHANNELS, CHANNELS, 3, 3), 0.01, device=device, requires_grad=True)
    return min(_step(image, weight) for _ in range(REPEATS)) / REFERENCE


def _step(image: torch.Tensor, weight: torch.Tensor) -> float:
    began = time.perf_counter()
    for _ in range(IMAGES):
        features = functional.leaky_relu(functional.conv2d(image, weight, padding=1), 0.1)
        loss = functional.conv2d(features, weight, padding=1).square().mean()
        (gradient,) = torch.autograd.grad(loss, weight)
    # Reading a value waits for the device.
    float(gradient.sum())
    return time.perf_counter() - began

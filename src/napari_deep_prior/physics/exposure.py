"""Measurements of an image that are drawn: at its own light, or at more or less of it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from .photon_misfits import CameraUnits

MOST_PHOTONS = 1e9
"""Photons up to which the count is drawn: float32 holds no larger one."""


@final
class Exposure:
    """Draws what a camera measures of an image; all images are canonical, (N, C, *S), and on the CPU.

    Photons are drawn as such: below about three of them the noise is far from a Gaussian one.

    Parameters
    ----------
    camera : CameraUnits
        The noise of every channel, on the CPU.
    """

    def __init__(self, camera: CameraUnits) -> None:
        self._camera = camera

    def at(self, image: Tensor, factor: Tensor | float) -> Tensor:
        """Return an image with a factor of its light."""
        return self._camera.values(factor * self._camera.light(image))

    def measured(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Return a measurement of an image, with new noise."""
        camera = self._camera
        light = camera.light(image)
        gain = camera.gain.clamp(min=torch.finfo(torch.float32).tiny)
        photons = torch.poisson((light / gain).clamp(0, MOST_PHOTONS), generator)
        light = torch.where((camera.gain > 0) & (light > 0), gain * photons, light)
        return camera.values(light + camera.read_noise * torch.randn(light.shape, generator=generator))

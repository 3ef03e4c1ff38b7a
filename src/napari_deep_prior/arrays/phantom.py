"""Simulated fluorescence images with their ground truth: nuclei and filaments, blurred and recorded by a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from .axes import Array

BACKGROUND = 2.0
"""Photons per pixel of out-of-focus light and of the medium."""

NUCLEUS, FILAMENT = 40.0, 60.0
"""Most photons per pixel of a nucleus and of a filament, before the blur."""


@final
@dataclass(frozen=True, kw_only=True)
class Camera:
    """A 16-bit camera: ``grey = gain * Poisson(photons) + offset + N(0, read_noise²)``, rounded.

    Parameters
    ----------
    gain : float
        Grey levels per photon.
    offset : float
        Grey level without light.
    read_noise : float
        Standard deviation, in grey levels.
    """

    gain: float = 4.0
    offset: float = 100.0
    read_noise: float = 6.0

    def expose(self, photons: Array, generator: np.random.Generator) -> Array:
        """Return a recorded image (uint16) whose expected photons per pixel are ``photons``."""
        grey = self.expected(generator.poisson(photons)) + generator.normal(0, self.read_noise, photons.shape)
        return np.clip(np.rint(grey), 0, 65535).astype(np.uint16)

    def expected(self, photons: Array) -> Array:
        """Return the mean grey level of ``photons`` per pixel (float32): the ground truth of :meth:`expose`."""
        return (self.gain * photons + self.offset).astype(np.float32)


def cells(shape: tuple[int, ...], *, blur: float = 1.3, seed: int = 0) -> Array:
    """Return expected photons per pixel (float64) of cells with textured nuclei and filaments.

    Parameters
    ----------
    shape : tuple of int
        Two or three axes; of three, the first is depth.
    blur : float
        Standard deviation of the microscope's Gaussian blur in the plane, in pixels; twice that in depth.
    """
    generator = np.random.default_rng(seed)
    photons = _nuclei(shape, generator) + _filaments(shape, generator)
    sigma = (2 * blur,) * (len(shape) - 2) + (blur, blur)
    return np.asarray(gaussian_filter(photons, sigma, mode="reflect") + BACKGROUND)


def _nuclei(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    side = max(shape)
    count = 14 if len(shape) == 2 else 10
    grid = np.meshgrid(*(np.arange(length) for length in shape), indexing="ij", sparse=True)
    photons = np.zeros(shape)
    texture = _smooth_noise(shape, 4, generator)
    for _ in range(count):
        centre = [generator.uniform(0, length) for length in shape]
        radii = [min(side * generator.uniform(0.04, 0.075), length / 2) for length in shape]
        angle = generator.uniform(0, np.pi)
        rows, columns = grid[-2] - centre[-2], grid[-1] - centre[-1]
        oriented = (
            rows * np.cos(angle) + columns * np.sin(angle),
            columns * np.cos(angle) - rows * np.sin(angle),
        )
        distance = (oriented[0] / radii[-2]) ** 2 + (oriented[1] / (0.7 * radii[-1])) ** 2
        if len(shape) == 3:
            distance = distance + ((grid[0] - centre[0]) / radii[0]) ** 2
        brightness = NUCLEUS * generator.uniform(0.4, 1.0)
        photons = np.maximum(photons, brightness * (0.75 + 0.25 * texture) * (distance < 1))
    return photons


def _filaments(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    photons = np.zeros(shape)
    side = max(shape)
    for _ in range(26):
        position = np.array([generator.uniform(0, length) for length in shape])
        heading = generator.uniform(0, 2 * np.pi)
        brightness = FILAMENT * generator.uniform(0.4, 1.0)
        for _ in range(2 * side):
            heading += generator.normal(0, 0.03)
            step = np.zeros(len(shape))
            step[-2:] = 0.5 * np.sin(heading), 0.5 * np.cos(heading)
            if len(shape) == 3:
                step[0] = generator.normal(0, 0.05)
            position = position + step
            pixel = tuple(np.floor(position).astype(int))
            if not all(0 <= index < length for index, length in zip(pixel, shape, strict=True)):
                break
            photons[pixel] = brightness
    return photons


def _smooth_noise(shape: tuple[int, ...], size: int, generator: np.random.Generator) -> Array:
    """Return noise with a correlation length of ``size`` pixels, mostly between -1 and 1."""
    coarse = generator.normal(0, 0.6, [length // size + 2 for length in shape])
    fine = zoom(coarse, size, order=1)
    return np.asarray(fine[tuple(slice(length) for length in shape)])

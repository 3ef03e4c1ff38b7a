"""The misfit for the noise of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..arrays.axes import Array
from .misfit import GaussianMisfit, Misfit
from .noise_model import NoiseModel
from .photon_misfits import AnscombeMisfit, CameraUnits, PoissonMisfit

MisfitName = Literal["gaussian", "anscombe", "poisson", "quantised"]

SMALLEST_VARIANCE = 1e-12
"""Smallest noise variance, in canonical units: anything below is rounding."""


def choose_misfit(
    name: Literal["auto"] | MisfitName, noise: Sequence[NoiseModel], units: tuple[Array, Array], like: Tensor
) -> tuple[MisfitName, Misfit]:
    """Return the name of a misfit for the noise of the channels, and the misfit.

    Parameters
    ----------
    name : {"auto", "anscombe", "poisson", "gaussian"}
        "auto" is "anscombe" if a channel has photon noise, else "gaussian". "poisson" needs photon noise in every
        channel: it becomes "anscombe" if only some channels have it. If none has, or if there is no noise at all
        whatever the name, the misfit is "gaussian" with standard deviation 1.
    noise : sequence of NoiseModel
        One for each channel, in grey levels; empty if nothing is known of the noise.
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    like : Tensor, (1, C, *S)
        A canonical tensor, for its number of axes and device.
    """
    noisy = [model.gain > 0 or model.read_noise > 0 for model in noise]
    photons = any(model.gain > 0 for model in noise)
    if not any(noisy) or (name == "poisson" and not photons):
        return "gaussian", GaussianMisfit()
    # A channel without noise, such as an empty one, would be divided by 0: it gets a read noise as large as its range.
    models = zip(noise, noisy, units[0], strict=True)
    noise = [model if known else replace(model, read_noise=float(factor)) for model, known, factor in models]
    if name == "auto":
        name = "anscombe" if photons else "gaussian"
    if name == "poisson" and not all(model.gain > 0 for model in noise):
        name = "anscombe"
    if name == "anscombe":
        return name, AnscombeMisfit(noise, units, like)
    if name == "poisson":
        return name, PoissonMisfit(noise, units, like)
    camera = CameraUnits(noise, units, like)
    middle = camera.light(torch.full_like(camera.gain, 0.5))
    variance = camera.gain * middle.clamp(min=0) + camera.read_noise.square()
    return "gaussian", GaussianMisfit(variance.clamp(min=SMALLEST_VARIANCE).sqrt())

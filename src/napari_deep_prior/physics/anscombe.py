"""The bias of the generalised Anscombe transform at low counts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .noise_model import Floats, NoiseModel


def anscombe_bias(noise: NoiseModel) -> tuple[Floats, Floats]:
    """Return increasing grey levels, and the mean transform less the transform of the mean there.

    The transform is that of :class:`~napari_deep_prior.physics.photon_misfits.AnscombeMisfit`. The table is for
    interpolation; beyond both ends the bias stays constant.

    Parameters
    ----------
    noise : NoiseModel
        With photon noise: its gain is not 0.
    """
    photons, bias = _bias_of_photons(noise.read_noise / noise.gain)
    return noise.offset + noise.gain * photons, bias.copy()


@lru_cache(maxsize=32)
def _bias_of_photons(read_noise: float) -> tuple[Floats, Floats]:
    """Return numbers of photons and the bias there; ``read_noise`` is in photons.

    At few photons the mean is computed over counts and, by Gauss-Hermite quadrature, over read noise.
    """
    few = 50.0 * np.linspace(0, 1, 160) ** 2
    many = np.geomspace(50.0, 1e4, 60)[1:]
    if read_noise > 5:  # the series is accurate everywhere
        few, many = few[:0], np.concatenate([few, many])
    shift = 0.375 + read_noise**2
    counts = np.arange(180.0)  # 50 photons and 18 standard deviations
    log_factorial = np.cumsum(np.log(np.maximum(counts, 1)))[:, None]
    powers = counts[:, None] * np.log(np.maximum(few, 1e-300))
    chance = np.exp(powers - few - log_factorial)
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    roots = np.sqrt(np.maximum(counts[:, None] + read_noise * nodes + shift, 0.0))
    mean = 2 * (roots @ (weights / weights.sum())) @ chance
    # Taylor series of the root about the mean, to the fourth moment.
    second, whole = many + read_noise**2, many + shift
    series = -second / 4 / whole**1.5 + many / 8 / whole**2.5
    series -= 5 * (many + 3 * second**2) / 64 / whole**3.5
    bias = np.concatenate([mean - 2 * np.sqrt(few + shift), series])
    return np.concatenate([few, many]), bias

"""The generalised Anscombe transform: grey levels on a scale on which the noise is equally strong everywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from .noise_model import Floats, NoiseModel


def anscombe(image: ArrayLike, noise: NoiseModel) -> Floats:
    """Return raw grey levels on a scale on which their noise has variance 1.

    The generalised Anscombe transform (Starck, Murtagh and Bijaoui 1998, ISBN
    978-0-521-59914-6), ``2 / a * sqrt(max(a * y + 3 / 8 * a**2 + b, 0))`` with the
    gain a and ``b = read_noise**2 - a * offset``, less its value at zero light. That
    constant cancels in every difference; without it the transform goes over into
    ``(y - offset) / read_noise`` as the gain goes to 0. Below some 3 photons no
    transform makes the variance 1: it falls with the number of photons.

    Parameters
    ----------
    image : array_like
        Raw grey levels, not clipped at 0. NaN stays NaN.
    noise : NoiseModel
        In the same grey levels.

    Raises
    ------
    ValueError
        If the model has no noise at all.
    """
    light = np.asarray(image, np.float64) - noise.offset
    dark = _dark_root(noise)
    if noise.gain > 0:
        light = np.maximum(light, -(dark**2) / noise.gain)
    # The difference of the two roots would cancel as the gain goes to 0.
    root = np.sqrt(np.maximum(noise.gain * light + dark**2, 0.0))
    transformed: Floats = 2 * light / (root + dark)
    return transformed


def inverse_anscombe(values: ArrayLike, noise: NoiseModel) -> Floats:
    """Return the grey levels whose *expected* transform is `values`.

    The closed form of the exact unbiased inverse (Makitalo and Foi 2013, doi
    10.1109/TIP.2012.2202675), for denoised transforms: those are means, and the
    algebraic inverse of a mean is too dark at low counts. The result is nowhere below
    the level at which the model's variance is 0.

    Raises
    ------
    ValueError
        If the model has no noise at all.
    """
    values = np.asarray(values, np.float64)
    dark = _dark_root(noise)
    if noise.gain == 0:
        return np.asarray(noise.offset + dark * values)
    zero = 2 * dark / noise.gain
    least = np.sqrt(1.5)  # the transform of no photons without read noise
    whole = np.maximum(values + zero, least)
    values = whole - zero
    # whole**2 / 4 - 1 / 8 - (read_noise / gain)**2, but for the cancellation
    photons = values * (values / 4 + zero / 2) + 1 / 4
    photons += least / 4 / whole - 11 / 8 / whole**2 + 5 * least / 8 / whole**3
    return np.asarray(noise.offset + noise.gain * photons)


def expected_anscombe(signal: ArrayLike, noise: NoiseModel) -> Floats:
    """Return the mean of ``anscombe(y)`` over the noise of pixels of level `signal`.

    Below some 3 photons it is well under ``anscombe(signal)``, and what a loss between
    transforms should compare with. Interpolated in the table of `anscombe_bias`.
    """
    signal = np.asarray(signal, np.float64)
    levels, bias = anscombe_bias(noise)
    expected: Floats = anscombe(signal, noise) + np.interp(signal, levels, bias)
    return expected


def anscombe_bias(noise: NoiseModel) -> tuple[Floats, Floats]:
    """Return rising grey levels, and ``E[anscombe(y)] - anscombe(signal)`` there.

    For interpolation elsewhere, as on a GPU. Beyond both ends the bias stays as it is.
    """
    if noise.gain == 0:
        return np.array([0.0, 1.0]), np.zeros(2)
    photons, bias = _bias_of_photons(noise.read_noise / noise.gain)
    return noise.offset + noise.gain * photons, bias.copy()


def _dark_root(noise: NoiseModel) -> float:
    if noise.gain == 0 and noise.read_noise == 0:
        raise ValueError(
            "the noise model has gain 0 and read noise 0, and the transform divides by "
            "the noise: give read_noise, the standard deviation of a flat region"
        )
    return float(np.sqrt(0.375 * noise.gain**2 + noise.read_noise**2))


@lru_cache(maxsize=32)
def _bias_of_photons(read_noise: float) -> tuple[Floats, Floats]:
    """Return numbers of photons and the bias there; `read_noise` in photons."""
    few = 50.0 * np.linspace(0, 1, 160) ** 2
    many = np.geomspace(50.0, 1e4, 60)[1:]
    if read_noise > 5:  # then the series holds everywhere
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

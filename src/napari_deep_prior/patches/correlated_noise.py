"""Similar patches where the noise of neighbouring pixels is correlated, as behind a demosaicing or a resampling.

Patches cannot tell such noise from structure of its size. Two things help. In an image of half the size the noise is
less correlated, so that its denoised version is a pilot without the noise's blotches. And NL-Bayes (:mod:`.nl_bayes`)
only needs the covariance of the noise in a patch: it keeps what varies more than that. The autocorrelation is taken
for a Gaussian, of which the correlation of neighbours is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..physics.noise_model import CORRELATED, Floats
from . import nl_bayes, scales
from .planes import map_planes
from .scales import Variance
from .similar_patches import PATCH, SMALLEST_SIDE

_Integers = npt.NDArray[np.int64]

Correlations = tuple[tuple[float, float], ...]
"""For each channel, the correlation of the noise of neighbouring pixels: (row, column)."""

PASSES = 2
"""With a pilot: the second one gains up to 0.1 dB, a third one nothing (measured)."""

ESTIMATES = 1 + PASSES
"""Estimates that are yielded."""

LAGS = 16
"""Pixels beyond which the noise counts as independent."""

REMOVED = 1.0
"""Share of the variance of the noise that the passes assume."""

SMALLEST_CORRELATION = 1e-4
"""Where noise is not correlated: a power of 0 is 0, and a Gaussian has none."""


def estimates(noisy: Tensor, variance: Variance, correlations: Correlations) -> Iterator[Tensor]:
    """Yield :data:`ESTIMATES` ever better estimates (1, C, *S) of the means of pixels.

    Parameters
    ----------
    noisy : Tensor, (1, C, *S)
        The means with noise; at least twice :data:`.similar_patches.SMALLEST_SIDE` pixels along a side.
    variance : callable
        That of the noise.
    correlations : tuple
        For each channel.
    """
    pilot = _from_half_size(noisy, variance, correlations)
    yield pilot
    covariances = [_covariance(each).to(noisy) for each in correlations]
    for _ in range(PASSES):
        level = REMOVED * variance(pilot)
        channels = zip(*(each.split(1, dim=1) for each in (noisy, pilot, level)), covariances, strict=True)
        pilot = torch.cat([_denoised(*channel) for channel in channels], dim=1)
        yield pilot


def is_possible(shape: tuple[int, ...]) -> bool:
    """Return whether an image of this spatial shape is large enough."""
    return min(shape[-2:]) >= 2 * SMALLEST_SIDE


def _denoised(noisy: Tensor, pilot: Tensor, variance: Tensor, noise_covariance: Tensor) -> Tensor:
    """Return one channel (1, 1, *S), denoised with a pilot."""
    return map_planes(partial(nl_bayes.denoise_with_pilot, noise_covariance=noise_covariance), noisy, pilot, variance)


def _from_half_size(noisy: Tensor, variance: Variance, correlations: Correlations) -> Tensor:
    """Return an estimate without high frequencies, from the image at half of its size."""
    small = scales.halved(noisy)
    left = torch.tensor([_power_left(each) for each in correlations]).to(noisy)
    left = left.reshape(1, -1, *(1,) * (noisy.ndim - 2)) / 4

    def small_variance(means: Tensor) -> Tensor:
        return left * variance(means)

    # Pixels that lie twice as far apart.
    coarser = tuple((row**4, column**4) for row, column in correlations)
    if max(map(max, coarser)) > CORRELATED and is_possible(tuple(small.shape)):
        *_, means = estimates(small, small_variance, coarser)
    else:
        *_, means = scales.estimates(small, small_variance)
    rows, columns = noisy.shape[-2:]
    return scales.doubled(means, (rows, columns))


def _covariance(correlation: tuple[float, float]) -> Tensor:
    """Return the covariance (pixels, pixels) of noise of variance 1 in a patch."""
    row, column = (_autocorrelation(each, np.arange(PATCH)) for each in correlation)
    distances = np.abs(np.subtract.outer(np.arange(PATCH), np.arange(PATCH)))
    return torch.from_numpy(np.kron(row[distances], column[distances]))


def _power_left(correlation: tuple[float, float]) -> float:
    """Return the mean power of noise of variance 1 in the lower half of the frequencies of each axis."""
    lags = np.arange(-LAGS, LAGS + 1)
    frequencies = np.linspace(0, 0.25, 50)
    waves = np.cos(2 * np.pi * np.multiply.outer(frequencies, lags))
    row, column = ((waves @ _autocorrelation(each, lags)).mean() for each in correlation)
    return float(row * column)


def _autocorrelation(neighbours: float, lags: _Integers) -> Floats:
    """Return the Gaussian autocorrelation at ``lags`` with that of neighbours."""
    return np.asarray(max(neighbours, SMALLEST_CORRELATION) ** (lags.astype(np.float64) ** 2))

"""The noise of a detector: its variance at every grey level, and its correlation between neighbouring pixels.

The model is Poisson-Gaussian (Foi et al. 2008, doi 10.1109/TIP.2008.2001399): a pixel of the noise-free level x reads
``gain * Poisson((x - offset) / gain) + offset + Normal(0, read_noise**2)``. Its variance is
``gain * (x - offset) + read_noise**2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CORRELATED = 0.15
"""Correlation of neighbouring pixels' noise above which a held-out pixel can be predicted from its neighbours."""


@final
@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """The noise of one channel, in grey levels.

    Parameters
    ----------
    gain : float
        Grey levels per photon; 0 if the noise does not depend on the signal.
    offset : float
        Grey level at zero light. From an image alone only ``read_noise**2 - gain * offset`` can be estimated; the
        offset is then the smallest that fits.
    read_noise : float
        Standard deviation at zero light.
    correlation : tuple of float
        Correlation of the noise of neighbouring pixels along rows and columns: (row, column).
    saturation : float or None
        Grey level at which pixels are clipped, or None if none are.
    reliable : bool
        False if the noise could not be estimated; it is then treated as Gaussian.
    reasons : tuple of str
        Why it is not reliable, one clause each.
    unknown : bool
        Whether the image was too small to find any noise, or none.

    Raises
    ------
    ValueError
        If the gain or the read noise is negative or not finite.
    """

    gain: float = 0.0
    offset: float = 0.0
    read_noise: float = 0.0
    correlation: tuple[float, ...] = (0.0, 0.0)
    saturation: float | None = None
    reliable: bool = True
    reasons: tuple[str, ...] = ()
    unknown: bool = False

    def __post_init__(self) -> None:
        for name, value in (("gain", self.gain), ("read_noise", self.read_noise)):
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: give 0 or a positive number")

    @property
    def kind(self) -> Literal["Poisson-Gaussian", "Gaussian"]:
        """Family of the noise."""
        return "Poisson-Gaussian" if self.gain > 0 else "Gaussian"

    @property
    def noiseless(self) -> bool:
        """Whether it was looked for, and there is none."""
        return self.gain == 0 and self.read_noise == 0 and not self.unknown

    @property
    def correlated(self) -> bool:
        """Whether a held-out pixel can be guessed from its neighbours."""
        return max(self.correlation, default=0.0) > CORRELATED

    def variance(self, signal: ArrayLike) -> Floats:
        """Return the noise variance at noise-free levels ``signal``."""
        light = np.asarray(signal, np.float64) - self.offset
        return np.maximum(self.gain * light + self.read_noise**2, 0.0)

    def in_words(self) -> str:
        """Return the model in one line for a person."""
        if self.gain > 0:
            words = f"photon noise, about {1 / self.gain:.2g} photons per grey level; "
            read_noise = f"read noise {self.read_noise:.2g}"
            words += read_noise if self.read_noise > 0 else "no read noise seen"
        elif self.read_noise > 0:
            words = f"Gaussian noise, sigma = {self.read_noise:.3g}"
        else:
            words = "no noise found"
        if self.correlated:
            words += f"; neighbouring pixels' noise is correlated ({max(self.correlation):.2f})"
        if not self.reliable:
            words += "; not reliable: " + ", and ".join(self.reasons)
        return words

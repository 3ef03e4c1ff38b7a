"""Gaussian point spread functions (PSF): of an objective, and with rotated principal axes."""

from __future__ import annotations

import math

import numpy as np

from .kernels import GAUSSIAN_REACH, SMALLEST_SIGMA, GaussianKernel, SampledKernel

LATERAL, AXIAL = 0.21, 0.66
"""Standard deviations of the Gaussian nearest to a wide-field PSF: across in units of λ / NA, along the optical axis in
units of λ n / NA². Thomann et al. 2002, doi 10.1046/j.1365-2818.2002.01066.x."""


def optical_gaussian(
    *, numerical_aperture: float, wavelength: float, spacing: tuple[float, ...], refractive_index: float = 1.0
) -> GaussianKernel:
    """Return the Gaussian that is nearest to the PSF of a wide-field microscope.

    Parameters
    ----------
    numerical_aperture : float
        Of the objective; at most the refractive index.
    wavelength : float
        Wavelength of the detected light, in the unit of ``spacing``.
    spacing : tuple of float
        Size of a pixel of the restored image per axis: row and column, or depth, row and column.
    refractive_index : float
        Of the immersion medium; only the depth depends on it.

    Raises
    ------
    ValueError
        If a number is not positive, or the aperture is larger than the medium allows.
    """
    numbers = (numerical_aperture, wavelength, refractive_index, *spacing)
    if len(spacing) not in (2, 3) or not all(0 < number < math.inf for number in numbers):
        raise ValueError(
            f"numerical aperture {numerical_aperture}, wavelength {wavelength}, refractive index {refractive_index} "
            f"and spacing {spacing} must be positive, the spacing 2 or 3 numbers"
        )
    lateral = LATERAL * wavelength / numerical_aperture
    sigma = tuple(lateral / size for size in spacing[-2:])
    if len(spacing) == 2:
        return GaussianKernel(sigma)
    if numerical_aperture > refractive_index:
        raise ValueError(
            f"the numerical aperture is {numerical_aperture} and the refractive index {refractive_index}; the "
            "aperture cannot be larger: give the index of the immersion (water 1.33, oil 1.515)"
        )
    axial = AXIAL * wavelength * refractive_index / numerical_aperture**2
    return GaussianKernel((axial / spacing[0], *sigma))


def rotated_gaussian(sigma: tuple[float, float], angle: float) -> SampledKernel:
    """Return a Gaussian in a plane whose principal axes are rotated against the image's axes.

    Parameters
    ----------
    sigma : tuple of float
        Standard deviations along the first and second principal axis, in pixels of the image; at least
        ``SMALLEST_SIGMA`` is used.
    angle : float
        Degrees from the row axis to the first principal axis, towards the column axis; 0 is ``GaussianKernel(sigma)``.

    Raises
    ------
    ValueError
        If the numbers are not two standard deviations and an angle.
    """
    if len(sigma) != 2 or not all(0 <= each < math.inf for each in sigma) or not math.isfinite(angle):
        raise ValueError(
            f"sigma is {sigma} and the angle {angle}; a rotated Gaussian needs two finite standard deviations, "
            "neither of them negative, and an angle in degrees"
        )
    along, across = (max(each, SMALLEST_SIGMA) for each in sigma)
    radius = math.ceil(GAUSSIAN_REACH * max(along, across))
    rows, columns = np.indices((2 * radius + 1,) * 2) - radius
    radians = math.radians(angle)
    first = (rows * math.cos(radians) + columns * math.sin(radians)) / along
    second = (columns * math.cos(radians) - rows * math.sin(radians)) / across
    return SampledKernel(np.exp(-(first**2 + second**2) / 2))

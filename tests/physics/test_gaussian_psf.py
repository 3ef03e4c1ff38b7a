from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import j1

from napari_deep_prior.physics.gaussian_psf import optical_gaussian, rotated_gaussian
from napari_deep_prior.physics.kernels import GaussianKernel, kernel_image


def test_the_optical_gaussian_is_as_wide_as_the_airy_pattern() -> None:
    aperture, wavelength = 0.8, 520.0
    # Half of the brightness of the Airy pattern, in units of λ / (2 π NA).
    half = brentq(lambda v: (2 * j1(v) / v) ** 2 - 0.5, 0.1, 3)
    width = 2 * half * wavelength / (2 * np.pi * aperture)
    sigma = optical_gaussian(numerical_aperture=aperture, wavelength=wavelength, spacing=(50.0, 25.0)).sigma
    assert sigma[0] * 50 * np.sqrt(8 * np.log(2)) == pytest.approx(width, rel=0.05)
    assert sigma[1] == pytest.approx(2 * sigma[0])


def test_the_optical_gaussian_of_a_volume_is_longest_in_depth() -> None:
    options = {"numerical_aperture": 1.4, "wavelength": 0.6, "refractive_index": 1.515}
    sigma = optical_gaussian(spacing=(0.1, 0.1, 0.1), **options).sigma
    assert sigma[1:] == pytest.approx([0.9, 0.9])
    assert sigma[0] == pytest.approx(0.66 * 0.6 * 1.515 / 1.4**2 / 0.1)
    assert optical_gaussian(spacing=(0.2, 0.1, 0.1), **options).sigma[0] == pytest.approx(sigma[0] / 2)


def test_an_impossible_objective_is_refused() -> None:
    with pytest.raises(ValueError, match=r"aperture is 1.4 and the refractive index 1.0; .* oil 1.515"):
        optical_gaussian(numerical_aperture=1.4, wavelength=0.5, spacing=(0.1, 0.1, 0.1))
    for aperture, wavelength, spacing in [(0, 1, (1, 1)), (1, -1, (1, 1)), (1, 1, (0, 1)), (1, 1, (1,))]:
        with pytest.raises(ValueError, match="must be positive"):
            optical_gaussian(numerical_aperture=aperture, wavelength=wavelength, spacing=spacing)


def test_a_rotated_gaussian_has_its_widths_along_its_directions() -> None:
    values = rotated_gaussian((2.0, 1.0), 30).values
    rows, columns = np.indices(values.shape) - len(values) // 2
    found = [np.sum(values * rows**2), np.sum(values * rows * columns), np.sum(values * columns**2)]
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    wanted = [4 * cosine**2 + sine**2, (4 - 1) * cosine * sine, 4 * sine**2 + cosine**2]
    assert found == pytest.approx(wanted, rel=1e-3)


def test_a_gaussian_rotated_by_0_degrees_is_the_one_along_the_axes() -> None:
    factors = (2.0, 2.0)
    straight = kernel_image(GaussianKernel((2.0, 1.2)), factors)
    oriented = kernel_image(rotated_gaussian((2.0, 1.2), 0), factors)
    rows, columns = ((len(oriented) - side) // 2 for side in straight.shape)
    middle = oriented[rows : len(oriented) - rows, columns : oriented.shape[1] - columns]
    np.testing.assert_allclose(middle, straight, atol=1e-6)
    np.testing.assert_allclose(rotated_gaussian((2.0, 1.2), 90).values, rotated_gaussian((1.2, 2.0), 0).values)


@pytest.mark.parametrize(("sigma", "angle"), [((1.0,), 0.0), ((1.0, -1.0), 0.0), ((1.0, 1.0), float("inf"))])
def test_an_impossible_rotated_gaussian_is_refused(sigma: tuple[float, float], angle: float) -> None:
    with pytest.raises(ValueError, match="needs two finite standard deviations, neither of them negative"):
        rotated_gaussian(sigma, angle)

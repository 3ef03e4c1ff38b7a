from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import center_of_mass

from napari_deep_prior.physics.gaussian_psf import rotated_gaussian
from napari_deep_prior.physics.kernels import (
    SMALLEST_SIGMA,
    Area,
    Bicubic,
    GaussianKernel,
    Kernel,
    Lanczos2,
    SampledKernel,
    cubic,
    kernel_image,
)

SEPARABLE = {
    "bicubic": Bicubic(),
    "lanczos": Lanczos2(),
    "area": Area(),
    "gaussian": GaussianKernel((0.7, 2.0)),
    "narrow": GaussianKernel((0.0, 0.1)),
    "sampled": SampledKernel(np.ones((3, 4))),
}
FACTORS = [1.5, 2.0, 3.0, 4.7]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kernel", SEPARABLE.values(), ids=SEPARABLE)
def test_weights_are_symmetric_largest_at_the_centre_and_0_beyond_the_reach(kernel: Kernel, factor: float) -> None:
    distance = np.linspace(0, 30, 3001)
    weights = kernel.weights(distance, 1, factor)
    np.testing.assert_allclose(weights, kernel.weights(-distance, 1, factor))
    assert weights[0] > 0
    assert weights.max() == pytest.approx(weights[0])
    reach = kernel.reach(1, factor)
    assert np.abs(weights[distance >= reach]).max() < 1e-5 * weights[0]
    assert np.abs(weights[(distance > 0.7 * reach) & (distance < reach)]).max() > 0


def test_cubic_interpolation_keeps_pixels_and_straight_lines() -> None:
    assert cubic(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 1, 0, 0]
    assert cubic(np.array([0.5, 1.5])).tolist() == [0.5625, -0.0625]
    pixels = np.arange(-3.0, 4.0)
    for position in (0.1, 0.5, 0.77):
        weights = cubic(pixels - position)
        assert weights.sum() == pytest.approx(1)
        assert weights @ pixels == pytest.approx(position)


def test_the_bicubic_kernel_is_the_cubic_scaled_by_the_factor() -> None:
    distance = np.linspace(-9, 9, 37)
    np.testing.assert_allclose(Bicubic().weights(distance, 0, 4.0), cubic(distance / 4))


def test_a_detector_weighs_pixels_by_their_overlap() -> None:
    # A detector of 1.5 pixels from edge 0 on: the first pixel, and half of the second.
    assert Area().weights(np.array([-0.25, 0.75, 1.75]), 0, 1.5).tolist() == [1, 0.5, 0]
    assert Area().weights(np.array([-1.0, 0.0, 1.0]), 0, 2.0).tolist() == [0.5, 1, 0.5]


def test_the_gaussian_has_its_own_width_along_each_axis_whatever_the_factor() -> None:
    kernel = GaussianKernel((1.0, 3.0))
    for factor in FACTORS:
        ratios = [float(kernel.weights(np.array([0.0, 3.0]), axis, factor) @ [0, 1]) for axis in (0, 1)]
        assert ratios == pytest.approx([np.exp(-4.5), np.exp(-0.5)])
    assert kernel.dimensions == 2


def test_a_gaussian_without_width_barely_shifts_between_pixels() -> None:
    pixels = np.arange(-4.0, 5.0)
    for position in np.linspace(0, 1, 21):
        weights = GaussianKernel((0.0,)).weights(pixels - position, 0, 2.0)
        assert weights @ pixels / weights.sum() == pytest.approx(position, abs=0.025)
    assert GaussianKernel((0.0,)).reach(0, 2.0) > SMALLEST_SIGMA


@pytest.mark.parametrize("sigma", [(), (-1.0, 1.0), (1.0, float("nan")), (float("inf"),)])
def test_an_impossible_width_of_a_gaussian_is_refused(sigma: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="it must be one finite number per axis, none of them negative"):
        GaussianKernel(sigma)


# Kernels that are images


@given(
    values=arrays(np.float64, array_shapes(min_dims=1, max_dims=3, max_side=6), elements=some.integers(0, 9)),
    exponent=some.integers(-300, 300),
)
def test_a_sampled_kernel_sums_to_one_around_its_centre_of_mass(values: np.ndarray, exponent: int) -> None:
    assume(values.any())
    scaled = values * 10.0**exponent
    before = scaled.copy()
    kernel = SampledKernel(scaled)
    assert kernel.dimensions == values.ndim
    assert kernel.values.sum() == pytest.approx(1)
    assert kernel.centre == pytest.approx(center_of_mass(values), abs=1e-9)
    np.testing.assert_array_equal(scaled, before)


def test_a_sampled_kernel_is_a_copy_that_cannot_be_changed() -> None:
    given = np.ones((3, 3))
    kernel = SampledKernel(given)
    given[:] = 7
    assert kernel.values[0, 0] == pytest.approx(1 / 9)
    with pytest.raises(ValueError, match="read-only"):
        kernel.values[0, 0] = 1


def test_a_sampled_kernel_can_have_its_mass_at_its_edge() -> None:
    for values in ([0.0, 0.1, 0.7], [0.1, 0.0, 0.0], [0.0, 0.0, 0.3]):
        edge = np.zeros((3, 3))
        edge[2] = values
        assert SampledKernel(edge).centre[0] == pytest.approx(2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 5)), r"the sum of the kernel \(3 × 5\) is 0; it must be positive"),
        (np.array([[1.0, -2.0]]), r"the sum of the kernel \(1 × 2\) is -1; it must be positive"),
        (np.array([[1.0, np.nan]]), "some are NaN or infinite"),
        (np.array([[1.0, np.inf]]), "some are NaN or infinite"),
        (np.zeros((0, 3)), "has no values"),
        (np.array([[-1.0, 0.5, 1.0]]), r"the centre of mass of the kernel \(1 × 3\) lies outside of it, at 0.0, 5.0"),
    ],
)
def test_values_that_are_no_kernel_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampledKernel(values)


def test_a_sampled_kernel_without_an_axis_is_summed_along_it(rng: np.random.Generator) -> None:
    values = rng.random((3, 4, 5))
    flat = SampledKernel(values).without((0,))
    np.testing.assert_allclose(flat.values, values.sum(axis=0, keepdims=True) / values.sum())
    assert flat.centre[1:] == pytest.approx(SampledKernel(values).centre[1:])
    np.testing.assert_allclose(SampledKernel(values).without(()).values, values / values.sum())


# As images


@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.0, 3.0), (1.5, 4.7)])
@pytest.mark.parametrize("kernel", SEPARABLE.values(), ids=SEPARABLE)
def test_the_image_of_a_kernel_is_odd_symmetric_and_sums_to_one(kernel: Kernel, factors: tuple[float, ...]) -> None:
    image = kernel_image(kernel, factors)
    assert image.ndim == 2
    assert all(side % 2 for side in image.shape)
    assert image.sum() == pytest.approx(1)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-12)
    assert image[image.shape[0] // 2, image.shape[1] // 2] > 0.9 * image.max()
    if factors[0] == 1:
        assert image.shape[0] == 1


def test_the_image_of_a_sampled_kernel_has_its_centre_of_mass_in_the_middle(rng: np.random.Generator) -> None:
    values = np.pad(rotated_gaussian((1.5, 1.0), 20).values, ((0, 3), (2, 0)))
    image = kernel_image(SampledKernel(values), (2.0, 2.0))
    assert center_of_mass(image) == pytest.approx([(side - 1) / 2 for side in image.shape])
    odd = rotated_gaussian((1.5, 1.0), 20)
    np.testing.assert_allclose(kernel_image(odd, (2.0, 2.0)), odd.values, atol=1e-9)
    assert kernel_image(SampledKernel(rng.random((3, 4, 5))), (2.0, 1.0, 2.0)).shape[1] == 1


def test_the_image_of_a_kernel_for_other_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="for 2 axes, but there are 3 factors"):
        kernel_image(GaussianKernel((1.0, 1.0)), (2.0, 2.0, 2.0))

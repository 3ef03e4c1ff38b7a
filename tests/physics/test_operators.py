from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, Kernel, Lanczos2, SampledKernel, cubic
from napari_deep_prior.physics.operators import CACHED, Downsample, Identity

ODD = np.random.default_rng(1).random((5, 7, 3)) ** 4
EVEN = np.random.default_rng(2).random((4, 6, 2)) ** 4
KERNELS: dict[str, Callable[[int], Kernel]] = {
    "bicubic": lambda _dimensions: Bicubic(),
    "lanczos": lambda _dimensions: Lanczos2(),
    "area": lambda _dimensions: Area(),
    "gaussian": lambda dimensions: GaussianKernel((1.3, 0.8, 1.0)[:dimensions]),
    "odd": lambda dimensions: SampledKernel(ODD if dimensions == 3 else ODD[..., 0]),
    "even": lambda dimensions: SampledKernel(EVEN if dimensions == 3 else EVEN[..., 0]),
    "point": lambda dimensions: SampledKernel(np.ones((1,) * dimensions)),
}
"""Kernels for an image of some number of axes; those of random values have their centre of mass between pixels."""

FACTORS = [(2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (1.5, 1.5), (2.0, 3.0), (1.0, 2.0, 3.0)]
every_kernel = pytest.mark.parametrize("make", KERNELS.values(), ids=KERNELS)
every_factor = pytest.mark.parametrize("factors", FACTORS, ids=str)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def blob(shape: tuple[int, ...], place: tuple[float, ...], sigma: tuple[float, ...]) -> torch.Tensor:
    """Return a Gaussian spot (1, 1, *S) at a place in pixels from the outer edges of an image."""
    grid = np.indices(shape) + 0.5
    far = [(axis - middle) / width for axis, middle, width in zip(grid, place, sigma, strict=True)]
    return torch.from_numpy(np.exp(-np.square(far).sum(axis=0) / 2)).float()[None, None]


def place_of(image: torch.Tensor) -> np.ndarray:
    """Return the centre of mass of an image (1, 1, *S), in its pixels from its outer edges."""
    values = image[0, 0].double().numpy()
    return np.array(ndimage.center_of_mass(values)) + 0.5


def centres(length: int, factor: float) -> np.ndarray:
    """Return where pixels ``factor`` wide have their centres on an axis, in pixels from the centre of its first."""
    return (np.arange(length) + 0.5) * factor - 0.5


def mirrored(image: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(image, margin, mode="symmetric")


def test_the_identity_measures_the_image_itself() -> None:
    image = random(1, 2, 5, 7)
    assert torch.equal(Identity()(image), image)
    assert Identity().image_shape((5, 7)) == (5, 7)


# Where things are


@every_factor
@every_kernel
def test_objects_keep_their_position(make: Callable[[int], Kernel], factors: tuple[float, ...]) -> None:
    operator = Downsample(factors, make(len(factors)))
    shape, place, sigma = ((61, 73), (29.3, 36.1), (5.0, 6.0))
    if len(factors) == 3:
        shape, place, sigma = (12, *shape), (5.8, *place), (1.5, *sigma)
    measured = operator(blob(shape, place, sigma))
    assert place_of(measured) == pytest.approx(np.array(place) / factors, abs=0.02)
    enlarged = place_of(operator.interpolate(measured)) / factors
    assert enlarged == pytest.approx(np.array(place) / factors, abs=0.02)


@pytest.mark.parametrize("factor", [2.0, 3.0, 4.0])
@pytest.mark.parametrize("shape", [(4, 4), (4, 5), (5, 5), (7, 2)])
def test_a_sampled_kernel_of_any_size_does_not_shift_the_image(shape: tuple[int, int], factor: float) -> None:
    # Its mass lies in a corner, which is the only thing by which it differs from an uncentred kernel.
    values = np.zeros(shape)
    values[0, 0], values[1, 0], values[0, 1] = 4, 2, 1
    operator = Downsample((factor, factor), SampledKernel(values))
    measured = operator(blob((60, 60), (30.2, 29.4), (5.0, 5.0)))
    assert place_of(measured) == pytest.approx(np.array([30.2, 29.4]) / factor, abs=0.02)


def test_a_sampled_kernel_is_the_image_of_a_point() -> None:
    # Asymmetric, its centre of mass on its middle pixel.
    profile = np.array([1, 2, 0, 4, 1, 0, 2.0])
    kernel = SampledKernel(np.outer(profile, profile[::-1]))
    image = torch.zeros(1, 1, 33, 33, dtype=torch.float64)
    image[0, 0, 16, 16] = 1
    wanted = np.zeros((11, 11))
    # The point lies in the middle of measured pixel 5, its neighbours see what falls three pixels beside it.
    wanted[4:7, 4:7] = kernel.values[::3, ::3]
    measured = Downsample((3.0, 3.0), kernel)(image)
    np.testing.assert_allclose(measured[0, 0].numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.5, 4.0), (2.3, 1.1), (3.0, 3.0, 2.0)])
def test_lengths_of_image_and_measurement_belong_together(factors: tuple[float, ...]) -> None:
    operator = Downsample(factors, Area())
    image = random(1, 1, *(11, 13, 6)[: len(factors)])
    measured = operator(image)
    assert tuple(measured.shape[2:]) == operator.measured_shape(tuple(image.shape[2:]))
    enlarged = operator.interpolate(measured)
    assert tuple(enlarged.shape[2:]) == operator.image_shape(tuple(measured.shape[2:]))
    assert operator(enlarged).shape == measured.shape


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-9, 1.001, 1.1, 1.2, 4 / 3, 1.5, 1.7, 2.0, np.e, 3.3, 4.0, 8.0, 100.3])
def test_the_length_of_an_image_leads_back_to_that_of_its_measurement(factor: float) -> None:
    operator = Downsample((factor,), Area())
    for measured in (*range(1, 300), 999, 1000, 4096, 16385):
        (length,) = operator.image_shape((measured,))
        assert operator.measured_shape((length,)) == (measured,)
        assert factor * measured - 1 < length <= factor * measured + 1e-3


def test_a_factor_that_is_no_exact_float_loses_no_pixel() -> None:
    assert Downsample((1.1, 1.2), Area()).image_shape((30, 5)) == (33, 6)
    assert Downsample((1.1, 1.2), Area()).measured_shape((33, 6)) == (30, 5)


# What is measured


@every_factor
@every_kernel
def test_constants_stay_constant_up_to_the_border(make: Callable[[int], Kernel], factors: tuple[float, ...]) -> None:
    operator = Downsample(factors, make(len(factors)))
    image = torch.full((1, 1, *(5, 17, 22)[-len(factors) :]), 0.7)
    measured = operator(image)
    torch.testing.assert_close(measured, torch.full_like(measured, 0.7))
    enlarged = operator.interpolate(measured)
    torch.testing.assert_close(enlarged, torch.full_like(enlarged, 0.7))


@pytest.mark.parametrize("factors", [(2.0, 3.0), (4.0, 2.0), (1.5, 2.5)], ids=str)
@every_kernel
def test_ramps_stay_ramps_inside(make: Callable[[int], Kernel], factors: tuple[float, float]) -> None:
    operator = Downsample(factors, make(2))
    image = torch.from_numpy(0.3 * np.arange(84.0)[:, None] - 0.2 * np.arange(96.0))[None, None]
    measured = operator(image)[0, 0].numpy()
    rows, columns = (centres(*axis) for axis in zip(measured.shape, factors, strict=True))
    wanted = 0.3 * rows[:, None] - 0.2 * columns
    # A detector whose edges cut through pixels takes them to be flat: so far from its centre can their mean lie.
    tolerance = 1e-6 if np.array_equal(factors, np.round(factors)) else 0.05
    inside = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(measured[inside], wanted[inside], atol=tolerance, rtol=0)


@pytest.mark.parametrize("factors", [(2.0, 3.0), (1.5, 2.5), (1.1, 4.0)], ids=str)
def test_enlarged_ramps_are_ramps_inside(factors: tuple[float, float]) -> None:
    measured = torch.from_numpy(0.3 * np.arange(30.0)[:, None] - 0.2 * np.arange(20.0))[None, None]
    enlarged = Downsample(factors, Area()).interpolate(measured)[0, 0].numpy()
    rows, columns = (centres(length, 1 / factor) for length, factor in zip(enlarged.shape, factors, strict=True))
    wanted = 0.3 * rows[:, None] - 0.2 * columns
    inside = (slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(enlarged[inside], wanted[inside], atol=1e-9)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_agrees_with_pillow_inside(factor: int) -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((72, 96)), 1).astype(np.float32)
    pillow = np.asarray(Image.fromarray(image).resize((96 // factor, 72 // factor), Image.Resampling.BICUBIC))
    measured = Downsample((factor, factor), Bicubic())(torch.from_numpy(image)[None, None])[0, 0].numpy()
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(measured[inside], pillow[inside], atol=1e-5 * np.ptp(image))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarging_agrees_with_pillow_inside(factor: int) -> None:
    measured = random(20, 24).numpy()
    pillow = np.asarray(Image.fromarray(measured).resize((24 * factor, 20 * factor), Image.Resampling.BICUBIC))
    enlarged = Downsample((factor, factor), Area()).interpolate(torch.from_numpy(measured)[None, None])[0, 0].numpy()
    inside = (slice(3 * factor, -3 * factor), slice(3 * factor, -3 * factor))
    np.testing.assert_allclose(enlarged[inside], pillow[inside], atol=1e-5)


@pytest.mark.parametrize("factors", [(2, 3), (4, 2), (2, 3, 2)], ids=str)
def test_a_detector_of_whole_pixels_takes_the_mean_of_blocks(factors: tuple[int, ...]) -> None:
    image = random(1, 2, *(12, 18, 8)[: len(factors)])
    blocks = image.numpy()
    for axis, factor in enumerate(factors, start=2):
        blocks = np.stack([block.mean(axis) for block in np.split(blocks, blocks.shape[axis] // factor, axis)], axis)
    torch.testing.assert_close(Downsample(factors, Area())(image), torch.from_numpy(blocks))


def test_a_detector_cuts_pixels_where_its_edges_are() -> None:
    image = torch.tensor([6.0, 12.0, 30.0, 60.0, 90.0]).reshape(1, 1, 5, 1)
    measured = Downsample((2.5, 1.0), Area())(image)
    assert measured.flatten().tolist() == pytest.approx([(6 + 12 + 15) / 2.5, (15 + 60 + 90) / 2.5])


def lanczos(distance: float) -> float:
    return float(np.sinc(distance) * np.sinc(distance / 2)) if abs(distance) < 2 else 0.0


@pytest.mark.parametrize(
    ("kernel", "weight"),
    [
        (Lanczos2(), lambda distance, factor: lanczos(distance / factor)),
        (Bicubic(), lambda distance, factor: float(cubic(np.array(distance / factor)))),
        (GaussianKernel((1.7,)), lambda distance, _factor: np.exp(-(distance**2) / (2 * 1.7**2))),
    ],
    ids=["lanczos", "bicubic", "gaussian"],
)
@pytest.mark.parametrize(("length", "factor"), [(24, 2.0), (23, 3.0), (24, 1.7), (9, 4.0), (3, 8.0)])
def test_a_measured_pixel_is_the_weighted_mean_of_the_mirrored_image(
    kernel: Kernel, weight: Callable[[float, float], float], length: int, factor: float
) -> None:
    image = random(length).double().numpy()
    margin = 60
    endless = mirrored(image, margin)
    wanted = []
    for pixel in range(int(np.ceil(length / factor))):
        centre = (pixel + 0.5) * factor - 0.5
        weights = np.array([weight(place - margin - centre, factor) for place in range(len(endless))])
        wanted.append(weights @ endless / weights.sum())
    measured = Downsample((factor,), kernel)(torch.from_numpy(image)[None, None])
    np.testing.assert_allclose(measured.flatten().numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("shape", [(21, 24), (2, 3), (1, 1)])
def test_a_sampled_kernel_blurs_the_mirrored_image(shape: tuple[int, int]) -> None:
    # Asymmetric, its centre of mass on its middle pixel, which is where the centres of 3 × 3 pixels are.
    profile = np.array([0, 2, 5, 0, 1.0])
    values = np.outer(profile, profile[::-1])
    image = random(*shape).double()
    margin = 30
    endless = mirrored(image.numpy(), margin)
    full = ndimage.convolve(endless, values / values.sum())[margin:, margin:]
    rows, columns = (int(np.ceil(side / 3)) for side in shape)
    measured = Downsample((3.0, 3.0), SampledKernel(values))(image[None, None])
    np.testing.assert_allclose(measured[0, 0].numpy(), full[1::3, 1::3][:rows, :columns], atol=1e-12)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (3.0, 2.0), (2.0, 3.0, 4.0)], ids=str)
def test_a_kernel_of_ones_as_wide_as_the_detector_is_the_detector(factors: tuple[float, ...]) -> None:
    image = random(1, 1, *(13, 16, 9)[: len(factors)])
    kernel = SampledKernel(np.ones([int(factor) for factor in factors]))
    torch.testing.assert_close(Downsample(factors, kernel)(image), Downsample(factors, Area())(image))


@every_kernel
def test_along_an_axis_of_factor_one_nothing_happens(make: Callable[[int], Kernel]) -> None:
    image = random(1, 1, 6, 20)
    operator = Downsample((1.0, 2.0), make(2))
    measured = operator(image)
    for row in range(6):
        torch.testing.assert_close(operator(image[:, :, row : row + 1]), measured[:, :, row : row + 1])
    torch.testing.assert_close(operator.interpolate(measured)[:, :, :1], operator.interpolate(measured[:, :, :1]))
    torch.testing.assert_close(Downsample((1.0, 1.0), make(2))(image), image)


@every_kernel
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (17, 13), (1, 1, 1), (2, 5, 7)])
def test_images_of_any_size_are_measured_and_enlarged(make: Callable[[int], Kernel], shape: tuple[int, ...]) -> None:
    operator = Downsample((2.0, 3.0, 1.5)[: len(shape)], make(len(shape)))
    measured = operator(random(1, 1, *shape))
    assert tuple(measured.shape[2:]) == operator.measured_shape(shape)
    assert torch.isfinite(operator.interpolate(measured)).all()


@pytest.mark.parametrize("kernel", [Bicubic(), Area(), GaussianKernel((1.0, 1.0))])
def test_long_axes_are_measured_like_short_ones(kernel: Kernel) -> None:
    image = random(1, 1, 3, 1203)
    operator = Downsample((1.0, 1.5), kernel)
    measured, part = operator(image), operator(image[..., 300:900])
    torch.testing.assert_close(measured[..., 220:580], part[..., 20:380])
    enlarged = operator.interpolate(image)
    torch.testing.assert_close(enlarged[..., 600:1200], operator.interpolate(image[..., 200:1000])[..., 300:900])


@every_kernel
def test_images_of_a_batch_are_measured_independently(make: Callable[[int], Kernel]) -> None:
    images = random(3, 2, 12, 15)
    operator = Downsample((2.0, 1.5), make(2))
    measured, enlarged = operator(images), operator.interpolate(images)
    for number in range(3):
        torch.testing.assert_close(measured[number : number + 1], operator(images[number : number + 1]))
        torch.testing.assert_close(enlarged[number : number + 1], operator.interpolate(images[number : number + 1]))


# Gradients


@every_factor
@every_kernel
def test_the_gradient_is_the_adjoint(make: Callable[[int], Kernel], factors: tuple[float, ...]) -> None:
    operator = Downsample(factors, make(len(factors)))
    shape = (3, 11, 14)[-len(factors) :]
    image, elsewhere = random(1, 2, *shape).double(), random(1, 2, *shape, seed=1).double().requires_grad_()
    measured = operator(image)
    weights = random(*measured.shape, seed=2).double()
    (operator(elsewhere) * weights).sum().backward()
    assert float((measured * weights).sum()) == pytest.approx(float((image * elsewhere.grad).sum()), rel=1e-9)


@every_kernel
def test_measurements_keep_the_type_and_have_its_precision(make: Callable[[int], Kernel]) -> None:
    operator = Downsample((2.0, 1.5), make(2))
    single = random(1, 1, 30, 40)
    for work in (operator, operator.interpolate):
        assert work(single).dtype == torch.float32
        torch.testing.assert_close(work(single).double(), work(single.double()), atol=1e-6, rtol=1e-6)


@every_kernel
def test_tables_made_in_inference_mode_can_be_used_in_a_fit(make: Callable[[int], Kernel]) -> None:
    operator = Downsample((2.0, 2.0), make(2))
    with torch.inference_mode():
        operator.interpolate(operator(random(1, 1, 8, 8)))
    image = random(1, 1, 8, 8).requires_grad_()
    operator(image).sum().backward()
    assert float(image.grad.sum()) == pytest.approx(16, abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="only CUDA adds up in no fixed order")
def test_gradients_are_the_same_every_time() -> None:
    for make in KERNELS.values():
        operator = Downsample((2.0, 1.5), make(2))
        gradients = []
        for _ in range(5):
            image = random(1, 3, 300, 400).cuda().requires_grad_()
            operator.interpolate(operator(image)).square().sum().backward()
            gradients.append(image.grad)
        assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


# What the operator keeps


def test_measuring_and_enlarging_between_equal_lengths_are_not_mixed_up() -> None:
    image = random(1, 1, 5, 5)
    operator = Downsample((1.1, 1.1), GaussianKernel((1.0, 1.0)))
    measured = operator(image)
    assert measured.shape == image.shape == operator.interpolate(image).shape
    torch.testing.assert_close(operator.interpolate(image), Downsample((1.1, 1.1), Area()).interpolate(image))
    assert not torch.allclose(operator.interpolate(image), measured)


def test_the_number_of_tables_is_bounded() -> None:
    operator = Downsample((2.0, 2.0), SampledKernel(np.ones((3, 3))))
    for length in range(1, 3 * CACHED):
        operator(torch.zeros(1, 1, 2, length))
        assert len(operator._tables) <= CACHED


def test_operators_are_equal_if_their_factors_and_kernels_are() -> None:
    used, fresh = Downsample((2.0, 2.0), Bicubic()), Downsample((2.0, 2.0), Bicubic())
    used(torch.zeros(1, 1, 4, 4))
    assert used == fresh
    assert used != Downsample((2.0, 2.0), Area())
    assert repr(used) == "Downsample(factors=(2.0, 2.0), kernel=Bicubic())"
    other = dataclasses.replace(used, kernel=Area())
    image = random(1, 1, 4, 4)
    torch.testing.assert_close(other(image), Downsample((2.0, 2.0), Area())(image))


# What is refused


@pytest.mark.parametrize("factors", [(), (0.5, 2.0), (2.0, float("nan")), (float("inf"), 2.0), (-2.0, 2.0)])
def test_factors_below_one_are_refused(factors: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="each must be a finite number of at least 1"):
        Downsample(factors, Bicubic())


@pytest.mark.parametrize("kernel", [SampledKernel(np.ones((3, 3))), GaussianKernel((1.0, 1.0))])
def test_a_kernel_for_another_number_of_axes_is_refused(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match=r"for 2 axes, but the factors \(1.0, 2.0, 2.0\) are for 3"):
        Downsample((1.0, 2.0, 2.0), kernel)


def test_an_image_of_another_number_of_axes_is_refused() -> None:
    operator = Downsample((2.0, 2.0), Bicubic())
    for work in (operator, operator.interpolate):
        with pytest.raises(ValueError, match=r"3 spatial axes, but the factors \(2.0, 2.0\) are for 2"):
            work(torch.zeros(1, 1, 4, 4, 4))

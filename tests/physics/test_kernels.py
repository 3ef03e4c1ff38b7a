from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from scipy.io import savemat
from scipy.optimize import brentq
from scipy.special import j1

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
    optical_gaussian,
    parse_kernel,
    read_kernel,
    turned_gaussian,
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
WRITERS = {
    ".npy": np.save,
    ".tif": tifffile.imwrite,
    ".tiff": tifffile.imwrite,
    ".png": imageio.imwrite,
    ".mat": lambda path, values: savemat(path, {"kernel": values}),
}


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kernel", SEPARABLE.values(), ids=SEPARABLE)
def test_weights_are_symmetric_greatest_in_the_middle_and_end_where_the_reach_does(
    kernel: Kernel, factor: float
) -> None:
    distance = np.linspace(0, 30, 3001)
    weights = kernel.weights(distance, 1, factor)
    np.testing.assert_allclose(weights, kernel.weights(-distance, 1, factor))
    assert weights[0] > 0
    assert weights.max() == pytest.approx(weights[0])
    reach = kernel.reach(1, factor)
    assert np.abs(weights[distance >= reach]).max() < 1e-5 * weights[0]
    assert np.abs(weights[(distance > 0.7 * reach) & (distance < reach)]).max() > 0


def test_the_cubic_hits_pixels_and_keeps_straight_lines() -> None:
    assert cubic(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 1, 0, 0]
    assert cubic(np.array([0.5, 1.5])).tolist() == [0.5625, -0.0625]
    pixels = np.arange(-3.0, 4.0)
    for position in (0.1, 0.5, 0.77):
        weights = cubic(pixels - position)
        assert weights.sum() == pytest.approx(1)
        assert weights @ pixels == pytest.approx(position)


def test_the_bicubic_kernel_is_the_cubic_stretched_over_the_measured_pixel() -> None:
    distance = np.linspace(-9, 9, 37)
    np.testing.assert_allclose(Bicubic().weights(distance, 0, 4.0), cubic(distance / 4))


def test_a_detector_weighs_pixels_by_the_area_that_it_shares_with_them() -> None:
    # A detector of 1.5 pixels from edge 0 on: the first pixel, and half of the second.
    assert Area().weights(np.array([-0.25, 0.75, 1.75]), 0, 1.5).tolist() == [1, 0.5, 0]
    assert Area().weights(np.array([-1.0, 0.0, 1.0]), 0, 2.0).tolist() == [0.5, 1, 0.5]


def test_the_gaussian_has_its_own_width_along_each_axis_whatever_the_factor() -> None:
    kernel = GaussianKernel((1.0, 3.0))
    for factor in FACTORS:
        ratios = [float(kernel.weights(np.array([0.0, 3.0]), axis, factor) @ [0, 1]) for axis in (0, 1)]
        assert ratios == pytest.approx([np.exp(-4.5), np.exp(-0.5)])
    assert kernel.dimensions == 2


def test_a_gaussian_of_no_width_still_finds_pixels() -> None:
    pixels = np.arange(-4.0, 5.0)
    for position in np.linspace(0, 1, 21):
        weights = GaussianKernel((0.0,)).weights(pixels - position, 0, 2.0)
        assert weights @ pixels / weights.sum() == pytest.approx(position, abs=0.025)
    assert GaussianKernel((0.0,)).reach(0, 2.0) > SMALLEST_SIGMA


@pytest.mark.parametrize("sigma", [(), (-1.0, 1.0), (1.0, float("nan")), (float("inf"),)])
def test_a_gaussian_without_a_width_is_refused(sigma: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="it must be one finite number per axis, none of them negative"):
        GaussianKernel(sigma)


# Kernels that are images


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_a_sampled_kernel_sums_to_one_and_knows_its_centre(scale: float) -> None:
    given = np.zeros((4, 7))
    given[1, 2], given[3, 6] = 3 * scale, 1 * scale
    kernel = SampledKernel(given)
    assert kernel.values.sum() == pytest.approx(1)
    assert kernel.centre == pytest.approx((1.5, 3.0))
    assert kernel.dimensions == 2
    assert given[1, 2] == 3 * scale


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
def test_an_image_that_is_no_kernel_is_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampledKernel(values)


def test_a_sampled_kernel_without_an_axis_is_summed_along_it(rng: np.random.Generator) -> None:
    values = rng.random((3, 4, 5))
    flat = SampledKernel(values).without((0,))
    np.testing.assert_allclose(flat.values, values.sum(axis=0, keepdims=True) / values.sum())
    assert flat.centre[1:] == pytest.approx(SampledKernel(values).centre[1:])
    np.testing.assert_allclose(SampledKernel(values).without(()).values, values / values.sum())


# The focus of a lens


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


def test_an_impossible_lens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"aperture is 1.4 and the refractive index 1.0; .* oil 1.515"):
        optical_gaussian(numerical_aperture=1.4, wavelength=0.5, spacing=(0.1, 0.1, 0.1))
    for aperture, wavelength, spacing in [(0, 1, (1, 1)), (1, -1, (1, 1)), (1, 1, (0, 1)), (1, 1, (1,))]:
        with pytest.raises(ValueError, match="must be positive"):
            optical_gaussian(numerical_aperture=aperture, wavelength=wavelength, spacing=spacing)


# Turned Gaussians, pictures and texts


def test_a_turned_gaussian_has_its_widths_along_its_directions() -> None:
    values = turned_gaussian((2.0, 1.0), 30).values
    rows, columns = np.indices(values.shape) - len(values) // 2
    found = [np.sum(values * rows**2), np.sum(values * rows * columns), np.sum(values * columns**2)]
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    wanted = [4 * cosine**2 + sine**2, (4 - 1) * cosine * sine, 4 * sine**2 + cosine**2]
    assert found == pytest.approx(wanted, rel=1e-3)


def test_a_gaussian_that_is_not_turned_is_the_one_along_the_axes() -> None:
    factors = (2.0, 2.0)
    straight = kernel_image(GaussianKernel((2.0, 1.2)), factors)
    oriented = kernel_image(turned_gaussian((2.0, 1.2), 0), factors)
    rows, columns = ((len(oriented) - side) // 2 for side in straight.shape)
    middle = oriented[rows : len(oriented) - rows, columns : oriented.shape[1] - columns]
    np.testing.assert_allclose(middle, straight, atol=1e-6)
    np.testing.assert_allclose(turned_gaussian((2.0, 1.2), 90).values, turned_gaussian((1.2, 2.0), 0).values)


@pytest.mark.parametrize(("sigma", "angle"), [((1.0,), 0.0), ((1.0, -1.0), 0.0), ((1.0, 1.0), float("inf"))])
def test_a_turned_gaussian_that_is_none_is_refused(sigma: tuple[float, float], angle: float) -> None:
    with pytest.raises(ValueError, match="needs two finite numbers, none of them negative, and an angle"):
        turned_gaussian(sigma, angle)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.0, 3.0), (1.5, 4.7)])
@pytest.mark.parametrize("kernel", SEPARABLE.values(), ids=SEPARABLE)
def test_the_picture_of_a_kernel_is_odd_symmetric_and_sums_to_one(kernel: Kernel, factors: tuple[float, ...]) -> None:
    picture = kernel_image(kernel, factors)
    assert picture.ndim == 2
    assert all(side % 2 for side in picture.shape)
    assert picture.sum() == pytest.approx(1)
    np.testing.assert_allclose(picture, picture[::-1, ::-1], atol=1e-12)
    assert picture[picture.shape[0] // 2, picture.shape[1] // 2] > 0.9 * picture.max()
    if factors[0] == 1:
        assert picture.shape[0] == 1


def test_the_picture_of_a_kernel_image_has_its_centre_of_mass_in_the_middle(rng: np.random.Generator) -> None:
    values = np.pad(turned_gaussian((1.5, 1.0), 20).values, ((0, 3), (2, 0)))
    picture = kernel_image(SampledKernel(values), (2.0, 2.0))
    centre = [(picture * place).sum() for place in np.indices(picture.shape)]
    assert centre == pytest.approx([(side - 1) / 2 for side in picture.shape])
    odd = turned_gaussian((1.5, 1.0), 20)
    np.testing.assert_allclose(kernel_image(odd, (2.0, 2.0)), odd.values, atol=1e-9)
    assert kernel_image(SampledKernel(rng.random((3, 4, 5))), (2.0, 1.0, 2.0)).shape[1] == 1


def test_the_picture_of_a_kernel_for_other_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="for 2 axes, but there are 3 factors"):
        kernel_image(GaussianKernel((1.0, 1.0)), (2.0, 2.0, 2.0))


def test_kernels_are_read_from_texts(tmp_path: Path) -> None:
    assert parse_kernel("bicubic") == Bicubic()
    assert parse_kernel(" Lanczos ", dimensions=3) == Lanczos2()
    assert parse_kernel("area") == Area()
    assert parse_kernel("gaussian:1.2") == GaussianKernel((1.2, 1.2))
    assert parse_kernel("gaussian: 1.2, 0.8") == GaussianKernel((1.2, 0.8))
    assert parse_kernel("gaussian:1.2", dimensions=3) == GaussianKernel((1.2,) * 3)
    assert parse_kernel("gaussian:1,2,3", dimensions=3) == GaussianKernel((1.0, 2.0, 3.0))
    oriented = parse_kernel("gaussian:1.2,0.8,30")
    assert isinstance(oriented, SampledKernel)
    np.testing.assert_array_equal(oriented.values, turned_gaussian((1.2, 0.8), 30).values)
    lens = {"numerical_aperture": 1.3, "wavelength": 0.52}
    optical = parse_kernel("optical:NA=1.3,wavelength=0.52,pixel=0.1")
    assert optical == optical_gaussian(spacing=(0.1, 0.1), **lens)
    deep = parse_kernel("optical:NA=1.3, wavelength=0.52, pixel=0.1, step=0.3, index=1.515", dimensions=3)
    assert deep == optical_gaussian(spacing=(0.3, 0.1, 0.1), refractive_index=1.515, **lens)
    np.save(tmp_path / "k.npy", np.eye(3))
    read = parse_kernel(str(tmp_path / "k.npy"))
    assert isinstance(read, SampledKernel)
    np.testing.assert_allclose(read.values, np.eye(3) / 3)


@pytest.mark.parametrize(
    ("text", "dimensions", "message"),
    [
        ("", 2, "'' is neither a kernel nor a file: give bicubic"),
        ("gauss:1", 2, "neither a kernel nor a file"),
        ("gaussian", 2, "has '' where a number is needed"),
        ("gaussian:wide", 2, "has 'wide' where a number is needed"),
        ("gaussian:1,2,3,4", 2, "has 4 numbers; an image of 2 axes needs"),
        ("gaussian:1,2", 3, "has 2 numbers; an image of 3 axes needs"),
        ("gaussian:-1", 2, "none of them negative"),
        ("gaussian:nan,1,0", 2, "none of them negative"),
        ("optical:NA=1.3", 2, "lacks wavelength, pixel: give"),
        ("optical:NA=1.3,wavelength=0.52,pixel=0.1", 3, "lacks step, index"),
        ("optical:NA=1.3,colour=green,pixel=0.1", 2, "has 'colour=green'; it can have na, wavelength"),
        ("optical:NA=high,wavelength=0.52,pixel=0.1", 2, "has 'high' where a number is needed"),
        ("optical:NA=0,wavelength=0.52,pixel=0.1", 2, "must be positive"),
        ("absent.mat", 2, "there is no file 'absent.mat'"),
    ],
)
def test_texts_that_are_no_kernels_are_refused_in_a_sentence(text: str, dimensions: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_kernel(text, dimensions=dimensions)


# Files


@pytest.mark.parametrize("ending", WRITERS)
def test_a_kernel_is_read_from_every_kind_of_file(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    values = rng.integers(0, 255, (5, 8)).astype(np.uint8)
    path = tmp_path / f"Kernel{ending.upper()}"
    WRITERS[ending](tmp_path / f"kernel{ending}", values)
    (tmp_path / f"kernel{ending}").rename(path)
    read = read_kernel(path)
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("ending", [".npy", ".tif", ".mat"])
def test_a_kernel_of_a_volume_keeps_its_values(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    values = rng.random((5, 6, 7)).astype(np.float32)
    WRITERS[ending](tmp_path / f"kernel{ending}", values)
    np.testing.assert_array_equal(read_kernel(tmp_path / f"kernel{ending}"), values)


@pytest.mark.parametrize(
    "content",
    [
        {"image": np.ones((9, 9)), "myKernel": np.eye(3)},
        {"KERNEL": np.eye(3), "image": np.ones((9, 9))},
        {"scale": 2.0, "sizes": [3, 3], "name": "a kernel", "k": np.eye(3), "image": np.ones((9, 9))},
        {"volume": np.ones((4, 4, 4)), "k": np.eye(3)},
        {"kernel_names": "cubic", "kernel_scale": 4, "k": np.eye(3)},
    ],
)
def test_the_kernel_of_a_matlab_file_is_found(tmp_path: Path, content: dict[str, object]) -> None:
    savemat(tmp_path / "k.mat", content)
    np.testing.assert_array_equal(read_kernel(tmp_path / "k.mat"), np.eye(3))


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_the_colours_of_a_png_are_averaged_without_its_opacity(tmp_path: Path, samples: int) -> None:
    pixels = np.full((3, 4, samples), 255, np.uint8)
    colours = samples - (samples in (2, 4))
    pixels[..., :colours] = np.arange(colours) * 30 + 10
    imageio.imwrite(tmp_path / "k.png", pixels)
    np.testing.assert_allclose(read_kernel(tmp_path / "k.png"), np.full((3, 4), np.mean(np.arange(colours) * 30 + 10)))


@pytest.mark.parametrize("content", [{"scale": 2.0}, {"kernel": "cubic"}, {"kernel": np.eye(3) * 1j}, {}])
def test_a_matlab_file_without_a_kernel_is_refused(tmp_path: Path, content: dict[str, object]) -> None:
    savemat(tmp_path / "k.mat", content)
    with pytest.raises(ValueError, match=f"no array of two or three axes .* but {next(iter(content), 'nothing')}"):
        read_kernel(tmp_path / "k.mat")


def test_a_file_of_matlab_7_3_is_refused_with_the_remedy(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "k.mat").write_bytes(header.ljust(512, b"\0"))
    with pytest.raises(ValueError, match="'-v7'"):
        read_kernel(tmp_path / "k.mat")


@pytest.mark.parametrize("length", [0, 3, 60, 150])
@pytest.mark.parametrize("ending", WRITERS)
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, ending: str, length: int) -> None:
    path = tmp_path / f"kernel{ending}"
    WRITERS[ending](path, np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"cannot read .*kernel{ending}' as a kernel: "):
        read_kernel(path)


def test_a_header_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel.npy"
    np.save(path, np.ones((3, 3)))
    path.write_bytes(path.read_bytes().replace(b"(3, 3), }" + 11 * b" ", b"(3, 300000000000), }"))
    with pytest.raises(ValueError, match="as a kernel: "):
        read_kernel(path)


def test_what_is_no_kernel_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*absent.npy"):
        read_kernel(tmp_path / "absent.npy")
    (tmp_path / "kernel.txt").write_text("1 2 1")
    with pytest.raises(ValueError, match=r"ends in none of .mat, .npy, .tif, .tiff, .png"):
        read_kernel(tmp_path / "kernel.txt")
    np.save(tmp_path / "words.npy", np.array([["a", "b"]]))
    with pytest.raises(ValueError, match="no real numbers"):
        read_kernel(tmp_path / "words.npy")
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    with pytest.raises(ValueError, match="as a kernel"):
        read_kernel(tmp_path / "objects.npy")

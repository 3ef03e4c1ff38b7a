"""Kernels from texts and from files."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy.io import savemat

from napari_deep_prior.files.kernels import parse_kernel, read_kernel
from napari_deep_prior.physics.gaussian_psf import optical_gaussian, rotated_gaussian
from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, Lanczos2, SampledKernel

WRITERS = {
    ".npy": np.save,
    ".tif": tifffile.imwrite,
    ".tiff": tifffile.imwrite,
    ".png": imageio.imwrite,
    ".mat": lambda path, values: savemat(path, {"kernel": values}),
}


def test_kernels_are_read_from_texts(tmp_path: Path) -> None:
    assert parse_kernel("bicubic") == Bicubic()
    assert parse_kernel(" Lanczos ", dimensions=3) == Lanczos2()
    assert parse_kernel("area") == Area()
    oriented = parse_kernel("gaussian:1.2,0.8,30")
    assert isinstance(oriented, SampledKernel)
    np.testing.assert_array_equal(oriented.values, rotated_gaussian((1.2, 0.8), 30).values)
    lens = {"numerical_aperture": 1.3, "wavelength": 0.52}
    optical = parse_kernel("optical:NA=1.3,wavelength=0.52,pixel=0.1")
    assert optical == optical_gaussian(spacing=(0.1, 0.1), **lens)
    deep = parse_kernel("optical:NA=1.3, wavelength=0.52, pixel=0.1, step=0.3, index=1.515", dimensions=3)
    assert deep == optical_gaussian(spacing=(0.3, 0.1, 0.1), refractive_index=1.515, **lens)
    np.save(tmp_path / "k.npy", np.eye(3))
    read = parse_kernel(str(tmp_path / "k.npy"))
    assert isinstance(read, SampledKernel)
    np.testing.assert_allclose(read.values, np.eye(3) / 3)


@given(
    sigma=some.lists(some.floats(0, 1e3), min_size=1, max_size=3),
    dimensions=some.sampled_from([2, 3]),
    separator=some.sampled_from([",", ", "]),
)
def test_a_gaussian_takes_one_number_or_one_per_axis(sigma: list[float], dimensions: int, separator: str) -> None:
    assume(len(sigma) in (1, dimensions))
    kernel = parse_kernel(f"gaussian:{separator.join(map(repr, sigma))}", dimensions=dimensions)
    assert kernel == GaussianKernel(tuple(sigma if len(sigma) == dimensions else sigma * dimensions))


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
        ("gaussian:nan,1,0", 2, "neither of them negative"),
        ("optical:NA=1.3", 2, "lacks wavelength, pixel: give"),
        ("optical:NA=1.3,wavelength=0.52,pixel=0.1", 3, "lacks step, index"),
        ("optical:NA=1.3,colour=green,pixel=0.1", 2, "has 'colour=green'; it can have na, wavelength"),
        ("optical:NA=high,wavelength=0.52,pixel=0.1", 2, "has 'high' where a number is needed"),
        ("optical:NA=0,wavelength=0.52,pixel=0.1", 2, "must be positive"),
        ("absent.mat", 2, "there is no file 'absent.mat'"),
    ],
)
def test_texts_that_describe_no_kernel_are_refused_with_a_sentence(text: str, dimensions: int, message: str) -> None:
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


@pytest.mark.parametrize("length", [0, 60, 150])
@pytest.mark.parametrize("ending", WRITERS)
def test_damaged_files_are_refused_with_a_sentence(tmp_path: Path, ending: str, length: int) -> None:
    path = tmp_path / f"kernel{ending}"
    WRITERS[ending](path, np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"cannot read .*kernel{ending}' as a kernel: "):
        read_kernel(path)


@pytest.mark.parametrize("kind", ["palette", "miniswhite"])
def test_an_image_that_would_have_to_be_converted_is_no_kernel(tmp_path: Path, kind: str) -> None:
    table = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    options = {"colormap": table} if kind == "palette" else {}
    tifffile.imwrite(tmp_path / "k.tif", np.eye(5, dtype=np.uint8), photometric=kind, **options)
    with pytest.raises(ValueError, match=r"as a kernel: .*\. Save it as plain grey values"):
        read_kernel(tmp_path / "k.tif")


def test_a_header_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel.npy"
    np.save(path, np.ones((3, 3)))
    path.write_bytes(path.read_bytes().replace(b"(3, 3), }" + 11 * b" ", b"(3, 300000000000), }"))
    with pytest.raises(ValueError, match="as a kernel: "):
        read_kernel(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
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

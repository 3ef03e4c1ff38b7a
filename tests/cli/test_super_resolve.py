"""Super-resolution by the command line: kernels, the size of pixels, voxels that become cubes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import correlate

from napari_deep_prior import PlugAndPlay, SuperResolve, restore
from napari_deep_prior.arrays.metrics import psnr
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.main import DONE, main
from napari_deep_prior.files import images as io
from napari_deep_prior.files.kernels import parse_kernel
from napari_deep_prior.runs.efforts import settings_for
from napari_deep_prior.runs.restoration import Restoration

from ..records import settings_of
from .conftest import Capture, Refused

QUICK = PlugAndPlay(passes=2, search_radius=3, group_size=10)


def run_on(image: np.ndarray, task: SuperResolve | None = None, method: Any = QUICK, **options: Any) -> Restoration:
    """Return a run on the CPU, by a factor of two in some milliseconds."""
    return restore(image, task or SuperResolve(), method, device="cpu", **options)


def reduced(image: np.ndarray, factor: float) -> np.ndarray:
    """Return an image with fewer pixels, made by Pillow, channel by channel."""
    if image.ndim == 3:
        return np.stack([reduced(image[..., channel], factor) for channel in range(3)], axis=-1)
    size = tuple(round(length / factor) for length in image.shape[::-1])
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))


def gaussian(sigma: tuple[float, float], side: int) -> np.ndarray:
    """Return a Gaussian blur of odd or even side, narrow or wide along rows and columns."""
    distance = np.arange(side) - (side - 1) / 2
    profiles = [np.exp(-((distance / width) ** 2) / 2) for width in sigma]
    kernel = np.outer(*profiles)
    return kernel / kernel.sum()


@pytest.fixture
def small() -> np.ndarray:
    """16-bit picture of 19 × 23 pixels."""
    return reduced(Camera().expected(cells((38, 46))), 2).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path, small: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has in.ome.tif, 19 × 23 pixels of 0.3 × 0.2 µm, and truth.tif; is the current folder."""
    monkeypatch.chdir(tmp_path)
    spacing = {"Y": 0.3, "X": 0.2}
    io.write("in.ome.tif", io.ImageFile(pixels=small, axes="YX", spacing=spacing, units=dict.fromkeys("YX", "µm")))
    tifffile.imwrite("truth.tif", Camera().expected(cells((38, 46))))
    return tmp_path


PATCHES = [
    "--method",
    "plug-and-play",
    "--passes",
    "2",
    "--search-radius",
    "3",
    "--group-size",
    "10",
    "--device",
    "cpu",
]


def enlarge(*arguments: str) -> int:
    return main(["super-resolve", *arguments, *PATCHES])


@pytest.mark.parametrize("factor", [2, 2.5])
def test_the_pixels_of_the_file_become_smaller(folder: Path, factor: float) -> None:
    assert enlarge("in.ome.tif", "out.tif", "--factor", f"{factor}") == DONE
    after = io.read("out.tif")
    assert after.pixels.shape == (int(19 * factor), int(23 * factor))
    assert after.pixels.dtype == np.uint16
    assert after.spacing == pytest.approx({"Y": 0.3 / factor, "X": 0.2 / factor})
    assert after.units == {"Y": "µm", "X": "µm"}
    assert after.record["task"]["factor"] == factor


def test_the_pixels_of_a_volume_become_smaller_in_depth_too(folder: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 200, (3, 9, 10)).astype(np.uint8)
    spacing = {"Z": 1.0, "Y": 0.3, "X": 0.2}
    io.write("stack.ome.tif", io.ImageFile(pixels=stack, axes="ZYX", spacing=spacing, units=dict.fromkeys("ZYX", "µm")))
    assert enlarge("stack.ome.tif", "planes.tif") == DONE
    assert io.read("planes.tif").spacing == pytest.approx({"Z": 1.0, "Y": 0.15, "X": 0.1})
    assert enlarge("stack.ome.tif", "volume.tif", "--volume", "--z-factor", "4") == DONE
    volume = io.read("volume.tif")
    assert (volume.axes, volume.pixels.shape) == ("ZYX", (12, 18, 20))
    assert volume.spacing == pytest.approx({"Z": 0.25, "Y": 0.15, "X": 0.1})


def test_the_command_gives_the_image_that_python_gives(folder: Path, small: np.ndarray) -> None:
    kernel = gaussian((1.5, 1.0), 5)
    np.save("blur.npy", kernel)
    tifffile.imwrite("blur.tif", kernel.astype(np.float64))
    assert enlarge("in.ome.tif", "out.tif", "--kernel", "blur.npy") == DONE
    assert enlarge("in.ome.tif", "again.tif", "--kernel", "blur.tif") == DONE
    written = io.read("out.tif")
    task, method = settings_of(written.record)
    np.testing.assert_array_equal(written.pixels, run_on(small, task, method, kernel=kernel).finish())
    np.testing.assert_array_equal(io.read("again.tif").pixels, written.pixels)
    np.testing.assert_allclose(written.record["kernel"], kernel)


def test_the_reference_is_compared_with_the_interpolated_image_and_the_result(
    folder: Path, small: np.ndarray, capsys: Capture
) -> None:
    assert enlarge("in.ome.tif", "out.tif", "--reference", "truth.tif") == DONE
    line = capsys.readouterr().out
    found = re.fullmatch(r"PSNR ([\d.]+) → ([\d.]+) dB, SSIM ([\d.]+) → ([\d.]+) \(data range [\d.e+]+\)\n", line)
    assert found, line
    psnr_before, psnr_after, ssim_before, ssim_after = map(float, found.groups())
    assert psnr_before == pytest.approx(psnr(run_on(small).image, tifffile.imread("truth.tif")), abs=0.01)
    assert psnr_after > psnr_before
    assert ssim_after > ssim_before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--reference", "small.tif"], r"reference 'small.tif' has shape \(19, 23\); the result has \(38, 46\)"),
        (["--factor", "1"], "the factors are all 1: nothing would be enlarged"),
        (["--factor", "17"], r"factor is 17(\.0)?; it must lie between 1 and 16"),
        (["--z-factor", "2"], "a plane has no depth"),
        (["--volume"], "--volume needs depth"),
        (["--kernel", "missing.npy"], "there is no file 'missing.npy'"),
        (["--kernel", "deep.npy"], "the kernel is for 3 axes"),
        (["--kernel", "text.npy"], "cannot read 'text.npy' as a kernel"),
        (["--kernel", "mist"], "'mist' is neither a kernel nor a file: give bicubic, lanczos, area, gaussian:SIGMA"),
        (["--kernel", "gaussian:wide"], "the kernel 'gaussian:wide' has 'wide' where a number is needed"),
        (["--kernel", "gaussian:1,2,3,4"], "has 4 numbers; an image of 2 axes needs one standard deviation"),
        (["--kernel", "gaussian:-1"], "sigma is .*; it must be one finite number per axis, none of them negative"),
        (["--kernel", "optical:NA=1.3"], "the kernel 'optical:NA=1.3' lacks wavelength, pixel"),
        (["--kernel", "optical:NA=1.3,colour=3"], "has 'colour=3'; it can have na, wavelength, pixel, step, index"),
        (["--kernel", "estimate", "--blur", "area"], "--kernel estimate and --blur area exclude each other"),
        (["--isotropic"], "--isotropic adds planes to one volume: add --volume"),
        (["--isotropic", "--volume"], "--volume needs depth, and the axes YX have no Z"),
        (["--residual", "residual.tif"], "an enlarged image has no residual to write"),
    ],
)
def test_bad_input_gets_one_sentence(small: np.ndarray, refused: Refused, arguments: list[str], sentence: str) -> None:
    tifffile.imwrite("small.tif", small)
    np.save("deep.npy", np.ones((3, 3, 3)))
    Path("text.npy").write_text("no kernel")
    assert re.search(sentence, refused("super-resolve", "in.ome.tif", "out.tif", *PATCHES, *arguments))


@pytest.mark.parametrize("text", ["gaussian:1.2", "optical:NA=1.3,wavelength=0.52,pixel=0.1"])
def test_a_blur_in_words_gives_the_image_that_python_gives(folder: Path, small: np.ndarray, text: str) -> None:
    assert enlarge("in.ome.tif", "out.tif", "--kernel", text) == DONE
    written = io.read("out.tif")
    np.testing.assert_array_equal(written.pixels, run_on(small, kernel=parse_kernel(text)).finish())
    assert not np.array_equal(written.pixels, run_on(small).finish())
    # The record shows the blur as an image, and does it again by that.
    kernel = np.asarray(written.record["kernel"])
    np.testing.assert_allclose(written.record["blur"], kernel, atol=1e-5)
    assert psnr(run_on(small, kernel=kernel).finish(), written.pixels) > 40
    assert written.spacing == pytest.approx({"Y": 0.15, "X": 0.1})


def test_the_blur_is_estimated_on_request_and_the_record_says_what_it_is(folder: Path, capsys: Capture) -> None:
    scene = Camera().expected(cells((128, 128), seed=1))
    soft = correlate(scene, gaussian((2.5, 2.5), 16), mode="reflect")[::2, ::2].astype(np.uint16)
    tifffile.imwrite("soft.tif", soft)
    assert enlarge("soft.tif", "out.tif", "--kernel", "estimate") == DONE
    written = io.read("out.tif")
    record = written.record
    assert record["task"]["blur"] == "estimated"
    # What is done again estimates it again; the blur is there to be looked at.
    assert record["kernel"] is None
    blur = np.asarray(record["blur"])
    assert blur.sum() == pytest.approx(1, abs=0.01)
    rows, columns = np.indices(blur.shape) - (np.reshape(blur.shape, (2, 1, 1)) - 1) / 2
    assert np.sqrt((blur * rows**2).sum()) > 1
    assert np.sqrt((blur * columns**2).sum()) > 1
    assert record["remarks"][0].startswith("the blur is about ")
    assert record["remarks"][0] in capsys.readouterr().err.splitlines()
    np.testing.assert_array_equal(run_on(soft, *settings_of(record)).finish(), written.pixels)


def test_where_no_blur_can_be_estimated_the_bicubic_kernel_is_used_and_it_is_said(
    folder: Path, small: np.ndarray
) -> None:
    assert enlarge("in.ome.tif", "out.tif", "--kernel", "estimate") == DONE
    written = io.read("out.tif")
    reason = "the image has 19 pixels along a side; 48 are needed"
    assert written.record["remarks"][0] == (
        f"the blur cannot be estimated from the image: {reason}; the bicubic kernel is used"
    )
    np.testing.assert_array_equal(written.pixels, run_on(small).finish())


# Voxels to cubes


ZERO_SHOT = ["--steps", "20", "--device", "cpu"]


def cubes(*arguments: str) -> int:
    return main(["super-resolve", *arguments, "--isotropic", "--volume", *ZERO_SHOT])


@pytest.fixture
def volume(folder: Path) -> np.ndarray:
    """The folder has volume.ome.tif, 4 × 20 × 22 voxels of 0.6 × 0.2 × 0.2 µm, and plain.tif, which does not say it."""
    voxels = Camera().expected(cells((4, 20, 22), seed=1)).astype(np.uint16)
    spacing = {"Z": 0.6, "Y": 0.2, "X": 0.2}
    units = dict.fromkeys("ZYX", "µm")
    io.write("volume.ome.tif", io.ImageFile(pixels=voxels, axes="ZYX", spacing=spacing, units=units))
    io.write("mixed.ome.tif", io.ImageFile(pixels=voxels, axes="ZYX", spacing=spacing, units=units | {"Z": "nm"}))
    tifffile.imwrite("plain.tif", voxels, photometric="minisblack")
    return voxels


@pytest.mark.parametrize(
    ("arguments", "factor", "side"),
    [
        (["volume.ome.tif"], 3, 0.2),
        (["volume.ome.tif", "--spacing", "0.4,0.2,0.2"], 2, 0.2),
        (["plain.tif", "--axes", "ZYX", "--spacing", "0.5,0.25,0.25"], 2, 0.25),
        (["mixed.ome.tif", "--spacing", "0.6,0.3,0.3"], 2, 0.3),
    ],
)
def test_the_voxels_of_a_volume_become_cubes(
    volume: np.ndarray, capsys: Capture, arguments: list[str], factor: float, side: float
) -> None:
    name, *options = arguments
    assert cubes(name, "out.tif", *options) == DONE
    written = io.read("out.tif")
    assert (written.axes, written.pixels.shape) == ("ZYX", (4 * factor, 20, 22))
    assert written.pixels.dtype == np.uint16
    assert written.spacing == pytest.approx(dict.fromkeys("ZYX", side))
    assert written.units == dict.fromkeys("ZYX", "µm")
    task, method = settings_of(written.record)
    assert (task.factor, task.z_factor) == (1, pytest.approx(factor))
    assert method == dataclasses.replace(settings_for(SuperResolve(), "zero-shot-sr"), steps=20)
    remark = "planes were interpolated from what the others show: right for cells and nuclei, not layers"
    assert written.record["remarks"][0] == remark
    assert remark in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("kernel", "remark"),
    [("gaussian:0.8", ""), ("estimate", "the blur of a volume cannot be estimated; the bicubic kernel is taken")],
)
def test_a_volume_may_have_a_blur_too(volume: np.ndarray, kernel: str, remark: str) -> None:
    assert cubes("volume.ome.tif", "out.tif", "--kernel", kernel) == DONE
    record = io.read("out.tif").record
    assert record["remarks"][0].startswith("planes were interpolated")
    assert record["remarks"][1:-1] == [remark] * bool(remark)
    assert np.shape(record["blur"])[1:] == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plain.tif", "--axes", "ZYX"], "the file does not say how large its voxels are: give it with --spacing"),
        (["mixed.ome.tif"], "the file gives the size of its voxels in several units: give it with --spacing"),
        (["volume.ome.tif", "--spacing", "0.2,0.2,0.2"], "planes are 0.2 apart and the pixels 0.2 wide: nothing is"),
        (["volume.ome.tif", "--spacing", "0.1,0.2,0.2"], "planes are 0.1 apart and the pixels 0.2 wide: nothing is"),
        (["volume.ome.tif", "--spacing", "0.6,0.2,0.3"], "the pixels are 0.2 × 0.3, no squares: enlarge the planes"),
        (["volume.ome.tif", "--spacing", "9,0.2,0.2"], "z_factor is 45.*; it must lie between 1 and 16"),
        (["volume.ome.tif", "--spacing", "0.6,0.2"], "--spacing is '0.6,0.2'; it must be the size of a pixel along Z"),
        (["volume.ome.tif", "--spacing", "a,b,c"], "--spacing is 'a,b,c'; it must be the size of a pixel along Z, Y"),
        (["volume.ome.tif", "--spacing", "0.6,0,0.2"], "--spacing is '0.6,0,0.2'; it must be the size of a pixel"),
        (["volume.ome.tif", "--axes", "TYX"], "--volume needs depth, and the axes TYX have no Z"),
    ],
)
def test_voxels_that_cannot_become_cubes_get_one_sentence(
    volume: np.ndarray, refused: Refused, arguments: list[str], sentence: str
) -> None:
    name, *options = arguments
    said = refused("super-resolve", name, "out.tif", "--isotropic", "--volume", *options)
    assert re.search(f"^deep-prior: .*{sentence}", said)

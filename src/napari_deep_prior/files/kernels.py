"""Kernels from texts and files: ``bicubic``, ``gaussian:1.2``, or a PSF as MATLAB, NumPy, TIFF or PNG file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from ..arrays.axes import sample_count
from ..physics.gaussian_psf import optical_gaussian, rotated_gaussian
from ..physics.kernels import Area, Bicubic, Floats, GaussianKernel, Kernel, Lanczos2, SampledKernel
from .colours import OPACITY, OPAQUE
from .pictures import read_picture
from .reading import reading, words_as_remarks
from .tiff_reader import read_tiff

NAMED: dict[str, Callable[[], Kernel]] = {"bicubic": Bicubic, "lanczos": Lanczos2, "area": Area}
"""Kernels without parameters."""

OPTICAL_KEYS = ("na", "wavelength", "pixel", "step", "index")
"""Parameters of an objective; the last two are for volumes."""

KERNEL_TEXTS = (
    "give bicubic, lanczos, area, gaussian:SIGMA, gaussian:SIGMA,SIGMA,DEGREES, "
    "optical:NA=1.3,wavelength=0.52,pixel=0.1 (a volume: also step and index), or a file"
)
"""The texts that :func:`parse_kernel` accepts, for errors."""


def parse_kernel(text: str, *, dimensions: int = 2) -> Kernel:
    """Return the kernel that a text describes.

    Parameters
    ----------
    text : str
        ``bicubic``, ``lanczos``, ``area``;
        ``gaussian:1.2`` (standard deviation in pixels of the enlarged image), ``gaussian:1.2,0.8`` (per axis),
        in a plane also ``gaussian:1.2,0.8,30`` (rotated by degrees, see :func:`.rotated_gaussian`);
        ``optical:NA=1.3,wavelength=0.52,pixel=0.1`` (see :func:`.optical_gaussian`: the pixel size of the enlarged
        image in the unit of the wavelength; for a volume also the distance of its planes and the refractive index of
        the immersion, ``step=0.3,index=1.515``);
        or the name of a file for :func:`read_kernel`.
    dimensions : int
        Number of spatial axes of the image.

    Raises
    ------
    ValueError
        If the text describes no kernel, or one for another number of axes.
    """
    name, _, numbers = text.strip().partition(":")
    name = name.strip().lower()
    if name in NAMED and not numbers:
        return NAMED[name]()
    if name == "gaussian":
        return _parse_gaussian(text, numbers, dimensions)
    if name == "optical":
        return _parse_optical(text, numbers, dimensions)
    if not Path(text).is_file() and not Path(text).suffix:
        raise ValueError(f"{text!r} is neither a kernel nor a file: {KERNEL_TEXTS}")
    return SampledKernel(read_kernel(text))


def read_kernel(path: str | os.PathLike[str]) -> Floats:
    """Return the kernel in a file: MATLAB (.mat), NumPy (.npy), TIFF or PNG.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, or it has no kernel in it.
    """
    file = Path(path)
    with reading(file, "a kernel") as words:
        reader = READERS.get(file.suffix.lower())
        if reader is None:
            raise ValueError(f"its name ends in none of {', '.join(READERS)}")
        values = _as_floats(reader(file))
        if words:
            raise ValueError(words_as_remarks(words)[0])
        return values


def _parse_gaussian(text: str, numbers: str, dimensions: int) -> Kernel:
    values = tuple(_parse_number(part, text) for part in numbers.split(","))
    if len(values) == 1:
        return GaussianKernel(values * dimensions)
    if len(values) == dimensions:
        return GaussianKernel(values)
    # Of a volume, three numbers are the standard deviations of its axes.
    if dimensions == 2 and len(values) == 3:
        return rotated_gaussian((values[0], values[1]), values[2])
    raise ValueError(
        f"the kernel {text!r} has {len(values)} numbers; an image of {dimensions} axes needs one standard deviation, "
        f"{dimensions}, or in a plane two and an angle in degrees"
    )


def _parse_optical(text: str, numbers: str, dimensions: int) -> GaussianKernel:
    values: dict[str, float] = {}
    for part in numbers.split(","):
        key, _, value = part.partition("=")
        if key.strip().lower() not in OPTICAL_KEYS:
            raise ValueError(f"the kernel {text!r} has {part!r}; it can have {', '.join(OPTICAL_KEYS)}: {KERNEL_TEXTS}")
        values[key.strip().lower()] = _parse_number(value, text)
    needed = OPTICAL_KEYS[: 3 if dimensions == 2 else 5]
    missing = [key for key in needed if key not in values]
    if missing:
        raise ValueError(f"the kernel {text!r} lacks {', '.join(missing)}: {KERNEL_TEXTS}")
    lateral = (values["pixel"],) * 2
    return optical_gaussian(
        numerical_aperture=values["na"],
        wavelength=values["wavelength"],
        spacing=lateral if dimensions == 2 else (values["step"], *lateral),
        refractive_index=values.get("index", 1.0),
    )


def _parse_number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise ValueError(f"the kernel {text!r} has {part!r} where a number is needed: {KERNEL_TEXTS}") from None


def _as_floats(values: NDArray[Any]) -> Floats:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"it holds {values.dtype} and no real numbers")
    return np.asarray(values, dtype=np.float64)


def _read_matlab(file: Path) -> NDArray[Any]:
    """Return an array of two or three axes: preferably with "kernel" in its name, then of two axes, then the first."""
    try:
        content = loadmat(file)
    except NotImplementedError as error:
        raise ValueError("it is a file of MATLAB 7.3; write it with save(..., '-v7')") from error
    found = {
        name: values
        for name, values in content.items()
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim in (2, 3)
        # MATLAB stores a number as a matrix of 1 × 1 and a list as a matrix of one row.
        if min(values.shape) > 1
    }
    if not found:
        names = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise ValueError(f"it has no array of two or three axes and real numbers in it, but {names}")
    return found[min(found, key=lambda name: ("kernel" not in name.lower(), found[name].ndim))]


def _read_numpy(file: Path) -> NDArray[Any]:
    return np.asarray(np.load(file, allow_pickle=False))


def _read_image(file: Path) -> NDArray[Any]:
    """Return the mean of the colours, without the opacity.

    An image of which anything else has to be said was not written as a kernel.
    """
    image = read_tiff(file) if file.suffix.lower() != ".png" else read_picture(file)
    if remarks := [remark for remark in image.remarks if remark not in (OPAQUE, OPACITY)]:
        raise ValueError(f"{'; '.join(remarks)}. Save it as plain grey values")
    if "S" not in image.axes:
        return np.asarray(image.pixels)
    colours = np.moveaxis(image.pixels, image.axes.index("S"), -1)
    return np.asarray(colours[..., : sample_count(colours.shape[-1])].mean(axis=-1))


READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    ".mat": _read_matlab,
    ".npy": _read_numpy,
    ".tif": _read_image,
    ".tiff": _read_image,
    ".png": _read_image,
}
"""The reader of a kernel for each ending of a file's name."""

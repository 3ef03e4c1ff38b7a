"""Kernels: how light that belongs to one point of the image spreads over the measured pixels.

A kernel says how much the pixels of the image weigh in a measured one, by their distance from its centre. That is all
for separable kernels, which act along one axis after the other; one that was measured or estimated is an image.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, final

import imageio.v3 as imageio
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

Floats = NDArray[np.float64]

GAUSSIAN_REACH = 5.0
"""Standard deviations beyond which a Gaussian is nothing: 4e-6 of its height."""

SMALLEST_SIGMA = 0.5
"""Pixels that a Gaussian is wide at least: narrower ones would be pulled to the next pixel, this one by 0.02 pixels."""

CUBIC_REACH = 2.0
"""Pixels from which on :func:`cubic` is zero."""

ROUNDING = 1e-6
"""Pixels by which a centre of mass may be off because values are rounded."""

LATERAL, AXIAL = 0.21, 0.66
"""Standard deviation of the focus of a lens in units of λ / NA, and of λ n / NA²: Thomann et al. 2002,
doi 10.1046/j.1365-2818.2002.01066.x."""


class Kernel(ABC):
    """The weights of the image's pixels in a measured pixel.

    Distances are in pixels of the image; ``factor`` is how many of them a measured pixel is wide. The weights are of
    any scale: whoever uses them divides by their sum.
    """

    @property
    @abstractmethod
    def dimensions(self) -> int | None:
        """How many spatial axes an image must have; None if it may have any number."""

    @abstractmethod
    def reach(self, axis: int, factor: float) -> float:
        """Return the distance along an axis from which on there is no weight."""

    @abstractmethod
    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the weights of pixels at signed distances along an axis from the centre of a measured pixel."""


@final
@dataclass(frozen=True)
class Bicubic(Kernel):
    """Cubic convolution, stretched over the measured pixel so that nothing aliases: MATLAB's and Pillow's "bicubic".

    Keys 1981, doi 10.1109/TASSP.1981.1163711, with a = -1/2.
    """

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return two measured pixels."""
        return 2 * factor

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of Keys' cubic."""
        return cubic(distance / factor)


@final
@dataclass(frozen=True)
class Lanczos2(Kernel):
    """A sinc in a window of two lobes, stretched over the measured pixel so that nothing aliases."""

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return two measured pixels."""
        return 2 * factor

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of the windowed sinc."""
        scaled = distance / factor
        return np.where(np.abs(scaled) < 2, np.sinc(scaled) * np.sinc(scaled / 2), 0.0)


@final
@dataclass(frozen=True)
class Area(Kernel):
    """The pixel of a detector: the mean over its area, also where its edges cut through pixels of the image."""

    @property
    def dimensions(self) -> None:
        """None: any number."""
        return

    def reach(self, axis: int, factor: float) -> float:
        """Return half a measured pixel and half a pixel of the image."""
        return (factor + 1) / 2

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the length that each pixel shares with the measured one."""
        shared = np.minimum(distance + 0.5, factor / 2) - np.maximum(distance - 0.5, -factor / 2)
        return np.asarray(np.maximum(shared, 0.0))


@final
@dataclass(frozen=True)
class GaussianKernel(Kernel):
    """A blur that does not follow the size of the measured pixels, such as that of a lens.

    Parameters
    ----------
    sigma : tuple of float
        Standard deviation per spatial axis, in pixels of the image.

    Raises
    ------
    ValueError
        If a standard deviation is negative or no number.
    """

    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sigma or not all(0 <= sigma < math.inf for sigma in self.sigma):
            raise ValueError(f"sigma is {self.sigma}; it must be one finite number per axis, none of them negative")

    @property
    def dimensions(self) -> int:
        """As many as there are standard deviations."""
        return len(self.sigma)

    def reach(self, axis: int, factor: float) -> float:
        """Return so many standard deviations that nothing is lost."""
        return GAUSSIAN_REACH * max(self.sigma[axis], SMALLEST_SIGMA)

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the values of the normal distribution."""
        return np.asarray(np.exp(-((distance / max(self.sigma[axis], SMALLEST_SIGMA)) ** 2) / 2))


@final
@dataclass(frozen=True, eq=False)
class SampledKernel(Kernel):
    """A kernel given as an image: what is measured of a single point, in pixels of the image that is looked for.

    Its centre of mass is its centre. Between its pixels it is interpolated by :func:`cubic`, which is what
    :meth:`weights` tells; the pixels themselves are :attr:`values`.

    Parameters
    ----------
    values : ndarray
        Odd or even sides, any positive sum; it is divided by the sum. Its first axis is the image's first, and so on.

    Raises
    ------
    ValueError
        If values are not finite, do not have a positive sum, or have their centre of mass outside of them.
    """

    values: Floats

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        shape = " × ".join(map(str, values.shape))
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f"the kernel ({shape or 'a number'}) has no values, or some are NaN or infinite")
        largest = np.abs(values).max()
        # Divided first: the sum of large values, and what small ones are divided by, could be beyond float64.
        total = (values / largest).sum() if largest > 0 else 0.0
        if not total > 0:
            raise ValueError(f"the sum of the kernel ({shape}) is {total * largest:g}; it must be positive")
        values = values / largest / total
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        outside = [
            not -ROUNDING <= centre <= side - 1 + ROUNDING
            for centre, side in zip(self.centre, values.shape, strict=True)
        ]
        if any(outside):
            centre = ", ".join(f"{position:.1f}" for position in self.centre)
            raise ValueError(
                f"the centre of mass of the kernel ({shape}) lies outside of it, at {centre}: it has large negative "
                "values; set them to 0 or subtract its background first"
            )

    @property
    def dimensions(self) -> int:
        """As many as the kernel has."""
        return self.values.ndim

    @property
    def centre(self) -> tuple[float, ...]:
        """The centre of mass, in pixels from the centre of the first one."""
        positions = np.indices(self.values.shape).reshape(self.values.ndim, -1)
        return tuple(float(position) for position in positions @ self.values.ravel())

    def reach(self, axis: int, factor: float) -> float:
        """Return the two pixels that interpolation needs."""
        return CUBIC_REACH

    def weights(self, distance: Floats, axis: int, factor: float) -> Floats:
        """Return the weights of interpolation between the kernel's pixels."""
        return cubic(distance)

    def without(self, axes: tuple[int, ...]) -> SampledKernel:
        """Return the kernel that does nothing along some axes: there its values are summed up."""
        return SampledKernel(self.values.sum(axis=axes, keepdims=True))


def cubic(distance: Floats) -> Floats:
    """Return the weights of cubic interpolation (Keys, a = -1/2) for distances in pixels; 0 from 2 on."""
    far = np.abs(distance)
    near = (1.5 * far - 2.5) * far**2 + 1
    tail = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return np.where(far < 1, near, np.where(far < 2, tail, 0.0))


def optical_gaussian(
    *, numerical_aperture: float, wavelength: float, spacing: tuple[float, ...], refractive_index: float = 1.0
) -> GaussianKernel:
    """Return the Gaussian that is nearest to the focus of a wide-field microscope.

    Parameters
    ----------
    numerical_aperture : float
        Of the objective; at most the refractive index.
    wavelength : float
        Of the light that is detected, in the unit of ``spacing``.
    spacing : tuple of float
        Size of a pixel of the image that is looked for, per axis: row and column, or depth, row and column.
    refractive_index : float
        Of the medium of immersion; only the depth needs it.

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


def turned_gaussian(sigma: tuple[float, float], angle: float) -> SampledKernel:
    """Return a Gaussian in a plane whose directions need not be those of the axes.

    Parameters
    ----------
    sigma : tuple of float
        Standard deviation along a direction and across it, in pixels of the image; at least ``SMALLEST_SIGMA`` is used.
    angle : float
        Degrees by which the direction is turned from the row axis towards the column axis: at 0 it is
        ``Gaussian(sigma)``.

    Raises
    ------
    ValueError
        If the numbers are not two standard deviations and an angle.
    """
    if len(sigma) != 2 or not all(0 <= each < math.inf for each in sigma) or not math.isfinite(angle):
        raise ValueError(
            f"sigma is {sigma} and the angle {angle}; a turned Gaussian needs two finite numbers, none of them "
            "negative, and an angle in degrees"
        )
    along, across = (max(each, SMALLEST_SIGMA) for each in sigma)
    radius = math.ceil(GAUSSIAN_REACH * max(along, across))
    rows, columns = np.indices((2 * radius + 1,) * 2) - radius
    turn = math.radians(angle)
    forward = (rows * math.cos(turn) + columns * math.sin(turn)) / along
    sideways = (columns * math.cos(turn) - rows * math.sin(turn)) / across
    return SampledKernel(np.exp(-(forward**2 + sideways**2) / 2))


def kernel_image(kernel: Kernel, factors: tuple[float, ...]) -> Floats:
    """Return what a kernel looks like: its weights at whole pixels of the image from its centre.

    One axis per factor; odd sides, the centre in the middle, sum 1. Along an axis of factor 1 nothing happens.

    Raises
    ------
    ValueError
        If the kernel is one for another number of axes.
    """
    if kernel.dimensions not in (None, len(factors)):
        raise ValueError(f"the kernel is one for {kernel.dimensions} axes, but there are {len(factors)} factors")
    if isinstance(kernel, SampledKernel):
        acting = kernel.without(tuple(axis for axis, factor in enumerate(factors) if factor == 1))
        picture = acting.values
        for axis, (size, centre) in enumerate(zip(acting.values.shape, acting.centre, strict=True)):
            distance = _whole_distances(max(centre, size - 1 - centre))
            table = cubic(distance[:, None] + centre - np.arange(size))
            picture = np.moveaxis(np.tensordot(table, picture, axes=(1, axis)), 0, axis)
        return np.asarray(picture / picture.sum())
    picture = np.ones(())
    for axis, factor in enumerate(factors):
        distance = _whole_distances(0.0 if factor == 1 else kernel.reach(axis, factor))
        picture = np.multiply.outer(picture, kernel.weights(distance, axis, factor))
    return np.asarray(picture / picture.sum())


def _whole_distances(reach: float) -> Floats:
    # Rounded first: a centre of mass may be off by a rounding error.
    radius = math.ceil(reach - ROUNDING)
    return np.arange(-radius, radius + 1, dtype=np.float64)


def parse_kernel(text: str, *, dimensions: int = 2) -> Kernel:
    """Return the kernel that a text describes.

    Parameters
    ----------
    text : str
        ``bicubic``, ``lanczos``, ``area``;
        ``gaussian:1.2`` (standard deviation in pixels of the enlarged image), ``gaussian:1.2,0.8`` (per axis),
        in a plane also ``gaussian:1.2,0.8,30`` (turned by degrees, see :func:`turned_gaussian`);
        ``optical:NA=1.3,wavelength=0.52,pixel=0.1`` (see :func:`optical_gaussian`: the size of a pixel of the enlarged
        image in the unit of the wavelength; for a volume also its depth and the medium, ``step=0.3,index=1.515``);
        or else the name of a file for :func:`read_kernel`.
    dimensions : int
        How many spatial axes the image has.

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


def _parse_gaussian(text: str, numbers: str, dimensions: int) -> Kernel:
    values = tuple(_number(part, text) for part in numbers.split(","))
    if len(values) == 1:
        return GaussianKernel(values * dimensions)
    if len(values) == dimensions:
        # In a volume three numbers are the three axes.
        return GaussianKernel(values)
    if dimensions == 2 and len(values) == 3:
        return turned_gaussian((values[0], values[1]), values[2])
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
        values[key.strip().lower()] = _number(value, text)
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


def _number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise ValueError(f"the kernel {text!r} has {part!r} where a number is needed: {KERNEL_TEXTS}") from None


NAMED: dict[str, Callable[[], Kernel]] = {"bicubic": Bicubic, "lanczos": Lanczos2, "area": Area}
"""Kernels that need no numbers."""

OPTICAL_KEYS = ("na", "wavelength", "pixel", "step", "index")
"""What can be said of a lens; the last two are for volumes."""

KERNEL_TEXTS = (
    "give bicubic, lanczos, area, gaussian:SIGMA, gaussian:SIGMA,SIGMA,DEGREES, "
    "optical:NA=1.3,wavelength=0.52,pixel=0.1 (a volume: also step and index), or a file"
)
"""The texts that :func:`parse_kernel` understands, for errors."""


def read_kernel(path: str | os.PathLike[str]) -> Floats:
    """Return the kernel in a file: MATLAB (.mat), NumPy (.npy), TIFF or PNG.

    Of a MATLAB file it is the first array of two or three axes, two rather than three, one whose name has "kernel" in
    it rather than another. The colours of a PNG are averaged, its opacity is left out.

    Raises
    ------
    ValueError
        If the file is not there, cannot be read, or has no kernel in it.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {str(file)!r}")
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise ValueError(f"cannot read {file.name!r} as a kernel: its name ends in none of {', '.join(READERS)}")
    try:
        return _real(reader(file))
    except UNREADABLE as error:
        raise ValueError(f"cannot read {str(file)!r} as a kernel: {str(error) or 'it is damaged'}") from error


def _real(values: NDArray[Any]) -> Floats:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"it holds {values.dtype} and no real numbers")
    return np.asarray(values, dtype=np.float64)


def _read_matlab(file: Path) -> NDArray[Any]:
    try:
        content = loadmat(file)
    except NotImplementedError as error:
        raise ValueError("it is a file of MATLAB 7.3; write it with save(..., '-v7')") from error
    found = {
        name: values
        for name, values in content.items()
        # A number is a matrix of 1 × 1 to MATLAB, a list one of a single row.
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim in (2, 3)
        if min(values.shape) > 1
    }
    if not found:
        names = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise ValueError(f"it has no array of two or three axes and real numbers in it, but {names}")
    return found[min(found, key=lambda name: ("kernel" not in name.lower(), found[name].ndim))]


def _read_numpy(file: Path) -> NDArray[Any]:
    return np.asarray(np.load(file, allow_pickle=False))


def _read_tiff(file: Path) -> NDArray[Any]:
    return np.asarray(tifffile.imread(file))


def _read_png(file: Path) -> NDArray[Any]:
    # Without the name of a plugin imageio tries all of them on a broken file.
    pixels = np.asarray(imageio.imread(file, plugin="pillow"))
    if pixels.ndim == 2:
        return pixels
    colours = pixels.shape[-1] - (pixels.shape[-1] in (2, 4))
    return np.asarray(pixels[..., :colours].mean(axis=-1))


READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    ".mat": _read_matlab,
    ".npy": _read_numpy,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".png": _read_png,
}
"""What reads a kernel, by the ending of the file's name."""

UNREADABLE = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, SyntaxError, TokenError, ArithmeticError,
    struct.error, zlib.error, tifffile.TiffFileError, Image.DecompressionBombError, MatReadError,
    MemoryError,  # a damaged header can ask for any size
    RuntimeError,  # the decoders of imagecodecs
)  # fmt: skip
"""What the libraries raise for files that are damaged or of another kind."""

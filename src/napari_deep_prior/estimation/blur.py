"""The blur of an image, estimated from nothing but the image: scenes look alike at every scale, blurred ones do not.

Two criteria that fail for different reasons have to agree: how the blur bends the power spectrum
(:mod:`.spectrum`), and the kernel that makes patches of the image look most like patches of the image made smaller
 (Michaeli & Irani 2013, doi 10.1109/ICCV.2013.121).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from ..physics.gaussian_psf import rotated_gaussian
from ..physics.kernels import Bicubic, Floats, Kernel
from . import spectrum

Indices = NDArray[np.intp]

SMALLEST_SIDE = 48
"""Pixels along a side below which there are too few patches and frequencies."""

LARGEST_SIDE = 640
"""Pixels along a side of the part that is looked at, the middle: more only takes longer."""

PATCH, RATIO = 5, 2
"""Pixels along a side of a patch, and how much smaller the image is made to look for others like it."""

ASKED, OFFERED = 1500, 8000
"""Patches of the image for which others are looked for, and of the smaller image among which."""

EDGES_ASKED, EDGES_OFFERED = 0.7, 0.5
"""Share of all patches, the flattest ones, that are left out of either."""

FLAT = 1e-6
"""Share of the strongest edge below which there is none: a running mean leaves rounding behind."""

FEWEST = 100
"""Patches with edges below which nothing can be told."""

BELIEVED = 0.4
"""Share of the patches, those with the nearest likeness, that decide on the kernel."""

ROUNDS = 5
"""Times that patches are matched, each time with a better kernel."""

KERNEL_RADIUS = 4
"""Pixels of the measured image around its centre that a kernel is looked for in."""

FIRST_SIGMA, SMALLEST_VARIANCE = 0.5, 0.01
"""Kernel of the first match, and what keeps one from vanishing, in pixels of the measured image."""

AGREEMENT = 1.4
"""Ratio of the widths by the two criteria from which on neither is believed."""

BICUBIC_MEAN, BICUBIC_WIDEST = 0.69, 0.81
"""Widths of the whole blur in measured pixels, geometric mean and widest direction, that are taken for bicubic.

Measured on 15 pictures reduced by bicubic; too wide a kernel costs much more than one that is too narrow.
"""

WIDEST = 1.4
"""Width by the spectrum from which on pixels are smaller than the detail, and no kernel is of any use.

Patches are too small to tell such blurs.
"""

MARGIN = 1 / 12
"""Variance, in squared measured pixels, by which a kernel is made narrower than estimated: that of a square pixel.

A picture that is soft by itself looks more blurred than it was. With the margin such pictures, blurred by one pixel,
come out above bicubic instead of below (measured on two of three); the others lose about half a decibel.
"""


@final
@dataclass(frozen=True)
class BlurEstimate:
    """The blur that was found, or why none was.

    Parameters
    ----------
    kernel : Kernel
        What to restore with: the Gaussian that was found, or bicubic.
    sigma : tuple of float
        Standard deviations along the directions of most and least blur, in pixels of the enlarged image.
    angle : float
        Degrees from the row axis towards the column axis, -90 to 90, of the direction of most blur.
    reliable : bool
        Whether both criteria agree. If not, the kernel is bicubic.
    sentence : str
        The above for people.
    """

    kernel: Kernel
    sigma: tuple[float, float]
    angle: float
    reliable: bool
    sentence: str


def estimate_blur(image: NDArray[Any], factors: tuple[float, float]) -> BlurEstimate:
    """Estimate the blur between the enlarged image and a measured plane.

    The enlarged image is looked for as sharp, in its own pixels, as the measured one is in its own. Fails on
    pictures of a single texture, of few objects that are all alike, and on noise as strong as the edges: it mostly
    notices, and then says bicubic.

    Parameters
    ----------
    image : ndarray, (rows, columns)
        The plane to be enlarged, of any unit; of colours, their mean.
    factors : tuple of float
        Pixels of the enlarged image in a measured one, along rows and columns.

    Raises
    ------
    ValueError
        If the image is no plane of finite values, or the factors are not two numbers of at least 1.
    """
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError(
            f"the image has shape {image.shape}; to estimate the blur give one plane (rows, columns) of finite values"
        )
    if len(factors) != 2 or not all(1 <= factor < math.inf for factor in factors):
        raise ValueError(f"the factors are {factors}; give two numbers of at least 1, for rows and columns")
    if min(image.shape) < SMALLEST_SIDE:
        return _nothing(f"the image has {min(image.shape)} pixels along a side; {SMALLEST_SIDE} are needed")
    plane = _middle(np.asarray(image, np.float64))
    span = plane.max() - plane.min()
    if not span > 0:
        return _nothing("the image is constant: there are no edges")
    plane = (plane - plane.min()) / span
    matched = across_scales(plane)
    if matched is None:
        return _nothing("there are too few edges")
    return _judged((spectrum.fit(plane).covariance, matched), factors)


def across_scales(plane: Floats, *, seed: int = 0) -> Floats | None:
    """Return the covariance (2, 2) of a plane's whole blur, in squared pixels, that makes patches recur across scales.

    None if the plane has too few edges.

    Patches are matched with those of the plane blurred and made smaller; the Gaussian that would have made the matched
    ones equal is the blur of the next match.
    """
    generator = np.random.default_rng(seed)
    plane = (plane - plane.mean()) / plane.std()
    edges = ndimage.uniform_filter(sum(np.square(slope) for slope in np.gradient(plane)), PATCH)
    asked = _places(edges, PATCH // 2, EDGES_ASKED, ASKED, generator)
    offered = _places(edges, RATIO * (PATCH // 2) + KERNEL_RADIUS, EDGES_OFFERED, OFFERED, generator)
    if min(asked.shape[1], offered.shape[1]) < FEWEST:
        return None
    patches = _without_mean(_patches(plane, asked, 1))
    covariance = FIRST_SIGMA**2 * np.eye(2)
    for _ in range(ROUNDS):
        blurred = ndimage.correlate(plane, _gaussian(covariance), mode="mirror")
        chosen, partner = _matches(patches, _without_mean(_patches(blurred, offered, RATIO)))
        covariance = _deblurring(plane, patches[chosen], offered[:, partner])
    # The scene's copy is RATIO times as large as its blur: what is missing is the difference of the squares.
    return covariance / (RATIO**2 - 1)


def _places(edges: Floats, margin: int, flattest: float, most: int, generator: np.random.Generator) -> Indices:
    """Return rows and columns (2, n) of random pixels away from the border and where there are edges."""
    inner = edges[margin:-margin, margin:-margin]
    rich = np.flatnonzero((inner >= np.quantile(inner, flattest)) & (inner > FLAT * edges.max()))
    picked = generator.permutation(rich)[:most]
    return np.stack(np.unravel_index(picked, inner.shape)) + margin


def _patches(plane: Floats, places: Indices, step: int) -> Floats:
    """Return the patches (n, pixels) around places, of every ``step``-th pixel."""
    within = step * (np.indices((PATCH, PATCH)).reshape(2, -1) - PATCH // 2)
    rows, columns = places[:, :, None] + within[:, None, :]
    return np.asarray(plane[rows, columns])


def _without_mean(patches: Floats) -> Floats:
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


def _matches(patches: Floats, others: Floats) -> tuple[Indices, Indices]:
    """Return the patches that have a likeness among others, and which one."""
    energy = np.maximum(np.square(patches).sum(axis=1), np.finfo(np.float32).tiny)
    distance = np.square(others).sum(axis=1) - 2 * (patches.astype(np.float32) @ others.T.astype(np.float32))
    partner = distance.argmin(axis=1)
    unlike = (distance[np.arange(len(partner)), partner] + energy) / energy
    chosen = np.flatnonzero(unlike <= np.quantile(unlike, BELIEVED))
    return chosen, partner[chosen]


def _deblurring(plane: Floats, wanted: Floats, places: Indices) -> Floats:
    """Return the covariance of the Gaussian that turns the plane around places into the wanted patches."""
    weight = 1 / np.maximum(np.linalg.norm(wanted, axis=1), np.finfo(np.float32).tiny)
    reach = np.indices((2 * KERNEL_RADIUS + 1,) * 2).reshape(2, -1, 1) - KERNEL_RADIUS
    # One row per pixel of the kernel: the patches that it would make alone.
    shifted = [
        _without_mean(_patches(plane, places + offset, RATIO)) * weight[:, None] for offset in reach.swapaxes(0, 1)
    ]
    table = np.stack([patches.ravel() for patches in shifted])
    target = (wanted * weight[:, None]).ravel()
    squares, mixed, power = table @ table.T, table @ target, float(target @ target)

    def misfit(factor: Floats) -> float:
        kernel = _gaussian(_from_factor(factor)).ravel()
        return float((kernel @ squares @ kernel - 2 * mixed @ kernel) / power)

    start = math.log(RATIO * FIRST_SIGMA)
    options = {"maxiter": 150, "xatol": 1e-3, "fatol": 1e-6}
    return _from_factor(minimize(misfit, [start, 0.0, start], method="Nelder-Mead", options=options).x)


def _from_factor(factor: Floats) -> Floats:
    """Return a covariance of three numbers that can be anything."""
    triangle = np.array([[math.exp(min(factor[0], 5)), 0.0], [factor[1], math.exp(min(factor[2], 5))]])
    return np.asarray(triangle @ triangle.T + SMALLEST_VARIANCE * np.eye(2))


def _gaussian(covariance: Floats) -> Floats:
    distance = np.indices((2 * KERNEL_RADIUS + 1,) * 2) - KERNEL_RADIUS
    values = np.exp(-np.einsum("irc,ij,jrc->rc", distance, np.linalg.inv(covariance), distance) / 2)
    return np.asarray(values / values.sum())


def _middle(plane: Floats) -> Floats:
    """Return the part that is looked at."""
    starts = [max(0, (length - LARGEST_SIDE) // 2) for length in plane.shape]
    return plane[starts[0] : starts[0] + LARGEST_SIDE, starts[1] : starts[1] + LARGEST_SIDE]


def _judged(found: tuple[Floats, Floats], factors: tuple[float, float]) -> BlurEstimate:
    """Return the narrower of two blurs, by the spectrum and by patches, if they agree."""
    widths = [float(np.linalg.det(covariance)) ** 0.25 for covariance in found]
    narrower = found[int(np.argmin(widths))]
    if widths[0] > WIDEST:
        return _nothing("its detail is larger than its pixels, and enlarging it would add nothing")
    if max(widths) > AGREEMENT * min(widths):
        return _nothing("two ways to measure it disagree, as with few edges, one texture or strong noise")
    sigma, angle = _undone(narrower, factors)
    widest = math.sqrt(float(np.linalg.eigvalsh(narrower)[1]))
    if min(widths) < BICUBIC_MEAN and widest < BICUBIC_WIDEST:
        sentence = "the image is hardly blurrier than its pixels make it: the bicubic kernel fits"
        return BlurEstimate(Bicubic(), sigma, angle, True, sentence)
    sentence = (
        f"the blur is about {sigma[0]:.1f} pixels of the enlarged image wide (standard deviation) at {angle:.0f} "
        f"degrees from the row axis, and {sigma[1]:.1f} across"
    )
    return BlurEstimate(rotated_gaussian(sigma, angle), sigma, angle, True, sentence)


def _undone(covariance: Floats, factors: tuple[float, float]) -> tuple[tuple[float, float], float]:
    """Return the widths, in pixels of the enlarged image, of the blur that is to be undone, and its direction."""
    # The enlarged image is as sharp in its own pixels: only the difference of the squares is to be undone.
    scale = np.sqrt(np.square(factors) - 1)
    variances, directions = np.linalg.eigh((covariance - MARGIN * np.eye(2)) * np.multiply.outer(scale, scale))
    least, most = (math.sqrt(max(float(variance), 0.0)) for variance in variances)
    down, across = directions[:, 1]
    return (most, least), (math.degrees(math.atan2(across, down)) + 90) % 180 - 90


def _nothing(reason: str) -> BlurEstimate:
    sentence = f"the blur cannot be told from the image: {reason}; the bicubic kernel is taken"
    return BlurEstimate(Bicubic(), (math.nan, math.nan), 0.0, False, sentence)

"""The blur of an image, estimated from the image alone: sharp scenes have similar patches at all scales.

Two estimates that fail for different reasons have to agree: one from how the blur bends the power spectrum
(:mod:`.spectrum`), and the kernel that makes patches of the image most similar to patches of the reduced image
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
"""Pixels along a side of the middle part that is evaluated: more only takes longer."""

PATCH, RATIO = 5, 2
"""Pixels along a side of a patch, and the factor by which the image is reduced to search for similar ones."""

QUERIES, CANDIDATES = 1500, 8000
"""Patches of the image for which similar ones are searched, and patches of the reduced image among which."""

FLATTEST_QUERIES, FLATTEST_CANDIDATES = 0.7, 0.5
"""Share of all patches, the flattest ones, that are left out of either."""

FLAT = 1e-6
"""Share of the strongest edge below which there is none: a running mean leaves rounding behind."""

FEWEST = 100
"""Patches with edges below which nothing can be estimated."""

BEST_MATCHES = 0.4
"""Share of the patches, those with the most similar partner, that decide on the kernel."""

ROUNDS = 5
"""Times that patches are matched, each time with a better kernel."""

KERNEL_RADIUS = 4
"""Pixels of the measured image from the centre of a kernel to its border."""

FIRST_SIGMA, SMALLEST_VARIANCE = 0.5, 0.01
"""Standard deviation of the first kernel, and the smallest variance of any, in (squared) measured pixels."""

AGREEMENT = 1.4
"""Ratio of the widths by the two estimates above which neither is used."""

BICUBIC_MEAN, BICUBIC_WIDEST = 0.69, 0.81
"""Widths of the blur in measured pixels, geometric mean and widest direction, below which bicubic is used.

Measured on 15 photographs reduced by bicubic; a kernel that is too wide costs much more than one that is too narrow.
"""

WIDEST = 1.4
"""Width by the spectrum, in measured pixels, above which the detail is larger than the pixels: no kernel helps.

Patches are too small to estimate such blurs.
"""

MARGIN = 1 / 12
"""Variance, in squared measured pixels, by which a kernel is made narrower than estimated: that of a square pixel.

A scene that is soft by itself looks more blurred than it was. With the margin such scenes, blurred by one pixel,
are restored better than by bicubic instead of worse (measured on two of three); the others lose about half a decibel.
"""


@final
@dataclass(frozen=True)
class BlurEstimate:
    """The estimated blur, or why there is none.

    Parameters
    ----------
    kernel : Kernel
        The kernel to restore with: the estimated Gaussian, or bicubic.
    sigma : tuple of float
        Standard deviations along the directions of most and least blur, in pixels of the enlarged image.
    angle : float
        Degrees from the row axis towards the column axis, -90 to 90, of the direction of most blur.
    reliable : bool
        Whether both estimates agree. If not, the kernel is bicubic.
    sentence : str
        The result for a person.
    """

    kernel: Kernel
    sigma: tuple[float, float]
    angle: float
    reliable: bool
    sentence: str


def estimate_blur(image: NDArray[Any], factors: tuple[float, float]) -> BlurEstimate:
    """Estimate the blur between the enlarged image and a measured plane.

    The enlarged image is assumed to be as sharp, in its own pixels, as the scene is at the scale of the measured
    ones. Fails on images of a single texture or of a few equal objects, and where noise is as strong as the edges;
    mostly it notices, and then the kernel is bicubic.

    Parameters
    ----------
    image : ndarray, (rows, columns)
        The plane to be enlarged, in any unit; for colours, their mean.
    factors : tuple of float
        Pixels of the enlarged image in a measured one, along rows and columns.

    Raises
    ------
    ValueError
        If the image is not a plane of finite values, or the factors are not two numbers of at least 1.
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
    return _agreed(spectrum.fit(plane).covariance, matched, factors)


def across_scales(plane: Floats, *, seed: int = 0) -> Floats | None:
    """Return the covariance (2, 2) of a plane's blur, in squared pixels, with which patches recur across scales.

    Patches are matched with those of the blurred and reduced plane. The Gaussian that makes the matched ones most
    similar is the blur for the next match. None if the plane has too few edges.
    """
    generator = np.random.default_rng(seed)
    plane = (plane - plane.mean()) / plane.std()
    edges = ndimage.uniform_filter(sum(np.square(slope) for slope in np.gradient(plane)), PATCH)
    queries = _places(edges, PATCH // 2, FLATTEST_QUERIES, QUERIES, generator)
    margin = RATIO * (PATCH // 2) + KERNEL_RADIUS
    candidates = _places(edges, margin, FLATTEST_CANDIDATES, CANDIDATES, generator)
    if min(queries.shape[1], candidates.shape[1]) < FEWEST:
        return None
    patches = _without_mean(_patches(plane, queries, 1))
    covariance = FIRST_SIGMA**2 * np.eye(2)
    for _ in range(ROUNDS):
        blurred = ndimage.correlate(plane, _gaussian(covariance), mode="mirror")
        chosen, partner = _matches(patches, _without_mean(_patches(blurred, candidates, RATIO)))
        covariance = _fit_kernel(plane, patches[chosen], candidates[:, partner])
    # A scene detail and its copy RATIO times as large have the same blur: the kernel between them has the difference.
    return covariance / (RATIO**2 - 1)


def _places(edges: Floats, margin: int, flattest: float, most: int, generator: np.random.Generator) -> Indices:
    """Return rows and columns (2, n) of random pixels at edges, at least ``margin`` from the border."""
    inner = edges[margin:-margin, margin:-margin]
    detailed = np.flatnonzero((inner >= np.quantile(inner, flattest)) & (inner > FLAT * edges.max()))
    picked = generator.permutation(detailed)[:most]
    return np.stack(np.unravel_index(picked, inner.shape)) + margin


def _patches(plane: Floats, places: Indices, step: int) -> Floats:
    """Return the patches (n, pixels) around places, made of every ``step``-th pixel."""
    within = step * (np.indices((PATCH, PATCH)).reshape(2, -1) - PATCH // 2)
    rows, columns = places[:, :, None] + within[:, None, :]
    return np.asarray(plane[rows, columns])


def _without_mean(patches: Floats) -> Floats:
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


def _matches(patches: Floats, others: Floats) -> tuple[Indices, Indices]:
    """Return which patches have a similar one among others, and which of the others it is."""
    energy = np.maximum(np.square(patches).sum(axis=1), np.finfo(np.float32).tiny)
    distance = np.square(others).sum(axis=1) - 2 * (patches.astype(np.float32) @ others.T.astype(np.float32))
    partner = distance.argmin(axis=1)
    difference = (distance[np.arange(len(partner)), partner] + energy) / energy
    chosen = np.flatnonzero(difference <= np.quantile(difference, BEST_MATCHES))
    return chosen, partner[chosen]


def _fit_kernel(plane: Floats, wanted: Floats, places: Indices) -> Floats:
    """Return the covariance of the Gaussian that, applied to the plane, gives the wanted patches at places."""
    weight = 1 / np.maximum(np.linalg.norm(wanted, axis=1), np.finfo(np.float32).tiny)
    offsets = np.indices((2 * KERNEL_RADIUS + 1,) * 2).reshape(2, -1, 1) - KERNEL_RADIUS
    # One row per pixel of the kernel: the patches that this pixel alone would give.
    shifted = [
        _without_mean(_patches(plane, places + offset, RATIO)) * weight[:, None] for offset in offsets.swapaxes(0, 1)
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
    """Return the covariance for three unconstrained numbers, its Cholesky factor on logarithmic axes."""
    triangle = np.array([[math.exp(min(factor[0], 5)), 0.0], [factor[1], math.exp(min(factor[2], 5))]])
    return np.asarray(triangle @ triangle.T + SMALLEST_VARIANCE * np.eye(2))


def _gaussian(covariance: Floats) -> Floats:
    distance = np.indices((2 * KERNEL_RADIUS + 1,) * 2) - KERNEL_RADIUS
    values = np.exp(-np.einsum("irc,ij,jrc->rc", distance, np.linalg.inv(covariance), distance) / 2)
    return np.asarray(values / values.sum())


def _middle(plane: Floats) -> Floats:
    """Return the part of a plane that is evaluated."""
    starts = [max(0, (length - LARGEST_SIDE) // 2) for length in plane.shape]
    return plane[starts[0] : starts[0] + LARGEST_SIDE, starts[1] : starts[1] + LARGEST_SIDE]


def _agreed(by_spectrum: Floats, by_patches: Floats, factors: tuple[float, float]) -> BlurEstimate:
    """Return the narrower of two blurs, given by their covariances, if they agree."""
    widths = [float(np.linalg.det(covariance)) ** 0.25 for covariance in (by_spectrum, by_patches)]
    narrower = by_spectrum if widths[0] <= widths[1] else by_patches
    widest = math.sqrt(float(np.linalg.eigvalsh(narrower)[1]))
    # A Gaussian that is wider along one direction than its kernel is cut off: it was fitted to noise.
    if widths[0] > WIDEST or widest > KERNEL_RADIUS / 2:
        return _nothing("its detail is larger than its pixels, and enlarging it would add nothing")
    if max(widths) > AGREEMENT * min(widths):
        return _nothing("two estimates of it disagree, as with few edges, a single texture or strong noise")
    sigma, angle = _to_undo(narrower, factors)
    if min(widths) < BICUBIC_MEAN and widest < BICUBIC_WIDEST:
        sentence = "the image is hardly more blurred than by its pixels: the bicubic kernel fits"
        return BlurEstimate(Bicubic(), sigma, angle, True, sentence)
    sentence = (
        f"the blur is about {sigma[0]:.1f} pixels of the enlarged image wide (standard deviation) at {angle:.0f} "
        f"degrees from the row axis, and {sigma[1]:.1f} across"
    )
    return BlurEstimate(rotated_gaussian(sigma, angle), sigma, angle, True, sentence)


def _to_undo(covariance: Floats, factors: tuple[float, float]) -> tuple[tuple[float, float], float]:
    """Return the widths, in pixels of the enlarged image, of the blur that is to be undone, and its angle."""
    # The enlarged image is to be as sharp in its own pixels: only the difference of the variances is to be undone.
    scale = np.sqrt(np.square(factors) - 1)
    variances, directions = np.linalg.eigh((covariance - MARGIN * np.eye(2)) * np.multiply.outer(scale, scale))
    least, most = (math.sqrt(max(float(variance), 0.0)) for variance in variances)
    down, across = directions[:, 1]
    return (most, least), (math.degrees(math.atan2(across, down)) + 90) % 180 - 90


def _nothing(reason: str) -> BlurEstimate:
    sentence = f"the blur cannot be estimated from the image: {reason}; the bicubic kernel is used"
    return BlurEstimate(Bicubic(), (math.nan, math.nan), 0.0, False, sentence)

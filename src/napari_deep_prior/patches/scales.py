"""Similar patches at several scales: what is smooth is denoised where it is small.

Patches are too small to average the noise of low frequencies. Halving an image by its discrete cosine transform keeps
white noise white, at half of its standard deviation, and the same patches reach twice as far (multi-scale denoising,
Pierazzo, Morel & Facciolo 2017, doi 10.5201/ipol.2017.201). Low frequencies are mixed from the two scales. The share of
each is found for bands of frequencies, without any truth: by an estimate of the risk, for which the patches combine
a plane of noise, too (Ramani, Blu & Unser 2008, doi 10.1109/TIP.2008.2001404). The mixture is the pilot of the last
pass (:mod:`.nl_bayes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import numpy.typing as npt
import scipy.fft
import torch
from torch import Tensor
from torch.nn import functional

from . import nl_bayes, nl_ridge
from .planes import map_planes, planes_of
from .similar_patches import WIDE_STRIDE, WIDEST_STRIDE

ESTIMATES = 4
"""Estimates that are yielded: without a pilot, with one, with the coarser scales, and with those as the pilot."""

SMALLEST_SIDE = 48
"""Pixels along the shorter side of an image from which on it is also denoised at half its size."""

BANDS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.7, 1.0)
"""Edges of the bands of frequencies that have a share each, in units of the largest one that the coarser scale has."""

NODES = (*((low + high) / 2 for low, high in itertools.pairwise(BANDS)), 1.0)
"""Frequencies between which the share changes evenly: the middles of the bands, and where the coarser scale ends."""

REMOVED_FIRST, REMOVED, REMOVED_LAST = 0.95, 0.8, 0.65
"""Shares of the variance of the noise that the three passes assume: more would take texture for noise.

Measured: less in the last pass is better by 0.04 dB on photographs, and 0.3 dB worse at less than one photon.
"""

INDIRECT = 1.8
"""Factor by which more noise is kept than by fixed combinations, since the choice of patches depends on the noise, too.

Measured: 1.1 to 1.9 on photographs and micrographs, 1.7 to 2.3 on flat fields. Of 1.6 and 2, 1.6 is better by up to
0.1 dB on micrographs, and 2 leaves a fifth less noise in a flat field.
"""

BLUR, BLUR_REACH = 1.0, 3
"""Standard deviation and reach, in pixels, of the blur by which the first variance of the noise is found."""

_Array = npt.NDArray[Any]

Variance = Callable[[Tensor], Tensor]
"""Returns the variance of the noise (1, C, *S) of pixels with these means (1, C, *S)."""


@final
@dataclass(frozen=True)
class Filtered:
    """An estimate of the means of pixels (1, C, *S), and what the same filter makes of noise."""

    means: Tensor
    response: Tensor


def estimates(noisy: Tensor, variance: Variance) -> Iterator[Tensor]:
    """Yield :data:`ESTIMATES` ever better estimates (1, C, *S) of the means of pixels.

    Parameters
    ----------
    noisy : Tensor, (1, C, *S)
        White noise added to the means; at least :data:`.similar_patches.SMALLEST_SIDE` pixels along a side.
    variance : callable
        That of the noise.
    """
    first = first_estimate(noisy, variance(blurred(noisy)), stride=WIDEST_STRIDE)
    yield first
    yield from refined(noisy, first, variance)


def refined(noisy: Tensor, pilot: Tensor, variance: Variance, *, kept: float = 0.0) -> Iterator[Tensor]:
    """Yield the estimates (1, C, *S) that follow a first one: with it as the pilot, with the coarser scales, and last.

    Parameters
    ----------
    noisy, variance : Tensor, (1, C, *S), and callable
        As in :func:`estimates`.
    pilot : Tensor, (1, C, *S)
        The first estimate: of similar patches, or of a network.
    kept : float
        Share of that in the pilot of the last pass.
    """
    # The same noise in every plane and every run: nothing is random, and no plane changes another.
    noise = torch.randn(noisy.shape[-2:], generator=torch.Generator().manual_seed(0)).to(noisy.device)
    probe = noise * variance(blurred(noisy)).sqrt()
    fine = with_pilot(noisy, probe, pilot, variance, stride=WIDE_STRIDE)
    yield fine.means
    means = _with_coarser_scales(noisy, probe, fine, variance).means
    yield means
    pilot = torch.lerp(means, pilot, kept)
    last = partial(nl_bayes.denoise_with_pilot, stride=WIDE_STRIDE)
    yield map_planes(last, noisy, pilot, REMOVED_LAST * variance(pilot))


def _with_coarser_scales(noisy: Tensor, probe: Tensor, fine: Filtered, variance: Variance) -> Filtered:
    """Return an estimate whose low frequencies are mixed with those of the coarser scales, where there are any."""
    if min(noisy.shape[-2:]) < SMALLEST_SIDE:
        return fine
    small, small_probe = halved(noisy), halved(probe)

    def small_variance(means: Tensor) -> Tensor:
        return variance(means) / 4

    first = first_estimate(small, small_variance(blurred(small)), stride=WIDEST_STRIDE)
    coarse = with_pilot(small, small_probe, first, small_variance, stride=WIDE_STRIDE)
    coarse = _with_coarser_scales(small, small_probe, coarse, small_variance)
    return _mixed(noisy, probe, fine, coarse)


def first_estimate(noisy: Tensor, variance: Tensor, *, stride: int) -> Tensor:
    """Return an estimate (1, C, *S) without a pilot, of pixels whose noise has the variance (1, C, *S)."""
    return map_planes(partial(nl_ridge.denoise_from_itself, stride=stride), noisy, REMOVED_FIRST * variance)


def with_pilot(noisy: Tensor, probe: Tensor, pilot: Tensor, variance: Variance, *, stride: int) -> Filtered:
    """Return an estimate with a pilot, and what its combinations make of the ``probe``, noise; all (1, C, *S)."""
    denoise = partial(nl_ridge.denoise_and_respond, stride=stride)
    planes = planes_of(noisy, pilot, REMOVED * variance(pilot), probe)
    parts = [denoise(*plane[:3], probe=plane[3]) for plane in planes]
    means, response = (torch.stack(each).reshape(noisy.shape) for each in zip(*parts, strict=True))
    return Filtered(means, response)


def _mixed(noisy: Tensor, probe: Tensor, fine: Filtered, coarse: Filtered) -> Filtered:
    """Return two estimates mixed, of which the coarse one is half as large; the share is that of least risk."""
    rows, columns = coarse.means.shape[-2:]
    means, response, measured, noise = (_transformed(each) for each in (fine.means, fine.response, noisy, probe))
    # Equal functions have coefficients in proportion to the root of the number of pixels.
    scale = float(np.sqrt(noisy[0, 0].numel() / coarse.means[0, 0].numel()))
    low = (..., slice(rows), slice(columns))
    coarse_means, coarse_response = (_transformed(each) * scale for each in (coarse.means, coarse.response))
    difference = means[low] - coarse_means
    kept = response[low] - coarse_response
    gains = difference * (measured[low] - coarse_means) - INDIRECT * kept * noise[low]
    frequency = np.hypot(np.arange(rows)[:, None] / rows, np.arange(columns) / columns)
    shares = _shares_by_band(gains, difference**2, frequency)
    share = np.apply_along_axis(lambda each: np.interp(frequency, NODES, each), -1, shares).astype(np.float32)
    means[low] = coarse_means + share * difference
    response[low] = coarse_response + share * kept
    return Filtered(_restored(means, noisy), _restored(response, noisy))


def _shares_by_band(gains: _Array, squares: _Array, frequency: _Array) -> _Array:
    """Return the shares (1, C, bands + 1) of the fine scale, and at the end, where the coarser scale ends, 1."""
    shares = []
    for low, high in itertools.pairwise(BANDS):
        inside = (frequency >= low) & (frequency < high)
        wanted, size = (each[..., inside].sum(axis=-1) for each in (gains, squares))
        shares.append(np.clip(wanted / np.maximum(size, 1e-12), 0, 1))
    return np.stack([*shares, np.ones_like(shares[0])], axis=-1)


def halved(image: Tensor) -> Tensor:
    """Return an image (..., rows, columns) of half the size, rounded up, without its high frequencies."""
    rows, columns = ((length + 1) // 2 for length in image.shape[-2:])
    scale = float(np.sqrt(rows * columns / (image.shape[-2] * image.shape[-1])))
    return _restored(_transformed(image)[..., :rows, :columns] * scale, image)


def doubled(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return an image (..., rows, columns) of a shape (rows, columns) of twice its own, without high frequencies."""
    rows, columns = image.shape[-2:]
    coefficients = np.zeros((*image.shape[:-2], *shape), np.float32)
    coefficients[..., :rows, :columns] = _transformed(image) * float(np.sqrt(shape[0] * shape[1] / (rows * columns)))
    return _restored(coefficients, image)


def _transformed(image: Tensor) -> _Array:
    transformed: _Array = scipy.fft.dctn(image.cpu().numpy(), axes=(-2, -1), norm="ortho")
    return transformed


def _restored(coefficients: _Array, like: Tensor) -> Tensor:
    return torch.from_numpy(scipy.fft.idctn(coefficients, axes=(-2, -1), norm="ortho")).to(like)


def blurred(image: Tensor) -> Tensor:
    """Return an image (1, C, *S) with its planes blurred by a Gaussian."""
    distance = torch.arange(-BLUR_REACH, BLUR_REACH + 1, dtype=image.dtype, device=image.device)
    profile = torch.exp(-((distance / BLUR) ** 2) / 2)
    kernel = torch.outer(profile, profile)
    planes = image.flatten(0, -3)[:, None]
    padded = functional.pad(planes, (BLUR_REACH,) * 4, mode="reflect")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None]).reshape(image.shape)

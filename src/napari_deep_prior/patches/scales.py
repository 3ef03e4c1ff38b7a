"""Similar patches at several scales: what is smooth is denoised where it is small.

Patches are too small to average the noise of low frequencies. Halving an image by its discrete cosine transform keeps
white noise white, at half of its standard deviation, and the same patches reach twice as far (multi-scale denoising,
Pierazzo, Morel & Facciolo 2017, doi 10.5201/ipol.2017.201). Low frequencies are mixed from the two scales. The share of
each is found for bands of frequencies, without any truth: by an estimate of the risk, for which the patches combine
a plane of noise, too (Ramani, Blu & Unser 2008, doi 10.1109/TIP.2008.2001404).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np
import numpy.typing as npt
import scipy.fft
import torch
from torch import Tensor
from torch.nn import functional

from . import nl_ridge
from .planes import map_planes, planes_of

PASSES = 2
"""Passes with a pilot, at each scale; more change little."""

SMALLEST_SIDE = 48
"""Pixels along the shorter side of an image from which on it is also denoised at half its size."""

BANDS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.7, 1.0)
"""Edges of the bands of frequencies that have a share each, in units of the largest one that the coarser scale has."""

NODES = (*((low + high) / 2 for low, high in itertools.pairwise(BANDS)), 1.0)
"""Frequencies between which the share changes evenly: the middles of the bands, and where the coarser scale ends."""

FIRST_REMOVED = 0.95
"""Share of the variance of the noise that the first estimate assumes: more would take texture for noise."""

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
@dataclass(frozen=True, kw_only=True)
class Search:
    """How similar patches are searched, see :func:`.nl_ridge.denoise_with_pilot`.

    Parameters
    ----------
    group_size, search_radius, stride : int
        Patches in a group; pixels around a patch that are searched; pixels between two groups.
    removed : float
        Share of the variance of the noise that a pass with a pilot assumes: more would take texture for noise.
    """

    group_size: int
    search_radius: int
    stride: int
    removed: float


@final
@dataclass(frozen=True)
class _Filtered:
    """An estimate of the means of planes (N, rows, columns), and what the same filter makes of noise."""

    means: Tensor
    response: Tensor


def estimates(noisy: Tensor, variance: Variance, search: Search) -> Iterator[Tensor]:
    """Yield ever better estimates (1, C, *S) of the means of pixels: one per pass, then with the coarser scales.

    Parameters
    ----------
    noisy : Tensor, (1, C, *S)
        White noise added to the means; at least :data:`.nl_ridge.SMALLEST_SIDE` pixels along a side.
    variance : callable
        That of the noise.
    search : Search
        How similar patches are searched.
    """
    # The same noise in every plane and every run: nothing is random, and no plane changes another.
    noise = torch.randn(noisy.shape[-2:], generator=torch.Generator().manual_seed(0)).to(noisy.device)
    probe = noise * variance(_blurred(noisy)).sqrt()
    for pilot in _pilots(noisy, variance, search):
        yield pilot
    fine = _last_pass(noisy, probe, pilot, variance, search)
    yield fine.means
    yield _with_coarser_scales(noisy, probe, fine, variance, search).means


def _with_coarser_scales(
    noisy: Tensor, probe: Tensor, fine: _Filtered, variance: Variance, search: Search
) -> _Filtered:
    """Return an estimate whose low frequencies are mixed with those of the coarser scales, where there are any."""
    if min(noisy.shape[-2:]) < SMALLEST_SIDE:
        return fine
    small, small_probe = _halved(noisy), _halved(probe)

    def small_variance(means: Tensor) -> Tensor:
        return variance(means) / 4

    closer = replace(search, stride=nl_ridge.STRIDE)
    *_, pilot = _pilots(small, small_variance, closer)
    coarse = _last_pass(small, small_probe, pilot, small_variance, closer)
    coarse = _with_coarser_scales(small, small_probe, coarse, small_variance, closer)
    return _mixed(noisy, probe, fine, coarse)


def _pilots(noisy: Tensor, variance: Variance, search: Search) -> Iterator[Tensor]:
    """Yield an estimate without a pilot, and those of all passes with one but the last."""
    assumed = FIRST_REMOVED * variance(_blurred(noisy))
    pilot = map_planes(partial(nl_ridge.denoise_from_itself, stride=search.stride), noisy, assumed)
    yield pilot
    denoise = partial(
        nl_ridge.denoise_with_pilot,
        group_size=search.group_size,
        search_radius=search.search_radius,
        stride=search.stride,
    )
    for _ in range(PASSES - 1):
        pilot = map_planes(denoise, noisy, pilot, search.removed * variance(pilot))
        yield pilot


def _last_pass(noisy: Tensor, probe: Tensor, pilot: Tensor, variance: Variance, search: Search) -> _Filtered:
    parts = [
        nl_ridge.denoise_and_respond(plane, guess, noise, _corners(guess, search), probe=beside)
        for plane, guess, noise, beside in planes_of(noisy, pilot, search.removed * variance(pilot), probe)
    ]
    means, response = (torch.stack(each).reshape(noisy.shape) for each in zip(*parts, strict=True))
    return _Filtered(means, response)


def _corners(pilot: Tensor, search: Search) -> Tensor:
    return nl_ridge.find_similar_patches(
        pilot, group_size=search.group_size, search_radius=search.search_radius, stride=search.stride
    )


def _mixed(noisy: Tensor, probe: Tensor, fine: _Filtered, coarse: _Filtered) -> _Filtered:
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
    return _Filtered(_restored(means, noisy), _restored(response, noisy))


def _shares_by_band(gains: _Array, squares: _Array, frequency: _Array) -> _Array:
    """Return the shares (1, C, bands + 1) of the fine scale, and at the end, where the coarser scale ends, 1."""
    shares = []
    for low, high in itertools.pairwise(BANDS):
        inside = (frequency >= low) & (frequency < high)
        wanted, size = (each[..., inside].sum(axis=-1) for each in (gains, squares))
        shares.append(np.clip(wanted / np.maximum(size, 1e-12), 0, 1))
    return np.stack([*shares, np.ones_like(shares[0])], axis=-1)


def _halved(image: Tensor) -> Tensor:
    """Return an image (..., rows, columns) of half the size, rounded up, without its high frequencies."""
    rows, columns = ((length + 1) // 2 for length in image.shape[-2:])
    scale = float(np.sqrt(rows * columns / (image.shape[-2] * image.shape[-1])))
    return _restored(_transformed(image)[..., :rows, :columns] * scale, image)


def _transformed(image: Tensor) -> _Array:
    transformed: _Array = scipy.fft.dctn(image.cpu().numpy(), axes=(-2, -1), norm="ortho")
    return transformed


def _restored(coefficients: _Array, like: Tensor) -> Tensor:
    return torch.from_numpy(scipy.fft.idctn(coefficients, axes=(-2, -1), norm="ortho")).to(like)


def _blurred(image: Tensor) -> Tensor:
    """Return an image (1, C, *S) with its planes blurred by a Gaussian."""
    distance = torch.arange(-BLUR_REACH, BLUR_REACH + 1, dtype=image.dtype, device=image.device)
    profile = torch.exp(-((distance / BLUR) ** 2) / 2)
    kernel = torch.outer(profile, profile)
    planes = image.flatten(0, -3)[:, None]
    padded = functional.pad(planes, (BLUR_REACH,) * 4, mode="reflect")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None]).reshape(image.shape)

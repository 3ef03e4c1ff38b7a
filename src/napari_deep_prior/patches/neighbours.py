"""Neighbours of a frame: the other frames of a series, or planes of a stack, that show the same.

Where two frames show the same, they are two measurements of it, and their mean has half the noise. Where something has
moved, the other frame is left out. Pilots, estimates of the noiseless frames, tell which it is: the weight of a frame
at a pixel falls with the squared difference of the pilots around it, less what the pilots' own noise makes of it
(a robust weighted mean, cf. Hasinoff et al. 2016, doi 10.1145/2980179.2980254). A whole frame that has moved is moved
back by whole pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor
from torch.nn import functional

from ..physics.averaged_misfit import AveragedMisfit
from ..physics.misfit import Misfit, weighted_mean
from ..progress.stages import checkpoint, stage
from . import scales
from .brightness import Shown, brightness_of
from .patch_denoising import fill_missing
from .similar_patches import WIDE_STRIDE, WIDEST_STRIDE

STAGE = "Comparing neighbours"
"""What a run says while frames are averaged."""

REACH = 2
"""Pixels around a pixel within which two pilots are compared; 3 or more lose up to 0.4 dB where things move."""

SMALLEST_VARIANCE = 0.05
"""Least variance of a stabilised pixel: in the dark it goes to 0, and differences cannot be divided by it."""

SMALLER = 0.9
"""Share of the mean squared difference of two frames below which a shift is believed."""

INDIRECT = 1.6
"""Factor by which similar patches keep more of a frame's own noise than fixed combinations: they depend on it, too.

Measured: 0.8 on a bright confocal image, 1.2 to 1.4 on generated cells, 1.9 on a confocal frame of few photons.
"""

FARTHEST = 0.25
"""Share of a frame by which it can have moved."""


@final
@dataclass(frozen=True)
class Weighting:
    """How the difference of two pilots becomes a weight: ``1 / (1 + slope * (difference - ignored))``.

    Parameters
    ----------
    slope : float
        The larger, the less a frame counts that shows something else.
    ignored : float
        Squared difference, in units of the noise of a pixel, that the noise of the pilots makes.
    """

    slope: float
    ignored: float


SINGLE, AVERAGED = Weighting(8.0, 0.1), Weighting(30.0, 0.05)
"""For pilots of single frames, and for those of averaged ones, which differ less by noise.

Measured, four neighbours on each side, on a static confocal image (dB below its denoised mean), a moving series and a
jumping one (dB above single frames): slopes of 8 and 20 with pilots of single frames -0.4, 1.9, 0.2 and -0.9, 2.0, 0.4;
of 20 and 50 with those of averaged ones -0.05, 2.0, 0.4 and -0.1, 1.9, 0.5.
"""


@final
@dataclass(frozen=True)
class NoisyFrame:
    """One frame with all of its channels.

    Parameters
    ----------
    values, weight : Tensor, (1, C, rows, columns)
        As it was measured; 0 where a pixel is missing.
    pilot : Tensor, (1, C, rows, columns)
        Estimate of the means of the stabilised values.
    """

    values: Tensor
    weight: Tensor
    pilot: Tensor


@final
@dataclass(frozen=True)
class Average:
    """A frame averaged with its neighbours.

    Parameters
    ----------
    values : Tensor, (1, C, rows, columns)
        Weighted means of what was measured.
    own : Tensor, (1, C, rows, columns)
        Share of the frame itself in them.
    variance_share : Tensor, (1, C, rows, columns)
        Variance of their noise, in units of that of a single frame: from 1 down to 1 over the number of frames.
    """

    values: Tensor
    own: Tensor
    variance_share: Tensor


@torch.no_grad()
def pilot_of(values: Tensor, weight: Tensor, misfit: Misfit) -> Tensor:
    """Return a quick estimate of the means of the stabilised values of a frame, (1, C, rows, columns).

    Parameters
    ----------
    values, weight : Tensor, (1, C, rows, columns)
        What was measured; 0 where a pixel is missing.
    misfit : Misfit
        Of its noise.
    """
    noisy = fill_missing(misfit.stabilise(values), weight == 0)
    return scales.first_estimate(noisy, misfit.variance_at(noisy), stride=WIDEST_STRIDE)


@torch.no_grad()
@stage(STAGE)
def averaged(frame: NoisyFrame, others: Sequence[NoisyFrame], misfit: Misfit, weighting: Weighting) -> Average:
    """Return a frame averaged with others as far as they show the same.

    Parameters
    ----------
    misfit : Misfit
        Of the noise of a single frame.
    weighting : Weighting
        What differences of the pilots mean.
    """
    variance = misfit.variance_at(frame.pilot).clamp(min=SMALLEST_VARIANCE)
    ours = Shown(frame.values, misfit.unstabilise(frame.pilot))

    def similar(estimate: Tensor) -> Tensor:
        difference = _local_mean((frame.pilot - misfit.expected(estimate)).square()) / variance
        return 1 / (1 + weighting.slope * (difference - weighting.ignored).clamp(min=0))

    weights = frame.weight.clone()
    sums, squares = frame.values * weights, weights.clone()
    for other in others:
        checkpoint()
        moved = _moved(other, _shift(frame.pilot, other.pilot))
        theirs = Shown(moved.values, misfit.unstabilise(moved.pilot))
        brightness, shares = brightness_of(theirs, ours, similar, moved.weight * (frame.weight > 0))
        weight = moved.weight * shares / brightness.variance
        sums += weight * brightness.of(moved.values)
        weights += weight
        squares += weight.square() * brightness.variance
    known = weights.clamp(min=1e-9)
    return Average(sums / known, frame.weight / known, squares / known.square())


@torch.no_grad()
def risk(frame: NoisyFrame, average: Average, misfit: Misfit) -> Tensor:
    """Return the mean squared error (0-d) of a denoised average, in units of the noise and up to a constant.

    An estimate without any truth: what similar patches make of the average is compared with the frame, and what they
    keep of the frame's own noise is counted (Ramani, Blu & Unser 2008, doi 10.1109/TIP.2008.2001404).
    """
    left = AveragedMisfit(misfit, average.variance_share)
    pilot = pilot_of(average.values, frame.weight, left)
    noisy = misfit.stabilise(average.values)
    probe = torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0)).to(noisy)
    probe = probe * misfit.variance_at(pilot).sqrt()
    found = scales.with_pilot(noisy, average.own * probe, pilot, left.variance_at, stride=WIDE_STRIDE)
    # In the means of measurements of a single frame, which it is compared with.
    means = misfit.expected(left.unstabilise(found.means))
    errors = (means - misfit.stabilise(frame.values)).square() + 2 * INDIRECT * found.response * probe
    return weighted_mean(errors, frame.weight)


def _shift(pilot: Tensor, other: Tensor) -> tuple[int, int]:
    """Return the rows and columns by which another frame is moved to lie on a frame; mostly 0."""
    planes = [each[0].mean(dim=0).cpu().numpy() for each in (pilot, other)]
    centred = [plane - plane.mean() for plane in planes]
    down, right = (int(step) for step in phase_cross_correlation(*centred, normalization=None)[0])
    rows, columns = planes[0].shape
    if (down, right) == (0, 0) or abs(down) > FARTHEST * rows or abs(right) > FARTHEST * columns:
        return 0, 0
    ours = planes[0][max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]
    theirs = planes[1][max(-down, 0) : rows - max(down, 0), max(-right, 0) : columns - max(right, 0)]
    found, before = ((one - two).var() for one, two in ((ours, theirs), planes))
    return (down, right) if found < SMALLER * before else (0, 0)


def _moved(frame: NoisyFrame, shift: tuple[int, int]) -> NoisyFrame:
    """Return a frame moved by whole pixels; what it does not show is missing."""
    if shift == (0, 0):
        return frame
    return NoisyFrame(*(_moved_plane(each, shift) for each in (frame.values, frame.weight, frame.pilot)))


def _moved_plane(image: Tensor, shift: tuple[int, int]) -> Tensor:
    rows, columns = image.shape[-2:]
    (down, right), reach = shift, max(map(abs, shift))
    padded = functional.pad(image, (reach,) * 4)
    return padded[..., reach - down : reach - down + rows, reach - right : reach - right + columns]


def _local_mean(image: Tensor) -> Tensor:
    """Return the mean within :data:`REACH` pixels of each pixel, of the pixels that there are."""
    return functional.avg_pool2d(image, 2 * REACH + 1, stride=1, padding=REACH, count_include_pad=False)

"""The noise of a detector, estimated from its image alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter

from ..physics.noise_model import Floats, NoiseModel
from .equal_pixels import is_drawing
from .noise_blocks import BLOCK, INDEPENDENT, LAGS, TO_DEVIATION, UNCORRELATED, Blocks, autocorrelation, measure
from .noise_check import SCENE, is_smooth, noise_without_structure
from .noise_fit import Detector, Line, fit_line

SMALLEST_SIDE = BLOCK + 2
"""Pixels along the smallest plane: a block and one pixel to every side for the Laplacian."""

MOST_PLANES = 32
"""Planes read from a stack: more change the result by less than its error."""

PILE_UP = 5
"""Pixels at the extreme value, and times those at the next value, that mean clipping."""

FEWEST_PIXELS = 600
"""Pixels in whole blocks below which no line is trusted (32 x 32 is too small)."""

STRONGEST_CORRELATION = 0.8
"""Correlation above which it is rather the scene's: that of raw noise is up to 0.64 (wide-field frames of FMD), that of
an image enlarged twofold by bilinear interpolation 0.77."""

MOST_SATURATED = 0.5
"""Share of saturated pixels above which the bright parts are not measured."""

UNEXPLAINED = 4.0
"""Root mean square departure, in standard errors, above which a line explains nothing."""

DARKEST = 0.01
"""Quantile of the brightness of blocks that stands for the darkest ones."""

DARKER = 0.01
"""Share of the pixels that must be darker than zero light to show read noise: fewer may be dead ones."""

FEWEST_PHOTONS = 0.1
"""Photons in the brightest parts below which the grey levels are no camera's."""


def estimate_noise(
    image: ArrayLike,
    *,
    repeats_axis: int | None = None,
    offset: float | None = None,
    saturation: float | None = None,
) -> NoiseModel:
    """Estimate the noise of one channel from the image itself.

    The variance of a Laplacian (Immerkaer 1996, doi 10.1006/cviu.1996.0060) over the flattest blocks of every
    brightness, corrected for the correlation of the noise, is fitted with a line. The estimate is too high where
    nothing is flat (fine texture everywhere), and noise that is smooth over 8 pixels is missed.

    Parameters
    ----------
    image : array_like, shape (..., rows, columns)
        Raw grey levels, neither rescaled nor denoised. NaN: not measured.
    repeats_axis : int, optional
        Axis along which neighbouring planes show almost the same scene (time, or finely sampled z). Then their
        differences are used: they hold hardly any texture, which makes the estimate better.
    offset : float, optional
        Grey level at zero light, if known; only then is `read_noise` the detector's.
    saturation : float, optional
        Grey level at which pixels are clipped. By default the maximum, if many pixels have exactly this value.

    Returns
    -------
    NoiseModel
        Gaussian where the noise does not grow with the brightness; Gaussian and not reliable where the estimate
        cannot be a detector's.

    Raises
    ------
    ValueError
        If a plane is smaller than 10 x 10 pixels, or `repeats_axis` has a single plane.
    """
    level, texture = _planes(np.asarray(image), repeats_axis)
    values = level[np.isfinite(level)]
    if values.size == 0 or np.ptp(values) == 0:
        return NoiseModel(reliable=False, reasons=("the image is constant",))
    if is_drawing(level):
        return NoiseModel(reliable=False, reasons=(SCENE,))
    black = -_pile_up(-values)
    white = _pile_up(values) if saturation is None else saturation
    planes = _Planes(level, texture, (black, white), float(np.mean(values >= white)))
    correlation = autocorrelation(level, texture, (black, white))
    model, is_noise = _model(planes, correlation, offset)
    if not is_noise and max(model.correlation) > INDEPENDENT:
        # What looked like the correlation of noise may be a smooth scene, on which the noise is white.
        model, is_noise = _model(planes, UNCORRELATED, offset)
    if not is_noise or is_smooth(correlation):
        model = replace(model, correlation=(0.0, 0.0))
    return replace(model, saturation=float(white) if np.isfinite(white) else None)


@final
@dataclass(frozen=True)
class _Planes:
    """Planes that show the level and planes that show the noise, their black and white, and the share of white."""

    level: Floats
    texture: Floats
    limits: tuple[float, float]
    saturated: float


def _model(planes: _Planes, correlation: Floats, offset: float | None) -> tuple[NoiseModel, bool]:
    """Return the noise if it has this correlation, and whether all of it can be noise."""
    level, texture, limits = planes.level, planes.texture, planes.limits
    blocks = measure(level, texture, limits, correlation)
    if blocks.level.size == 0:
        reason = "nowhere are neighbouring pixels measured, different and unsaturated"
        return NoiseModel(reliable=False, reasons=(reason,)), False
    line, used = fit_line(blocks, limits[1])
    neighbours = (float(correlation[LAGS + 1, LAGS]), float(correlation[LAGS, LAGS + 1]))
    reasons = _doubts(line, used, max(neighbours), planes.saturated)
    detector = Detector(0.0, 0.0, line.flat) if reasons else _detector(line, used, offset)
    if detector.gain and offset is None:
        below = _read_noise_below(level, detector.zero, limits[0])
        detector = detector._replace(at_zero=max(detector.at_zero, below**2))
    detector, reason = noise_without_structure(
        level, texture, detector=detector, limits=limits, correlation=None if reasons else correlation
    )
    model = NoiseModel(
        gain=detector.gain,
        offset=float(detector.zero),
        read_noise=float(np.sqrt(detector.at_zero)),
        correlation=neighbours,
        reliable=not (reasons or reason),
        reasons=(*reasons, *filter(None, [reason])),
    )
    return model, not reason


def _planes(image: NDArray[np.generic], axis: int | None) -> tuple[Floats, Floats]:
    """Return planes that show the level, and planes that show the noise of the same pixels."""
    repeated = axis is not None
    frames = image if axis is None else np.moveaxis(image, axis, 0)
    shape = frames.shape[-2:]
    if frames.ndim < 2 + repeated or min(shape) < SMALLEST_SIDE:
        raise ValueError(
            f"the image has shape {image.shape}; to estimate its noise, planes of at least "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE} pixels are needed: give a larger part of it"
        )
    if repeated and len(frames) < 2:
        raise ValueError(
            f"axis {axis} of shape {image.shape} holds one plane only, and nothing "
            "to compare it with: leave repeats_axis out"
        )
    frames = frames if repeated else frames.reshape(-1, *shape)
    chosen = np.linspace(0, len(frames) - 1 - repeated, MOST_PLANES).round()
    first = np.unique(chosen.astype(np.intp))
    here = frames[first].astype(np.float64).reshape(-1, *shape)
    if not repeated:
        return here, here
    there = frames[first + 1].astype(np.float64).reshape(-1, *shape)
    return (here + there) / 2, (there - here) / np.sqrt(2)


def _pile_up(values: Floats) -> float:
    """Return the largest value if far more pixels have it than the next one, else inf."""
    top = values.max()
    below = values[values < top]
    number = values.size - below.size
    if number < PILE_UP or below.size == 0:
        return float("inf")
    next_number = np.count_nonzero(below == below.max())
    return float(top) if number > PILE_UP * next_number else float("inf")


def _doubts(line: Line, used: Blocks, correlation: float, saturated: float) -> list[str]:
    """Return the reasons not to trust a line, a clause each."""
    doubts = []
    if (pixels := used.pixels.sum()) < FEWEST_PIXELS:
        doubts.append(f"only {pixels:.0f} pixels show the noise")
    if saturated > MOST_SATURATED:
        doubts.append(f"{saturated:.0%} of the pixels are saturated")
    if correlation > STRONGEST_CORRELATION:
        doubts.append(
            f"neighbouring pixels are so strongly correlated ({correlation:.2f}) that the scene may pass for noise"
        )
    if line.misfit > UNEXPLAINED:
        doubts.append("the brightness does not explain how the noise varies")
    if line.gain < 0:
        doubts.append("the noise falls with the brightness")
    elif line.gain > 0:
        zero = -line.intercept / line.gain
        photons = (np.quantile(used.level, 0.999) - zero) / line.gain
        if zero > np.median(used.level):
            doubts.append(f"most of the image is darker than zero light ({zero:.3g})")
        elif photons < FEWEST_PHOTONS:
            doubts.append(f"the brightest parts would hold {photons:.2g} photons")
    return doubts


def _read_noise_below(level: Floats, zero: float, black: float) -> float:
    """Return the read noise that pixels darker than zero light show; 0 if there are hardly any.

    Where many pixels are clipped at black the line is too steep, and would leave the dark parts without noise. What
    was filled with black shows nothing, nor does its edge, which a rotation may have mixed with the image.
    """
    measured = np.isfinite(level)
    filled = maximum_filter(np.where(measured, level, -np.inf), size=(1, 3, 3)) <= black
    measured &= ~maximum_filter(filled, size=(1, 5, 5))
    missing = zero - level[measured & (level < zero)]
    return TO_DEVIATION * float(np.median(missing)) if missing.size > DARKER * np.count_nonzero(measured) else 0.0


def _detector(line: Line, used: Blocks, offset: float | None) -> Detector:
    """Return the detector of a line."""
    if line.gain <= 0:
        return Detector(0.0, 0.0, line.flat)
    crossing = -line.intercept / line.gain
    # Nothing is darker than zero light; where the line says so, it is too steep there. Below 0 lies zero light only if
    # a background was subtracted.
    darkest = float(np.quantile(used.level, DARKEST))
    zero = max(min(crossing, darkest), min(darkest, 0.0)) if offset is None else offset
    return Detector(line.gain, zero, max(line.gain * (zero - crossing), 0.0))

"""Tell the noise of a detector from its image alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..physics.noise_model import Floats, NoiseModel

# Constants without a source of their own were chosen on single frames that have an
# averaged reference: FMD (doi 10.1109/CVPR.2019.01198) and W2S (arXiv 2003.05961).

#: Pixels along a block: enough for a mean, few enough to find flat ones.
_BLOCK = 8
#: Pixels along the smallest plane: a block and the reach of the Laplacian.
_SMALLEST = _BLOCK + 2
#: Planes read from a stack: more change the result by less than its error.
_MOST_PLANES = 32
#: Pixels along a block in which correlation is measured, and the longest lag.
_CORRELATION_BLOCK, _LAGS = 16, 4
#: Correlation below which two taps of the high-pass count as independent.
_INDEPENDENT = 0.3
#: Share of equally bright blocks that is flat for sure, and how many times more uneven
#: than noise alone (3 degrees of freedom: 6 % of flat blocks are) the others may be.
_FLAT_SHARE, _UNEVEN = 0.1, 2.5
#: Bins of the brightness, blocks to fill one, and the fewest (flat) blocks in one.
_MOST_BINS, _BIN_BLOCKS, _FEWEST_MEMBERS, _FEWEST_FLAT = 24, 6, 4, 2
#: Pixels in whole blocks below which nothing is trusted (32 x 32 is too small).
_FEWEST_PIXELS = 600
#: Share of black pixels, clipped or filled in, that spoils a block (one column of 8
#: is more), and the blocks without which the spoilt ones are needed after all.
_BLACK, _FEWEST_LIT = 0.1, 40
#: Variance of the mean of squared Laplacians of unit normal noise, times the pixels.
_LAPLACIAN_SPREAD = 2 * ((6**2 + 2 * 4**2 + 2 * 1**2) / 6**2) ** 2
#: Autocorrelation of the Laplacian (1, -2, 1) at lags of -2 to 2 dilations.
_LAPLACIAN_TAPS = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
#: Departure of real variances from a line, as a share of the variance.
_MODEL_ERROR = 0.05
#: Thresholds in standard errors: Huber's, a believable slope, a block with a hot
#: pixel, a line that explains nothing (root mean square).
_HUBER, _SIGNIFICANT, _OUTLIER, _UNEXPLAINED = 2.0, 2.5, 8.0, 4.0
#: Variance of the bright over the dark parts below which one level serves both.
_NOTICEABLE = 1.25
#: Pixels at the extreme value, and times those at the next, that mean clipping.
_PILE_UP = 5
#: Correlation above which it is rather the picture's: 0.64 is the strongest seen in
#: raw noise (the interpolated wide-field frames of FMD).
_TOO_ALIKE = 0.7
#: Share of saturated pixels above which the bright parts are not what was there.
_TOO_SATURATED = 0.05
#: Photons in the brightest parts below which the grey levels are no camera's.
_TOO_FEW_PHOTONS = 0.1


def estimate_noise(
    image: ArrayLike,
    *,
    repeats_axis: int | None = None,
    offset: float | None = None,
    saturation: float | None = None,
) -> NoiseModel:
    """Estimate the noise of one channel from the image itself.

    The variance of a Laplacian (Immerkaer 1996, doi 10.1006/cviu.1996.0060) over the
    flattest blocks of every brightness, corrected for the correlation of the noise, is
    fitted with a line. It comes out too high where nothing is flat (fine texture
    everywhere), and does not see noise that is smooth over 8 pixels.

    Parameters
    ----------
    image : array_like, shape (..., rows, columns)
        Raw grey levels, neither rescaled nor denoised. NaN: not measured.
    repeats_axis : int, optional
        Axis along which neighbours show almost the same scene (time, or finely sampled
        z). Their differences are used: better, as they hold hardly any texture.
    offset : float, optional
        Grey level at zero light, if known; only then is `read_noise` the detector's.
    saturation : float, optional
        Grey level at which pixels are clipped. By default a pile-up at the maximum.

    Returns
    -------
    NoiseModel
        Gaussian where the noise does not grow with the brightness, and Gaussian and
        not reliable where what was found is not a detector's.

    Raises
    ------
    ValueError
        If a plane is smaller than 10 x 10 pixels, or nothing repeats.
    """
    level, texture = _planes(np.asarray(image), repeats_axis)
    values = level[np.isfinite(level)]
    if values.size == 0 or np.ptp(values) == 0:
        return NoiseModel(reliable=False, reasons=("the image is constant",))
    black = -_pile_up(-values)
    white = _pile_up(values) if saturation is None else saturation
    saturation = float(white) if np.isfinite(white) else None
    overlap = _autocorrelation(level, texture, white)
    blocks = _measure(level, texture, (black, white), overlap)
    if blocks.level.size == 0:
        why = "nowhere are neighbouring pixels measured, different and unsaturated"
        return NoiseModel(saturation=saturation, reliable=False, reasons=(why,))
    line, used = _fit(blocks, white)
    correlation = (float(overlap[_LAGS + 1, _LAGS]), float(overlap[_LAGS, _LAGS + 1]))
    clipped = float(np.mean(values >= white))
    doubts = _doubts(line, used, max(correlation), clipped)
    gain = 0.0 if doubts else line.gain
    zero, at_zero = 0.0, line.flat
    if gain > 0:
        zero = max(-line.intercept / gain, 0.0) if offset is None else offset
        at_zero = max(line.intercept + gain * (offset or 0.0), 0.0)
    return NoiseModel(
        gain=gain,
        offset=float(zero),
        read_noise=float(np.sqrt(at_zero)),
        correlation=correlation,
        saturation=saturation,
        reliable=not doubts,
        reasons=tuple(doubts),
    )


class _Blocks(NamedTuple):
    level: Floats
    variance: Floats
    unevenness: Floats
    """Variance of the quarters' means, over what the noise of variance 1 gives."""
    pixels: Floats


class _Line(NamedTuple):
    gain: float
    intercept: float
    flat: float
    """The variance if it is the same everywhere."""
    error: float
    """Standard error of the gain."""
    misfit: float
    """Root mean square departure, in standard errors."""


def _planes(image: NDArray[np.generic], axis: int | None) -> tuple[Floats, Floats]:
    """Return planes that tell the level, and planes that hold the same noise."""
    repeated = axis is not None
    frames = image if axis is None else np.moveaxis(image, axis, 0)
    shape = frames.shape[-2:]
    if frames.ndim < 2 + repeated or min(shape) < _SMALLEST:
        raise ValueError(
            f"the image has shape {image.shape}; its noise can be told from planes of "
            f"at least {_SMALLEST} x {_SMALLEST} pixels: give a larger part of it"
        )
    if repeated and len(frames) < 2:
        raise ValueError(
            f"axis {axis} of shape {image.shape} holds one plane only, and nothing "
            "to compare it with: leave repeats_axis out"
        )
    frames = frames if repeated else frames.reshape(-1, *shape)
    chosen = np.linspace(0, len(frames) - 1 - repeated, _MOST_PLANES).round()
    first = np.unique(chosen.astype(np.intp))
    here = frames[first].astype(np.float64).reshape(-1, *shape)
    if not repeated:
        return here, here
    there = frames[first + 1].astype(np.float64).reshape(-1, *shape)
    return (here + there) / 2, (there - here) / np.sqrt(2)


def _pile_up(values: Floats) -> float:
    """Return the largest value if far more pixels hold it than the next, else inf."""
    top = values.max()
    below = values[values < top]
    number = values.size - below.size
    if number < _PILE_UP or below.size == 0:
        return float("inf")
    next_number = np.count_nonzero(below == below.max())
    return float(top) if number > _PILE_UP * next_number else float("inf")


def _tiles(planes: Floats, size: int) -> Floats:
    """Cut planes into squares, shape (number, size, size)."""
    number, rows, columns = len(planes), *(n // size for n in planes.shape[1:])
    cut = planes[:, : rows * size, : columns * size]
    cut = cut.reshape(number, rows, size, columns, size).swapaxes(2, 3)
    return cut.reshape(-1, size, size)


def _mean(tiles: Floats) -> tuple[Floats, Floats]:
    """Return the mean of each tile's measured pixels, and their number."""
    number = np.isfinite(tiles).sum((1, 2)).astype(np.float64)
    return np.nansum(tiles, (1, 2)) / np.maximum(number, 1), number


def _autocorrelation(level: Floats, texture: Floats, white: float) -> Floats:
    """Return the noise's correlation at lags -4 to 4 along (row, column), (9, 9).

    From the flattest blocks, without their slope. What has not fallen off within 4
    pixels is the picture's, and is taken off.
    """
    size = min(_CORRELATION_BLOCK, *level.shape[1:])
    tiles = _tiles(texture, size)
    measured = np.isfinite(tiles).astype(np.float64)
    tiles = np.where(measured > 0, tiles - _mean(tiles)[0][:, None, None], 0.0)
    ramp = np.arange(size) - (size - 1) / 2
    for _ in range(2):
        steepness = np.maximum((measured * ramp**2).sum((1, 2), keepdims=True), 1)
        slope = (tiles * ramp).sum((1, 2), keepdims=True) / steepness
        tiles = (tiles - measured * ramp * slope).swapaxes(1, 2)
        measured = measured.swapaxes(1, 2)
    number = measured.sum((1, 2))
    power = (tiles**2).sum((1, 2)) / np.maximum(number, 1)
    brightest = np.nanmax(_tiles(level, size), (1, 2), initial=-np.inf)
    useful = (power > 0) & (2 * number > size**2) & (brightest < white)
    result = np.zeros((2 * _LAGS + 1, 2 * _LAGS + 1))
    if useful.any():
        tiles, measured = tiles[useful], measured[useful]
        tiles = tiles / np.sqrt(power[useful])[:, None, None]
        coarse = _mean(_tiles(tiles, 4))[0].reshape(len(tiles), -1).var(1)
        least = np.sort(coarse)[min(3, coarse.size - 1)]
        flat = coarse <= max(_UNEVEN * np.quantile(coarse, 0.03), least)
        seen = _lagged(tiles[flat]) / np.maximum(_lagged(measured[flat]).round(), 1)
        seen /= seen[_LAGS, _LAGS]
        inner = seen[1:-1, 1:-1]
        rest = (seen.sum() - inner.sum()) / (seen.size - inner.size)
        result[1:-1, 1:-1] = (inner - rest) / (1 - rest)
    result[_LAGS, _LAGS] = 1.0
    return result


def _lagged(tiles: Floats) -> Floats:
    """Sum the products of pixels up to 4 apart over all tiles, (9, 9)."""
    size = tiles.shape[1] + _LAGS
    power = (np.abs(np.fft.rfft2(tiles, (size, size))) ** 2).sum(0)
    lags = np.arange(-_LAGS, _LAGS + 1)
    return np.fft.irfft2(power, (size, size))[np.ix_(lags, lags)]


def _laplacian(planes: Floats, dilation: int) -> Floats:
    for _ in range(2):
        end = planes.shape[1] - 2 * dilation
        low, middle = planes[:, :end], planes[:, dilation : end + dilation]
        planes = (low - 2 * middle + planes[:, 2 * dilation :]).swapaxes(1, 2)
    return planes


def _laplacian_gain(overlap: Floats, dilation: int) -> float:
    """Return the variance of the Laplacian of noise of variance 1."""
    lags = _LAGS + dilation * np.arange(-2, 3)
    near = np.abs(lags - _LAGS) <= _LAGS  # beyond it the noise is independent
    taps = _LAPLACIAN_TAPS[near]
    return float(taps @ overlap[np.ix_(lags[near], lags[near])] @ taps)


def _measure(level: Floats, texture: Floats, limits: tuple[float, float], overlap: Floats) -> _Blocks:
    """Measure the noise and the flatness of every block."""
    # Taps that share noise would cancel it, and leave the picture: spread them.
    beyond = slice(_LAGS + 1, None)
    near = np.abs([overlap[beyond, _LAGS], overlap[_LAGS, beyond]]).max(0)
    furthest = (min(level.shape[1:]) - _BLOCK) // 2
    dilation = min(int(np.argmax(near < _INDEPENDENT)) + 1, furthest)
    gain = max(_laplacian_gain(overlap, dilation), 1.0)
    variance, pixels = _mean(_tiles(_laplacian(texture, dilation) ** 2 / gain, _BLOCK))
    inside = (slice(None), *2 * (slice(dilation, -dilation),))
    tiles, quarter = _tiles(level[inside], _BLOCK), _BLOCK // 2
    quarters = _mean(_tiles(_tiles(texture[inside], _BLOCK), quarter))[0].reshape(-1, 4)
    # Variance of a quarter's mean; the mean of the four takes a quarter of it.
    triangle = 1 - np.abs(np.arange(1 - quarter, quarter)) / quarter
    share = float(triangle @ overlap[1:-1, 1:-1] @ triangle) / quarter**2
    unevenness = quarters.var(1) / (0.75 * max(share, 0.25 / quarter**2))
    # Blocks without any noise were clipped or filled in. Where 4 of 10 pixels are missing a block has one to tell.
    keep = (variance > 0) & (pixels > 0)
    keep &= (tiles < limits[1]).sum((1, 2)) == np.isfinite(tiles).sum((1, 2))
    lit = keep & ((tiles <= limits[0]).mean((1, 2)) < _BLACK)
    keep = lit if np.count_nonzero(lit) >= _FEWEST_LIT else keep
    every = (_mean(tiles)[0], variance, unevenness, pixels)
    return _Blocks(*(values[keep] for values in every))


def _fit(blocks: _Blocks, white: float) -> tuple[_Line, _Blocks]:
    """Fit a line to the blocks' variance; return it with the blocks it is of."""
    used = blocks
    for _ in range(3):
        line = _regress(*_points(used))
        expected = np.maximum(_at(line, blocks.level), 0.1 * line.flat)
        spread = np.sqrt(_spread(expected, line.gain) / blocks.pixels)
        keep = blocks.variance - expected < _OUTLIER * spread
        # Brighter blocks would have lost their bright pixels to saturation.
        keep &= blocks.level + 3 * np.sqrt(expected) < white
        if not keep.any():
            break
        used = _Blocks(*(values[keep] for values in blocks))
    least, most = np.sort(_at(line, np.quantile(used.level, [0.05, 0.95])))
    alike = most < _NOTICEABLE * least
    if alike or abs(line.gain) < _SIGNIFICANT * line.error:
        line = line._replace(gain=0.0)
    return line, used


def _doubts(line: _Line, used: _Blocks, correlation: float, clipped: float) -> list[str]:
    """Say what speaks against a line, a clause each."""
    doubts = []
    if (pixels := used.pixels.sum()) < _FEWEST_PIXELS:
        doubts.append(f"only {pixels:.0f} pixels tell the noise")
    if clipped > _TOO_SATURATED:
        doubts.append(f"{clipped:.0%} of the pixels are saturated")
    if correlation > _TOO_ALIKE:
        alike = f"neighbouring pixels are so alike ({correlation:.2f})"
        doubts.append(f"{alike} that the picture may pass for noise")
    if line.misfit > _UNEXPLAINED:
        doubts.append("the brightness does not explain how the noise varies")
    if line.gain < 0:
        doubts.append("the noise falls with the brightness")
    elif line.gain > 0:
        zero = -line.intercept / line.gain
        photons = (np.quantile(used.level, 0.999) - zero) / line.gain
        if zero > np.median(used.level):
            doubts.append(f"most of the image is darker than zero light ({zero:.3g})")
        elif photons < _TOO_FEW_PHOTONS:
            doubts.append(f"the brightest parts would hold {photons:.2g} photons")
    return doubts


def _at(line: _Line, level: Floats) -> Floats:
    variance: Floats = line.gain * level + line.intercept
    return variance


def _spread(variance: Floats, gain: float) -> Floats:
    """Return the variance, times the pixels, of a variance told from Laplacians."""
    return _LAPLACIAN_SPREAD * variance**2 + max(gain, 0.0) ** 2 * variance


def _points(blocks: _Blocks) -> tuple[Floats, Floats, Floats]:
    """Return level, variance and pixels of the flat blocks, for each brightness."""
    # Photon noise grows with the root of the level, and so do the bins.
    root = np.sqrt(blocks.level - blocks.level.min())
    number = int(np.clip(root.size // _BIN_BLOCKS, 1, _MOST_BINS))
    edges = np.linspace(0, np.quantile(root, 0.998), number + 1)[1:-1]
    which = np.digitize(root, edges)
    fewest = min(_FEWEST_MEMBERS, np.bincount(which).max())
    points = []
    for bin_number in range(number):
        members = np.flatnonzero(which == bin_number)
        if members.size < fewest:
            continue
        members = members[np.argsort(blocks.unevenness[members])]
        flat = members[: max(_FEWEST_FLAT, round(_FLAT_SHARE * members.size))]
        for _ in range(3):
            noise = np.average(blocks.variance[flat], weights=blocks.pixels[flat])
            even = members[blocks.unevenness[members] < _UNEVEN * noise]
            flat = even if even.size > flat.size else flat
        weight = blocks.pixels[flat]
        means = [np.average(values[flat], weights=weight) for values in blocks[:2]]
        points.append((*means, weight.sum()))
    level, variance, pixels = np.array(points).T
    return level, variance, pixels


def _regress(level: Floats, variance: Floats, pixels: Floats) -> _Line:
    """Fit a constant, then a line, by least squares with Huber's (1964) weights."""
    flat = gain = intercept = slope_error = misfit = 0.0
    # From their middle, in their own unit: far from zero, or in an odd unit, the slope would have no digits left.
    middle, unit = float(level.mean()), float(level.std()) or 1.0
    for degree in (0, 1) if level.size > 2 else (0,):
        powers = np.vander((level - middle) / unit, degree + 1, increasing=True)
        least = 0.05 * np.median(variance)
        expected = np.maximum(variance, least) if degree else 0 * level + 20 * least
        trust = np.ones_like(level)
        for _ in range(30):
            error = _spread(expected, gain) / pixels + (_MODEL_ERROR * expected) ** 2
            weighted = powers * (trust / error)[:, None]
            covariance = np.linalg.pinv(weighted.T @ powers)
            found = covariance @ (weighted.T @ variance)
            gain = float(found[1]) / unit if degree else 0.0
            departure = np.abs(variance - powers @ found) / np.sqrt(error)
            trust = np.minimum(1.0, _HUBER / np.maximum(departure, 1e-9))
            expected = np.maximum(powers @ found, least)
        misfit, intercept = float(np.sqrt(np.mean(departure**2))), float(found[0]) - gain * middle
        flat = flat if degree else intercept
        slope_error = float(np.sqrt(covariance[-1, -1])) / unit
    return _Line(gain, intercept, flat, slope_error, misfit)

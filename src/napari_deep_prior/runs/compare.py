"""Compare results with a reference by MSE, PSNR, SSIM and HFEN: plane by plane, and only in a region if wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
from PIL import Image

from ..arrays import metrics
from ..arrays.axes import Array, channel_position
from ..arrays.resampling import filled
from ..progress.stages import run_stage
from .comparison_table import Place, Row
from .error_sums import ErrorSums, sums_of_plane
from .reference import Planes, Reference, is_missing, real_type_of, refuse_missing_values
from .source import ArrayLike

INTERPOLATIONS: Mapping[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
"""How a smaller image is enlarged to the size of the reference; the outer edges of both lie on each other."""

TOO_SMALL = f"image < {metrics.SSIM_WINDOW} × {metrics.SSIM_WINDOW}"
"""Why there is no SSIM of a small image."""

AT_THE_EDGE = "no whole window"
"""Why there is no SSIM of a region so close to the edges that every window reaches beyond the image."""

NO_DETAIL = "flat reference"
"""Why there is no HFEN where the reference has no high frequencies, by which it would be divided."""


def compare(
    name: str, pixels: ArrayLike, reference: Reference, *, fit: bool = False, per_plane: bool = False
) -> list[Row]:
    """Return the measures of a result, plane by plane read and put together; SSIM and HFEN are those of the planes.

    Parameters
    ----------
    pixels : array
        Of the reference's axes. If it is smaller by a whole factor along Y and X, there are rows for its nearest,
        bilinear and bicubic interpolation.
    fit : bool
        Multiply it by a gain and add an offset first, fitted by least squares to all that is compared.
    per_plane : bool
        Return further rows for every plane and channel.

    Raises
    ------
    ValueError
        If the image has another size, or values that are not finite where it is compared.
    """
    rows = []
    for candidate in _candidates(name, pixels, reference):
        if fit:
            gain, offset = _fitted(candidate, reference)
            candidate = replace(candidate, gain=gain, offset=offset)
        total, parts = ErrorSums(), []
        for place, image, true, inside in _pairs(candidate, reference):
            for channel, planes in enumerate(zip(image, true, inside, strict=True)):
                sums = run_stage(_doing(candidate, place), partial(sums_of_plane, *planes, span=reference.span))
                total = total.plus(sums)
                parts.append((place + _channel_place(reference.axes, channel), sums))
        if not total.count:
            raise ValueError(f"nothing of {name!r} can be compared: only opacity is marked in the mask")
        rows.append(_row(candidate, (), total, reference.span))
        if per_plane and len(parts) > 1:
            rows += [_row(candidate, place, sums, reference.span) for place, sums in parts if sums.count]
    return rows


def difference(row: Row, pixels: ArrayLike, reference: Reference) -> Array:
    """Return result less reference, float32 in the reference's shape without opacity, NaN where either is not finite.

    Parameters
    ----------
    row : Row
        Tells the interpolation, gain and offset of the result.
    pixels : array
        The result.
    """
    (candidate,) = (
        each for each in _candidates(row.name, pixels, reference) if each.interpolation == row.interpolation
    )
    candidate = replace(candidate, gain=row.gain, offset=row.offset)
    true = Planes(reference.pixels, reference.axes)
    image = np.empty(true.shape, np.float32)
    for place in true.places():
        values = run_stage(_doing(candidate, place), partial(candidate.read, place)) - true.read(place)
        Planes(image, reference.axes).view(place)[...] = values
    return image


@final
@dataclass(frozen=True)
class _Candidate:
    """An image of the reference's size: a result, or an interpolation of a smaller one."""

    name: str
    planes: Planes
    interpolation: str
    rows: int
    columns: int
    gain: float = 1.0
    offset: float = 0.0

    def read(self, place: Place) -> Array:
        """Return a plane (channels, rows, columns), float64."""
        values = self.planes.read(place).astype(np.float64)
        if self.interpolation:
            size, method = (self.columns, self.rows), INTERPOLATIONS[self.interpolation]
            planes = [Image.fromarray(plane.astype(np.float32)).resize(size, method) for plane in values]
            values = np.stack([np.asarray(plane, np.float64) for plane in planes])
        return self.gain * values + self.offset


def _row(candidate: _Candidate, place: Place, sums: ErrorSums, span: float) -> Row:
    mse = sums.squares / sums.count
    no_window = TOO_SMALL if min(candidate.rows, candidate.columns) < metrics.SSIM_WINDOW else AT_THE_EDGE
    return Row(
        name=candidate.name,
        interpolation=candidate.interpolation,
        place=place,
        pixels=sums.count,
        gain=candidate.gain,
        offset=candidate.offset,
        mse=mse,
        psnr=10 * math.log10(span**2 / mse) if mse else math.inf,
        ssim=sums.similarity / sums.windows if sums.windows else no_window,
        hfen=math.sqrt(sums.error / sums.detail) if sums.detail > sums.flat else NO_DETAIL,
    )


def _candidates(name: str, pixels: ArrayLike, reference: Reference) -> list[_Candidate]:
    """Return what is compared of a result: itself, or its interpolations.

    Raises
    ------
    ValueError
        If it has neither the reference's size nor a whole fraction of it.
    """
    real_type_of(name, pixels)
    true = Planes(reference.pixels, reference.axes)
    rows, columns = true.lengths["Y"], true.lengths["X"]
    if len(pixels.shape) == len(true.shape):
        planes = Planes(pixels, reference.axes)
        own = planes.lengths
        if own == true.lengths:
            return [_Candidate(name, planes, "", rows, columns)]
        others_fit = all(own[letter] == length for letter, length in true.lengths.items() if letter not in "YX")
        if others_fit and rows % own["Y"] == columns % own["X"] == 0:
            return [_Candidate(name, planes, method, rows, columns) for method in INTERPOLATIONS]
    raise ValueError(
        f"{name!r} has shape {tuple(pixels.shape)}; the reference {reference.name!r} has "
        f"{tuple(reference.pixels.shape)} (axes {reference.axes}): they must have the same shape, or the result "
        "must be smaller by a whole factor along Y and X"
    )


def _pairs(candidate: _Candidate, reference: Reference) -> Iterator[tuple[Place, Array, Array, Array]]:
    """Yield every plane of result and reference, finite, and what counts of it; each (channels, rows, columns)."""
    planes = Planes(reference.pixels, reference.axes)
    for place in planes.places():
        true = planes.read(place).astype(np.float64)
        inside = reference.inside(place, true.shape)
        if not inside.any():
            continue
        image = run_stage(_doing(candidate, place), partial(candidate.read, place))
        refuse_missing_values(repr(candidate.name), image, inside, place)
        yield place, _without_missing(image), _without_missing(true), inside


def _fitted(candidate: _Candidate, reference: Reference) -> tuple[float, float]:
    """Return gain and offset with which a result is closest to the reference in the sense of least squares."""
    count, sums, products = 0, np.zeros(2), np.zeros((2, 2))
    pivot: Array | None = None
    for _, image, true, inside in _pairs(candidate, reference):
        pair = np.stack([image[inside], true[inside]])
        # Products of large numbers that differ little would be rounded.
        pivot = pair.mean(axis=1, keepdims=True) if pivot is None else pivot
        pair = pair - pivot
        count, sums, products = count + pair.shape[1], sums + pair.sum(axis=1), products + pair @ pair.T
    means = sums / count
    covariance = products / count - np.outer(means, means)
    gain = float(covariance[0, 1] / covariance[0, 0]) if covariance[0, 0] > 0 else 0.0
    centre = means + (0 if pivot is None else pivot[:, 0])
    return gain, float(centre[1] - gain * centre[0])


def _without_missing(values: Array) -> Array:
    """Return planes whose values that are not finite are replaced: they lie outside, but the filters look at them."""
    missing = is_missing(values)
    if not missing.any():
        return values
    return np.stack(
        [
            np.zeros_like(plane) if lost.all() else filled(plane, lost)
            for plane, lost in zip(values, missing, strict=True)
        ]
    )


def _channel_place(axes: str, channel: int) -> Place:
    at = channel_position(axes)
    return () if at is None else ((axes[at], channel),)


def _doing(candidate: _Candidate, place: Place) -> str:
    where = "".join(f", {letter} {number}" for letter, number in place)
    return f"Comparing {candidate.name}{where}"

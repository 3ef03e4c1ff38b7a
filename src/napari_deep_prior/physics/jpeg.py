"""What JPEG compression did to an image: a linear map onto coefficients that were rounded, and a misfit for that.

Colours become luminance and two chrominances (ITU-R BT.601, full range, as in JFIF), the chrominances are averaged
over a few pixels, and every block of 8 × 8 values becomes its cosine coefficients, each rounded to whole steps of a
table that the file tells (ITU-T T.81). Only the rounding loses: of each coefficient an interval is left.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from torch.nn import functional

from ..arrays.axes import Array
from ..arrays.frame import RANGE
from .misfit import GaussianMisfit, Misfit

Table = tuple[tuple[int, ...], ...]
"""Steps of the coefficients of a block: rows are vertical frequencies, columns horizontal ones, the mean is first."""

BLOCK = 8
"""Pixels along a side of a block."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Share of the colours in the luminance (ITU-R BT.601)."""

LUMINANCES = (
    (RED, GREEN, BLUE),
    (-RED / (2 - 2 * BLUE), -GREEN / (2 - 2 * BLUE), 0.5),
    (0.5, -GREEN / (2 - 2 * RED), -BLUE / (2 - 2 * RED)),
)
"""From red, green and blue to luminance, blueness and redness, without the offset of the last two."""

LUMINANCE: Table = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE: Table = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""The examples of ITU-T T.81, Annex K: the tables of quality 50."""

PULL = 0.05
"""How much the middle of an interval counts beside its ends."""

WHITE = 255.0
"""The brightest grey level of a JPEG; the darkest is 0."""

MIDDLE = 128.0
"""The grey level that JPEG counts from."""


@final
@dataclass(frozen=True)
class JpegTables:
    """How coarsely a JPEG file was rounded.

    Parameters
    ----------
    luminance, chrominance : 8 × 8 integers
        Steps of the coefficients, in grey levels; chrominance is None for a grey image.
    subsampling : (int, int)
        Rows and columns of pixels that share one value of the chrominances; (2, 2) is called 4:2:0, (1, 2) 4:2:2.

    Raises
    ------
    ValueError
        If a table is not 8 × 8 steps of at least 1, or the chrominances share 3 or more than 4 rows or columns.
    """

    luminance: Table
    chrominance: Table | None = None
    subsampling: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name, table in (("luminance", self.luminance), ("chrominance", self.chrominance)):
            if table is None:
                continue
            if [len(row) for row in table] != [BLOCK] * BLOCK or min(map(min, table)) < 1:
                raise ValueError(f"the {name} table of a JPEG is 8 rows of 8 whole numbers from 1 on, not {table}")
        if len(self.subsampling) != 2 or not set(self.subsampling) <= {1, 2, 4}:
            raise ValueError(f"subsampling is {self.subsampling}; it must be rows and columns, each 1, 2 or 4")

    @property
    def channels(self) -> int:
        """Return how many channels the image has: 1 or 3."""
        return 1 if self.chrominance is None else 3


def read_tables(path: str | os.PathLike[str]) -> JpegTables | None:
    """Return the tables of a JPEG file; None if the file is none, whatever its name.

    Raises
    ------
    ValueError
        If there is no such file, or it is a JPEG of a kind that hardly any program writes: not of luminance and two
        chrominances alike, but of inks (CMYK), of red, green and blue, or with a table for each chrominance.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {str(file)!r}")
    try:
        with Image.open(file, formats=["JPEG"]) as image:
            return _tables_of(image, file.name) if isinstance(image, JpegImageFile) else None
    except UnidentifiedImageError:
        return None


def tables_of_quality(quality: int, *, colour: bool, subsampling: tuple[int, int] = (2, 2)) -> JpegTables:
    """Return the tables that libjpeg, and most programs with it, write for a quality from 1 to 100.

    Only a guess where the file is not at hand: cameras and some programs have tables of their own. For a grey image
    ``subsampling`` says nothing.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}; it must be from 1 (coarsest) to 100")
    # The scaling of the Independent JPEG Group, in percent, in whole numbers as there.
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    luminance, chrominance = (
        tuple(tuple(min(max((step * percent + 50) // 100, 1), 255) for step in row) for row in table)
        for table in (LUMINANCE, CHROMINANCE)
    )
    return JpegTables(luminance, chrominance, subsampling) if colour else JpegTables(luminance)


@final
class BlockCosine:
    """From an image to all its coefficients, in steps of the tables: what JPEG does before it rounds. Linear.

    It is no ``Operator``: colours are mixed, and there are fewer chrominances than pixels. The image must start where
    the compressed one did: blocks are counted from its first pixel.

    Beyond the edge blocks are filled with 0: it is made for differences, and how a decoded image went on there before
    it was cut off is not known. Encoders repeat the last pixel; doing the same to a decoded image would repeat its
    artefacts, and put the true image outside of its intervals.

    Parameters
    ----------
    like : Tensor
        Any tensor on the device of the images.
    """

    def __init__(self, tables: JpegTables, like: Tensor) -> None:
        def ready(values: object) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=like.device)

        self.sampling = ((1, 1), *(tables.subsampling,) * (tables.channels - 1))
        self.colours = ready(LUMINANCES if tables.channels == 3 else [[1.0]])
        # Between the rows of a block and its columns lies the axis of the blocks.
        self.steps = [ready(tables.luminance)[:, None]]
        if tables.chrominance is not None:
            self.steps += [ready(tables.chrominance)[:, None]] * 2
        self.basis = ready(
            [
                [
                    math.sqrt((2 if frequency else 1) / BLOCK) * math.cos(math.pi * (at + 0.5) * frequency / BLOCK)
                    for at in range(BLOCK)
                ]
                for frequency in range(BLOCK)
            ]
        )

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the coefficients of an image (1, C, H, W) in grey levels, one tensor for each channel.

        Their axes are 1, 1, row of the block, row in it, column of the block, column in it; of chrominances that are
        shared there are fewer blocks. JPEG itself counts grey levels from 128: no difference to differences.
        """
        planes = self.luminances(image).split(1, dim=1)
        return [
            self._coefficients(_averaged(plane, sampling), steps)
            for plane, sampling, steps in zip(planes, self.sampling, self.steps, strict=True)
        ]

    def image(self, coefficients: list[Tensor], shape: tuple[int, ...]) -> Tensor:
        """Return the image (1, C, H, W) in grey levels of some coefficients: chrominances are repeated, not smoothed.

        Of the images that have these coefficients it is the smallest, as far as their blocks are within ``shape``.
        """
        rows, columns = shape
        planes = [
            self._plane(blocks, steps).repeat_interleave(down, dim=-2).repeat_interleave(right, dim=-1)
            for blocks, steps, (down, right) in zip(coefficients, self.steps, self.sampling, strict=True)
        ]
        return self.colour(torch.cat([plane[..., :rows, :columns] for plane in planes], dim=1))

    def luminances(self, image: Tensor) -> Tensor:
        """Return the luminance and the chrominances, if there are any, of an image (1, C, H, W)."""
        return torch.einsum("ij,njrc->nirc", self.colours, image)

    def colour(self, luminances: Tensor) -> Tensor:
        """Return the image whose :meth:`luminances` are these."""
        return torch.einsum("ij,njrc->nirc", self.colours.inverse(), luminances)

    def _coefficients(self, plane: Tensor, steps: Tensor) -> Tensor:
        rows = self.basis @ plane.unflatten(-2, (-1, BLOCK))
        blocks: Tensor = rows.unflatten(-1, (-1, BLOCK)) @ self.basis.T / steps
        return blocks

    def _plane(self, blocks: Tensor, steps: Tensor) -> Tensor:
        columns = (blocks * steps @ self.basis).flatten(-2)
        plane: Tensor = (self.basis.T @ columns).flatten(-3, -2)
        return plane


@final
class QuantisedMisfit(Misfit):
    """A JPEG: how far the coefficients of a prediction are outside of the intervals that rounding has left of them.

    Squared: 0 wherever the file would have become the same, but for a small pull towards the middle. The middle is
    taken from the decoded image, whose coefficients are only nearly whole steps. Its rounding to grey levels moves them
    by some half a grey level, and the mean of a block without texture, whose pixels are rounded alike, by up to four.
    They are further off where grey levels were cut off at 0 and 255, and where the decoder interpolated chrominances.
    Blocks that reach beyond the edge, of which it gives a part only, tell less.

    Each coefficient stands in the channel of its luminance or chrominance, on one pixel of its block, so that a
    held-out pixel holds out a coefficient: of a chrominance that is shared, on the first of the pixels that share it,
    with 0 on the others; beyond the edge, added to the last row or column. A weight of 0 takes a coefficient away,
    not what it tells about a pixel, so that nothing can be missing in ``measured`` itself.

    Holds for encoders that round to the nearest step, such as libjpeg; those that trade accuracy for size go beyond.
    For planes only: no JPEG has a depth.

    Parameters
    ----------
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    like : Tensor, (1, C, H, W)
        A canonical tensor: its channels and device.
    pull : float
        Weight of the squared distance to the middle of the interval, beside that to the interval: it decides where
        nothing else does.
    unit : {"grey levels", "steps"}
        What distances are counted in. Grey levels, of every pixel that shares a value, make the misfit the squared
        distance to the nearest image of the same file. In steps of the tables every coefficient of the file counts
        the same; chrominances and fine detail, of large steps, are then fitted last.

    Raises
    ------
    ValueError
        If the image is not a plane, its channels are not those of the file, or its intensities no grey levels of one.
    """

    def __init__(
        self,
        tables: JpegTables,
        units: tuple[Array, Array],
        like: Tensor,
        *,
        pull: float = PULL,
        unit: Literal["grey levels", "steps"] = "grey levels",
    ) -> None:
        _refuse(tables, units, like)
        self.cosine = BlockCosine(tables, like)
        self.pull = pull
        self.weights = [
            steps.square() * math.prod(sampling) if unit == "grey levels" else torch.ones_like(steps)
            for steps, sampling in zip(self.cosine.steps, self.cosine.sampling, strict=True)
        ]
        self.factor, self.shift = (
            torch.tensor(unit, dtype=torch.float32, device=like.device).reshape(1, -1, 1, 1) for unit in units
        )
        self.grey_level = GaussianMisfit(1 / self.factor)

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared excess over half a step, and the pull, of every coefficient."""
        # The map is linear: that of a small difference loses no digits to large values.
        differences = self.cosine((predicted - measured) * self.factor)
        parts = []
        for steps, weight, sampling in zip(differences, self.weights, self.cosine.sampling, strict=True):
            excess = (steps.abs() - 0.5).clamp(min=0)
            costs = weight * (excess.square() + self.pull * steps.square())
            parts.append(_on_pixels(costs, sampling, measured.shape[-2:]))
        return torch.cat(parts, dim=1)

    def nearest(self, image: Tensor, measured: Tensor, *, width: float = 0.5) -> Tensor:
        """Return the image that is nearest to ``image`` among those whose coefficients agree with the file.

        Where blocks reach beyond the edge it agrees only nearly.

        Parameters
        ----------
        image, measured : Tensor, (1, C, H, W)
            Canonical.
        width : float
            How far a coefficient may be from the middle of its interval, in steps: all of the interval, or less where
            ``image`` is an estimate with errors of its own, which the middle has none of.
        """
        rows, columns = image.shape[2:]
        # Beyond the edge the last differences are repeated; zeros would hold the pixels at the edge where they are.
        differences = self._whole((image - measured) * self.factor)
        excess = [steps - steps.clamp(-width, width) for steps in self.cosine(differences)]
        change = self.cosine.image(excess, tuple(differences.shape[2:]))[..., :rows, :columns]
        return image - change / self.factor

    def again(self, image: Tensor, *, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """Return what an image (1, C, H, W) becomes if it is compressed by the same tables and decoded.

        Parameters
        ----------
        offset : (int, int)
            Rows and columns by which the first block begins before the image.
        """
        height, width = image.shape[2:]
        top, left = offset
        # Beyond the edge the last pixels are repeated, as encoders do.
        levels = self._whole(image, offset) * self.factor + (self.shift - MIDDLE)
        rounded = self.cosine.image([steps.round() for steps in self.cosine(levels)], tuple(levels.shape[2:]))
        inside = rounded[..., top : top + height, left : left + width]
        return (inside - (self.shift - MIDDLE)) / self.factor

    @property
    def period(self) -> tuple[int, int]:
        """Return the rows and columns after which the blocks of all channels begin anew."""
        rows, columns = (BLOCK * max(factors) for factors in zip(*self.cosine.sampling, strict=True))
        return rows, columns

    def _whole(self, values: Tensor, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """Return values (1, C, H, W) with the last ones repeated up to whole blocks, which begin ``offset`` before."""
        (rows, columns), (height, width), (top, left) = self.period, values.shape[2:], offset
        padding = (left, -(left + width) % columns, top, -(top + height) % rows)
        return functional.pad(values, padding, mode="replicate")

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the values over one grey level, to which a decoder rounds; JPEG has no noise of one strength."""
        return self.grey_level.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        """Return the values over one grey level."""
        return self.grey_level.expected(image)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return 1."""
        return self.grey_level.stabilised_variance(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the values times one grey level."""
        return self.grey_level.unstabilise(means)


def _refuse(tables: JpegTables, units: tuple[Array, Array], like: Tensor) -> None:
    """Raise a ValueError if the image cannot be a decoded JPEG of these tables."""
    if like.ndim != 4:
        raise ValueError(
            f"the image has {like.ndim - 2} spatial axes; JPEG compresses planes: restore it plane by plane"
        )
    if like.shape[1] != tables.channels:
        raise ValueError(
            f"the image has {like.shape[1]} channels and the JPEG {tables.channels}: give the image as it was decoded"
        )
    factor, shift = units
    low, high = float((RANGE[0] * factor + shift).min()), float((RANGE[1] * factor + shift).max())
    if low < -0.5 or high > WHITE + 0.5 or high <= 1:
        raise ValueError(
            f"the intensities go from {low:g} to {high:g}; those of a JPEG are grey levels from 0 to 255: give the "
            "image as it was decoded"
        )


def _tables_of(image: JpegImageFile, name: str) -> JpegTables:
    components: list[tuple[int, int, int, int]] = image.layer
    kinds, rows, columns, numbers = zip(*((kind, down, right, at) for kind, right, down, at in components), strict=True)
    # Pillow gives the tables row by row, not in the order of the file.
    tables = [_table(image.quantization[number]) for number in numbers]
    if len(components) == 1:
        return JpegTables(tables[0])
    if len(components) != 3 or _is_red_green_blue(image, kinds):
        raise ValueError(f"{name!r} is a JPEG of {image.mode} values, not of luminance and chrominance: save it anew")
    if tables[1] != tables[2] or rows[1] != rows[2] or columns[1] != columns[2]:
        raise ValueError(f"{name!r} is a JPEG that treats its two chrominances differently: save it anew")
    if rows[0] % rows[1] or columns[0] % columns[1]:
        raise ValueError(
            f"{name!r} is a JPEG whose chrominances have {rows[1]} × {columns[1]} values where luminance has "
            f"{rows[0]} × {columns[0]}: save it anew"
        )
    return JpegTables(tables[0], tables[1], (rows[0] // rows[1], columns[0] // columns[1]))


def _table(steps: list[int]) -> Table:
    return tuple(tuple(steps[start : start + BLOCK]) for start in range(0, BLOCK * BLOCK, BLOCK))


def _is_red_green_blue(image: JpegImageFile, kinds: tuple[int, ...]) -> bool:
    """Return whether colours were stored as they are, which the file tells like this."""
    if "jfif" in image.info:
        return False
    return image.info.get("adobe_transform", -1) == 0 or ("adobe" not in image.info and bytes(kinds) == b"RGB")


def _averaged(plane: Tensor, sampling: tuple[int, int]) -> Tensor:
    """Return a plane averaged over the pixels that share a value, and filled up to whole blocks with 0."""
    for axis, factor in zip((-2, -1), sampling, strict=True):
        # Where some of those pixels are beyond the edge the last one counts for them, as in libjpeg. (The gradients of
        # PyTorch's own padding add up in no fixed order on a GPU.)
        plane = torch.cat([plane, *[plane.narrow(axis, -1, 1)] * (-plane.shape[axis] % factor)], dim=axis)
        plane = plane.unflatten(axis, (-1, factor)).mean(dim=axis)
    rows, columns = plane.shape[-2:]
    return functional.pad(plane, (0, -columns % BLOCK, 0, -rows % BLOCK))


def _on_pixels(blocks: Tensor, sampling: tuple[int, int], shape: tuple[int, ...]) -> Tensor:
    """Return values of coefficients on some of the pixels of ``shape``, with their sum; 0 on the others."""
    values = blocks.flatten(-2).flatten(-3, -2)
    rows, columns = sampling
    spread = values.new_zeros(1, 1, rows * values.shape[-2], columns * values.shape[-1])
    spread[..., ::rows, ::columns] = values
    for axis, length in zip((-2, -1), shape, strict=True):
        inside, beyond = spread.split([length - 1, spread.shape[axis] - length + 1], dim=axis)
        spread = torch.cat([inside, beyond.sum(dim=axis, keepdim=True)], dim=axis)
    return spread

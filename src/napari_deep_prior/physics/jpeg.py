"""What JPEG compression does to an image before it rounds: a linear map onto cosine coefficients.

Colours become luminance and two chrominances (ITU-R BT.601, full range, as in JFIF), the chrominances are averaged
over a few pixels, and every block of 8 × 8 values becomes its cosine coefficients, each rounded to whole steps of a
quantisation table that the file contains (ITU-T T.81). Only the rounding loses information: it leaves an interval for
each coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy import fft
from torch import Tensor
from torch.nn import functional

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
"""From red, green and blue to luminance and the blue and red chrominance, without the offset of the last two."""

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
"""The example tables of ITU-T T.81, Annex K, which are those of quality 50."""

WHITE = 255.0
"""The brightest grey level of a JPEG; the darkest is 0."""

MIDDLE = 128.0
"""The grey level that JPEG subtracts before the cosine transform."""


@final
@dataclass(frozen=True)
class JpegTables:
    """The quantisation of a JPEG file: how coarsely it was rounded.

    Parameters
    ----------
    luminance, chrominance : 8 × 8 integers
        Steps of the coefficients, in grey levels; chrominance is None for a grey image.
    subsampling : (int, int)
        Rows and columns of pixels that share one value of the chrominances; (2, 2) is called 4:2:0, (1, 2) 4:2:2.

    Raises
    ------
    ValueError
        If a table is not 8 × 8 steps of at least 1, or the chrominances share other than 1, 2 or 4 rows or columns.
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
        """Number of channels of the image: 1 or 3."""
        return 1 if self.chrominance is None else 3


def tables_of_quality(quality: int, *, colour: bool, subsampling: tuple[int, int] = (2, 2)) -> JpegTables:
    """Return the tables that libjpeg, and most programs with it, write for a quality from 1 to 100.

    Where the file is not at hand this is only a guess: cameras and some programs have tables of their own. For a grey
    image ``subsampling`` is ignored.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}; it must be from 1 (coarsest) to 100")
    # The scaling of the Independent JPEG Group, in percent, with its integer arithmetic.
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    luminance, chrominance = (
        tuple(tuple(min(max((step * percent + 50) // 100, 1), 255) for step in row) for row in table)
        for table in (LUMINANCE, CHROMINANCE)
    )
    return JpegTables(luminance, chrominance, subsampling) if colour else JpegTables(luminance)


@final
class BlockCosine:
    """The linear map from an image to its coefficients in steps of the tables: what JPEG does before it rounds.

    It is no ``Operator``, because it mixes colours and there are fewer chrominance values than pixels. The image must
    start where the compressed one did, because blocks are counted from its first pixel.

    Blocks that reach beyond the edge are filled up with 0. The map is made for differences of images, and how the
    decoded image continued beyond the edge before it was cropped is unknown. Encoders repeat the last pixel; repeating
    that of a decoded image would repeat its artefacts and put the true image outside of its intervals.

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
        # The axis of the blocks lies between the rows of a block and its columns.
        self.steps = [ready(tables.luminance)[:, None]]
        if tables.chrominance is not None:
            self.steps += [ready(tables.chrominance)[:, None]] * 2
        self.basis = ready(fft.dct(np.eye(BLOCK), axis=0, norm="ortho"))

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the coefficients of an image (1, C, H, W) in grey levels, one tensor for each channel.

        Their axes are 1, 1, row of the block, row in the block, column of the block, column in the block. Subsampled
        chrominances have fewer blocks. JPEG subtracts 128 from grey levels, which differences of images do not need.
        """
        planes = self.luminances(image).split(1, dim=1)
        return [
            self._to_coefficients(_averaged(plane, sampling), steps)
            for plane, sampling, steps in zip(planes, self.sampling, self.steps, strict=True)
        ]

    def image(self, coefficients: list[Tensor], shape: tuple[int, ...]) -> Tensor:
        """Return the image (1, C, H, W) in grey levels of coefficients; chrominances are repeated, not smoothed.

        Of all images with these coefficients it has the smallest norm, if ``shape`` is made of whole blocks.
        """
        rows, columns = shape
        planes = [
            self._to_plane(blocks, steps).repeat_interleave(down, dim=-2).repeat_interleave(right, dim=-1)
            for blocks, steps, (down, right) in zip(coefficients, self.steps, self.sampling, strict=True)
        ]
        return self.colour(torch.cat([plane[..., :rows, :columns] for plane in planes], dim=1))

    def luminances(self, image: Tensor) -> Tensor:
        """Return the luminance, and the chrominances if there are any, of an image (1, C, H, W)."""
        return torch.einsum("ij,njrc->nirc", self.colours, image)

    def colour(self, luminances: Tensor) -> Tensor:
        """Return the image (1, C, H, W) of its :meth:`luminances`."""
        return torch.einsum("ij,njrc->nirc", self.colours.inverse(), luminances)

    def _to_coefficients(self, plane: Tensor, steps: Tensor) -> Tensor:
        rows = self.basis @ plane.unflatten(-2, (-1, BLOCK))
        blocks: Tensor = rows.unflatten(-1, (-1, BLOCK)) @ self.basis.T / steps
        return blocks

    def _to_plane(self, blocks: Tensor, steps: Tensor) -> Tensor:
        columns = (blocks * steps @ self.basis).flatten(-2)
        plane: Tensor = (self.basis.T @ columns).flatten(-3, -2)
        return plane


def _averaged(plane: Tensor, sampling: tuple[int, int]) -> Tensor:
    """Return a plane averaged over the pixels that share a value, and filled up to whole blocks with 0."""
    for axis, factor in zip((-2, -1), sampling, strict=True):
        # The last pixel stands in for those beyond the edge, as in libjpeg. (PyTorch's own padding is not used: its
        # gradients add up in no fixed order on a GPU.)
        plane = torch.cat([plane, *[plane.narrow(axis, -1, 1)] * (-plane.shape[axis] % factor)], dim=axis)
        plane = plane.unflatten(axis, (-1, factor)).mean(dim=axis)
    rows, columns = plane.shape[-2:]
    return functional.pad(plane, (0, -columns % BLOCK, 0, -rows % BLOCK))

"""The misfit to a JPEG: how far the coefficients of a prediction are outside of their rounding intervals."""

from __future__ import annotations

import math
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional

from ..arrays.axes import Array
from ..arrays.frame import RANGE
from .jpeg import BLOCK, MIDDLE, WHITE, BlockCosine, JpegTables
from .misfit import GaussianMisfit, Misfit

CENTRE_WEIGHT = 0.05
"""Weight of the squared distance from the centre of an interval beside that from the interval."""


@final
class QuantisedMisfit(Misfit):
    """A JPEG: the squared distance of a prediction's coefficients from the intervals that rounding has left of them.

    It is 0 where the prediction would be compressed to the same file, but for a small term that favours the centres
    of the intervals. A centre is the coefficient of the decoded image, which is not exactly a whole number of steps:
    rounding to grey levels shifts coefficients by about half a grey level, and the mean of a block without texture, in
    which all pixels are rounded in the same direction, by up to four. The shift is larger where grey levels were
    clipped at 0 and 255, where the decoder interpolated chrominances, and in blocks that reach beyond the edge.

    The misfit of a coefficient is placed in the channel of its luminance or chrominance, on one pixel of its block,
    so that holding out pixels holds out coefficients. That of a subsampled chrominance is placed on the first of the
    pixels that share it, with 0 on the others; beyond the edge it is added to the last row or column. A weight of 0
    removes a coefficient and not a pixel, so ``measured`` must not have missing pixels.

    It holds for encoders that round to the nearest step, such as libjpeg, and not for those that trade accuracy for
    size. It is for planes only, because JPEG compresses planes.

    Parameters
    ----------
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    like : Tensor, (1, C, H, W)
        A canonical tensor, for its channels and device.
    centre_weight : float
        Weight of the squared distance from the centre of the interval. Small, it decides within the interval only.
    unit : {"grey levels", "steps"}
        Unit of the distances. With grey levels, times the number of pixels that share a value, the misfit is the
        squared distance from the nearest image of the same file. With steps of the tables every coefficient of the
        file counts the same; chrominances and fine detail, whose steps are large, are then fitted last.

    Raises
    ------
    ValueError
        If the image is not a plane, its channels are not those of the file, or its intensities are not 8-bit.
    """

    def __init__(
        self,
        tables: JpegTables,
        units: tuple[Array, Array],
        like: Tensor,
        *,
        centre_weight: float = CENTRE_WEIGHT,
        unit: Literal["grey levels", "steps"] = "grey levels",
    ) -> None:
        _refuse(tables, units, like)
        self.cosine = BlockCosine(tables, like)
        self.centre_weight = centre_weight
        self.weights = [
            steps.square() * math.prod(sampling) if unit == "grey levels" else torch.ones_like(steps)
            for steps, sampling in zip(self.cosine.steps, self.cosine.sampling, strict=True)
        ]
        self.factor, self.shift = (
            torch.tensor(values, dtype=torch.float32, device=like.device).reshape(1, -1, 1, 1) for values in units
        )
        self.grey_level = GaussianMisfit(1 / self.factor)

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared distance of every coefficient from its interval, and the term for its centre."""
        # Of the small difference, because the coefficients of the images themselves would be rounded more coarsely.
        differences = self.cosine((predicted - measured) * self.factor)
        parts = []
        for steps, weight, sampling in zip(differences, self.weights, self.cosine.sampling, strict=True):
            excess = (steps.abs() - 0.5).clamp(min=0)
            costs = weight * (excess.square() + self.centre_weight * steps.square())
            parts.append(_on_pixels(costs, sampling, measured.shape[-2:]))
        return torch.cat(parts, dim=1)

    def nearest(self, image: Tensor, measured: Tensor, *, width: float = 0.5) -> Tensor:
        """Return the image that is nearest to ``image`` among those whose coefficients agree with the file.

        In blocks that reach beyond the edge it agrees only approximately.

        Parameters
        ----------
        image, measured : Tensor, (1, C, H, W)
            Canonical.
        width : float
            Largest distance of a coefficient from the centre of its interval, in steps: 0.5 for all of the interval;
            less where ``image`` is an estimate with errors of its own.
        """
        rows, columns = image.shape[2:]
        # Beyond the edge the last differences are repeated; zeros would hold the pixels at the edge where they are.
        differences = self._to_whole_blocks((image - measured) * self.factor)
        excess = [steps - steps.clamp(-width, width) for steps in self.cosine(differences)]
        change = self.cosine.image(excess, tuple(differences.shape[2:]))[..., :rows, :columns]
        return image - change / self.factor

    def recompressed(self, image: Tensor, *, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """Return an image (1, C, H, W) after compression with the same tables and decoding.

        Parameters
        ----------
        offset : (int, int)
            Rows and columns by which the first block begins before the image.
        """
        height, width = image.shape[2:]
        top, left = offset
        # Beyond the edge the last pixels are repeated, as encoders do.
        levels = self._to_whole_blocks(image, offset) * self.factor + (self.shift - MIDDLE)
        rounded = self.cosine.image([steps.round() for steps in self.cosine(levels)], tuple(levels.shape[2:]))
        inside = rounded[..., top : top + height, left : left + width]
        return (inside - (self.shift - MIDDLE)) / self.factor

    @property
    def period(self) -> tuple[int, int]:
        """Rows and columns after which the blocks of all channels begin anew."""
        rows, columns = (BLOCK * max(factors) for factors in zip(*self.cosine.sampling, strict=True))
        return rows, columns

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the values divided by one grey level, to which a decoder rounds: the error of JPEG is no noise."""
        return self.grey_level.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        """Return the values divided by one grey level."""
        return self.grey_level.expected(image)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return 1."""
        return self.grey_level.stabilised_variance(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the values multiplied by one grey level."""
        return self.grey_level.unstabilise(means)

    def _to_whole_blocks(self, values: Tensor, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """Return values (1, C, H, W) padded by edge values to whole blocks, which begin ``offset`` before them."""
        (rows, columns), (height, width), (top, left) = self.period, values.shape[2:], offset
        padding = (left, -(left + width) % columns, top, -(top + height) % rows)
        return functional.pad(values, padding, mode="replicate")


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


def _on_pixels(blocks: Tensor, sampling: tuple[int, int], shape: tuple[int, ...]) -> Tensor:
    """Return values of coefficients placed on some of the pixels of ``shape``, 0 on the others, with the same sum."""
    values = blocks.flatten(-2).flatten(-3, -2)
    rows, columns = sampling
    spread = values.new_zeros(1, 1, rows * values.shape[-2], columns * values.shape[-1])
    spread[..., ::rows, ::columns] = values
    for axis, length in zip((-2, -1), shape, strict=True):
        inside, beyond = spread.split([length - 1, spread.shape[axis] - length + 1], dim=axis)
        spread = torch.cat([inside, beyond.sum(dim=axis, keepdim=True)], dim=axis)
    return spread

"""The misfit of a measurement that is the mean of several, of another number at every pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

from torch import Tensor
from torch.nn import functional

from .misfit import Misfit


@final
@dataclass(frozen=True)
class AveragedMisfit(Misfit):
    """Misfit of means of measurements with equal noise.

    Parameters
    ----------
    single : Misfit
        Of a single measurement.
    share : Tensor, (1, C, rows, columns)
        Variance of the noise of the means, in units of that of a single measurement.
    """

    single: Misfit
    share: Tensor

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the misfit of a single measurement over the share of its variance that is left."""
        return self.single.pointwise(predicted, measured) / self.share

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return what it is for a single measurement: the noise has the variance :attr:`share`."""
        return self.single.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        """Return the mean of :meth:`stabilise`: its bias is in proportion to the variance of the noise."""
        return self.single.expected(image) - self._less_bias(image)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return the variance of a single measurement times the share that is left."""
        return self.single.stabilised_variance(image) * self._share_of(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the image whose :meth:`expected` is ``means``."""
        image = self.single.unstabilise(means)
        for _ in range(2):  # the bias hardly changes with the image
            image = self.single.unstabilise(means + self._less_bias(image))
        return image

    def _less_bias(self, image: Tensor) -> Tensor:
        """Return by how much the bias of the transform is smaller than that of a single measurement."""
        return (1 - self._share_of(image)) * (self.single.expected(image) - self.single.stabilise(image))

    def _share_of(self, image: Tensor) -> Tensor:
        """Return the share for an image, which can be a smaller version of the measurement."""
        if image.shape[-2:] == self.share.shape[-2:]:
            return self.share
        rows, columns = image.shape[-2:]
        return functional.adaptive_avg_pool2d(self.share, (rows, columns))


def misfit_of_part(misfit: Misfit, index: tuple[Any, ...]) -> Misfit:
    """Return the misfit of what lies at an index of a measurement (1, C, *S), with all of its channels.

    Only that of averages is another one at every pixel.
    """
    if isinstance(misfit, AveragedMisfit):
        return replace(misfit, share=misfit.share[index].contiguous())
    return misfit

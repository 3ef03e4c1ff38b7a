"""Misfits for the noise of a camera: photon noise and read noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from ..arrays.axes import Array
from .anscombe import anscombe_bias
from .misfit import Misfit
from .noise_model import NoiseModel

BIAS_STEPS, BIAS_END = 1024, 50.0
"""Entries of the table of the low-count bias, and the square root of the photons at its end, where it is below 0.01."""

FLOOR = 0.05
"""Share of the root at zero light below which the transform continues as a line: its slope would become infinite."""

SMALLEST_VARIANCE = 0.01
"""Smallest variance of a transform: pixels without light still have read noise and dark current."""

FEWEST_PHOTONS = 1e-2
"""Expected photons below which the logarithm in the Poisson likelihood continues as a straight line."""


@final
class CameraUnits:
    """The noise models of the channels in units of canonical values.

    Grey levels can be so large that their squares are beyond float32. Canonical values are not, and the transforms are
    the same in every unit. Every attribute is a tensor (1, C, 1, ...) on the device of ``like``.

    Parameters
    ----------
    noise : sequence of NoiseModel
        One for each channel, in grey levels.
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    like : Tensor, (1, C, *S)
        A canonical tensor, for its number of axes and device.
    """

    def __init__(self, noise: Sequence[NoiseModel], units: tuple[Array, Array], like: Tensor) -> None:
        shape = (1, len(noise)) + (1,) * (like.ndim - 2)

        def per_channel(values: Sequence[float] | Array) -> Tensor:
            return torch.as_tensor(np.asarray(values, np.float32), device=like.device).reshape(shape)

        factor, shift = units
        offset = np.array([model.offset for model in noise])
        limits = [np.inf if model.saturation is None else model.saturation for model in noise]
        self.shift = per_channel((shift - offset) / factor)
        self.gain = per_channel(np.array([model.gain for model in noise]) / factor)
        self.read_noise = per_channel(np.array([model.read_noise for model in noise]) / factor)
        # A little lower, so that the rounding of canonical values cannot put a saturated pixel below it.
        self.saturation = per_channel((np.array(limits) - offset) / factor - 1e-4)

    def light(self, values: Tensor) -> Tensor:
        """Return canonical values less that of zero light."""
        return values + self.shift

    def values(self, light: Tensor) -> Tensor:
        """Return the canonical values of an amount of light."""
        return light - self.shift


@final
class AnscombeMisfit(Misfit):
    """Poisson-Gaussian noise: the squared difference of generalised Anscombe transforms.

    The transform (Starck, Murtagh & Bijaoui 1998, ISBN 978-0-521-59914-6) of a measurement is compared with its *mean*
    for the prediction. Below about three photons that is smaller than the transform of the prediction (Makitalo & Foi
    2013, doi 10.1109/TIP.2012.2202675). A saturated pixel only says that the image is at least that bright there, so
    brighter predictions cost nothing.

    Raises
    ------
    ValueError
        If a channel has neither photon noise nor read noise, by which the transform divides.
    """

    def __init__(self, noise: Sequence[NoiseModel], units: tuple[Array, Array], like: Tensor) -> None:
        if any(model.gain == 0 and model.read_noise == 0 for model in noise):
            raise ValueError(
                "the noise model has gain 0 and read noise 0, and the Anscombe transform divides by the noise: give "
                "read_noise, the standard deviation of a flat region"
            )
        self.camera = camera = CameraUnits(noise, units, like)
        self.dark = (0.375 * camera.gain.square() + camera.read_noise.square()).sqrt()
        photons = camera.gain > 0
        self.darkest = torch.where(photons, -self.dark.square() / camera.gain, -torch.inf)
        self.floor = (FLOOR * self.dark).square()
        tables = [_bias_table(model) for model in noise]
        device = camera.gain.device
        self.table = torch.as_tensor(np.stack(tables).ravel(), dtype=torch.float32, device=device)
        # Of the roots in the table: twice their distance from that at zero light, in roots of photons.
        self.mean_transforms = 2 * torch.linspace(0, BIAS_END, BIAS_STEPS, device=device) + self.table.reshape(
            -1, BIAS_STEPS
        )
        self.rows = BIAS_STEPS * torch.arange(len(noise), device=device).reshape(camera.gain.shape)
        self.start = self.dark / camera.gain.clamp(min=torch.finfo(torch.float32).tiny)
        self.step = (BIAS_END / (BIAS_STEPS - 1)) * torch.ones_like(self.start)

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared differences; 1 on average where the prediction is true and the light not too low."""
        light = self.camera.light(measured)
        difference = self.expected(predicted) - self.stabilise(measured)
        excess = torch.where(light >= self.camera.saturation, difference.clamp(max=0), difference)
        return excess.square()

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the generalised Anscombe transform, less its value at zero light.

        It is constant where the variance of the model would be negative. :meth:`expected` is the mean of that, but of
        a prediction continues downwards as a line, so that it keeps a gradient.
        """
        light = torch.maximum(self.camera.light(measured), self.darkest)
        root = (self.camera.gain * light + self.dark.square()).clamp(min=0).sqrt()
        return 2 * light / (root + self.dark)

    def expected(self, image: Tensor) -> Tensor:
        """Return the mean transform, which at low counts is below the transform of the mean."""
        transformed, root = self._transform(self.camera.light(image))
        return transformed + self._bias(root)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return the variance of the transform; far below 1 where there are fewer than three photons.

        It is the mean square of the transform, which is known (four times the square of the root), less the squared
        mean. Below one photon, with a read noise of less than a photon, it is up to a tenth too small.
        """
        root = self._transform(self.camera.light(image))[1]
        bias = self._bias(root)
        photons = self.camera.gain > 0
        variance = -bias * (4 * root / self.camera.gain.clamp(min=torch.finfo(torch.float32).tiny) + bias)
        return torch.where(photons, variance.clamp(min=SMALLEST_VARIANCE), 1.0)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the exact unbiased inverse: between two entries of the table :meth:`expected` grows by a line."""
        channels = means.transpose(0, 1)
        values = channels.flatten(1).contiguous()
        rows = self.table.reshape(self.mean_transforms.shape)
        # The entries before and after each value, of the rows of its channel.
        after = torch.searchsorted(self.mean_transforms, values.to(rows)).clamp(1, BIAS_STEPS - 1)
        low, high = (self.mean_transforms.gather(1, entry) for entry in (after - 1, after))
        first, second = (rows.gather(1, entry) for entry in (after - 1, after))
        bias = first + ((values - low) / (high - low)).clamp(0, 1) * (second - first)
        return self.camera.values(self._algebraic_inverse(means - bias.reshape(channels.shape).transpose(0, 1)))

    def _algebraic_inverse(self, transformed: Tensor) -> Tensor:
        """Return the light of a transform, that of the line below its end included."""
        root = torch.maximum(self.camera.gain * transformed / 2 + self.dark, self.floor.sqrt())
        return transformed * (root + self.dark) / 2

    def _transform(self, light: Tensor) -> tuple[Tensor, Tensor]:
        """Return the transform less its value at zero light, and the root in it, which is at least ``floor``."""
        root = (self.camera.gain * light + self.dark.square()).clamp(min=self.floor).sqrt()
        return 2 * light / (root + self.dark), root

    def _bias(self, root: Tensor) -> Tensor:
        """Return the mean transform less the transform of the mean, interpolated linearly; 0 without photon noise."""
        photons = self.camera.gain > 0
        # Not divided by 0: the quotient would be discarded, but its gradient would still be NaN.
        gain = torch.where(photons, self.camera.gain, 1.0)
        place = torch.where(photons, (root / gain - self.start) / self.step, 0.0)
        place = place.clamp(0, BIAS_STEPS - 1.001)
        # A fit that diverges predicts NaN. The loss shows it; the look-up in the table must not fail before that.
        below = place.detach().nan_to_num().floor()
        index = below.long() + self.rows
        low, high = self.table[index], self.table[index + 1]
        return low + (place - below) * (high - low)


@final
class PoissonMisfit(Misfit):
    """Photon counting with a little read noise: the deviance of the shifted Poisson distribution.

    Snyder et al. 1993 (doi 10.1364/JOSAA.10.001014): the read noise variance, in photons, is added to the counts and to
    their mean.
    """

    def __init__(self, noise: Sequence[NoiseModel], units: tuple[Array, Array], like: Tensor) -> None:
        self.anscombe = AnscombeMisfit(noise, units, like)
        self.camera = self.anscombe.camera
        self.gain = self.camera.gain.clamp(min=torch.finfo(torch.float32).tiny)
        self.shift = (self.camera.read_noise / self.gain).square()

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return twice the log-likelihood ratio to a perfect prediction; 1 on average where it is true."""
        light = self.camera.light(measured)
        counts = (light / self.gain + self.shift).clamp(min=0)
        mean = self.camera.light(predicted) / self.gain + self.shift
        safe = mean.clamp(min=FEWEST_PHOTONS)
        # Below that the logarithm continues as its tangent, so that a dark prediction has a finite gradient.
        log_mean = safe.log() + (mean - safe) / FEWEST_PHOTONS
        deviance = 2 * (mean - counts + torch.xlogy(counts, counts) - counts * log_mean)
        darker = torch.where(mean < counts, deviance, 0.0)
        return torch.where(light >= self.camera.saturation, darker, deviance)

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the generalised Anscombe transform."""
        return self.anscombe.stabilise(measured)

    def expected(self, image: Tensor) -> Tensor:
        """Return the mean transform."""
        return self.anscombe.expected(image)

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return the variance of the transform."""
        return self.anscombe.stabilised_variance(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the exact unbiased inverse."""
        return self.anscombe.unstabilise(means)


def _bias_table(model: NoiseModel) -> Array:
    """Return the bias at equal steps of the root of the photons, from zero light on."""
    if model.gain == 0:
        return np.zeros(BIAS_STEPS)
    levels, bias = anscombe_bias(model)
    zero = 0.375 + (model.read_noise / model.gain) ** 2
    root = np.sqrt(zero) + np.linspace(0, BIAS_END, BIAS_STEPS)
    return np.asarray(np.interp(model.offset + model.gain * (root**2 - zero), levels, bias))

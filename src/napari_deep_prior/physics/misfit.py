"""Misfits: minus the log-likelihood of a measurement, given what the model predicts, up to constants.

All are scaled such that a perfect prediction has a mean misfit of about 1 where the noise is known, so that the
numbers mean the same on every image: the squared error in units of the noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor

from .anscombe import anscombe_bias
from .noise_model import NoiseModel

MisfitName = Literal["gaussian", "anscombe", "poisson", "quantised"]

BIAS_STEPS, BIAS_END = 1024, 50.0
"""Entries of the table of the low-count bias, and the root of the photons where it ends (there it is below 0.01)."""

FLOOR = 0.05
"""Share of the root at zero light below which the transform goes on as a straight line: its slope would be infinite."""

LARGEST_BIAS, BISECTIONS = 1.3, 24
"""The low-count bias is at most 2 * sqrt(3 / 8) = 1.22, and found to 1.3 / 2**24."""

SMALLEST_SPREAD = 0.01
"""Variance of a transform that is believed at least: pixels without light still have read noise and dark current."""

SMALLEST_VARIANCE = 1e-12
"""Variance in canonical units below which noise is rounding."""

FEWEST_PHOTONS = 1e-2
"""Expected photons below which the logarithm of the Poisson likelihood goes on as a straight line."""


class Misfit(ABC):
    """How far a prediction is from the measurement, value by value."""

    @abstractmethod
    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the misfit of every value, of the shape of ``measured``; differentiable in ``predicted``."""

    @abstractmethod
    def stabilise(self, measured: Tensor) -> Tensor:
        """Return measured values on a scale on which their noise has variance 1."""

    @abstractmethod
    def expected(self, image: Tensor) -> Tensor:
        """Return the mean of :meth:`stabilise` over the noise of measurements of ``image``."""

    @abstractmethod
    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return the variance of :meth:`stabilise` over the noise of measurements of ``image``: 1, less in the dark."""

    @abstractmethod
    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the values whose :meth:`expected` is ``means``: its inverse."""


@final
@dataclass(frozen=True)
class GaussianMisfit(Misfit):
    """Noise of one strength everywhere: the squared difference, in units of its variance.

    ``sigma`` is the noise per channel in the tensors' units, (1, C, 1, ...), or a number.
    """

    sigma: Tensor | float = 1.0

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the squared differences over the variance."""
        return ((predicted - measured) / self.sigma).square()

    def stabilise(self, measured: Tensor) -> Tensor:
        """Return the values over the noise."""
        return measured / self.sigma

    def expected(self, image: Tensor) -> Tensor:
        """Return the values over the noise."""
        return image / self.sigma

    def stabilised_variance(self, image: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(image)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the values times the noise."""
        return means * self.sigma


@final
class CameraUnits:
    """The cameras of the channels, in units of canonical values, and the light of such values.

    Grey levels can be of any size, and their squares beyond float32; canonical values are not, and the transforms
    are the same in every unit. Every attribute is a tensor (1, C, 1, ...) that lies on the device of the values.
    """

    def __init__(self, noise: Sequence[NoiseModel], units: tuple[np.ndarray, np.ndarray], like: Tensor) -> None:
        shape = (1, len(noise)) + (1,) * (like.ndim - 2)

        def per_channel(values: Sequence[float] | np.ndarray) -> Tensor:
            return torch.as_tensor(np.asarray(values, np.float32), device=like.device).reshape(shape)

        factor, shift = units
        offset = np.array([model.offset for model in noise])
        limits = [np.inf if model.saturation is None else model.saturation for model in noise]
        self.shift = per_channel((shift - offset) / factor)
        self.gain = per_channel(np.array([model.gain for model in noise]) / factor)
        self.read_noise = per_channel(np.array([model.read_noise for model in noise]) / factor)
        # A little lower, so that rounding on the way to canonical values cannot hide a saturated pixel.
        self.saturation = per_channel((np.array(limits) - offset) / factor - 1e-4)

    def light(self, values: Tensor) -> Tensor:
        """Return how far canonical values are above the camera's zero light."""
        return values + self.shift

    def values(self, light: Tensor) -> Tensor:
        """Return the canonical values of an amount of light."""
        return light - self.shift


@final
class AnscombeMisfit(Misfit):
    """Poisson-Gaussian noise: the squared difference of the generalised Anscombe transforms.

    A measurement is compared with the transform that a prediction has *on average*, which below some three photons
    is smaller than the transform of the prediction (Makitalo & Foi 2013, doi 10.1109/TIP.2012.2202675). A saturated
    pixel says only that the image is at least that bright there: brighter predictions cost nothing.

    Raises
    ------
    ValueError
        If a channel has no noise at all: there is nothing to scale by.
    """

    def __init__(self, camera: CameraUnits, noise: Sequence[NoiseModel]) -> None:
        self.camera = camera
        self.dark = (0.375 * camera.gain.square() + camera.read_noise.square()).sqrt()
        photons = camera.gain > 0
        self.darkest = torch.where(photons, -self.dark.square() / camera.gain, -torch.inf)
        self.floor = (FLOOR * self.dark).square()
        tables = [_bias_table(model) for model in noise]
        device = camera.gain.device
        self.table = torch.as_tensor(np.stack(tables).ravel(), dtype=torch.float32, device=device)
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

        Here it ends where its root does: :meth:`expected` is the mean of that. Only predictions go on below.
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

        The square of the transform has a mean that is known, four times the square of the root: less the square of
        its own mean, that is the variance. Where read noise of less than a photon reaches the end of the root, below
        one photon, it is up to a tenth too small.
        """
        root = self._transform(self.camera.light(image))[1]
        bias = self._bias(root)
        photons = self.camera.gain > 0
        variance = -bias * (4 * root / self.camera.gain.clamp(min=torch.finfo(torch.float32).tiny) + bias)
        return torch.where(photons, variance.clamp(min=SMALLEST_SPREAD), 1.0)

    def unstabilise(self, means: Tensor) -> Tensor:
        """Return the exact unbiased inverse, by bisection of :meth:`expected`, which rises everywhere."""
        # Brighter than the algebraic inverse only: the bias is never positive.
        low = self.camera.values(self._inverse(means))
        high = self.camera.values(self._inverse(means + LARGEST_BIAS))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.expected(middle) < means
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def _inverse(self, transformed: Tensor) -> Tensor:
        """Return the light of a transform, the line below its end included."""
        root = torch.maximum(self.camera.gain * transformed / 2 + self.dark, self.floor.sqrt())
        return transformed * (root + self.dark) / 2

    def _transform(self, light: Tensor) -> tuple[Tensor, Tensor]:
        """Return the transform less its value at zero light, and the root in it; a line where the root ends."""
        root = (self.camera.gain * light + self.dark.square()).clamp(min=self.floor).sqrt()
        return 2 * light / (root + self.dark), root

    def _bias(self, root: Tensor) -> Tensor:
        """Return how much smaller the mean transform is, by linear interpolation; zero without photon noise."""
        photons = self.camera.gain > 0
        # Not by zero: what it gives would be left out, but not its gradient, which is no number.
        gain = torch.where(photons, self.camera.gain, 1.0)
        place = torch.where(photons, (root / gain - self.start) / self.step, 0.0)
        place = place.clamp(0, BIAS_STEPS - 1.001)
        # A fit that diverges predicts no numbers either: whoever watches the loss is to notice, not the table.
        below = place.detach().nan_to_num().floor()
        index = below.long() + self.rows
        low, high = self.table[index], self.table[index + 1]
        return low + (place - below) * (high - low)


@final
class PoissonMisfit(Misfit):
    """Photon counting with a little read noise: the deviance of the shifted Poisson distribution.

    Snyder et al. 1993 (doi 10.1364/JOSAA.10.001014): counts and their mean are both raised by the read variance.
    """

    def __init__(self, camera: CameraUnits, noise: Sequence[NoiseModel]) -> None:
        self.camera = camera
        self.anscombe = AnscombeMisfit(camera, noise)
        self.gain = camera.gain.clamp(min=torch.finfo(torch.float32).tiny)
        self.shift = (camera.read_noise / self.gain).square()

    def pointwise(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return twice the log-likelihood ratio to a perfect prediction; 1 on average where it is true."""
        light = self.camera.light(measured)
        counts = (light / self.gain + self.shift).clamp(min=0)
        mean = self.camera.light(predicted) / self.gain + self.shift
        safe = mean.clamp(min=FEWEST_PHOTONS)
        # Below that the logarithm goes on as its tangent, so that a dark prediction can get out of the dark.
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


def choose_misfit(
    name: Literal["auto"] | MisfitName,
    noise: Sequence[NoiseModel],
    units: tuple[np.ndarray, np.ndarray],
    like: Tensor,
) -> tuple[MisfitName, Misfit]:
    """Return the misfit for the noise of the channels, and its name; "auto" is the Anscombe one where it applies.

    Parameters
    ----------
    units : pair of ndarray
        Factor and shift per channel, from canonical values to grey levels (``Frame.units``).
    like : Tensor, (1, C, *S)
        A canonical tensor: its rank and device.
    """
    noisy = [model.gain > 0 or model.read_noise > 0 for model in noise]
    photons = any(model.gain > 0 for model in noise)
    if not any(noisy) or (name == "poisson" and not photons):
        return "gaussian", GaussianMisfit()
    # An empty channel has nothing to be scaled by: noise as large as its range stands in, and the others keep theirs.
    models = zip(noise, noisy, units[0], strict=True)
    noise = [model if known else replace(model, read_noise=float(factor)) for model, known, factor in models]
    if name == "auto":
        name = "anscombe" if photons else "gaussian"
    if name == "poisson" and not all(model.gain > 0 for model in noise):
        # Without photons there is nothing to count in a channel.
        name = "anscombe"
    camera = CameraUnits(noise, units, like)
    if name == "anscombe":
        return name, AnscombeMisfit(camera, noise)
    if name == "poisson":
        return name, PoissonMisfit(camera, noise)
    middle = camera.light(torch.full_like(camera.gain, 0.5))
    variance = camera.gain * middle.clamp(min=0) + camera.read_noise.square()
    return "gaussian", GaussianMisfit(variance.clamp(min=SMALLEST_VARIANCE).sqrt())


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of ``values`` with the weights ``weight`` (0-d); only values of weight > 0 get a gradient."""
    return (values * weight).sum() / weight.sum()


def _bias_table(model: NoiseModel) -> np.ndarray:
    """Return the bias at equal steps of the root of the photons, from zero light on."""
    if model.gain == 0:
        return np.zeros(BIAS_STEPS)
    levels, bias = anscombe_bias(model)
    zero = 0.375 + (model.read_noise / model.gain) ** 2
    root = np.sqrt(zero) + np.linspace(0, BIAS_END, BIAS_STEPS)
    return np.asarray(np.interp(model.offset + model.gain * (root**2 - zero), levels, bias))

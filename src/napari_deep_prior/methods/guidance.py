"""Whether a guide helps: an image is restored without it and with it, and held-out pixels decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from ..patches.mixing import Estimate, mixing_share, mixing_share_beside_full
from ..problem import Problem
from ..progress import Step
from ..training.held_out import HELD_OUT_ERROR, HELD_OUT_SHARE, hold_out, hold_out_like_missing, mean_misfit
from .method import LARGEST_SEED, Method, SeededMethod

CONFIDENCE = 2.0
"""Standard errors to either side of what is said of a guide."""

LIKELY = 0.5
"""Standard errors by which an error must be smaller for a guide to be used: than that of the method alone, and than
that of the same fit without the guide. A few hundred held-out pixels often show no more of a guide that removes a third
of the error, and a mixture with a fit that does not need its guide does no harm."""

NOISE_ACCURACY = 0.02
"""Standard error of the variance of the noise, as a share of it: what is estimated of it is no more exact."""

UNLIKELY = 3.0
"""Standard errors by which the error is smaller than the noise where the noise cannot be what was assumed."""


@final
@dataclass(frozen=True, kw_only=True)
class GuideGain:
    """What a guide was worth on held-out pixels. Errors are squared, in units of the noise, and means over the pixels.

    Parameters
    ----------
    saved, saved_deviation : float
        Error that the guide has removed, and its standard error. The noise of the pixels, which is in the error with
        the guide as in that without it, has no part in it.
    left, left_deviation : float
        Error that is left with the guide beside the noise, and its standard error.
    above_noise : bool
        Whether the noise was known and is no part of ``left``.
    """

    saved: float
    saved_deviation: float
    left: float
    left_deviation: float
    above_noise: bool = True

    @classmethod
    def of(cls, saved: Tensor, left: Tensor, noise: Tensor) -> Self:
        """Return the gain from values of each held-out pixel: error saved, error left with noise, and that noise."""
        if saved.numel() < 2:
            return cls(saved=0.0, saved_deviation=torch.inf, left=0.0, left_deviation=torch.inf)
        gain, gain_deviation = _mean(saved)
        total, _ = _mean(left)
        beside, sampled = _mean(left - noise)
        deviation = float(torch.hypot(torch.tensor(sampled), NOISE_ACCURACY * noise.double().mean()))
        known = beside > -UNLIKELY * deviation
        return cls(
            saved=gain,
            saved_deviation=gain_deviation,
            left=beside if known else total,
            left_deviation=deviation if known else sampled,
            above_noise=known,
        )

    def exceeds(self, deviations: float) -> bool:
        """Return whether more was saved than that many standard errors."""
        return self.saved > deviations * self.saved_deviation

    def share(self, deviations: float = 0.0) -> float:
        """Return the share of the error that the guide has removed (0 to 1), or that many standard errors from it."""
        saved = max(0.0, self.saved + deviations * self.saved_deviation)
        # No error is smaller than 0, whatever the noise of a few pixels suggests.
        left = max(0.0, self.left - deviations * self.left_deviation)
        return saved / (saved + left) if saved else 0.0


@final
class GuideComparison:
    """Solves a guided problem without the guide and with it, and mixes the answers.

    A twentieth of the pixels is held out from all fits. They decide how much of the fit with the guide goes into the
    answer. A mixture of two fits is better than each of them, also where the guide shows nothing: so the same mixture
    is made with a fit without the guide, and only what the guide adds to that is its due. Where that is unlikely to be
    more than nothing, the answer is that of the problem without a guide.

    Parameters
    ----------
    alone : Method
        How the problem is solved without the guide. If it cannot solve it, ``guided`` alone does, without comparison.
    guided : SeededMethod
        How it is solved with the guide; its seed chooses the held-out pixels.

    Attributes
    ----------
    gain : GuideGain or None
        What the guide was worth; None: not compared (yet).
    helped : bool
        Whether the guide is part of the answer.
    """

    def __init__(self, alone: Method, guided: SeededMethod) -> None:
        self.alone, self.guided = alone, guided
        self.gain: GuideGain | None = None
        self.helped = True

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield the steps without the guide, those with it, and those that tell what the guide was worth."""
        held_out, evaluated = _held_out_pixels(problem, self.guided.generator(problem))
        restricted = dataclasses.replace(problem, weight=problem.weight * (1 - held_out))
        unguided = dataclasses.replace(restricted, guide=None)
        if self.alone.why_not(unguided):
            yield from self.guided.fit(problem)
            return
        for step in self.alone.fit(unguided):
            yield dataclasses.replace(step, total=2 * step.total)
        pixels = _HeldOutPixels(problem, evaluated, step.image)
        last, guided = yield from pixels.mixed(self.guided, restricted, step)
        self.gain = pixels.gain(pixels.first, guided.mixed)
        self.helped = self.gain.exceeds(LIKELY)
        other = dataclasses.replace(self.guided, seed=(self.guided.seed + 1) % (LARGEST_SEED + 1))
        rival = _Mixture(pixels.first, pixels.first)
        if self.helped and not other.why_not(unguided):
            last, rival = yield from pixels.mixed(other, unguided, last, shown=guided.mixed)
            self.helped = pixels.gain(rival.fitted, guided.fitted).exceeds(LIKELY)
        if self.alone.takes_guide:
            # A network hardly uses a pixel's own measurement, and two fits differ by chance: the mixture is the answer.
            self._decide(pixels.gain(rival.mixed, guided.mixed))
            if self.helped:
                return
        shown = guided.mixed if self.helped else pixels.first
        for step in self.alone.fit(dataclasses.replace(problem, guide=None)):
            yield _after(last, step, shown, pixels.error(shown))
        image = step.image
        if not self.alone.takes_guide:
            share, gain = pixels.beside_full(image, guided.fitted, rival.fitted)
            self._decide(gain)
            image = torch.lerp(image, guided.fitted, share) if self.helped else image
        yield _after(last, step, image, pixels.error(shown))

    def _decide(self, gain: GuideGain) -> None:
        """Take in what the guide was worth in the answer, if it was of use until then."""
        self.gain = gain
        self.helped = self.helped and gain.exceeds(0.0)


@final
@dataclass(frozen=True)
class _Mixture:
    """A fit, and its best mixture with the answer of the method that is compared."""

    fitted: Tensor
    mixed: Tensor


@final
class _HeldOutPixels:
    """What held-out pixels say about images (1, C, *S).

    Parameters
    ----------
    problem : Problem
        The problem with its guide and all of its pixels.
    evaluated : Tensor, (1, 1 or C, *T)
        1 on the held-out pixels that are compared.
    first : Tensor
        The answer of the method without the guide and without the held-out pixels.
    """

    def __init__(self, problem: Problem, evaluated: Tensor, first: Tensor) -> None:
        self.first = first
        self._problem, self._evaluated = problem, evaluated
        self._weight = evaluated * problem.weight
        self._chosen = (self._weight > 0).expand_as(problem.measured)
        self._noisy = problem.misfit.stabilise(problem.measured)
        self._noise = self._of_pixels(problem.misfit.stabilised_variance(problem.operator(first)))

    def mixed(
        self, method: Method, posed: Problem, earlier: Step, *, shown: Tensor | None = None
    ) -> Generator[Step, None, tuple[Step, _Mixture]]:
        """Yield the steps of a fit; return the last one and the fit, mixed with the first answer.

        Parameters
        ----------
        shown : Tensor, optional
            The image of the steps; the mixture if it is not given.
        """
        for step in method.fit(posed):
            share = mixing_share(self._problem, step.image, self.first, self._evaluated)
            mixed = torch.lerp(self.first, step.image, share)
            image = mixed if shown is None else shown
            last = _after(earlier, step, image, self.error(image))
            yield last
        return last, _Mixture(step.image, mixed)

    def error(self, image: Tensor) -> Tensor:
        """Return the mean misfit (0-d)."""
        return mean_misfit(self._problem, image, self._weight)

    def gain(self, without: Tensor, guided: Tensor) -> GuideGain:
        """Return what a guide was worth, from images without it and with it, neither of which used the pixels."""
        left = self._squares(guided)
        return GuideGain.of(self._squares(without) - left, left, self._noise)

    def beside_full(self, full: Tensor, guided: Tensor, rival: Tensor) -> tuple[Tensor, GuideGain]:
        """Return the share of a guided fit beside an answer from all pixels, and what the guide was worth there.

        Parameters
        ----------
        full : Tensor
            The answer of the method from all pixels, without the guide.
        guided, rival : Tensor
            Fits without the held-out pixels, with the guide and without it.
        """
        estimate = Estimate(restricted=self.first, full=full)
        share, saved = mixing_share_beside_full(self._problem, guided, estimate, self._evaluated)
        _, saved_without = mixing_share_beside_full(self._problem, rival, estimate, self._evaluated)
        misfit, operator = self._problem.misfit, self._problem.operator
        # What the pixels' own measurement has removed; exact for conditional means, as for the share.
        used = (misfit.expected(operator(full)) - misfit.expected(operator(self.first))).square()
        left = self._squares(self.first) - self._of_pixels(used + saved)
        return share, GuideGain.of(self._of_pixels(saved - saved_without), left, self._noise)

    def _squares(self, image: Tensor) -> Tensor:
        """Return the squared error of each pixel, in units of the noise, which is part of it."""
        expected = self._problem.misfit.expected(self._problem.operator(image))
        return self._of_pixels((self._noisy - expected).square())

    def _of_pixels(self, values: Tensor) -> Tensor:
        """Return the values (1, C, *T) of the held-out pixels as a list."""
        return values.expand_as(self._chosen)[self._chosen]


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean of independent values and its standard error."""
    values = values.double()
    return float(values.mean()), float(values.std()) / values.numel() ** 0.5


def _after(earlier: Step, step: Step, image: Tensor, error: Tensor) -> Step:
    """Return a step with its numbers counted on from an earlier one, another image and its held-out error."""
    return dataclasses.replace(
        step,
        number=earlier.number + step.number,
        total=earlier.number + step.total,
        criterion=error,
        criterion_name=HELD_OUT_ERROR,
        chosen=earlier.number + step.chosen,
        image=image,
        deviation=None,
    )


def _held_out_pixels(problem: Problem, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return masks of the held-out pixels and of those that are evaluated: like the missing ones, if there are any."""
    if bool((problem.weight > 0).all()):
        return hold_out(problem, HELD_OUT_SHARE, generator)
    held_out = hold_out_like_missing((problem.weight > 0).to(problem.measured.dtype), generator)
    return held_out, held_out

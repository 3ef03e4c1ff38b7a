"""A fit of an image, mixed with similar patches step by step: pixels that are held out from both decide the share."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from ..patches import patch_denoising
from ..patches.mixing import Estimate, likely_share
from ..problem import Problem
from ..progress.stages import stage
from ..training.stopping import Answer, HeldOutError, StoppingRule

USUAL_SHARE, SHARE_SPREAD = 0.15, 0.15
"""Share of the deep image prior beside similar patches in a plane, and its standard deviation from image to image,
before any is looked at.

Measured on twelve images of 128 by 128 pixels: the image that held-out pixels choose is 0.03 dB below the best one on
the mean, and 0.11 at worst; with them alone 0.08 and 0.40."""

ANY_SHARE, ANY_SPREAD = 0.5, 0.5
"""The same in a volume, where the network sees the depth and similar patches only planes: held-out pixels decide."""


@final
class PatchMixture:
    """Similar patches, and their mixture with the images of a fit.

    Parameters
    ----------
    problem : Problem
        The problem that is solved; similar patches must be able to (:func:`.patch_denoising.why_not`).
    held_out, evaluated : Tensor, (1, 1 or C, *S)
        Not 0 on pixels that the fit does not use, and on those of them on which errors are measured.
    """

    def __init__(self, problem: Problem, held_out: Tensor, evaluated: Tensor) -> None:
        self._problem, self._evaluated = problem, evaluated
        is_volume = problem.measured.ndim > 4
        self._usual, self._spread = (ANY_SHARE, ANY_SPREAD) if is_volume else (USUAL_SHARE, SHARE_SPREAD)
        with stage("Similar patches"):
            self._means = patch_denoising.estimate(problem, held_out)
        restricted, full = (problem.misfit.unstabilise(each) for each in (self._means.restricted, self._means.full))
        self._images = Estimate(restricted=restricted, full=full)

    @torch.no_grad()
    def mixed(self, image: Tensor, deviation: Tensor | None) -> tuple[Tensor, Answer]:
        """Return the mixture with an image (1, C, *S) of the fit: from the pixels that it used, and from all of them.

        The first one is to be judged by the held-out pixels, the second one is the answer.
        """
        fitted = self._problem.misfit.expected(image)
        share = likely_share(
            self._problem,
            fitted,
            self._means.restricted,
            self._evaluated,
            usual=self._usual,
            spread=self._spread,
        )
        judged, answer = (torch.lerp(each, image, share) for each in (self._images.restricted, self._images.full))
        return judged, Answer(answer, None if deviation is None else share * deviation, share)


def beside(rule: StoppingRule, problem: Problem) -> PatchMixture | None:
    """Return similar patches beside a fit with that rule; None if they or held-out pixels cannot be had."""
    if not isinstance(rule, HeldOutError) or patch_denoising.why_not(problem):
        return None
    return PatchMixture(problem, rule.held_out, rule.evaluated)


def in_words(kept: Answer) -> str:
    """Return how much the fit counts in an image, in a sentence; empty if it alone does."""
    if kept.share is None:
        return ""
    share = f"{100 * float(kept.share.mean()):.0f} %"
    return f"held-out pixels decide between the deep image prior and similar patches: it counts for {share}"


def memory(problem: Problem) -> int:
    """Return about how many bytes similar patches need before a fit begins."""
    return 0 if patch_denoising.why_not(problem) else patch_denoising.memory(problem) + 16 * problem.measured.numel()


def seconds(problem: Problem) -> float:
    """Return about how long similar patches take on two cores with AVX2: without the held-out pixels, and with all."""
    return 0.0 if patch_denoising.why_not(problem) else 2 * patch_denoising.seconds(problem)

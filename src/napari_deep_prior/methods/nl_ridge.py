"""Non-local ridge regression: no network, seconds instead of minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from ..patches import nl_ridge as ridge
from ..patches import patch_denoising
from ..physics.misfit import weighted_mean
from ..problem import Problem
from ..progress import Step
from .method import Method


@final
@dataclass(frozen=True, kw_only=True)
class NLRidge(Method):
    """Denoise by similar patches (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992).

    Every patch becomes the linear combination of similar patches of least expected squared error. This is done where
    the noise has been made equally strong everywhere, and repeated: similar patches are found more reliably in the
    result of the pass before. Low frequencies also come from smaller versions of the image, as far as that reduces the
    estimated error. Where the noise of neighbouring pixels is correlated, its covariance in a patch is taken into
    account (:mod:`..patches.correlated_noise`). Nothing is random. For denoising only.
    """

    label = "Non-local ridge regression"
    reason = "similar patches are denoised together, which is fast and needs no training"
    without_network = True

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per pass.

        Raises
        ------
        ValueError
            If something else than the image itself was measured, or the image is smaller than a patch.
        """
        self.refuse(problem)
        for number, image in enumerate(patch_denoising.denoise(problem), start=1):
            misfit = problem.misfit.pointwise(image, problem.measured)
            yield Step(
                number=number,
                total=patch_denoising.estimate_count(problem),
                loss=weighted_mean(misfit, problem.weight),
                criterion=None,
                criterion_name="",
                chosen=torch.tensor(number),
                image=image,
            )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        return patch_denoising.why_not(problem)

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the passes need."""
        rows, columns = problem.measured.shape[-2:]
        return ridge.memory(rows, columns) + 8 * 4 * problem.measured.numel()

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2."""
        return patch_denoising.seconds(problem)

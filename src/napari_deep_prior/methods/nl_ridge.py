"""Non-local ridge regression: no network, seconds instead of minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from ..patches import nl_ridge as collaborative
from ..patches.patch_denoising import PASSES, denoise, seconds, why_not
from ..physics.misfit import weighted_mean
from ..problem import Problem, Step
from .method import Method


@final
@dataclass(frozen=True, kw_only=True)
class NLRidge(Method):
    """Bring patches that look alike together (Herbreteau & Kervrann 2022, doi 10.1109/ICIP46576.2022.9897992).

    Every patch becomes the linear combination of similar patches that is closest to the truth on average, in the
    space where the noise is equally strong everywhere; the result tells the next pass which patches are similar.
    Nothing is random: the seed changes nothing. For denoising only, and only where the noise is independent from
    pixel to pixel: correlated noise is taken for structure and kept.
    """

    def fit(self, problem: Problem) -> Iterator[Step]:
        """Yield one step per pass.

        Raises
        ------
        ValueError
            If something else than the image itself was measured, or the image is smaller than a patch.
        """
        self.refuse(problem)
        for number, image in enumerate(denoise(problem), start=1):
            misfit = problem.misfit.pointwise(image, problem.measured)
            yield Step(
                number=number,
                total=PASSES + 1,
                loss=weighted_mean(misfit, problem.weight),
                criterion=None,
                criterion_name="",
                chosen=torch.tensor(number),
                image=image,
            )

    def why_not(self, problem: Problem) -> str:
        """Return why this method cannot solve a problem; empty if it can."""
        return why_not(problem)

    def memory(self, problem: Problem) -> int:
        """Return about how many bytes the passes need."""
        rows, columns = problem.measured.shape[-2:]
        return collaborative.memory(rows, columns) + 12 * 4 * problem.measured.numel()

    def seconds(self, problem: Problem) -> float:
        """Return about how long the passes take on two cores with AVX2."""
        return seconds(problem)

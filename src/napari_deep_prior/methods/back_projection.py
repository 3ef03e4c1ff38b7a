"""Back-projection: let an image agree with its measurement."""

from __future__ import annotations

from torch import Tensor

from ..physics.operators import Identity
from ..problem import Problem

BACK_PROJECTIONS = 3
"""Times that an image is corrected by what its measurement lacks."""


def agreeing(problem: Problem, image: Tensor, known: Tensor) -> Tensor:
    """Return an image (1, C, *S) that agrees with what is known of its measurement.

    By back-projection (Irani & Peleg 1991, doi 10.1016/1049-9652(91)90045-L); where the image itself was measured that
    puts the known pixels back, at once.

    Parameters
    ----------
    known : Tensor, (1, C, *T)
        1 where the measurement counts, 0 where it is missing or hidden.
    """
    for _ in range(1 if isinstance(problem.operator, Identity) else BACK_PROJECTIONS):
        image = image + problem.operator.interpolate(known * (problem.measured - problem.operator(image)))
    return image

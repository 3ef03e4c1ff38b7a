"""Back-projection: make an image agree with its measurement."""

from __future__ import annotations

from torch import Tensor

from ..problem import Problem

REPETITIONS = 3
"""Times that an image is corrected by the difference to its measurement."""


def back_project(problem: Problem, image: Tensor, known: Tensor) -> Tensor:
    """Return an image (1, C, *S) that agrees with its measurement where that is known.

    The difference between the measurement and the image, measured again, is interpolated and added (Irani & Peleg
    1991, doi 10.1016/1049-9652(91)90045-L). Where the image itself was measured that replaces the known pixels.

    Parameters
    ----------
    problem : Problem
        The problem that is solved.
    image : Tensor, (1, C, *S)
        An estimate of the image.
    known : Tensor, (1, C, *T)
        1 where the measurement counts, 0 where it is missing or held out.
    """
    for _ in range(1 if problem.operator.is_identity else REPETITIONS):
        image = image + problem.operator.interpolate(known * (problem.measured - problem.operator(image)))
    return image

from __future__ import annotations

import torch
from torch import Tensor

from napari_deep_prior.methods.enlargement import Enlargement
from napari_deep_prior.networks import Plain
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Downsample
from napari_deep_prior.problem import Problem


def test_an_outlier_in_one_orientation_does_not_count() -> None:
    measured = torch.rand(1, 1, 8, 10, generator=torch.Generator().manual_seed(0))
    operator, weight = Downsample((2.0, 2.0), Bicubic()), torch.ones_like(measured)
    problem = Problem(measured=measured, weight=weight, operator=operator, misfit=GaussianMisfit(0.01))
    enlargement = Enlargement(problem, weight, network=Plain(channels=(4, 4)), agree=False)
    added = iter((0.0, 9.0, 0.0))

    def improve(planes: Tensor) -> Tensor:
        return planes + next(added)

    image = enlargement.improved(improve, orientations=(0, 1, 2))
    torch.testing.assert_close(image, enlargement.interpolated)

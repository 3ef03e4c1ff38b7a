from __future__ import annotations

import torch

from napari_deep_prior.methods.back_projection import back_project
from napari_deep_prior.physics.kernels import Bicubic
from napari_deep_prior.physics.misfit import GaussianMisfit
from napari_deep_prior.physics.operators import Downsample, Identity, Operator
from napari_deep_prior.problem import Problem

IMAGE = torch.rand(1, 1, 16, 18, generator=torch.Generator().manual_seed(0))


def problem(operator: Operator) -> Problem:
    measured = operator(IMAGE)
    return Problem(measured=measured, weight=torch.ones_like(measured), operator=operator, misfit=GaussianMisfit())


def test_known_pixels_are_replaced_where_the_image_itself_was_measured() -> None:
    known = torch.ones_like(IMAGE)
    known[..., 5:9] = 0
    projected = back_project(problem(Identity()), torch.zeros_like(IMAGE), known)
    assert torch.equal(projected, IMAGE * known)


def test_an_enlarged_image_agrees_with_its_measurement() -> None:
    posed = problem(Downsample((2.0, 2.0), Bicubic()))
    image = posed.operator.interpolate(posed.measured)
    projected = back_project(posed, image, torch.ones_like(posed.measured))
    before, after = ((posed.operator(each) - posed.measured).abs().mean() for each in (image, projected))
    assert after < 0.2 * before

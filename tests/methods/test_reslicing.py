from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep_prior.methods.reslicing import ALONG_Z, IN_PLANE, Order, resliced, reslicing_of, stacked, why_not
from napari_deep_prior.physics.kernels import Area, Bicubic, GaussianKernel, Kernel, SampledKernel
from napari_deep_prior.physics.operators import Downsample, Identity
from napari_deep_prior.training.augmentation import oriented


@pytest.mark.parametrize(
    ("factors", "kernel", "orientations"),
    [
        ((2.0, 2.0), Bicubic(), tuple(range(8))),
        ((2.0, 3.0), Bicubic(), (0, 2, 4, 6)),
        ((2.0, 2.0), GaussianKernel((1.0, 1.0)), tuple(range(8))),
        ((2.0, 2.0), GaussianKernel((1.0, 2.0)), (0, 2, 4, 6)),
        ((2.0, 2.0), SampledKernel(np.ones((3, 3))), tuple(range(8))),
        ((2.0, 2.0), SampledKernel(np.ones((3, 5))), (0, 2, 4, 6)),
        ((2.0, 2.0), SampledKernel(np.eye(3)), (0, 2, 5, 7)),
        ((2.0, 3.0), SampledKernel(np.ones((3, 3))), (0, 2, 4, 6)),
        ((4.0, 1.0, 1.0), Area(), (0, 2, 4, 6)),
        ((1.0, 2.0, 2.0), GaussianKernel((3.0, 1.0, 1.0)), tuple(range(8))),
    ],
)
def test_only_orientations_that_commute_with_the_operator_are_used(
    factors: tuple[float, ...], kernel: Kernel, orientations: tuple[int, ...]
) -> None:
    assert reslicing_of(Downsample(factors, kernel)).orientations == orientations


@pytest.mark.parametrize("order", [IN_PLANE, *ALONG_Z])
def test_resliced_planes_stacked_again_are_the_volume(order: Order) -> None:
    volume = torch.rand(1, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    planes = resliced(volume, order)
    assert planes.shape == (volume.shape[order[0] + 2], 2, volume.shape[order[1] + 2], volume.shape[order[2] + 2])
    assert torch.equal(stacked(planes, order, dimensions=3), volume)


def test_planes_are_reduced_as_the_volume_is() -> None:
    blur = np.random.default_rng(0).random((5, 3, 3))
    volume = torch.rand(1, 1, 12, 8, 6, generator=torch.Generator().manual_seed(0))
    for factors in ((3.0, 1.0, 1.0), (1.0, 2.0, 2.0)):
        for kernel in (SampledKernel(blur), GaussianKernel((2.0, 1.0, 0.7)), Area()):
            operator = Downsample(factors, kernel)
            flat = reslicing_of(operator)
            for order in flat.orders:
                measured = stacked(flat.operator(resliced(volume, order)), order, dimensions=3)
                torch.testing.assert_close(measured, operator(volume), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", [Bicubic(), GaussianKernel((1.0, 2.0)), SampledKernel(np.eye(3))])
def test_an_oriented_plane_is_reduced_as_the_plane_is_and_then_oriented(kernel: Kernel) -> None:
    flat = reslicing_of(Downsample((2.0, 2.0), kernel))
    plane = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for each in flat.orientations:
        wanted = oriented(flat.operator(plane), each)
        torch.testing.assert_close(flat.operator(oriented(plane, each)), wanted, atol=1e-5, rtol=0)


def test_an_operator_that_reduces_nothing_has_no_reslicing() -> None:
    assert why_not(Identity()) == "no axis is to be enlarged"
    with pytest.raises(ValueError, match="no axis is to be enlarged"):
        reslicing_of(Identity())

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_deep_prior.networks import UNet

from .building import built, code


@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24)])
def test_as_a_prior_it_starts_with_equal_pixels_in_each_block(shape: tuple[int, ...]) -> None:
    module = built(UNet(), shape)
    UNet().start_at(module, torch.tensor([0.25, 0.75]))
    image = module(code(*shape)).detach()
    planes = image.flatten(0, -3)[None]
    first = planes[..., ::2, ::2]
    torch.testing.assert_close(planes, functional.interpolate(first, scale_factor=2.0))
    assert float(first[0, 0].std()) > 1e-4

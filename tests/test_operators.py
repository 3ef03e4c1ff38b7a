from __future__ import annotations

import torch

from napari_deep_prior.operators import Identity


def test_the_identity_measures_the_image_itself() -> None:
    image = torch.rand(1, 2, 5, 7)
    assert torch.equal(Identity()(image), image)
    assert Identity().image_shape((5, 7)) == (5, 7)

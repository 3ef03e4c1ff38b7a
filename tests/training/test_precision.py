from __future__ import annotations

import torch

from napari_deep_prior.training.precision import working_dtype

CPU = torch.device("cpu")


def test_single_precision_is_kept_when_asked_for_and_in_volumes_on_the_processor() -> None:
    assert working_dtype("float32", CPU, dimensions=2) == torch.float32
    assert working_dtype("auto", CPU, dimensions=2) in (torch.float32, torch.bfloat16)
    assert working_dtype("auto", CPU, dimensions=3) == torch.float32

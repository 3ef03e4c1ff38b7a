from __future__ import annotations

import pytest
import torch

from napari_deep_prior.training.precision import exact_convolutions, working_dtype

CPU = torch.device("cpu")


def test_single_precision_is_kept_when_asked_for_and_in_volumes_on_the_processor() -> None:
    assert working_dtype("float32", CPU, dimensions=2) == torch.float32
    assert working_dtype("auto", CPU, dimensions=2) in (torch.float32, torch.bfloat16)
    assert working_dtype("auto", CPU, dimensions=3) == torch.float32


def settings() -> tuple[bool, bool, str]:
    cudnn = torch.backends.cudnn
    return cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision


def test_convolutions_on_a_gpu_are_exact_within_the_context_alone() -> None:
    # The settings can be read and set without a GPU.
    before = settings()
    assert before != (True, False, "ieee")
    with exact_convolutions(torch.device("cuda")):
        # In a step the network is called within the context of the step.
        with exact_convolutions(torch.device("cuda")):
            assert settings() == (True, False, "ieee")
        assert settings() == (True, False, "ieee")
    assert settings() == before


def test_the_settings_are_put_back_after_an_error() -> None:
    before = settings()
    with pytest.raises(KeyError, match="lost"), exact_convolutions(torch.device("cuda")):
        raise KeyError("lost")
    assert settings() == before


def test_other_devices_leave_the_settings_as_they_are() -> None:
    before = settings()
    with exact_convolutions(CPU):
        assert settings() == before


def test_a_program_may_have_set_the_precision_of_convolutions_itself() -> None:
    convolutions = torch.backends.cudnn.conv
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        with exact_convolutions(torch.device("cuda")):
            assert settings() == (True, False, "ieee")
        assert convolutions.fp32_precision == "ieee"
    finally:
        convolutions.fp32_precision = before

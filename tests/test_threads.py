from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

HOW_THREADS_WAIT = {"GOMP_SPINCOUNT": "1000", "OMP_WAIT_POLICY": "active", "KMP_BLOCKTIME": "200"}


@pytest.mark.parametrize(("name", "value"), HOW_THREADS_WAIT.items())
def test_threads_spin_only_briefly_unless_a_person_says_otherwise(
    run_python: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    code = f"import os, napari_deep_prior; print(os.environ[{name!r}])"
    assert run_python("-c", code).stdout.strip() == value
    assert run_python("-c", code, **{name: "77"}).stdout.strip() == "77"


def test_bfloat16_is_left_alone_where_pytorch_is_kept_from_the_instructions_that_have_it(
    run_python: Callable[..., CompletedProcess[str]],
) -> None:
    code = (
        "import torch; from napari_deep_prior.training.precision import working_dtype\n"
        "print(working_dtype('auto', torch.device('cpu'), dimensions=2))"
    )
    assert run_python("-c", code, ATEN_CPU_CAPABILITY="default").stdout.strip() == "torch.float32"

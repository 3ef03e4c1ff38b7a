from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest


def test_threads_spin_only_briefly_unless_a_person_says_otherwise(
    run_python: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    code = "import os, napari_deep_prior; print(os.environ['GOMP_SPINCOUNT'])"
    assert run_python("-c", code).stdout.strip() == "1000"
    assert run_python("-c", code, GOMP_SPINCOUNT="77").stdout.strip() == "77"

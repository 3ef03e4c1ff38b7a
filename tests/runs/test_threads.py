from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from subprocess import CompletedProcess

import pytest
import torch

from napari_deep_prior.runs.threads import VARIABLE, candidates, fastest, fastest_threads

CPU = torch.device("cpu")


@pytest.fixture
def _four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_all_half_and_so_on_down_to_one_are_tried() -> None:
    assert candidates(12) == [12, 6, 3, 1]
    assert candidates(2) == [2, 1]


def test_fewer_threads_are_taken_only_where_they_are_clearly_faster() -> None:
    assert fastest({4: 1.0, 2: 1.2, 1: 3.0}) == 4
    assert fastest({4: 1.0, 2: 0.9, 1: 0.85}) == 4
    assert fastest({4: 1.0, 2: 0.5, 1: 0.7}) == 2
    assert fastest({4: 50.0, 2: 2.0, 1: 0.4}) == 1


@pytest.mark.usefixtures("_four_threads")
def test_the_number_of_threads_is_put_back_after_the_run_also_when_it_fails() -> None:
    with suppress(RuntimeError), fastest_threads(CPU) as remark:
        count = torch.get_num_threads()
        assert count in (4, 2, 1)
        assert (f"{count} thread" in remark) == (count < 4)
        raise RuntimeError
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("_four_threads")
def test_a_number_that_a_person_has_set_is_taken_and_a_gpu_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with fastest_threads(torch.device("cuda")) as remark:
        assert (torch.get_num_threads(), remark) == (4, "")
    monkeypatch.setenv(VARIABLE, "4")
    with fastest_threads(CPU) as remark:
        assert (torch.get_num_threads(), remark) == (4, "")


def test_threads_spin_only_briefly_unless_a_person_says_otherwise(
    run_python: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    code = "import os, napari_deep_prior; print(os.environ['GOMP_SPINCOUNT'])"
    assert run_python("-c", code).stdout.strip() == "1000"
    assert run_python("-c", code, GOMP_SPINCOUNT="77").stdout.strip() == "77"

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep_prior.methods import DeepImagePrior
from napari_deep_prior.runs import devices
from napari_deep_prior.runs.devices import (
    DEVICES,
    available_devices,
    describe_device,
    free_memory,
    give_memory_back,
    resolve_device,
    why_no_gpu,
)
from napari_deep_prior.runs.run import restore
from napari_deep_prior.tasks import Denoise

ABSENT = [name for name in DEVICES[1:] if name not in available_devices()]


def test_only_devices_that_exist_are_offered_and_the_cpu_always_is() -> None:
    devices = available_devices()
    assert devices[-1] == "cpu"
    for name in devices:
        assert float(torch.ones(2, device=name).sum()) == 2


def test_the_absence_of_a_gpu_is_explained_in_words() -> None:
    reason = why_no_gpu()
    assert bool(reason) == (available_devices() == ["cpu"])
    assert not reason or (reason.startswith("No GPU: ") and reason.endswith("."))


def test_auto_is_the_fastest_device() -> None:
    assert resolve_device("auto").type == resolve_device().type == available_devices()[0]


def test_an_unknown_device_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="'tpu' is unknown: use one of auto, cuda, mps, cpu"):
        resolve_device("tpu")


@pytest.mark.parametrize("name", ABSENT)
def test_a_device_that_this_machine_lacks_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not available.*Use 'auto' or one of .*cpu"):
        resolve_device(name)


@pytest.mark.parametrize("name", available_devices())
def test_a_device_has_a_name_for_people_and_some_memory(name: str) -> None:
    device = resolve_device(name)
    assert describe_device(device).startswith(name)
    assert 2**20 < free_memory(device) < 2**50
    give_memory_back(device)


@pytest.mark.parametrize("name", available_devices())
def test_the_same_seed_gives_the_same_image_on_every_device(
    name: str, noisy: np.ndarray, tiny: Callable[..., DeepImagePrior]
) -> None:
    images = [restore(noisy[:24, :24], Denoise(), tiny(steps=8, seed=4), device=name).finish() for _ in range(2)]
    np.testing.assert_array_equal(images[0], images[1])


@pytest.mark.parametrize("name", available_devices())
def test_a_seed_means_the_same_start_on_every_device(
    name: str, noisy: np.ndarray, tiny: Callable[..., DeepImagePrior]
) -> None:
    losses = [float(next(restore(noisy, Denoise(), tiny(jitter=0.0), device=device)).loss) for device in ("cpu", name)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "message"),
    [("cpu:x", "unknown"), ("cpu:", "unknown"), ("cpu:7", "there are 1 of 'cpu'"), ("cpu:-1", "unknown")],
)
def test_a_malformed_device_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}' is .*{message}"):
        resolve_device(name)


def test_a_device_may_have_a_number() -> None:
    assert resolve_device("cpu:0").type == "cpu"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a machine with nothing else to limit it."""
    monkeypatch.setattr(devices, "CONTROL_GROUPS", tmp_path)
    return tmp_path


def limit(group: Path, *, most: str, used: int, cached: int = 0) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n")


def test_the_limit_of_a_container_counts_without_its_cached_files(groups: Path) -> None:
    cpu = torch.device("cpu")
    limit(groups, most=str(500 * 2**20), used=400 * 2**20, cached=50 * 2**20)
    assert free_memory(cpu) == 150 * 2**20
    limit(groups, most=str(2**20), used=2**21)
    assert free_memory(cpu) == 0
    limit(groups, most="max", used=400 * 2**20)
    assert free_memory(cpu) > 2**20

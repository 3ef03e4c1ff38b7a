"""Processors: which there are, why one is missing, how much memory is free."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import psutil
import torch

from ..training.precision import working_dtype

DEVICES = ("auto", "cuda", "mps", "cpu")
"""Names that a person may give."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the limits that containers and job schedulers set."""


def available_devices() -> list[str]:
    """Return the names of the devices of this machine, the fastest first; the last is always "cpu"."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def why_no_gpu() -> str:
    """Return in words why no GPU is used, with the remedy; empty when there is one."""
    if len(available_devices()) > 1:
        return ""
    if sys.platform == "darwin":
        if not torch.backends.mps.is_built():
            return (
                "No GPU: this build of PyTorch has no Metal support; install the arm64 build on an Apple-silicon Mac."
            )
        return "No GPU: PyTorch finds no Apple-silicon GPU that it can use (macOS 12.3 or newer is needed)."
    if not torch.backends.cuda.is_built():
        return "No GPU: this PyTorch is the CPU build. With an NVIDIA GPU, install a CUDA build (see README)."
    return "No GPU: PyTorch finds no NVIDIA GPU; if there is one, its driver is missing or too old."


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" is the fastest one there is.

    Raises
    ------
    ValueError
        If the name is unknown or this machine has no such device.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    kind, colon, number = name.partition(":")
    if kind not in DEVICES or (colon and not number.isdecimal()):
        raise ValueError(f"device {name!r} is unknown: use one of {', '.join(DEVICES)}")
    if kind not in available:
        reason = why_no_gpu() or f"this machine has {', '.join(available)}."
        raise ValueError(f"device {name!r} is not available. {reason} Use 'auto' or one of {', '.join(available)}")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if colon and int(number) >= count:
        raise ValueError(f"device {name!r} is not available: there are {count} of {kind!r}, counted from 0")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return the name of a device for people, such as "cuda (NVIDIA H200)" or "cpu (2 cores)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({psutil.cpu_count(logical=False) or psutil.cpu_count()} cores)"
    return str(device)


def instruction_set() -> str:
    """Return the instructions that PyTorch uses on this processor, such as "AVX2" or "AVX512 with bfloat16"."""
    capability = torch.backends.cpu.get_cpu_capability()
    brief = working_dtype("auto", torch.device("cpu"), dimensions=2) == torch.bfloat16
    return f"{capability} with bfloat16" if brief else capability


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be allocated on a device, within the limits set for this process."""
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return max(0, min([int(psutil.virtual_memory().available), *_limits_of_container(), *_limits_of_process()]))


def _limits_of_container() -> list[int]:
    """Return what the control groups (cgroup v2) of this process leave it, such as those of Docker, Slurm, systemd."""
    try:
        # One line "0::/path" in version 2; inside of a container the path is often only "/".
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").partition("0::/")[2].splitlines()
    except OSError:
        return []
    folder = CONTROL_GROUPS / own[0] if own else CONTROL_GROUPS
    return [left for group in (folder, *folder.parents) if (left := _left_in(group)) is not None]


def _left_in(group: Path) -> int | None:
    """Return the bytes left in a control group, None if it has no limit. Cached files are given up on demand."""
    try:
        limit = (group / "memory.max").read_text(encoding="utf-8").strip()
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    except OSError:
        return None
    return None if limit == "max" else int(limit) - used + int(statistics.get("inactive_file", 0))


def _limits_of_process() -> list[int]:
    """Return what the limit of the address space (``ulimit -v``) leaves, where the platform has one."""
    try:
        import resource
    except ImportError:
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [] if limit == resource.RLIM_INFINITY else [limit - int(psutil.Process().memory_info().vms)]


def is_address_space_limited() -> bool:
    """Return whether this process may address so much memory only (``ulimit -v``)."""
    return bool(_limits_of_process())


def give_memory_back(device: torch.device) -> None:
    """Return the memory that PyTorch keeps for later to the device, for other programs."""
    # A finished fit holds reference cycles (modules and their hooks); the cache can only be emptied of what is free.
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()

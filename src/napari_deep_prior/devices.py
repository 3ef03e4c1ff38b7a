"""Processors: which there are, why one is missing, how much memory is free."""

from __future__ import annotations

import gc
import sys

import psutil
import torch

DEVICES = ("auto", "cuda", "mps", "cpu")
"""Names that a person may give."""


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
    if name.partition(":")[0] not in DEVICES:
        raise ValueError(f"device {name!r} is unknown: use one of {', '.join(DEVICES)}")
    if name.partition(":")[0] not in available:
        reason = why_no_gpu() or f"this machine has {', '.join(available)}."
        raise ValueError(f"device {name!r} is not available. {reason} Use 'auto' or one of {', '.join(available)}")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return the name of a device for people, such as "cuda (NVIDIA H200)" or "cpu (2 cores)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({psutil.cpu_count(logical=False) or psutil.cpu_count()} cores)"
    return str(device)


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be allocated on a device."""
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return int(psutil.virtual_memory().available)


def give_memory_back(device: torch.device) -> None:
    """Return the memory that PyTorch keeps for later to the device, for other programs."""
    # A finished fit holds reference cycles (modules and their hooks); the cache can only be emptied of what is free.
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()

"""What a benchmark ran on: processor, instructions, threads, what else was running, versions."""

from __future__ import annotations

# First: it tells PyTorch's threads how to wait, which is read when PyTorch is loaded.
import napari_deep_prior  # noqa: F401  # isort: skip

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from napari_deep_prior.runs.devices import instruction_set

CALM = 10.0
"""Per cent of all cores that other programs use, below which a computer counts as idle."""

LOOK = 2.0
"""Seconds for which is watched what other programs use: the load average still counts what has ended since."""

LIBRARIES = ("napari-deep-prior", "torch", "numpy", "scipy", "scikit-image", "bm3d")


def facts(device: torch.device | None = None) -> dict:
    """Return what the times of a benchmark depend on; call it before anything is computed."""
    busy = psutil.cpu_percent(LOOK)
    found = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "instructions": instruction_set(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "load at start": f"{busy:.0f} %",
        "idle at start": busy < CALM,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "commit": _commit(),
    }
    if device is not None and device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["gpu"] = properties.name
        found["gpu memory GiB"] = round(properties.total_memory / 2**30, 1)
        found["compute capability"] = f"{properties.major}.{properties.minor}"
        found["cuda"] = torch.version.cuda or f"ROCm {torch.version.hip}"
        found["cudnn"] = torch.backends.cudnn.version()
    return found


def in_words(found: dict) -> str:
    """Return the facts in a sentence or two."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items() if number)
    where = f"{found['gpu']} ({found['gpu memory GiB']} GiB, CUDA {found['cuda']}), " if "gpu" in found else ""
    busy = "idle" if found["idle at start"] else "not idle, so that the times are too long"
    return (
        f"{where}{found['processor']}, {found['cores']} cores, PyTorch uses {found['instructions']} and "
        f"{found['threads']} threads; other programs used {found['load at start']} of the cores at the start "
        f"({busy}). {found['date']}, commit {found['commit']}; Python {found['python']}, {versions}."
    )


def _processor() -> str:
    """Return the name of the processor; Linux keeps it in a file, and Python does not look there."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the commit of the checkout, with a plus sign where files were changed since; "unknown" without Git."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "..") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

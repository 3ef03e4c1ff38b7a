"""The most memory that was taken, by this process or on its GPU."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import psutil
import torch

OWN = Path("/proc/self")
"""Where Linux shows what it knows of this process."""

FORGET_PEAK = "5"
"""What is written to ``clear_refs`` there, to have the peak counted anew."""


def forget_peak(device: torch.device) -> None:
    """Count the peak anew, where the system can do so: of the memory of processes only Linux can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # Some containers do not allow it; there, as on other systems, the peak is that of the whole process.
    with contextlib.suppress(OSError):
        (OWN / "clear_refs").write_text(FORGET_PEAK, encoding="ascii")


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that were taken since :func:`forget_peak`: on a CUDA device, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", (OWN / "status").read_text(encoding="utf-8"), re.MULTILINE)
        if found is not None:
            return int(found[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""Send values that were drawn on the processor to the device of a fit, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values of the processor on a device.

    PyTorch waits for a GPU before it copies from ordinary memory, which may change after the call. From page-locked
    ("pinned") memory, which PyTorch keeps until the copy is made, the transfer is queued behind the work before it.
    """
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)

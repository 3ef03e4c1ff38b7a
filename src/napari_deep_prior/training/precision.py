"""Number format inside a network: bfloat16 where the processor computes in it, else float32."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "float32"]


def working_dtype(precision: Precision, device: torch.device, *, dimensions: int) -> torch.dtype:
    """Choose the number format for the layers of a network.

    "auto" means bfloat16 on processors with AVX512-BF16 or AMX and on GPUs of compute capability 8.0 or more;
    emulated bfloat16 would be slower than float32.

    Parameters
    ----------
    precision : {"auto", "float32"}
        What was asked for.
    device : torch.device
        Where the network computes.
    dimensions : int
        Dimensions of its convolutions: two or three.
    """
    # Three-dimensional bfloat16 convolutions on the CPU give NaN now and then, depending on what was in the memory
    # before (PyTorch 2.13 on AVX512-BF16). This goes when they no longer do.
    if precision == "float32" or (device.type == "cpu" and dimensions == 3):
        return torch.float32
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "cpu":
        # Older PyTorch cannot tell; then float32.
        found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32

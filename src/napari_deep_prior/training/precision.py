"""Number format inside a network: bfloat16 where the processor computes in it, else float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
        # Older PyTorch cannot tell; then float32. ATEN_CPU_CAPABILITY can keep it from what the processor has.
        found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
        fast = wide and bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Have an NVIDIA GPU convolve reproducibly, and float32 in full, within the context.

    cuDNN's fastest gradients add up in no fixed order, and what its search finds to be the fastest algorithm differs
    from time to time; the same seed must give the same image. By default it rounds float32 to the 10 bits of TF32,
    fewer than a camera has. Where that would save time, the layers work in bfloat16 anyway (see :func:`working_dtype`);
    what is left in float32, such as the last layer, takes hardly any.

    The settings are those of the process: they are put back at the end. Other devices are left as they are.
    """
    if device.type != "cuda":
        yield
        return
    # Not by cudnn.flags(): it fails where a program has set the precision of convolutions alone (PyTorch 2.13).
    cudnn = torch.backends.cudnn
    # PyTorch's own annotations lack it.
    convolutions = cudnn.conv  # type: ignore[attr-defined]
    before = cudnn.deterministic, cudnn.benchmark, convolutions.fp32_precision
    cudnn.deterministic, cudnn.benchmark, convolutions.fp32_precision = True, False, "ieee"
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark, convolutions.fp32_precision = before

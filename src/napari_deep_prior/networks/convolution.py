"""What networks that correct an image have in common: their convolutions, and how gently they begin."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

GENTLE = 0.1
"""Strength of what the untrained network gives, which is to be a small correction."""


@final
class Convolution(nn.Module):
    """3×3, in the precision of what comes in; the weights stay float32, so that small updates are not lost."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, image: Tensor) -> Tensor:
        """Return the features (N, outputs, rows, columns) of images (N, inputs, rows, columns)."""
        return functional.conv2d(image, self.weight.to(image.dtype), self.bias.to(image.dtype), padding=1)

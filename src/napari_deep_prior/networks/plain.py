"""A plain chain of convolutions, for corrections that need only a small neighbourhood."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, final

from torch import Tensor, nn
from torch.nn import functional

from ..settings import Setting
from .layers import RESIDUAL_SCALE, Convolution
from .network import ResidualNetwork


@final
@dataclass(frozen=True, kw_only=True)
class Plain(ResidualNetwork):
    """3×3 convolutions with rectifiers between them, all at full resolution (Shocher et al. 2018, arXiv 1712.06087).

    For zero-shot super-resolution. As the deep image prior it is a weak one: it knows no coarse scales, and bridges no
    gaps wider than its layers. Planes of a volume go through it one by one.
    """

    # Without coarse scales the fit is slow: with 0.3 of the rate it was not far enough in the usual steps.
    prior_rate_factor = 1.0

    channels: Annotated[
        tuple[int, ...],
        Setting("Channels", "feature channels of each layer but the last", 1, 1024),
    ] = (64,) * 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise ValueError("channels is empty: give one number per layer, at least one")

    @property
    def code_layer(self) -> str:
        """The last layer but one."""
        return f"layers.{len(self.channels) - 1}"

    @property
    def margin(self) -> int:
        """Pixels to every side of a pixel in a plane that its output depends on: one per layer."""
        return len(self.channels) + 1

    @property
    def stride(self) -> int:
        """One pixel: all layers work at full resolution."""
        return 1

    @property
    def widest(self) -> int:
        """Feature channels of the first two layers together."""
        return sum(self.channels[:2])

    def start_at(self, module: nn.Module, values: Tensor) -> None:
        """Add ``values``, (outputs,), to the output.

        Not as the bias of the last layer: in bfloat16 it would round the whole image to 8 bits.
        """
        module.register_buffer("level", values.detach().clone())

    def _module(self, inputs: int, outputs: int, shape: tuple[int, ...]) -> nn.Module:
        return _PlainModule((inputs, *self.channels, outputs))


@final
class _PlainModule(nn.Module):
    level: Tensor | None
    """Values to which the layers' output is added, (outputs,); none for a network that corrects images."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Convolution(before, after) for before, after in itertools.pairwise(channels))
        self.register_buffer("level", None)

    def forward(self, image: Tensor) -> Tensor:
        volume = image.ndim == 5
        features = image.movedim(2, 1).flatten(0, 1) if volume else image
        for number, layer in enumerate(self.layers, start=1):
            features = layer(features)
            if number < len(self.layers):
                features = functional.relu(features, inplace=True)
        # A difference is small: bfloat16 has digits enough for it.
        output = RESIDUAL_SCALE * features.float()
        if self.level is not None:
            output = output + self.level[:, None, None]
        return output.unflatten(0, (len(image), -1)).movedim(1, 2) if volume else output

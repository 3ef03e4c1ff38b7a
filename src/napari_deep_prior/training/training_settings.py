"""How a network is trained on many images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, final

from ..networks import RESIDUAL_NETWORKS
from ..networks.network import ResidualNetwork
from ..networks.unet import UNet
from ..settings import Setting, Settings
from .precision import Precision

LARGEST_SEED = 2**31 - 1

DEFAULT_MINUTES = 10.0
"""Minutes that a training takes where nothing is said."""


@final
@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings of a training on many images: network, time, crops, and what is held out.

    A crop should be several times as wide as the coarsest pixels of the network. In smaller ones all of these touch the
    border: after some thousand steps the network then relies on it, and fails on whole images, which are mostly inside.
    """

    minutes: Annotated[
        float | None,
        Setting(
            "Minutes",
            "how long it trains; empty: 10, or as many epochs as are given",
            0.001,
            100_000.0,
            advanced=False,
            empty=f"{DEFAULT_MINUTES:g}, or by epochs",
        ),
    ] = None
    epochs: Annotated[
        int | None,
        Setting(
            "Epochs",
            "how often all pixels of the training images are used, on average",
            1,
            1_000_000,
            empty="by minutes",
        ),
    ] = None
    validate: Annotated[
        float,
        Setting(
            "Held-out share",
            "share of the images that is held out: they decide which weights are kept",
            0.0,
            0.9,
            False,
        ),
    ] = 0.1
    rate: Annotated[float, Setting("Learning rate", "step size of the optimizer at its largest", 1e-6, 1.0)] = 0.005
    crop: Annotated[int, Setting("Crop", "pixels along a side of a training example", 8, 4096)] = 128
    examples: Annotated[int, Setting("Examples", "training examples in a step", 1, 1024)] = 2
    correction: Annotated[
        bool,
        Setting(
            "Correction",
            "the network's output is added to the image that goes in; no: the network draws the image itself, all of "
            "which has to pass its bottleneck",
        ),
    ] = True
    clean: Annotated[
        bool,
        Setting(
            "Clean images",
            "for denoising: the images have no noise, and that of gain, offset and sigma is drawn on them",
            advanced=False,
        ),
    ] = False
    precision: Annotated[
        Precision, Setting("Precision", "auto: bfloat16 inside the network where the processor has it")
    ] = "auto"
    seed: Annotated[
        int,
        Setting(
            "Seed", "start of the random numbers; with epochs the same seed gives the same network", 0, LARGEST_SEED
        ),
    ] = 0
    network: Annotated[
        ResidualNetwork,
        Setting(
            "Network",
            "the network that is trained; to enlarge, autoencoder is better than unet",
            advanced=False,
            groups=RESIDUAL_NETWORKS,
        ),
    ] = field(default_factory=UNet)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.minutes is not None and self.epochs is not None:
            raise ValueError(f"both {self.minutes:g} minutes and {self.epochs} epochs were given: give one of them")
        if self.network.stride > self.crop:
            raise ValueError(
                f"the coarsest pixels of the network are {self.network.stride} pixels wide, and a crop has only "
                f"{self.crop}: choose a crop of at least {self.network.stride}, or fewer scales"
            )

    @property
    def seconds(self) -> float | None:
        """How long it trains; None if it ends with an epoch."""
        return None if self.epochs is not None else 60 * (DEFAULT_MINUTES if self.minutes is None else self.minutes)

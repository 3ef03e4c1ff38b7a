"""What a person is to know of a training, before it and after: a sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from ..networks import Autoencoder
from ..networks.network import ResidualNetwork
from ..tasks import Task
from ..training.held_out_images import Measures
from ..training.training_settings import TrainingSettings
from .training_choices import network_for
from .training_images import TrainingImage

SPACIOUS = 8
"""Coarsest pixels of a network along a side of a crop from which on most of them do not touch the border."""


def about_crop(settings: TrainingSettings, images: Sequence[TrainingImage]) -> Sequence[str]:
    """Return a sentence on crops in which too many of the network's coarsest pixels touch the border; else none."""
    stride, crop = settings.network.stride, settings.crop
    if crop >= SPACIOUS * stride:
        return ()
    sides = [image.pixels.shape[image.axes.index(axis)] for image in images for axis in "YX"]
    possible = min(SPACIOUS * stride, *sides)
    better = f"crops of {possible} (--crop)" if possible > crop else "larger images"
    sentence = (
        f"the coarsest pixels of the network are {stride} pixels wide, and a crop of {crop} has few of them: it may "
        f"fail on whole images; better are {better}, or fewer scales"
    )
    return (sentence,)


def about_code(task: Task, network: ResidualNetwork) -> Sequence[str]:
    """Return a sentence on an autoencoder whose code is coarser than that of the one for the task; else none."""
    usual = network_for(task, network)
    if not isinstance(usual, Autoencoder) or network.stride <= usual.stride:
        return ()
    channels = ", ".join(map(str, usual.channels))
    sentence = (
        f"a pixel of this autoencoder's code is {network.stride} pixels wide, and finer detail does not pass it: "
        f"better is one that halves the image once: channels {channels}, bottleneck {usual.bottleneck}, downsampling "
        f"{usual.downsampling!r}, upsampling {usual.upsampling!r}"
    )
    return (sentence,)


def about_outcome(before: Measures | None, after: Measures | None) -> str:
    """Return a sentence if the held-out images are no better after the network than before it; else nothing."""
    if before is None or after is None or after.psnr > before.psnr:
        return ""
    return "on the held-out images the network is no better than what goes in: train longer, or on more images"

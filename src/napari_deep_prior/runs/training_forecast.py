"""What a training will do, and about how long it will take: known before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch

from ..methods.self_distillation import SECONDS_PER_EXAMPLE_PIXEL
from ..networks.unet import UNet
from ..patches import patch_denoising
from ..training.training_settings import TrainingSettings
from . import report
from .speed import slowness
from .training_images import held_out_count
from .training_sets import MOST_RESTORED


@final
@dataclass(frozen=True, kw_only=True)
class TrainingForecast:
    """What is known of a training that has not begun.

    Parameters
    ----------
    settings : TrainingSettings
        How it is trained.
    images : int
        How many there are.
    pixels : int or None
        Of all their planes; None if they must be read to know.
    restored : bool
        Whether similar patches denoise the images before.
    device : torch.device
        Where it is trained.
    """

    settings: TrainingSettings
    images: int
    pixels: int | None
    restored: bool
    device: torch.device

    def in_words(self) -> str:
        """Return a sentence for people."""
        words = f"trains {self._time()} on {self._images()}"
        if not self.restored:
            return words
        if self.pixels is None:
            return f"{words}; before that, similar patches denoise the images"
        seconds = slowness(self.device) * patch_denoising.seconds_of(min(self.pixels, MOST_RESTORED))
        return f"{words}; before that, similar patches denoise the images: about {report.duration(seconds)}"

    def _images(self) -> str:
        if not self.settings.validate:
            return "all images, none of which is held out" if self.images > 1 else "the image, of which all is used"
        if self.images == 1:
            return "the image, of which a part is held out"
        held_out = held_out_count(self.images, self.settings)
        return f"{self.images - held_out} of {self.images} images and holds {held_out} out"

    def _time(self) -> str:
        settings = self.settings
        if settings.seconds is not None:
            return f"for {report.duration(settings.seconds)}"
        epochs = f"for {settings.epochs} epoch{'s' * (settings.epochs != 1)}"
        if self.pixels is None:
            return f"{epochs}, whose time depends on the size of the images,"
        used = self.pixels * (1 - settings.validate)
        of_step = settings.examples * settings.crop**2
        steps = (settings.epochs or 0) * math.ceil(used / of_step)
        width = settings.network.widest / UNet().widest
        seconds = slowness(self.device) * steps * of_step * width * SECONDS_PER_EXAMPLE_PIXEL
        return f"{epochs}, about {steps} steps or {report.duration(seconds)},"

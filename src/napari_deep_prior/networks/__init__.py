"""Networks: how an image is written down as weights. ``NETWORKS`` lists them."""

from .hourglass import Hourglass
from .unet import UNet

NETWORKS = {"hourglass": Hourglass, "unet": UNet}

__all__ = ["NETWORKS", "Hourglass", "UNet"]

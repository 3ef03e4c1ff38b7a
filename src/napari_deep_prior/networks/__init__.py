"""Networks: how an image is written down as weights. ``NETWORKS`` lists them."""

from .hourglass import Hourglass
from .plain import Plain
from .unet import UNet

NETWORKS = {"hourglass": Hourglass, "plain": Plain, "unet": UNet}

__all__ = ["NETWORKS", "Hourglass", "Plain", "UNet"]

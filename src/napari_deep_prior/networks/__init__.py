"""Networks: how an image is written down as weights. ``NETWORKS`` lists them."""

from .hourglass import Hourglass

NETWORKS = {"hourglass": Hourglass}

__all__ = ["NETWORKS", "Hourglass"]

"""Methods: how a problem is solved. The only optimisation loops are here. ``METHODS`` lists them."""

from .deep_image_prior import DeepImagePrior

METHODS = {"deep-image-prior": DeepImagePrior}

__all__ = ["METHODS", "DeepImagePrior"]

"""Methods: how a problem is solved. The only optimisation loops are here. ``METHODS`` lists them."""

from .deep_image_prior import DeepImagePrior
from .method import Method
from .nl_deblocking import NLDeblocking
from .nl_ridge import NLRidge
from .plug_and_play import PlugAndPlay
from .self_distillation import SelfDistillation
from .trained_network import TrainedNetwork
from .zero_shot_sr import ZeroShotSR

METHODS: dict[str, type[Method]] = {
    "deep-image-prior": DeepImagePrior,
    "self-distillation": SelfDistillation,
    "nl-ridge": NLRidge,
    "nl-deblocking": NLDeblocking,
    "plug-and-play": PlugAndPlay,
    "zero-shot-sr": ZeroShotSR,
    "trained-network": TrainedNetwork,
}

__all__ = [
    "METHODS",
    "DeepImagePrior",
    "Method",
    "NLDeblocking",
    "NLRidge",
    "PlugAndPlay",
    "SelfDistillation",
    "TrainedNetwork",
    "ZeroShotSR",
]

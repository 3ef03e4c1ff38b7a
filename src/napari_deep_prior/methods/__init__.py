"""Methods: how a problem is solved. The only optimisation loops are here. ``METHODS`` lists them."""

from ..problem import Method
from .deep_image_prior import DeepImagePrior
from .nl_deblocking import NonLocalDeblocking
from .nl_ridge import NonLocalRidge
from .plug_and_play import NonLocalFilling
from .self_distillation import Distillation
from .zero_shot_sr import ZeroShotSR

METHODS: dict[str, type[Method]] = {
    "deep-image-prior": DeepImagePrior,
    "distillation": Distillation,
    "non-local-deblocking": NonLocalDeblocking,
    "non-local-filling": NonLocalFilling,
    "non-local-ridge": NonLocalRidge,
    "zero-shot-sr": ZeroShotSR,
}

__all__ = [
    "METHODS",
    "DeepImagePrior",
    "Distillation",
    "NonLocalDeblocking",
    "NonLocalFilling",
    "NonLocalRidge",
    "ZeroShotSR",
]

"""Methods: how a problem is solved. The only optimisation loops are here. ``METHODS`` lists them."""

from ..problem import Method
from .deep_image_prior import DeepImagePrior
from .distillation import Distillation
from .non_local_deblocking import NonLocalDeblocking
from .non_local_filling import NonLocalFilling
from .non_local_ridge import NonLocalRidge
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

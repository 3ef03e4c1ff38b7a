"""Restore microscopy images with no training data: everything is learned from the one image at hand.

Importing this package loads neither PyTorch nor napari; a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .methods import DeepImagePrior, Distillation, NonLocalDeblocking, NonLocalFilling, NonLocalRidge, ZeroShotSR
    from .networks import Hourglass, Plain, UNet
    from .problem import Problem, Step
    from .runs.errors import OutOfMemoryError, RestorationError
    from .runs.presets import preset
    from .runs.restoration import Restoration, restore
    from .tasks import Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve

_HOMES = {
    "DeepImagePrior": ".methods",
    "Denoise": ".tasks",
    "Distillation": ".methods",
    "Guided": ".tasks",
    "Hourglass": ".networks",
    "Inpaint": ".tasks",
    "NonLocalDeblocking": ".methods",
    "NonLocalFilling": ".methods",
    "NonLocalRidge": ".methods",
    "OutOfMemoryError": ".runs.errors",
    "Plain": ".networks",
    "Problem": ".problem",
    "RemoveArtifacts": ".tasks",
    "Restoration": ".runs.restoration",
    "RestorationError": ".runs.errors",
    "Step": ".problem",
    "SuperResolve": ".tasks",
    "UNet": ".networks",
    "ZeroShotSR": ".methods",
    "preset": ".runs.presets",
    "restore": ".runs.restoration",
}

__all__ = [
    "DeepImagePrior",
    "Denoise",
    "Distillation",
    "Guided",
    "Hourglass",
    "Inpaint",
    "NonLocalDeblocking",
    "NonLocalFilling",
    "NonLocalRidge",
    "OutOfMemoryError",
    "Plain",
    "Problem",
    "RemoveArtifacts",
    "Restoration",
    "RestorationError",
    "Step",
    "SuperResolve",
    "UNet",
    "ZeroShotSR",
    "preset",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return __all__

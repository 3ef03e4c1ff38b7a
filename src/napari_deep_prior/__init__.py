"""Restore microscopy images without training data: everything is learned from the image itself.

Importing this package loads neither PyTorch nor napari; a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .methods import *
    from .networks import *
    from .problem import *
    from .progress import *
    from .runs import *
    from .tasks import *

_ROOMS = (".runs", ".tasks", ".methods", ".networks", ".problem", ".progress")
"""Where public names live; each room lists its own in ``__all__``, so that a new one is named in one place."""


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return __dir__()
    if not name.startswith("_"):
        for room in _ROOMS:
            module = importlib.import_module(room, __name__)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(name for room in _ROOMS for name in importlib.import_module(room, __name__).__all__)

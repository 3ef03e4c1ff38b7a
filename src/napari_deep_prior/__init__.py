"""Restore microscopy images without training data: everything is learned from the image itself.

Importing this package loads neither PyTorch nor napari; a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .methods import *
    from .networks import *
    from .problem import *
    from .progress import *
    from .runs import *
    from .tasks import *

# Threads of PyTorch wait for each other many times in a step. Those of Linux spin while they wait, and where another
# program has the core of the one that they wait for, a step takes a hundred times as long (measured: 500 instead of
# 6 ms). So they spin briefly, which costs a twentieth on an idle machine. It is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Once there are more of them than cores they spin a tenth of that, and a run takes nearly twice as long (measured: 11.6
# instead of 6.8 s): each thread that PyTorch was ever called from has some, of the viewer's two or more. With "active"
# they spin as briefly, but no less.
os.environ.setdefault("OMP_WAIT_POLICY", "active")
# Other libraries (Intel, LLVM) would take "active" for spinning without end; these milliseconds are their default.
os.environ.setdefault("KMP_BLOCKTIME", "200")

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

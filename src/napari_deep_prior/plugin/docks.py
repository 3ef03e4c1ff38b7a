"""One dock for each task: ``DenoiseDock``, ``InpaintDock`` and so on, made from ``TASKS``.

napari hands the viewer to a class whose own ``__init__`` asks for one. So each task has a class; a new task has one as
soon as it is in ``TASKS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tasks import TASKS, Task
from .dock import Dock

if TYPE_CHECKING:
    import napari.viewer


def _dock_of(kind: type[Task]) -> type[Dock]:
    """Return the class of the dock of a task."""

    class TaskDock(Dock):
        def __init__(self, viewer: napari.viewer.Viewer) -> None:
            super().__init__(viewer, kind())

    TaskDock.__name__ = TaskDock.__qualname__ = f"{kind.__name__}Dock"
    TaskDock.__doc__ = f"Dock of :class:`~napari_deep_prior.tasks.{kind.__name__}`."
    return TaskDock


DOCKS: dict[str, type[Dock]] = {dock.__name__: dock for dock in map(_dock_of, TASKS.values())}
"""All docks by the name that the manifest gives them."""


def __getattr__(name: str) -> type[Dock]:
    if name in DOCKS:
        return DOCKS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

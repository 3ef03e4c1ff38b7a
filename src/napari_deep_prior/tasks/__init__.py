"""Tasks: which problem is posed. ``TASKS`` lists them by the name of their command."""

from collections.abc import Mapping
from typing import Any

from .denoise import Denoise
from .guided import Guided
from .inpaint import Inpaint
from .inputs import is_given
from .remove_artifacts import RemoveArtifacts
from .super_resolve import SuperResolve
from .task import Task

_KINDS: tuple[type[Task], ...] = (Denoise, Inpaint, SuperResolve, Guided, RemoveArtifacts)

TASKS: dict[str, type[Task]] = {kind.command: kind for kind in _KINDS}


def refuse_inputs(task: Task, given: Mapping[str, Any]) -> None:
    """Raise a ValueError if something was given that a task does not take, or something that it needs was not."""
    names = {name for name, value in given.items() if is_given(value)}
    for name in sorted(task.needs - names):
        raise ValueError(f"{task.command!r} needs a {name}, and none was given: give one, or choose 'denoise'")
    for name in sorted(names - task.takes):
        able = [repr(command) for command, kind in TASKS.items() if name in kind.takes]
        raise ValueError(
            f"{name} was given, but {task.command!r} does not take it: leave it out, or choose {' or '.join(able)}"
        )


__all__ = ["TASKS", "Denoise", "Guided", "Inpaint", "RemoveArtifacts", "SuperResolve", "Task"]

"""What tests read from the records of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_deep_prior.methods import Method
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.tasks import Task


def settings_of(record: Mapping[str, Any]) -> tuple[Task, Method]:
    """Return the task and the method of a record that was saved."""
    recipe = Recipe.from_json(record)
    return recipe.task, recipe.method

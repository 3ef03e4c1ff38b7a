"""What can be chosen of a training: tasks, their settings, and those of a training that goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..networks import ENLARGING_AUTOENCODER, Autoencoder
from ..networks.network import ResidualNetwork
from ..tasks import TASKS, Denoise, SuperResolve, Task
from ..training.model import Model
from ..training.training_settings import TrainingSettings

OF_TASK: Mapping[type[Task], tuple[str, ...]] = {
    Denoise: ("gain", "offset", "sigma"),
    SuperResolve: ("factor", "blur", "blur_width", "gain", "offset", "sigma"),
}
"""The tasks that networks are trained for, and the settings of each that say how training pairs are made."""


def task_of(model: Model) -> Task:
    """Return the task that a network was trained for, with its settings if they are known."""
    kind, settings = TASKS[model.task], model.settings.get("task")
    return kind() if settings is None else kind.from_json(settings)


def network_for(task: Task, network: ResidualNetwork) -> ResidualNetwork:
    """Return the network of a training of which only the kind was chosen: with the settings that suit the task."""
    if isinstance(task, SuperResolve) and isinstance(network, Autoencoder):
        return ENLARGING_AUTOENCODER
    return network


def settings_of(model: Model) -> TrainingSettings:
    """Return the settings of a training without its time, for one that goes on from it."""
    before = TrainingSettings.from_json(model.settings["training"])
    return dataclasses.replace(before, minutes=None, epochs=None)

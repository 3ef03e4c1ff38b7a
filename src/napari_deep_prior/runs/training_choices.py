"""What can be chosen of a training: tasks, their settings, and those of a training that goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

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


def about_code(task: Task, network: ResidualNetwork) -> Sequence[str]:
    """Return a sentence on an autoencoder whose code is coarser than that of the one for the task; else none."""
    suited = network_for(task, network)
    if network.stride <= suited.stride:
        return ()
    sentence = (
        f"a pixel of this autoencoder's code is {network.stride} pixels wide, and finer detail does not pass it: "
        "better is one that halves the image once: channels 16, bottleneck 64, downsampling 'strided', upsampling "
        "'pixel-shuffle'"
    )
    return (sentence,)


def settings_of(model: Model) -> TrainingSettings:
    """Return the settings of a training without its time, for one that goes on from it."""
    before = TrainingSettings.from_json(model.settings["training"])
    return dataclasses.replace(before, minutes=None, epochs=None)

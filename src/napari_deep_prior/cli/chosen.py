"""The settings that the options of the command line ask for, and those in a file."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

from ..files.recipes import read_recipe
from ..methods import Method
from ..runs.efforts import DEFAULT_EFFORT, name_of
from ..runs.recommend import Wish, asked
from ..runs.record import Recipe
from ..settings import Settings, choose_group, fields, flat_fields, replace_flat
from ..tasks import TASKS, Task
from .inputs import given_text
from .options import ASSIGNED, GROUP, SETTING, choices_of, methods_with, option_of


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given, by name; ``--set`` counts more than an option."""
    return _with_prefix(options, SETTING) | dict(getattr(options, ASSIGNED))


def changed_task(task: Task, options: argparse.Namespace) -> Task:
    """Return a task with the settings that were given.

    Raises
    ------
    ValueError
        If a value is beyond its limits.
    """
    return replace_flat(task, given_settings(options))


def wish_of(task: Task, options: argparse.Namespace) -> Wish:
    """Return what the options ask for: a method by its name, or its settings where some were given.

    Raises
    ------
    ValueError
        If there is no such method, effort or network, the method has no such setting, or a value is beyond its limits.
    """
    wish = _named(options)
    method, _ = asked(task, wish)
    groups, of_task = _with_prefix(options, GROUP), _names(task)
    values = {name: value for name, value in given_settings(options).items() if name not in of_task}
    if not groups and not values:
        return wish
    own = {each.name for each in fields(type(method)) if each.groups}
    for name in own & set(groups):
        method = choose_group(method, name, groups[name])
    if lacking := [*sorted(set(groups) - own), *sorted(set(values) - _names(method))]:
        raise ValueError(_no_setting(task, method, lacking, wanted={*groups, *values}, effort=wish.effort))
    return dataclasses.replace(wish, settings=replace_flat(method, values))


def with_recipe(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with the settings of the file in ``--settings``; what was given as an option counts more.

    Raises
    ------
    ValueError
        If the file cannot be read, or its settings are those of another task.
    """
    if options.settings is None:
        return options
    recipe, kind = read_recipe(options.settings), TASKS[options.command]
    if type(recipe.task) is not kind:
        raise ValueError(
            f"{options.settings!r} has settings of {recipe.task.command!r}, and {kind.command!r} is to be done: "
            "choose other settings"
        )
    volume = recipe.volume if options.volume is None else options.volume
    separate = recipe.separate_channels if options.separate_channels is None else options.separate_channels
    return argparse.Namespace(**vars(options) | {"recipe": recipe, "volume": volume, "separate_channels": separate})


def task_of(options: argparse.Namespace) -> Task:
    """Return the task before the settings are changed that were given as options."""
    return TASKS[options.command]() if options.recipe is None else options.recipe.task


def saved_inputs(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """Return the blur that the settings of ``--settings`` were used with, unless another one is given.

    Raises
    ------
    ValueError
        If it is no image.
    """
    kernel = None if options.recipe is None else options.recipe.kernel
    if (
        kernel is None
        or "kernel" not in task.takes
        or given_text("kernel", options)
        or "blur" in given_settings(options)
    ):
        return {}
    try:
        return {"kernel": np.array(kernel, float)}
    except (TypeError, ValueError) as error:
        raise ValueError(f"the blur in {options.settings!r} is no image of numbers: {error}") from error


def recipe_of(task: Task, wish: Wish, *, separate_channels: bool = False) -> Recipe:
    """Return the settings that are asked for, without a blur that was given."""
    return Recipe(
        task=task,
        method=asked(task, wish)[0],
        asked_method=wish.method,
        effort=wish.effort,
        volume=wish.volume,
        separate_channels=separate_channels,
    )


def _named(options: argparse.Namespace) -> Wish:
    """Return what is asked for by method and effort; where one of them is given, the file's settings are left out."""
    wish = Wish() if options.recipe is None else options.recipe.wish
    if options.method is not None or options.effort is not None:
        wish = Wish(method=options.method or wish.method, effort=options.effort or wish.effort or DEFAULT_EFFORT)
    return dataclasses.replace(wish, volume=bool(options.volume))


def _no_setting(task: Task, method: Method, lacking: list[str], *, wanted: set[str], effort: str) -> str:
    """Return a sentence on settings that a method does not have; it names the methods that do."""
    able: list[str] = []
    for name, other in methods_with(task, effort):
        if wanted <= {each.name for each in fields(type(other))}:
            able.append(f"--method {name}")
        else:
            able += [
                f"--method {name} --{group} {choice}"
                for group, choice, chosen in choices_of(other)
                if wanted <= {group} | _names(chosen)
            ]
    names = ", ".join(map(option_of, lacking))
    chosen = "".join(f" with this {each.name}" for each in fields(type(method)) if each.groups)
    them = "it" if len(lacking) == 1 else "them"
    remedy = f"leave {them} out, or choose {' or '.join(able)}" if able else "no method has all that was given"
    return f"the method {name_of(method)!r}{chosen} has no setting {names}: {remedy}"


def _names(settings: Settings) -> set[str]:
    return {each.name for each in flat_fields(settings)}


def _with_prefix(options: argparse.Namespace, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in vars(options).items() if name.startswith(prefix)}

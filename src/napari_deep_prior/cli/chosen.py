"""The settings that the options of the command line ask for."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from ..methods import Method
from ..runs.efforts import name_of
from ..runs.recommend import Wish, asked
from ..settings import Settings, choose_group, fields, flat_fields, replace_flat
from ..tasks import Task
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
    wish = Wish(method=options.method, effort=options.effort, volume=options.volume)
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

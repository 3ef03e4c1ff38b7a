"""Settings as options of the command line, and the settings that the options ask for."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from ..methods import Method
from ..runs.efforts import DEFAULT_EFFORT, methods_of
from ..settings import AnySettings, Field, Settings, allowed_in_words, choose_group, fields, parse_numbers
from ..tasks import Task
from .inputs import Group

SETTING, GROUP, ASSIGNED = "setting.", "group.", "assigned"
"""What the attributes of the parsed options begin with, so that no setting has the name of another option."""

COLUMNS_OF_NAMES = 22
"""Columns of the help for the names of the options."""

_YES_NO = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def layout(prog: str) -> argparse.HelpFormatter:
    """Return the layout of help texts."""
    return argparse.HelpFormatter(prog, max_help_position=COLUMNS_OF_NAMES)


@final
@dataclass(frozen=True)
class Section:
    """The settings of a task, a method or a network, with their default values."""

    title: str
    fields: tuple[Field, ...]


def sections(kind: type[Task]) -> list[Section]:
    """Return all settings that a task and its methods can have; those without effect for it are left out."""
    task = kind()
    groups: dict[str, Settings] = {}
    found = [Section("task", _own_fields(task, kind))]
    for name, method in methods_with(task, DEFAULT_EFFORT):
        found.append(Section(f"method {name}", _own_fields(method, kind)))
        for group, choice, chosen in choices_of(method):
            groups.setdefault(f"{group} {choice}", getattr(chosen, group))
    return [*found, *(Section(title, _own_fields(group, kind)) for title, group in groups.items())]


def refuse_empty(options: argparse.Namespace, arguments: Mapping[str, str]) -> None:
    """Raise a ValueError for arguments and options without a value.

    Parameters
    ----------
    arguments : mapping of str to str
        What the help calls those that are no options, by their place in ``options``.
    """
    for name, value in vars(options).items():
        if value == "" or (isinstance(value, list) and "" in value):
            label = arguments.get(name, f"--{name.rpartition('.')[2].replace('_', '-')}")
            raise ValueError(f"{label} is empty: give a value, or leave it out")


def add_settings(parser: argparse.ArgumentParser, found: Iterable[Section]) -> None:
    """Add an option for every setting of some sections; the help shows those that are not advanced."""
    distinct: dict[str, Field] = {}
    defaults: dict[str, dict[str, str]] = {}
    for section in found:
        for each in section.fields:
            distinct[each.name] = _with_choices_of(distinct.get(each.name, each), each)
            defaults.setdefault(each.name, {})[section.title] = _shown(each.default)
    group = parser.add_argument_group("settings")
    for name, each in distinct.items():
        text = argparse.SUPPRESS if each.about.advanced else _help(each, _defaults_in_words(defaults[name]))
        _add_setting(group, each, text)
    group.add_argument(
        "--set",
        dest=ASSIGNED,
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=partial(_checked, partial(_assignment, distinct)),
        help="change a setting by its name; may be given again",
    )


def add_groups(group: Group, kind: type[Task]) -> None:
    """Add an option for every choice between groups of settings, such as ``--network``."""
    offered: dict[str, dict[str, list[str]]] = {}
    for method, settings in methods_with(kind(), DEFAULT_EFFORT):
        for each in fields(type(settings)):
            if each.groups:
                own = type(getattr(settings, each.name))
                choices = sorted(each.groups, key=lambda name: each.groups[name] is not own)
                offered.setdefault(each.name, {})[method] = choices
    for name, methods in offered.items():
        # Which of them a method does not offer, it says when it is asked for.
        every = dict.fromkeys(choice for choices in methods.values() for choice in choices)
        defaults = ", ".join(f"{method} {choices[0]}" for method, choices in methods.items())
        text = f"{', '.join(every)} (default: {defaults})"
        group.add_argument(f"--{name}", dest=f"{GROUP}{name}", metavar="NAME", default=argparse.SUPPRESS, help=text)


def advanced_help(kind: type[Task]) -> str:
    """Return the help on all settings of a task, by what they belong to."""
    introduction = (
        f"All settings of deep-prior {kind.command}. The defaults are those of the effort {DEFAULT_EFFORT!r}; other "
        "efforts have others. --set NAME=VALUE does the same as an option, for example --set seed=3."
    )
    parts = [listing(introduction).format_help()]
    for section in sections(kind):
        part = listing()
        group = part.add_argument_group(section.title)
        for each in section.fields:
            _add_setting(group, each, _help(each, f"default {_shown(each.default)}"))
        if section.fields:
            parts.append(part.format_help())
    return "\n".join(parts)


def listing(introduction: str | None = None) -> argparse.ArgumentParser:
    """Return a parser that is only there to lay out its help."""
    return argparse.ArgumentParser(
        add_help=False, usage=argparse.SUPPRESS, description=introduction, formatter_class=layout
    )


def methods_with(task: Task, effort: str) -> Iterator[tuple[str, Method]]:
    """Yield the methods of a task by name, with the settings of an effort if they have it."""
    for name, efforts in methods_of(task).items():
        yield name, efforts.get(effort, efforts[DEFAULT_EFFORT])


def choices_of(settings: AnySettings) -> Iterator[tuple[str, str, AnySettings]]:
    """Yield every choice of every group: the name of the group, that of the choice, and the settings with it."""
    for each in fields(type(settings)):
        for choice in each.groups:
            yield each.name, choice, choose_group(settings, each.name, choice)


def _own_fields(settings: Settings, kind: type[Task]) -> tuple[Field, ...]:
    return tuple(
        dataclasses.replace(each, default=getattr(settings, each.name))
        for each in fields(type(settings))
        if each.kind is not Settings and (not each.about.only_with or each.about.only_with in kind.takes)
    )


def option_of(name: str) -> str:
    """Return the option of a setting."""
    return f"--{name.replace('_', '-')}"


def _add_setting(group: Group, field: Field, text: str) -> None:
    add = partial(
        group.add_argument,
        option_of(field.name),
        dest=f"{SETTING}{field.name}",
        # What is not given must not appear: it would replace the value of the effort.
        default=argparse.SUPPRESS,
        help=text,
    )
    if field.kind is bool:
        add(action=argparse.BooleanOptionalAction)
    else:
        add(type=partial(_checked, partial(_value, field)), metavar=_metavar(field))


def _with_choices_of(field: Field, other: Field) -> Field:
    """Return ``field`` with the choices of another of its name: networks differ in them, and refuse the others'."""
    return dataclasses.replace(field, choices=tuple(dict.fromkeys(field.choices + other.choices)))


def _metavar(field: Field) -> str:
    """Return what stands for the value of a setting in its help."""
    if not field.choices:
        return "N,N" if field.kind is tuple else "N"
    explained = all(re.search(rf"\b{choice}\b", field.about.help) for choice in field.choices)
    return "NAME" if explained else f"{{{','.join(field.choices)}}}"


def _checked(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _value(field: Field, text: str) -> Any:
    """Return a value of a setting from its text."""
    if field.optional and text in ("", _shown(None)):
        return None
    if field.kind is tuple:
        return parse_numbers(text)
    allowed: Iterable[str] = _YES_NO if field.kind is bool else field.choices
    if allowed and text not in allowed:
        raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
    if field.kind is bool:
        return _YES_NO[text]
    try:
        return field.kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {allowed_in_words(field)}") from None


def _assignment(known: Mapping[str, Field], text: str) -> tuple[str, Any]:
    """Return name and value of ``name=value``."""
    name, equals, value = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    if name not in known:
        raise ValueError(f"there is no setting {name!r} (see --help-advanced)")
    return name, _value(known[name], value.strip())


def _defaults_in_words(defaults: Mapping[str, str]) -> str:
    """Return the default values of a setting, for each method that has it if they are methods."""
    if "task" in defaults:
        return f"default {defaults['task']}"
    return "default: " + ", ".join(f"{title.partition(' ')[2]} {value}" for title, value in defaults.items())


def _help(field: Field, defaults: str) -> str:
    # argparse takes % for the beginning of a placeholder.
    return f"{field.about.help} ({defaults})".replace("%", "%%")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "auto" if value is None else str(value)

"""Settings: frozen dataclasses from which the form, the command line and the saved record are derived.

A setting is a dataclass field annotated with :class:`Setting`::

    steps: Annotated[int, Setting("Steps", "the most iterations", low=1)] = 1000

The annotation is the only place where its label, its help and its limits are written. A setting that is itself a
group of settings names the classes of which one can be chosen::

    network: Annotated[Network, Setting("Network", "the prior", groups=NETWORKS)] = field(default_factory=Hourglass)
"""

from __future__ import annotations

import dataclasses
import math
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar

import numpy as np


@dataclass(frozen=True)
class Setting:
    """Label and help of a field, and the values that it may take.

    Attributes
    ----------
    label, help : str
        Name and explanation in the form and on the command line.
    low, high : float
        Smallest and largest value, both allowed; of a tuple, those of each number.
    advanced : bool
        Whether it is shown among the advanced settings only.
    only_with : str
        Name of an input of the task, such as "guide": without it the setting has no effect and is not shown.
    groups : mapping of str to type
        Classes by name, of which one can be chosen, for a setting that is itself a group of settings.
    longest : int
        The most numbers of a tuple.
    empty : str
        What the form shows where a value that may be left out is.
    """

    label: str
    help: str
    low: float = -math.inf
    high: float = math.inf
    advanced: bool = True
    only_with: str = ""
    groups: Mapping[str, type[Settings]] = field(default_factory=dict)
    longest: int = 100
    empty: str = "estimated"


@dataclass(frozen=True)
class Field:
    """One setting of a settings class, with its annotation resolved.

    ``kind`` is ``int``, ``float``, ``bool``, ``str`` (``choices`` lists the values if only some are allowed), ``tuple``
    (of integers) or ``Settings`` (a nested group, of one of the classes in ``groups``). An ``optional`` one may be
    None: then the program chooses the value.
    """

    name: str
    kind: type
    default: Any
    about: Setting
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def groups(self) -> Mapping[str, type[Settings]]:
        """Classes by name, of which a nested group can be one."""
        return self.about.groups


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen, keyword-only settings that check themselves and round-trip JSON."""

    def __post_init__(self) -> None:
        for each in fields(type(self)):
            value = _python_number(getattr(self, each.name))
            _check(each, value)
            object.__setattr__(self, each.name, value)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types; ``kind`` names the class."""
        values = {each.name: getattr(self, each.name) for each in fields(type(self))}
        return {"kind": type(self).__name__} | {
            name: value.to_json() if isinstance(value, Settings) else _plain(value) for name, value in values.items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the settings that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If the record is of another class, or has a field or a value that this version does not know.
        """
        if not isinstance(record, Mapping):
            # Records come from files, so that even a wrong type is a wrong value.
            raise ValueError(f"the settings of {cls.__name__!r} are {record!r}; names with their values are needed")
        if record.get("kind") != cls.__name__:
            raise ValueError(f"these settings are of {record.get('kind')!r}; {cls.__name__!r} is needed")
        known = {each.name: each for each in fields(cls)}
        values = {name: value for name, value in record.items() if name != "kind"}
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"{cls.__name__} of this version has no setting {', '.join(unknown)}")
        return cls(**{name: _revive(known[name], value) for name, value in values.items()})


AnySettings = TypeVar("AnySettings", bound=Settings)


def fields(cls: type[Settings]) -> tuple[Field, ...]:
    """Return the settings of a class in the order of their definition."""
    # mypy takes the hash of the instances for that of the class.
    return _fields(cls)  # type: ignore[arg-type]


@cache
def _fields(cls: type[Settings]) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_field(each, hints[each.name]) for each in dataclasses.fields(cls))


def flat_fields(settings: Settings) -> Iterator[Field]:
    """Yield every setting of ``settings`` and of the groups nested in it, with its value as the default.

    Names are unique across them.
    """
    for each in fields(type(settings)):
        value = getattr(settings, each.name)
        if isinstance(value, Settings):
            yield from flat_fields(value)
        else:
            yield dataclasses.replace(each, default=value)


def replace_flat(settings: AnySettings, values: Mapping[str, Any]) -> AnySettings:
    """Return ``settings`` with the named values changed, wherever they are nested."""
    changes: dict[str, Any] = {}
    for each in fields(type(settings)):
        value = getattr(settings, each.name)
        if isinstance(value, Settings):
            changes[each.name] = replace_flat(value, values)
        elif each.name in values:
            changes[each.name] = values[each.name]
    return dataclasses.replace(settings, **changes)


def choose_group(settings: AnySettings, name: str, choice: str) -> AnySettings:
    """Return ``settings`` with the group ``name`` of the class that its table lists as ``choice``.

    The group has the defaults of that class; a group that is of the class already is kept.

    Raises
    ------
    ValueError
        If there is no such group, or its table has no such class.
    """
    groups = next((each.groups for each in fields(type(settings)) if each.name == name), {})
    if choice not in groups:
        allowed = (
            f"one of {', '.join(groups)} is needed" if groups else f"{type(settings).__name__} has no choice of it"
        )
        raise ValueError(f"{name} is {choice!r}; {allowed}")
    chosen = groups[choice]
    return settings if type(getattr(settings, name)) is chosen else dataclasses.replace(settings, **{name: chosen()})


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the integers of a list such as ``"16, 32, 64"``."""
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"{text!r} is not a list of whole numbers: write, for example, 16, 32, 64") from None


def allowed_in_words(entry: Field) -> str:
    """Return what a setting may be, such as "a number between 0 and 1, or left out"."""
    if entry.groups:
        return " or ".join(kind.__name__ for kind in entry.groups.values())
    kinds = {tuple: "a list of whole numbers", int: "a whole number", float: "a number", bool: "True or False"}
    low, high = entry.about.low, entry.about.high
    limits = f" of at least {low:g}" if low > -math.inf else ""
    limits = f" between {low:g} and {high:g}" if limits and high < math.inf else limits
    return kinds.get(entry.kind, "text") + limits + (", or left out" if entry.optional else "")


def _field(defined: dataclasses.Field[Any], hint: Any) -> Field:
    annotation, about = typing.get_args(hint)
    name = defined.name
    default = defined.default_factory() if callable(defined.default_factory) else defined.default
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return Field(name, str, default, about, typing.get_args(annotation))
    if origin is UnionType and NoneType in typing.get_args(annotation):
        kind = next(part for part in typing.get_args(annotation) if part is not NoneType)
        return Field(name, kind, default, about, optional=True)
    if about.groups:
        return Field(name, Settings, default, about)
    return Field(name, origin or annotation, default, about)


def _check(entry: Field, value: Any) -> None:
    if value is None and entry.optional:
        return
    if entry.choices and value not in entry.choices:
        raise ValueError(f"{entry.name} is {value!r}; it must be one of {', '.join(map(repr, entry.choices))}")
    if not _is_of_kind(entry, value):
        raise ValueError(f"{entry.name} is {value!r}; it must be {allowed_in_words(entry)}")
    if isinstance(value, tuple) and len(value) > entry.about.longest:
        raise ValueError(f"{entry.name} has {len(value)} numbers; it can have at most {entry.about.longest}")
    if entry.kind in (int, float, tuple):
        low, high = entry.about.low, entry.about.high
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high:
                limits = f"be at least {low:g}" if high == math.inf else f"lie between {low:g} and {high:g}"
                raise ValueError(f"{entry.name} is {value!r}; it must {limits}")


def _is_of_kind(entry: Field, value: Any) -> bool:
    if entry.kind is tuple:
        return isinstance(value, tuple) and all(_is_whole(number) for number in value)
    if entry.kind is int:
        return _is_whole(value)
    if entry.kind is float:
        number = _is_whole(value) or isinstance(value, float)
        return number and -sys.float_info.max <= value <= sys.float_info.max
    return isinstance(value, tuple(entry.groups.values()) or entry.kind)


def _is_whole(value: Any) -> bool:
    # Python's bool is an int.
    return isinstance(value, int) and not isinstance(value, bool)


def _python_number(value: Any) -> Any:
    """Return NumPy's numbers as Python's own, which JSON can store."""
    if isinstance(value, tuple):
        return tuple(_python_number(part) for part in value)
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _revive(entry: Field, value: Any) -> Any:
    if entry.kind is Settings:
        classes = {group.__name__: group for group in entry.groups.values()}
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if kind not in classes:
            raise ValueError(f"{entry.name} is {value!r}; settings of {' or '.join(classes)} are needed")
        return classes[kind].from_json(value)
    if entry.kind is tuple:
        return tuple(value) if isinstance(value, list) else value
    return float(value) if entry.kind is float and _is_whole(value) else value

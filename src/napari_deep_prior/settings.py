"""Settings: frozen dataclasses from which the form, the command line and the saved record are derived.

A setting is a dataclass field annotated with :class:`Setting`::

    steps: Annotated[int, Setting("Steps", "the most iterations", low=1)] = 1000

The annotation is the only place where its label, its help and its limits are written.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar

import numpy as np


@dataclass(frozen=True)
class Setting:
    """What a person is told about a field, and the values it may take (both limits included)."""

    label: str
    help: str
    low: float = -math.inf
    high: float = math.inf
    advanced: bool = True


@dataclass(frozen=True)
class Field:
    """One setting of a settings class, its annotation resolved.

    ``kind`` is ``int``, ``float``, ``bool``, ``str`` (then ``choices`` lists the values), ``tuple``
    (of integers) or ``Settings`` (a nested group, of one of the classes ``groups``). An ``optional`` one may be
    None: left to the program.
    """

    name: str
    kind: type
    default: Any
    about: Setting
    choices: tuple[str, ...] = ()
    optional: bool = False
    groups: tuple[type[Settings], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen, keyword-only settings that check themselves and round-trip JSON."""

    def __post_init__(self) -> None:
        for field in fields(type(self)):
            value = _python_number(getattr(self, field.name))
            _check(field, value)
            object.__setattr__(self, field.name, value)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types; ``kind`` names the class."""
        values = {field.name: getattr(self, field.name) for field in fields(type(self))}
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
            # Records come from files: whatever is wrong with one is a wrong value.
            raise ValueError(f"the settings of {cls.__name__!r} are {record!r}; names with their values are needed")
        if record.get("kind") != cls.__name__:
            raise ValueError(f"these settings are of {record.get('kind')!r}; {cls.__name__!r} is needed")
        known = {field.name: field for field in fields(cls)}
        values = {name: value for name, value in record.items() if name != "kind"}
        if strangers := sorted(set(values) - set(known)):
            raise ValueError(f"{cls.__name__} of this version has no setting {', '.join(strangers)}")
        return cls(**{name: _revive(known[name], value) for name, value in values.items()})


AnySettings = TypeVar("AnySettings", bound=Settings)


def fields(cls: type[Settings]) -> tuple[Field, ...]:
    """Return the settings of a class in the order of their definition."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_field(field, hints[field.name]) for field in dataclasses.fields(cls))


def flat_fields(settings: Settings) -> Iterator[Field]:
    """Yield every setting of ``settings`` and of the groups nested in it; names are unique across them."""
    for field in fields(type(settings)):
        value = getattr(settings, field.name)
        if isinstance(value, Settings):
            yield from flat_fields(value)
        else:
            yield dataclasses.replace(field, default=value)


def replace_flat(settings: AnySettings, values: Mapping[str, Any]) -> AnySettings:
    """Return ``settings`` with the named values changed, wherever they are nested."""
    changes: dict[str, Any] = {}
    for field in fields(type(settings)):
        value = getattr(settings, field.name)
        if isinstance(value, Settings):
            changes[field.name] = replace_flat(value, values)
        elif field.name in values:
            changes[field.name] = values[field.name]
    return dataclasses.replace(settings, **changes)


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the integers of a list such as ``"16, 32, 64"``."""
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"{text!r} is not a list of whole numbers: write, for example, 16, 32, 64") from None


def _field(field: dataclasses.Field[Any], hint: Any) -> Field:
    annotation, about = typing.get_args(hint)
    default = field.default_factory() if callable(field.default_factory) else field.default
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return Field(field.name, str, default, about, typing.get_args(annotation))
    if origin is UnionType and NoneType in typing.get_args(annotation):
        kind = next(part for part in typing.get_args(annotation) if part is not NoneType)
        return Field(field.name, kind, default, about, optional=True)
    if origin is UnionType or (isinstance(annotation, type) and issubclass(annotation, Settings)):
        groups = typing.get_args(annotation) or (annotation,)
        return Field(field.name, Settings, default, about, groups=groups)
    return Field(field.name, origin or annotation, default, about)


def _check(field: Field, value: Any) -> None:
    name = field.name
    if value is None and field.optional:
        return
    if field.choices and value not in field.choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, field.choices))}")
    numbers = value if isinstance(value, tuple) else (value,)
    if field.kind in (int, tuple):
        right = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    elif field.kind is float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        right = isinstance(value, field.groups or field.kind)
    if not right or (field.kind is tuple) != isinstance(value, tuple):
        kinds = " or ".join(kind.__name__ for kind in field.groups or (field.kind,))
        expected = {tuple: "a tuple of whole numbers", int: "a whole number"}.get(field.kind, kinds)
        raise ValueError(f"{name} is {value!r}; it must be {expected}")
    if field.kind in (int, float, tuple):
        for number in numbers:
            if not field.about.low <= number <= field.about.high:
                raise ValueError(f"{name} is {value!r}; {_limits(field.about)}")


def _limits(about: Setting) -> str:
    if about.high == math.inf:
        return f"it must be at least {about.low:g}"
    return f"it must lie between {about.low:g} and {about.high:g}"


def _python_number(value: Any) -> Any:
    """Return numbers of NumPy as Python's own, which JSON knows."""
    if isinstance(value, tuple):
        return tuple(_python_number(part) for part in value)
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _revive(field: Field, value: Any) -> Any:
    if field.kind is Settings:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        group = next((group for group in field.groups if group.__name__ == kind), field.groups[0])
        return group.from_json(value)
    if field.kind is tuple:
        return tuple(value) if isinstance(value, list) else value
    return float(value) if field.kind is float and isinstance(value, int) else value

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from napari_deep_prior.methods import METHODS
from napari_deep_prior.networks import NETWORKS
from napari_deep_prior.settings import (
    Field,
    Setting,
    Settings,
    choose_group,
    fields,
    flat_fields,
    parse_numbers,
    replace_flat,
)
from napari_deep_prior.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    widths: Annotated[tuple[int, ...], Setting("Widths", "of the scales", low=1, high=9)] = (3, 4)
    sharp: Annotated[bool, Setting("Sharp", "or not")] = True


@dataclass(frozen=True, kw_only=True)
class Other(Settings):
    depth: Annotated[int, Setting("Depth", "of the thing")] = 1


GROUPS = {"inner": Inner, "other": Other}


@dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    count: Annotated[int, Setting("Count", "of things", low=1)] = 5
    share: Annotated[float, Setting("Share", "of the pixels", low=0, high=1)] = 0.25
    colour: Annotated[Literal["red", "green"], Setting("Colour", "of the thing")] = "red"
    name: Annotated[str, Setting("Name", "of the thing")] = ""
    inner: Annotated[Settings, Setting("Inner", "the nested group", groups=GROUPS)] = field(default_factory=Inner)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outer().count = 6


def test_settings_are_given_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        Outer(6)


def test_settings_survive_json() -> None:
    settings = Outer(count=7, share=1.0, colour="green", name="µ", inner=Inner(widths=(1, 9), sharp=False))
    assert Outer.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_whole_number_in_json_can_stand_for_a_float() -> None:
    revived = Outer.from_json({"kind": "Outer", "share": 1})
    assert revived.share == 1
    assert isinstance(revived.share, float)


def test_json_of_an_older_version_gets_the_defaults_of_new_fields() -> None:
    assert Outer.from_json({"kind": "Outer", "count": 2}) == Outer(count=2)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"kind": "Inner"}, "'Inner'; 'Outer' is needed"),
        ({}, "'Outer' is needed"),
        ({"kind": "Outer", "flavour": 1, "age": 2}, "no setting age, flavour"),
        ({"kind": "Outer", "count": "many"}, "count is 'many'"),
        ({"kind": "Outer", "inner": {"kind": "Inner", "flavour": 1}}, "Inner of this version has no setting flavour"),
    ],
)
def test_json_that_this_version_does_not_know_is_refused(record: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outer.from_json(record)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"count": 1.5}, "count is 1.5; it must be a whole number"),
        ({"count": True}, "count is True"),
        ({"share": 1.1}, "share is 1.1; it must lie between 0 and 1"),
        ({"share": float("nan")}, "share is nan"),
        ({"share": "much"}, "share is 'much'; it must be a number"),
        ({"colour": "blue"}, "colour is 'blue'; it must be one of 'red', 'green'"),
        ({"name": 3}, "name is 3"),
        ({"inner": None}, "inner is None"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_needed(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outer(**values)


@pytest.mark.parametrize("kind", [*METHODS.values(), *NETWORKS.values(), *TASKS.values()])
def test_every_setting_says_what_it_may_be(kind: type[Settings]) -> None:
    for entry in fields(kind):
        with pytest.raises(ValueError, match=f"^{entry.name} is .*it must be ") as caught:
            kind(**{entry.name: object()})
        said = str(caught.value).partition("it must be ")[2]
        assert not re.search(r"\b(float|int|bool|tuple|str|NoneType)\b", said)
        for limit in (entry.about.low, entry.about.high):
            assert math.isinf(limit) or f"{limit:g}" in said
        assert said.endswith(", or left out") == entry.optional


def test_a_list_has_a_longest_length() -> None:
    with pytest.raises(ValueError, match="channels has 40 numbers; it can have at most 10"):
        NETWORKS["unet"](channels=(1,) * 40)


@pytest.mark.parametrize("widths", [(0,), (10,), (1.5,), [1, 2], 3, "12"])
def test_a_wrong_list_of_numbers_is_refused(widths: object) -> None:
    with pytest.raises(ValueError, match="widths is"):
        Inner(widths=widths)


def test_limits_themselves_are_allowed() -> None:
    assert Outer(count=1, share=0.0).share == 0
    assert Outer(share=1.0, inner=Inner(widths=(1, 9))).inner.widths == (1, 9)


def test_fields_tell_kind_default_choices_and_help() -> None:
    found = {entry.name: entry for entry in fields(Outer)}
    assert list(found) == ["count", "share", "colour", "name", "inner"]
    assert found["count"].kind is int
    assert found["colour"].kind is str
    assert found["colour"].choices == ("red", "green")
    assert found["inner"].kind is Settings
    assert found["inner"].default == Inner()
    assert fields(Inner)[0].kind is tuple
    assert found["share"].about.help == "of the pixels"


def test_flat_fields_reach_into_groups_and_hold_the_values_at_hand() -> None:
    values = {entry.name: entry.default for entry in flat_fields(Outer(count=9, inner=Inner(widths=(5,))))}
    assert values == {"count": 9, "share": 0.25, "colour": "red", "name": "", "widths": (5,), "sharp": True}


def test_replacing_by_flat_names_reaches_into_groups_and_leaves_the_original() -> None:
    before = Outer()
    after = replace_flat(before, {"count": 2, "sharp": False, "no such thing": 1})
    assert after == Outer(count=2, inner=Inner(sharp=False))
    assert before == Outer()


def test_replacing_checks_the_values() -> None:
    with pytest.raises(ValueError, match="widths"):
        replace_flat(Outer(), {"widths": (99,)})


@pytest.mark.parametrize("text", ["16, 32,64", "16 32 64", "16,32 , 64"])
def test_numbers_are_read_from_text(text: str) -> None:
    assert parse_numbers(text) == (16, 32, 64)


@pytest.mark.parametrize("text", ["16, big", "1.5", "16;32"])
def test_text_that_is_no_list_of_numbers_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write, for example, 16, 32, 64"):
        parse_numbers(text)


def test_a_group_takes_only_settings_of_its_kind() -> None:
    with pytest.raises(ValueError, match=r"inner is Outer.*it must be Inner or Other"):
        Outer(inner=Outer())


@pytest.mark.parametrize(
    "record",
    [3, None, [1], {"kind": "Outer", "inner": 3}, {"kind": "Outer", "inner": {"kind": "Inner", "widths": 3}}],
)
def test_json_of_the_wrong_type_is_a_value_error(record: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"names with their values are needed|widths is 3|settings of Inner or Other",
    ):
        Outer.from_json(record)


def test_numbers_of_numpy_are_numbers_and_survive_json() -> None:
    settings = Outer(count=np.int64(3), share=np.float32(0.5), inner=Inner(widths=(np.uint8(2),), sharp=np.bool_(0)))
    assert settings == Outer(count=3, share=0.5, inner=Inner(widths=(2,), sharp=False))
    assert Outer.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@dataclass(frozen=True, kw_only=True)
class Loose(Settings):
    limit: Annotated[float | None, Setting("Limit", "empty: none", low=0)] = None


@hypothesis.given(st.one_of(st.just(math.nan), st.just(math.inf), st.integers(2**1024), st.text(), st.booleans()))
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="it must"):
        Loose(limit=value)


def test_an_optional_setting_may_be_none() -> None:
    found = {entry.name: entry for entry in fields(Loose)}
    assert (found["limit"].kind, found["limit"].optional) == (float, True)
    assert Loose(limit=2.5).limit == 2.5
    for settings in (Loose(), Loose(limit=2.5)):
        assert Loose.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(ValueError, match="limit is -1; it must be at least 0"):
        Loose(limit=-1)


def test_the_class_of_a_group_is_chosen_by_its_name_in_the_table() -> None:
    before = Outer(count=9, inner=Inner(sharp=False))
    after = choose_group(before, "inner", "other")
    assert after == Outer(count=9, inner=Other())
    assert Outer.from_json(json.loads(json.dumps(after.to_json()))) == after
    assert [each.name for each in flat_fields(after)] == ["count", "share", "colour", "name", "depth"]
    assert choose_group(after, "inner", "inner") == Outer(count=9)


def test_choosing_the_class_that_a_group_has_already_keeps_its_values() -> None:
    settings = Outer(inner=Inner(sharp=False))
    assert choose_group(settings, "inner", "inner") is settings


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("inner", "Inner", "inner is 'Inner'; one of inner, other is needed"),
        ("count", "inner", "count is 'inner'; Outer has no choice of it"),
        ("outer", "inner", "outer is 'inner'; Outer has no choice of it"),
    ],
)
def test_a_class_that_is_not_in_the_table_cannot_be_chosen(name: str, choice: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_group(Outer(), name, choice)


def test_json_of_a_group_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"settings of Inner or Other are needed"):
        Outer.from_json({"kind": "Outer", "inner": {"kind": "Outer"}})


# All settings of the package


def classes(*tables: Mapping[str, type[Settings]]) -> list[type[Settings]]:
    """Return all classes of tables, and the classes that their groups can be."""
    found: list[type[Settings]] = []
    for table in tables:
        for kind in table.values():
            found += [kind, *classes(*(each.groups for each in fields(kind)))]
    return list(dict.fromkeys(found))


ALL = classes(TASKS, METHODS, NETWORKS)


def values(entry: Field) -> st.SearchStrategy[Any]:
    """Return any value that a setting may take."""
    low, high = (limit if math.isfinite(limit) else None for limit in (entry.about.low, entry.about.high))
    whole = st.integers(*(None if limit is None else int(limit) for limit in (low, high)))
    if entry.choices:
        found: st.SearchStrategy[Any] = st.sampled_from(entry.choices)
    elif entry.groups:
        found = st.one_of([settings_of(kind) for kind in entry.groups.values()])
    elif entry.kind is tuple:
        found = st.lists(whole, max_size=8).map(tuple)
    else:
        number = st.floats(low, high, allow_nan=False, allow_infinity=False)
        found = {bool: st.booleans(), str: st.text(), int: whole, float: number}[entry.kind]
    return st.none() | found if entry.optional else found


def settings_of(kind: type[Settings]) -> st.SearchStrategy[Settings]:
    """Return settings of a class with any values but those that it refuses together."""

    def made(chosen: dict[str, Any]) -> Settings | None:
        try:
            return kind(**chosen)
        except ValueError:
            return None

    entries = st.fixed_dictionaries({}, optional={each.name: values(each) for each in fields(kind)})
    return entries.map(made).filter(lambda settings: settings is not None)


@pytest.mark.parametrize("kind", ALL)
@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(sample=st.data())
def test_settings_of_every_class_survive_json_with_any_values(kind: type[Settings], sample: st.DataObject) -> None:
    settings = sample.draw(settings_of(kind))
    assert kind.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    changed = {each.name: each.default for each in flat_fields(settings)}
    assert replace_flat(settings, changed) == settings


@pytest.mark.parametrize("kind", ALL)
def test_every_setting_has_a_label_a_help_and_allowed_defaults(kind: type[Settings]) -> None:
    assert kind() == kind(**{each.name: each.default for each in fields(kind)})
    for entry in fields(kind):
        assert entry.about.label, entry.name
        assert entry.about.help, entry.name
        assert entry.kind in (int, float, bool, str, tuple, Settings), entry.name
        assert (entry.kind is Settings) == bool(entry.groups), entry.name


@pytest.mark.parametrize("kind", ALL)
def test_every_class_refuses_records_that_it_does_not_know(kind: type[Settings]) -> None:
    record = kind().to_json()
    with pytest.raises(ValueError, match="has no setting flavour"):
        kind.from_json(record | {"flavour": 1})
    with pytest.raises(ValueError, match="is needed"):
        kind.from_json(record | {"kind": "Dream"})


@pytest.mark.parametrize("kind", ALL)
def test_names_are_unique_whichever_groups_are_chosen(kind: type[Settings]) -> None:
    chosen = [kind()]
    for entry in fields(kind):
        chosen += [choose_group(kind(), entry.name, choice) for choice in entry.groups]
    for settings in chosen:
        names = [each.name for each in flat_fields(settings)]
        assert len(names) == len(set(names))

"""Settings as options of the command line, and back."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep_prior.cli.chosen import changed_task, given_settings, wish_of
from napari_deep_prior.cli.main import DONE, FAILED, _parser, main, with_negative_numbers
from napari_deep_prior.cli.options import choices_of, methods_with, option_of, sections
from napari_deep_prior.networks import EncoderDecoder
from napari_deep_prior.runs.efforts import DEFAULT_EFFORT, EFFORTS, methods_of, settings_for
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.settings import Field, flat_fields
from napari_deep_prior.tasks import TASKS, Denoise, SuperResolve

from .conftest import Capture, Refused

FILES = ["in.tif", "out.tif"]
LINES, COLUMNS = 50, 100
"""Two screens of 25 lines."""

PARSERS = {name: _parser([name]) for name in TASKS}
FIELDS = [(name, field) for name, kind in TASKS.items() for section in sections(kind) for field in section.fields]


def parsed(command: str, *arguments: str) -> Any:
    return PARSERS[command].parse_args([command, *FILES, *arguments])


@pytest.mark.parametrize("number", ["-1e3", "-1.5E-3", "-.5e+2", "-100", "-0.5"])
def test_a_negative_number_is_the_value_of_its_option(number: str) -> None:
    given = with_negative_numbers([*FILES, "--offset", number])
    assert changed_task(Denoise(), PARSERS["denoise"].parse_args(["denoise", *given])).offset == float(number)


def test_what_is_no_negative_number_stays_an_argument_of_its_own() -> None:
    given = ["--overwrite", "-h", "-e5", "--offset=-1e3", "-1e3", "in.tif", "-1e3"]
    assert with_negative_numbers(given) == given


def wish(command: str, *arguments: str) -> Wish:
    return wish_of(TASKS[command](), parsed(command, *arguments))


def another_value(field: Field) -> str:
    """Return as text a value that the field may have and has not by default."""
    if field.choices:
        return next(choice for choice in field.choices if choice != field.default)
    if field.kind is bool:
        return "no" if field.default else "yes"
    if field.kind is tuple:
        return ",".join(str(int(number) + 1) for number in field.default)
    if field.default is None:
        return "3" if field.kind is int else "1.5"
    if field.kind is int:
        return str(field.default + 1)
    half = field.default / 2 or 0.5
    return str(half if half >= field.about.low else 2 * field.default)


def as_option(field: Field) -> list[str]:
    option = option_of(field.name)
    if field.kind is bool:
        return [f"--no-{option[2:]}" if field.default else option]
    return [option, another_value(field)]


def changed(before: Any, after: Any) -> list[str]:
    pairs = zip(flat_fields(before), flat_fields(after), strict=True)
    return [one.name for one, other in pairs if one.default != other.default]


@pytest.mark.parametrize("command", TASKS)
def test_every_setting_is_an_option_that_changes_it_and_nothing_else(command: str) -> None:
    task = TASKS[command]()
    for field in flat_fields(task):
        for arguments in (as_option(field), ["--set", f"{field.name}={another_value(field)}"]):
            assert changed(task, changed_task(task, parsed(command, *arguments))) == [field.name]
    offered = {field.name for section in sections(type(task)) for field in section.fields}
    for name, method in methods_with(task, DEFAULT_EFFORT):
        variants = [([], method), *(([f"--{group}", choice], chosen) for group, choice, chosen in choices_of(method))]
        for choosing, variant in variants:
            for field in flat_fields(variant):
                if field.name in offered:
                    settings = wish(command, "--method", name, *choosing, *as_option(field)).settings
                    assert changed(variant, settings) == [field.name]


def test_settings_of_one_name_are_of_one_kind() -> None:
    # One option stands for all of them.
    for command in TASKS:
        kinds: dict[str, set[Any]] = {}
        for name, field in FIELDS:
            if name == command:
                kinds.setdefault(field.name, set()).add((field.kind, bool(field.choices), field.optional))
        assert all(len(found) == 1 for found in kinds.values())


@st.composite
def assignments(draw: st.DrawFn) -> tuple[str, str, Any, str]:
    """Return a command, a setting, a value that it may have, and the value as text."""
    command, field = draw(st.sampled_from(FIELDS))
    low, high = field.about.low, field.about.high
    whole = st.integers(max(-99, math.ceil(max(low, -99))), int(min(high, 10**6)))
    if field.choices:
        values: st.SearchStrategy[Any] = st.sampled_from(field.choices)
    elif field.kind is bool:
        values = st.booleans()
    elif field.kind is tuple:
        values = st.lists(whole, min_size=1, max_size=6).map(tuple)
    elif field.kind is int:
        values = whole
    else:
        values = st.floats(max(low, -1e6), min(high, 1e6))
    value = draw(st.one_of(st.none(), values) if field.optional else values)
    text = "auto" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return command, field.name, value, {"True": "yes", "False": "no"}.get(text, text)


@given(assignments())
def test_any_value_of_a_setting_can_be_written(assignment: tuple[str, str, Any, str]) -> None:
    command, name, value, text = assignment
    read = given_settings(parsed(command, "--set", f"{name.replace('_', '-')}={text}"))
    assert read == {name: value}
    assert type(read[name]) is type(value)


@pytest.mark.parametrize("command", TASKS)
def test_what_is_not_given_is_left_to_method_and_effort(command: str) -> None:
    task = TASKS[command]()
    assert changed_task(task, parsed(command)) == task
    assert wish(command) == Wish()
    for name, efforts in methods_of(task).items():
        for effort in efforts:
            assert wish(command, "--method", name, "--effort", effort) == Wish(method=name, effort=effort)
            seed = ["--set", "seed=7"] if "seed" in {each.name for each in flat_fields(efforts[effort])} else []
            expected = dataclasses.replace(efforts[effort], seed=7) if seed else None
            assert wish(command, "--method", name, "--effort", effort, *seed).settings == expected


def test_settings_count_for_the_method_that_auto_takes() -> None:
    assert wish("denoise", "--steps", "9").settings == dataclasses.replace(
        settings_for(Denoise(), "self-distillation"), steps=9
    )
    assert wish("denoise", "--volume", "--steps", "9").settings == dataclasses.replace(
        settings_for(Denoise(), "deep-image-prior"), steps=9
    )
    assert wish("denoise", "--steps", "9").method == "auto"


def test_a_network_is_chosen_with_its_settings() -> None:
    settings = wish("denoise", "--method", "deep-image-prior", "--network", "unet", "--channels", "4,8").settings
    assert settings.network.to_json() == {"kind": "UNet", "channels": [4, 8]}
    plain = wish("super-resolve", "--network", "unet").settings
    assert dataclasses.replace(plain, network=settings_for(SuperResolve(), "zero-shot-sr").network) == settings_for(
        SuperResolve(), "zero-shot-sr"
    )


def test_a_setting_that_networks_share_takes_the_choices_of_each() -> None:
    prior = ("denoise", "--method", "deep-image-prior", "--network")
    network = wish(
        *prior, "encoder-decoder", "--upsampling", "pixel-shuffle", "--set", "joining=addition"
    ).settings.network
    assert network == EncoderDecoder(upsampling="pixel-shuffle", joining="addition")
    with pytest.raises(ValueError, match="upsampling is 'pixel-shuffle'; it must be one of 'bilinear', 'nearest'"):
        wish(*prior, "hourglass", "--upsampling", "pixel-shuffle")


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        (
            "denoise",
            ["--effort", "fast", "--steps", "4"],
            "the method 'nl-ridge' has no setting --steps: leave it out, or choose --method self-distillation or --met",
        ),
        (
            "denoise",
            ["--jitter", "0.1"],
            "'self-distillation' with this network has no setting --jitter: leave it out, or choose --method deep-im",
        ),
        (
            "denoise",
            ["--skip", "4,4", "--channels", "4,4"],
            "has no setting --skip: leave it out, or choose --method deep-image-prior --network hourglass",
        ),
        (
            "denoise",
            ["--method", "nl-ridge", "--network", "unet"],
            "the method 'nl-ridge' has no setting --network: leave it out, or choose --method self-distillation or",
        ),
        ("super-resolve", ["--passes", "4", "--steps", "4"], "no setting --passes: no method has all that was given"),
        ("remove-artifacts", ["--steps", "9"], "'nl-deblocking' has no setting --steps: leave it out, or choose"),
        (
            "denoise",
            ["--network", "hourglass"],
            "network is 'hourglass'; one of unet, plain, encoder-decoder, autoencoder, fcn-32s",
        ),
        ("denoise", ["--method", "dream"], "'denoise' cannot be done by 'dream', .*'self-distillation', 'nl-ridge'"),
        ("denoise", ["--method", "zero-shot-sr"], "'denoise' cannot be done by 'zero-shot-sr': choose 'auto' or one"),
        ("denoise", ["--effort", "vast"], "has no effort 'vast': choose one of fast, balanced, best"),
        ("inpaint", ["--method", "plug-and-play", "--effort", "published"], "'plug-and-play' has no effort 'publis"),
        ("denoise", ["--steps", "0"], "steps is 0; it must lie between 1 and 1e"),
        ("denoise", ["--rate", "nan"], "rate is nan; it must be a number"),
        ("denoise", ["--method", "deep-image-prior", "--effort", "published", "--channels", "8,8"], "per scale"),
    ],
)
def test_settings_that_do_not_go_together_get_one_sentence(command: str, arguments: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence) if ".*" not in sentence else sentence):
        wish(command, *arguments)


@pytest.mark.parametrize("old", ["fast", "paper", "patches"])
def test_presets_are_gone_and_the_sentence_says_what_to_use(refused: Refused, old: str) -> None:
    said = refused("denoise", "in.ome.tif", "out.tif", "--preset", old)
    assert "--preset is gone: --method says how (auto, self-distillation, nl-ridge, deep-image-prior" in said
    assert f"--effort how much time is spent ({', '.join(EFFORTS)}" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: TASK"),
        (["dream"], "invalid choice: 'dream'"),
        (["denoise"], "required: IN, OUT"),
        (["denoise", *FILES, "--dream"], "unrecognized arguments: --dream"),
        (["denoise", *FILES, "--mask", "mask.tif"], "unrecognized arguments: --mask"),
        (["super-resolve", *FILES, "--invert-mask"], "unrecognized arguments: --invert-mask"),
        (["denoise", *FILES, "--isotropic"], "unrecognized arguments: --isotropic"),
        (["remove-artifacts", *FILES, "--guide-dropout", "0.1"], "unrecognized arguments: --guide-dropout"),
        (["remove-artifacts", *FILES, "--set", "guide_dropout=0.1"], "there is no setting 'guide_dropout'"),
        (["denoise", *FILES, "--set", "steps"], "'steps' is not NAME=VALUE"),
        (["denoise", *FILES, "--set", "register=maybe"], "'maybe' is none of yes, true, on, no, false, off"),
        (["denoise", *FILES, "--steps", "many"], "'many' is not a whole number between 1 and 1e+06"),
        (["denoise", *FILES, "--rate", "slow"], "'slow' is not a number between 1e-06 and 1"),
        (["denoise", *FILES, "--gain", "high"], "'high' is not a number of at least 1e-09, or left out"),
        (["denoise", *FILES, "--dtype", "int8"], "invalid choice: 'int8'"),
        (["denoise", *FILES, "--stop", "now"], "'now' is none of held-out, variance, none"),
        (["denoise", *FILES, "--channels", "8;8"], "write, for example, 16, 32, 64"),
    ],
)
def test_a_wrong_command_line_is_explained(capsys: Capture, arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == FAILED
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("deep-prior: ")
    assert said.count("\n") == 1
    assert "usage:" not in said


# Help


def shown(capsys: Capture, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == DONE
    return capsys.readouterr().out


def test_the_help_lists_the_commands(capsys: Capture) -> None:
    said = shown(capsys, "--help")
    assert all(f"\n    {name}" in said for name in (*TASKS, "compare"))


@pytest.mark.parametrize("command", TASKS)
def test_the_help_fits_on_two_screens_and_has_the_everyday_settings(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    lines = shown(capsys, command, "--help").splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) < COLUMNS
    fields = [field for name, field in FIELDS if name == command]
    for field in fields:
        assert any(line.startswith(f"  {option_of(field.name)}") for line in lines) == (not field.about.advanced)
    assert all(option in "\n".join(lines) for option in ("--method", "--effort", "--network", "--help-advanced"))


@pytest.mark.parametrize("command", TASKS)
def test_the_advanced_help_lists_all_settings_by_what_they_belong_to(capsys: Capture, command: str) -> None:
    said = shown(capsys, command, "--help-advanced")
    parts = dict(re.findall(r"^(\S.*):\n((?:[ ].*\n)+)", said, re.MULTILINE))
    for section in sections(TASKS[command]):
        for field in section.fields:
            assert f"  {option_of(field.name)}" in parts[section.title]
    assert f"method {next(iter(methods_of(TASKS[command]())))}" in parts
    assert ("--guide-dropout" in said) == ("guide" in TASKS[command].takes)


def test_only_the_command_that_was_given_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr("napari_deep_prior.cli.restore.add_options", lambda _parser, kind: built.append(kind))
    _parser(["denoise", "in.tif", "out.tif"])
    assert built == [Denoise]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from napari_deep_prior.arrays.axes import channel_position, inner_axes, parse_axes, spatial_axes, stack_axes

ALL_AXES = some.permutations("YXZTCSP").flatmap(
    lambda letters: some.integers(2, 7).map(lambda count: "".join(letters[:count]))
)
"""Strings of axis letters, allowed or not."""


@given(axes=ALL_AXES, lower=some.booleans())
def test_letters_are_taken_as_given_exactly_if_they_have_a_plane_and_one_kind_of_channels(
    axes: str, *, lower: bool
) -> None:
    shape = tuple(range(2, 2 + len(axes)))
    written = f" {axes.lower()} " if lower else axes
    if {"Y", "X"} <= set(axes) and not {"C", "S"} <= set(axes):
        assert parse_axes(written, shape) == axes
    else:
        with pytest.raises(ValueError, match=r"has no [YX]|both channels"):
            parse_axes(written, shape)


@given(axes=ALL_AXES, volume=some.booleans())
def test_every_axis_is_a_stack_axis_a_spatial_axis_of_a_slice_or_the_channels(axes: str, *, volume: bool) -> None:
    stacked, spatial, channel = stack_axes(axes, volume=volume), spatial_axes(axes), channel_position(axes)
    assert set(stacked) <= set(spatial) == set(axes) - {"C", "S"}
    assert set(spatial) - set(stacked) <= set("ZYX" if volume else "YX")
    assert channel is None if spatial == axes else axes[channel] in "CS"
    assert set(inner_axes(axes)[2]) <= set(inner_axes(axes)[1]) <= set(inner_axes(axes)[0]) == set(spatial)


@given(shape=some.lists(some.integers(1, 12), min_size=2, max_size=7).map(tuple))
def test_a_guess_is_always_allowed_or_refused_with_the_remedy(shape: tuple[int, ...]) -> None:
    try:
        axes = parse_axes(None, shape)
    except ValueError as error:
        assert "name them, for example axes='PTCZYX'" in str(error)  # noqa: PT017  (either outcome is right)
        assert len(shape) > 4
    else:
        assert parse_axes(axes, shape) == axes
        assert "S" not in axes or shape[-1] in (3, 4)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((5, 7), "YX"),
        ((5, 7, 9), "ZYX"),
        ((2, 5, 7, 9), "TZYX"),
        ((2, 2, 5, 7, 9), "TCZYX"),
        ((5, 7, 3), "YXS"),
        ((5, 7, 4), "YXS"),
        ((5, 7, 2), "ZYX"),
        ((9, 5, 7, 3), "ZYXS"),
        ((9, 4, 4, 3), "TZYX"),
        ((2, 8, 8, 8, 3), "TZYXS"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape: tuple[int, ...], axes: str) -> None:
    assert parse_axes(None, shape) == axes


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("ZYX", (5, 7), "names 3 axes, but the image has 2, of lengths 5 × 7"),
        ("", (5, 7), "names 0 axes"),
        ("YY", (5, 7), "different letters"),
        ("Y1", (5, 7), "different letters"),
        ("ZY", (5, 7), "has no X"),
        ("ZT", (5, 7), "no Y and no X"),
        ("CYXS", (2, 5, 7, 3), "channels.*colour"),
        (None, (5,), "at least the two axes"),
        (None, (), "at least the two axes"),
        (None, (2,) * 6, "has 6 axes; name them"),
        (None, (2, 2, 8, 8, 8, 3), "has 6 axes; name them"),
        ("YX", (5,), "at least the two axes"),
    ],
)
def test_wrong_axes_are_refused_with_a_sentence(axes: str | None, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_axes(axes, shape)


def test_the_plane_or_volume_is_no_stack() -> None:
    assert stack_axes("TCZYX", volume=False) == "TZ"
    assert stack_axes("TCZYX", volume=True) == "T"
    assert stack_axes("YXS", volume=False) == ""

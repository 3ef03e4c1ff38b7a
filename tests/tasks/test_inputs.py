"""What may be given besides the image: one table, of which every row is checked, and the tasks that take it."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import numpy as np
import pytest

from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.physics.kernels import Area, SampledKernel
from napari_deep_prior.tasks import TASKS, Denoise, Guided, Inpaint, RemoveArtifacts, SuperResolve, Task, refuse_inputs
from napari_deep_prior.tasks.guides import Guides
from napari_deep_prior.tasks.inputs import INPUTS, GivenInputs, Inputs, Target, check_inputs, is_given

TARGET = Target(axes="PYX", shape=(2, 6, 7), enlarged=(2, 6, 7))
PLANE = np.random.default_rng(0).random((6, 7))
TABLES = tables_of_quality(20, colour=False)


def test_the_table_the_keywords_and_the_checked_inputs_have_the_same_names() -> None:
    names = set(INPUTS)
    assert names == set(get_type_hints(GivenInputs)) == {field.name for field in dataclasses.fields(Inputs)}
    taken = {name for kind in TASKS.values() for name in kind.takes}
    assert taken == names
    for name, kind in TASKS.items():
        assert kind.needs <= kind.takes, name


def test_every_row_has_words_for_people() -> None:
    for name, row in INPUTS.items():
        assert row.label, name
        assert row.help, name
        assert row.metavar.isupper(), name


# Checks


def test_a_mask_is_spread_over_the_image_as_bool() -> None:
    mask = np.zeros((6, 7), np.uint8)
    mask[2, 3] = 200
    found = check_inputs({"mask": mask.tolist()}, TARGET).mask
    assert (found.shape, found.dtype) == ((2, 6, 7), bool)
    assert np.argwhere(found).tolist() == [[0, 2, 3], [1, 2, 3]]


def test_an_image_of_a_kernel_becomes_a_kernel_and_a_kernel_stays() -> None:
    image = [[1.0, 2.0], [3.0, 4.0]]
    found = check_inputs({"kernel": image}, TARGET).kernel
    assert isinstance(found, SampledKernel)
    np.testing.assert_allclose(found.values, np.asarray(image) / 10)
    area = Area()
    assert check_inputs({"kernel": area}, TARGET).kernel is area


@pytest.mark.parametrize(("guide", "channels"), [(PLANE, 1), ([PLANE, PLANE.T.copy().T + 1], 2), ((PLANE,), 1)])
def test_one_guide_or_several_are_put_together(guide: Any, channels: int) -> None:
    found = check_inputs({"guide": guide}, TARGET).guide
    assert isinstance(found, Guides)
    assert found.channels == channels


def test_tables_of_a_jpeg_stay_as_they_are() -> None:
    assert check_inputs({"jpeg": TABLES}, TARGET).jpeg is TABLES


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": np.ones((6, 7))}, "the mask covers everything"),
        ({"mask": np.ones((3, 3))}, r"the mask has shape \(3, 3\); the image's is \(2, 6, 7\)"),
        ({"kernel": np.zeros((3, 3))}, "kernel"),
        ({"guide": np.ones((6, 7))}, "the guide shows nothing, all of its pixels are equal"),
        ({"guide": [PLANE, PLANE[:5]]}, r"the guide has shape \(5, 7\); the image's is \(2, 6, 7\)"),
    ],
)
def test_every_row_is_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_inputs(given, TARGET)


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_nothing_is_no_input(nothing: Any) -> None:
    assert not is_given(nothing)
    assert check_inputs(dict.fromkeys(INPUTS, nothing), TARGET).guide is None
    refuse_inputs(Denoise(), dict.fromkeys(INPUTS, nothing))


def test_an_array_is_given_whatever_is_in_it() -> None:
    assert is_given(np.zeros(0))
    assert is_given(PLANE)


# Which task takes what


@pytest.mark.parametrize(
    ("task", "name", "able"),
    [
        (Denoise(), "mask", "'inpaint'"),
        (Denoise(), "kernel", "'super-resolve'"),
        (Denoise(), "jpeg", "'remove-artifacts'"),
        (Inpaint(), "kernel", "'super-resolve'"),
        (SuperResolve(), "mask", "'inpaint'"),
        (RemoveArtifacts(), "guide", "'denoise' or 'inpaint' or 'super-resolve' or 'guide'"),
    ],
)
def test_what_a_task_does_not_take_is_refused_with_the_tasks_that_take_it(task: Task, name: str, able: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the whole sentence is compared)
        refuse_inputs(task, {name: PLANE})
    said = f"{name} was given, but {task.command!r} does not take it: leave it out, or choose {able}"
    assert str(caught.value) == said


def test_what_a_task_takes_is_not_refused() -> None:
    for kind in TASKS.values():
        refuse_inputs(kind(), dict.fromkeys(kind.takes, PLANE))


def test_what_a_task_needs_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"^'guide' needs a guide, and none was given: give one, or choose 'denoise'$"):
        refuse_inputs(Guided(), {"guide": []})

"""The identity of a result: the same for the same input, settings and version, and else another one."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep_prior.files.lazy_pixels import LazyPixels
from napari_deep_prior.physics.jpeg import tables_of_quality
from napari_deep_prior.runs.identity import identity
from napari_deep_prior.runs.recommend import Wish
from napari_deep_prior.runs.restoration import Restoration
from napari_deep_prior.runs.run_options import RunOptions
from napari_deep_prior.runs.setup import Setup, set_up
from napari_deep_prior.tasks import Denoise, Inpaint, SuperResolve

from .toys import dimming

PIXELS = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


@dataclass(frozen=True)
class Other:
    name: str
    value: object


@dataclass(frozen=True)
class Another:
    name: str
    value: object


VALUES = [
    None, True, 1, 1.0, "1", b"1", "", [], {}, [1, 2], [[1], 2], ["1, 2"], {"a": 1}, {"a": "1"}, {"b": 1}, float("nan"),
    PIXELS, PIXELS.astype(np.int16), PIXELS.reshape(3, 2, 4), PIXELS.transpose(0, 2, 1), PIXELS + 1, PIXELS[0],
    Other("a", 1), Another("a", 1), Other("a", 2), Other("", "a1"), tables_of_quality(50, colour=True),
    tables_of_quality(51, colour=True), "\udcff",
]  # fmt: skip


def test_different_values_have_different_identities_and_equal_ones_the_same() -> None:
    found = [identity(value) for value in VALUES]
    for (one, first), (other, second) in itertools.combinations(zip(found, VALUES, strict=True), 2):
        assert one != other, f"{first!r} and {second!r}"
    assert identity("ab") != identity("a", "b")
    assert identity((1, {"b": 2, "a": 3})) == identity([1, {"a": 3, "b": 2}])


def test_the_identity_of_pixels_does_not_depend_on_how_they_lie_in_memory() -> None:
    turned = np.asfortranarray(PIXELS)
    assert turned.strides != PIXELS.strides
    assert identity(turned) == identity(PIXELS)
    assert identity(PIXELS[:, ::-1][:, ::-1]) == identity(PIXELS)


def test_it_is_the_same_in_any_process_and_on_any_computer() -> None:
    assert identity("a", {"b": 1.5}, np.array([1, 2], "<u2")) == "9a0e3418085616748e74172c6fd3e3c0"


def test_what_has_no_identity_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no identity"):
        identity({1, 2})


def setup(**changes: Any) -> Setup:
    given = {"task": SuperResolve(), "wish": Wish(), "given": {}, "source": "a file", "dtype": "same"} | changes
    image = np.random.default_rng(0).normal(100, 9, (16, 16)).astype(np.float32)
    options = RunOptions(device="cpu", source=given["source"], dtype=given["dtype"])
    return set_up(image, given["task"], given["wish"], given["given"], options)


def test_everything_that_changes_a_result_changes_its_identity() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"source": "another file"},
        {"task": SuperResolve(factor=3)},
        {"task": Denoise()},
        {"wish": Wish(effort="best")},
        {"wish": Wish(method="deep-image-prior")},
        {"given": {"kernel": np.ones((3, 3))}},
        {"given": {"kernel": np.ones((5, 5))}},
        {"dtype": "float32"},
        {"task": Inpaint(), "given": {"mask": np.eye(16) > 0}},
        {"task": Inpaint(), "given": {"mask": np.eye(16) < 1}},
    ]
    found = [setup(**change).identity for change in changes]
    assert len(set(found)) == len(found)
    assert setup().identity == found[0]
    # What was read from no file has no identity.
    assert setup(source="").identity == ""


def test_only_a_finished_result_carries_its_identity() -> None:
    ready = setup(task=Denoise(), wish=Wish(method="dimming", settings=dimming()))
    with Restoration(ready) as stopped:
        next(stopped)
    assert stopped.record.identity == ""
    with Restoration(ready) as finished:
        assert [step.number for step in finished] == [1, 2]
    assert finished.record.identity == ready.identity != ""


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS.transpose(0, 2, 1), PIXELS[0], PIXELS[None]])
def test_an_array_in_a_file_has_the_identity_of_the_same_one_in_memory(tmp_path: Path, pixels: np.ndarray) -> None:
    indices = []

    def read(index: tuple[int | slice, ...]) -> np.ndarray:
        indices.append(index)
        return pixels[index]

    (tmp_path / "in.tif").touch()
    lazy = LazyPixels(tmp_path / "in.tif", pixels.shape, pixels.dtype, read)
    assert identity(lazy) == identity(pixels)
    # Plane by plane: it may not fit into the memory.
    assert len(indices) == math.prod(pixels.shape[:-2])

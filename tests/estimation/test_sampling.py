"""Windows of stacks: which of them are looked at, and how much is read for that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.estimation.sampling import MOST_WINDOWS, WINDOW, Window, lit_windows, windows_of

from ..runs.toys import Counting

CAMERA = Camera()
SCENE = cells((32, 32))


def exposed(*lights: float, seed: int = 0) -> np.ndarray:
    """Return planes of one scene in light of several strengths."""
    generator = np.random.default_rng(seed)
    return np.stack([CAMERA.expose(light * SCENE, generator) for light in lights])


def places(windows: list[Window], letter: str = "Z") -> list[int]:
    return [window.place[letter] for window in windows]


def test_a_single_plane_in_memory_is_one_window() -> None:
    plane = np.arange(2 * WINDOW * 9).reshape(-1, 9)
    ((window,),) = windows_of(plane, "YX")
    np.testing.assert_array_equal(window.values, plane)
    ((window,),) = windows_of(plane[None], "TYX")
    np.testing.assert_array_equal(window.values, plane)


@settings(max_examples=10)
@given(lit=st.integers(0, 39))
def test_the_only_lit_slice_of_many_is_found_wherever_it_is(lit: int) -> None:
    planes = np.zeros((40, 12, 12), np.uint16)
    planes[lit] = np.random.default_rng(0).poisson(50, (12, 12))
    (windows,) = windows_of(planes, "ZYX")
    assert places(windows) == [lit]
    # And among dark slices that are not quite empty.
    planes += np.random.default_rng(1).integers(0, 3, planes.shape).astype(np.uint16)
    (windows,) = windows_of(planes, "ZYX")
    assert lit in places(windows)
    assert places(lit_windows(windows)) == [lit]
    assert len(windows) == 2


def test_of_slices_that_are_all_lit_the_brightest_and_every_other_brightness_are_taken() -> None:
    (windows,) = windows_of(exposed(*np.linspace(1, 0.2, 40)), "ZYX")
    assert len(windows) == MOST_WINDOWS
    assert places(windows)[: MOST_WINDOWS // 2] == list(range(MOST_WINDOWS // 2))
    assert places(windows)[-1] == 39


def test_a_slice_that_is_saturated_tells_nothing_as_long_as_there_are_others() -> None:
    planes = exposed(1, 1, 1)
    planes[1] = 65535
    planes[1, 0] = np.arange(32)
    assert places(windows_of(planes, "ZYX")[0]) == [0, 2]
    assert places(windows_of(planes[1:2].repeat(2, 0), "ZYX")[0]) == [0, 1]


def test_each_channel_has_windows_where_it_is_lit() -> None:
    planes = np.zeros((4, 2, 32, 32), np.uint16)
    planes[1, 0] = planes[3, 1] = exposed(1)[0]
    first, second = windows_of(planes, "ZCYX")
    assert (places(first), places(second)) == ([1], [3])
    first, second = windows_of(planes.transpose(2, 1, 3, 0), "YCXZ")
    assert (places(first), places(second)) == ([1], [3])
    np.testing.assert_array_equal(first[0].values, planes[1, 0])


def test_opacity_is_no_channel() -> None:
    assert [len(windows_of(np.ones((2, 9, 9, samples)), "TYXS")) for samples in (2, 3, 4)] == [1, 3, 3]


@pytest.mark.parametrize(
    ("shape", "axes", "most"),
    [
        ((200, 20, 20), "ZYX", MOST_WINDOWS * 20 * 20),
        ((200, 20, 20), "TYX", MOST_WINDOWS * 20 * 20),
        ((50, 3, 40, 20, 20), "TCZYX", 3 * MOST_WINDOWS * 20 * 20),
        ((3, 5 * WINDOW, 2 * WINDOW), "ZYX", MOST_WINDOWS * WINDOW**2),
        ((7 * WINDOW, 7 * WINDOW), "YX", MOST_WINDOWS * WINDOW**2),
    ],
)
def test_of_a_lazy_array_no_more_is_read_than_some_windows(shape: tuple[int, ...], axes: str, most: int) -> None:
    lazy = Counting(np.broadcast_to(np.uint16(7), shape))
    windows_of(lazy, axes)
    assert 0 < lazy.count <= most


def test_the_windows_of_a_lazy_array_come_from_all_of_it() -> None:
    planes = exposed(*[1] * 40)
    (windows,) = windows_of(Counting(planes), "ZYX")
    assert len(windows) == MOST_WINDOWS
    assert places(windows)[0] == 0
    assert places(windows)[-1] == 39
    for window in windows:
        np.testing.assert_array_equal(window.values, planes[window.place["Z"]])


@pytest.mark.parametrize(("axes", "place"), [("TYX", 0), ("YXT", 2)])
def test_along_time_a_window_has_two_frames(axes: str, place: int) -> None:
    frames = exposed(1, 1, 1, 1)
    (windows,) = windows_of(np.moveaxis(frames, 0, place), axes)
    assert places(windows, "T") == [0, 1, 2]
    np.testing.assert_array_equal(windows[1].values, frames[1:3])


def test_frames_between_which_the_light_is_switched_on_are_not_compared() -> None:
    frames = exposed(0, 0, 1, 1)
    (windows,) = windows_of(frames, "TYX")
    assert 2 in places(windows, "T")
    assert 1 not in places(windows, "T")
    # Where no bright frame has a bright neighbour, single ones have to do.
    (windows,) = windows_of(frames[:3], "TYX")
    assert {window.values.ndim for window in windows} == {2}
    assert any((window.values == frames[2]).all() for window in windows)


def test_what_is_masked_or_not_finite_was_not_measured() -> None:
    planes = exposed(1, 1).astype(np.float32)
    planes[0, 3, 4] = np.inf
    mask = np.zeros(planes.shape, bool)
    mask[1, 5:9] = True
    first, second = windows_of(planes, "ZYX", mask)[0]
    assert np.argwhere(np.isnan(first.values)).tolist() == [[3, 4]]
    np.testing.assert_array_equal(np.isnan(second.values), mask[1])
    assert windows_of(np.full((2, 9, 9), np.nan), "ZYX")[0][0].known.size == 0

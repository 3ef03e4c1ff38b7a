"""Channels that are chosen by number or name: with their names and planes, lazy or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep_prior.files.channels import chosen_channels, taken, with_channels
from napari_deep_prior.files.image_file import ImageFile
from napari_deep_prior.files.lazy_pixels import LazyPixels

NAMED = ({"Name": "DAPI", "Color": "65535"}, {"Name": "GFP"}, {"Name": "Cy5"})


@pytest.mark.parametrize(
    ("text", "numbers"), [("0,2", (0, 2)), ("2, 0", (0, 2)), ("gfp", (1,)), ("Cy5,0", (0, 2)), ("0,1,2", (0, 1, 2))]
)
def test_channels_are_chosen_by_number_or_name_in_any_order(text: str, numbers: tuple[int, ...]) -> None:
    assert chosen_channels(text, NAMED, 3) == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "there is no channel '3': give numbers, counted from 0, or names, of 0 (DAPI), 1 (GFP), 2 (Cy5)"),
        ("-1", "there is no channel '-1'"),
        ("RFP", "there is no channel 'RFP'"),
        ("0,", "there is no channel ''"),
        ("0,dapi", "name one of them twice"),
    ],
)
def test_what_is_no_channel_is_named_with_those_that_there_are(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"channel") as caught:
        chosen_channels(text, NAMED, 3)
    assert words in str(caught.value)


def test_a_name_of_several_channels_chooses_none() -> None:
    with pytest.raises(
        ValueError, match="2 channels are called 'GFP': give their numbers, of 0 \\(GFP\\), 1 \\(gfp\\)"
    ):
        chosen_channels("GFP", ({"Name": "GFP"}, {"Name": "gfp"}), 2)


def test_an_image_keeps_what_is_known_of_the_channels_that_are_taken() -> None:
    pixels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    planes = {
        f"{frame} 0 {channel}": {"ExposureTime": f"{frame}{channel}"} for frame in (0, 1) for channel in (0, 1, 2)
    }
    file = with_channels(ImageFile(pixels=pixels, axes="TCYX", channels=NAMED, planes=planes), "Cy5,0")
    np.testing.assert_array_equal(file.pixels, pixels[:, [0, 2]])
    assert [each["Name"] for each in file.channels] == ["DAPI", "Cy5"]
    assert file.planes == {
        "0 0 0": {"ExposureTime": "00"}, "0 0 1": {"ExposureTime": "02"},
        "1 0 0": {"ExposureTime": "10"}, "1 0 1": {"ExposureTime": "12"},
    }  # fmt: skip
    assert file.remarks == ("of its 3 channels, 0 (DAPI), 2 (Cy5) were taken; left out: 1 (GFP)",)


def test_an_image_without_channels_has_none_to_choose_from() -> None:
    with pytest.raises(ValueError, match="its axes are ZYX: name them with --axes, with C for channels"):
        with_channels(ImageFile(pixels=np.zeros((2, 3, 4)), axes="ZYX"), "0")


@pytest.mark.parametrize("numbers", [(1,), (0, 3), (1, 2), (0, 1, 3)])
@pytest.mark.parametrize("axis", [0, 2])
def test_lazy_pixels_are_those_of_the_same_channels_in_memory(
    tmp_path: Path, numbers: tuple[int, ...], axis: int
) -> None:
    pixels = np.moveaxis(np.arange(4 * 3 * 5 * 6).reshape(4, 3, 5, 6), 0, axis)
    read: list[object] = []

    def part(index: tuple[int | slice, ...]) -> np.ndarray:
        read.append(index[axis])
        return pixels[index]

    lazy = taken(LazyPixels(tmp_path, pixels.shape, pixels.dtype, part), axis, numbers)
    expected = np.take(pixels, numbers, axis)
    assert (lazy.shape, read) == (expected.shape, [])
    for index in ((), (0,), (0, slice(1, 3)), (slice(None), 1), (slice(None), slice(None), 0), (slice(0, 1), 1, 0, 2)):
        np.testing.assert_array_equal(lazy[index], expected[index])
    assert set(read) <= set(numbers)

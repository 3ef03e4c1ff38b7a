"""Damaged files: every reader says one sentence, and nothing that is missing goes unsaid."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deep_prior.files import images
from napari_deep_prior.files.jpeg import read_tables
from napari_deep_prior.files.kernels import read_kernel

from .damage import DAMAGES, damaged_files, valid_files

READERS: tuple[Callable[[Path], Any], ...] = (images.read, read_kernel, read_tables)
STACK = np.random.default_rng(0).integers(0, 2000, (6, 13, 17)).astype(np.uint16)
MISSING = ("cut off", "damaged")
"""Words of a remark that something is missing."""


def refusal(reader: Callable[[Path], Any], path: Path) -> str | None:
    """Return the sentence with which a file is refused, None if it is read."""
    try:
        reader(path)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", valid_files())
def test_the_files_are_valid_before_they_are_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(valid_files()[name])
    if name.startswith("kernel"):
        np.testing.assert_array_equal(read_kernel(path), np.eye(5))
    else:
        image = images.read(path)
        assert image.pixels.shape[image.axes.index("Y")] in (13, 17)
        assert not any(word in remark for remark in image.remarks for word in MISSING)


def test_a_damaged_file_is_read_or_refused_with_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = read = 0
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        for path in damaged_files(tmp_path, count=len(valid_files()) * len(DAMAGES) * 6, seed=0):
            for reader in READERS:
                sentence = refusal(reader, path)
                assert sentence is None or sentence.startswith(f"cannot read {str(path)!r} as ")
                assert "\n" not in (sentence or "")
                refused, read = refused + (sentence is not None), read + (sentence is None)
    assert min(refused, read) > 100
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert not warned
    assert capfd.readouterr() == ("", "")


def test_an_empty_file_and_a_link_to_nothing_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").write_bytes(b"")
    assert str(refusal(images.read, tmp_path / "empty.tif")).endswith("as an image: it is damaged, the file is empty")
    for name, target in (("dead.tif", "gone.tif"), ("loop.tif", "loop.tif")):
        (tmp_path / name).symlink_to(target)
        assert "the link of that name leads to none" in str(refusal(images.read, tmp_path / name))


def written(path: Path, kind: str) -> Path:
    """Write the stack in one of several ways in which the planes of a TIFF lie in it."""
    if kind == "imagej":
        tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TYX"})
    elif kind == "hyperstack":
        tifffile.imwrite(path, STACK.reshape(3, 2, 13, 17), imagej=True, metadata={"axes": "TCYX"})
    elif kind == "plain":
        tifffile.imwrite(path, STACK, photometric="minisblack")
    elif kind == "truncated":
        tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"truncate": True})
    elif kind == "ome":
        tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "ZYX"})
    else:
        first, *others = map(Image.fromarray, STACK)
        first.save(path, save_all=True, append_images=others)
    return path


@pytest.mark.parametrize("kind", ["imagej", "hyperstack", "plain", "truncated", "ome", "pages"])
def test_a_stack_that_was_cut_off_anywhere_is_refused_or_it_is_said(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "a.tif", kind)
    whole, content = images.read(path).pixels, path.read_bytes()
    outcomes = set()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        if sentence := refusal(images.read, path):
            assert sentence.startswith("cannot read")
            outcomes.add("refused")
            continue
        image = images.read(path)
        if image.pixels.shape == whole.shape and np.array_equal(image.pixels, whole):
            outcomes.add("complete")
        else:
            assert any(word in remark for remark in image.remarks for word in MISSING), (length, image.remarks)
            outcomes.add("said")
    assert "refused" in outcomes


def keep_planes(path: Path, count: float) -> None:
    """Cut a file off after some of its planes."""
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.dataoffsets[0]
    path.write_bytes(path.read_bytes()[: start + int(count * STACK[0].nbytes)])


def test_of_an_imagej_stack_that_was_cut_off_the_complete_planes_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "imagej")
    keep_planes(path, 3.5)
    image = images.read(path)
    np.testing.assert_array_equal(image.pixels, STACK[:3])
    assert image.axes == "TYX"
    assert "it was cut off: of 6 planes that it tells of, the 3 that are there were read" in image.remarks


def test_of_a_stack_that_was_cut_off_early_the_first_plane_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "imagej")
    keep_planes(path, 1.5)
    image = images.read(path)
    np.testing.assert_array_equal(np.squeeze(image.pixels), STACK[0])
    assert "it was cut off: of 6 planes that it tells of, only the first one was read" in image.remarks


def test_an_ome_tiff_that_was_cut_off_says_so_without_the_words_of_a_programmer(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ome.tif", "ome")
    content = path.read_bytes()
    for share in (0.4, 0.7, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        said = refusal(images.read, path) or "; ".join(images.read(path).remarks)
        assert said
        assert not any(word in said for word in ("raised", "Error(", "<Tiff", "<tiff"))


def test_an_imagej_stack_that_counts_its_images_only_is_complete(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], description="ImageJ=1.54f\nimages=6\n", metadata=None)
    with (tmp_path / "a.tif").open("ab") as file:
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            file.truncate(tiff.pages.first.dataoffsets[0])
        file.write(STACK.tobytes())
    image = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, STACK)
    assert not any("cut off" in remark for remark in image.remarks)


def test_of_a_hyperstack_that_was_cut_off_the_complete_times_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "hyperstack")
    keep_planes(path, 5.5)
    image = images.read(path)
    np.testing.assert_array_equal(image.pixels, STACK.reshape(3, 2, 13, 17)[:2])
    assert image.axes == "TCYX"


def test_a_set_of_files_of_which_one_is_missing_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX"})
    content = (tmp_path / "a.ome.tif").read_bytes()
    here, there = b'<TiffData IFD="0" PlaneCount="6"/>', b'<TiffData IFD="0" PlaneCount="9"/>'
    (tmp_path / "a.ome.tif").write_bytes(content.replace(here, there).replace(b'SizeZ="6"', b'SizeZ="9"'))
    with pytest.raises(ValueError, match="3 of its 9 planes are missing: put all files of the set into one folder"):
        images.read(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("text", ["images=abc", "slices=abc", "images=-3", "frames=1e999", "channels=true"])
def test_an_imagej_description_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], description=f"ImageJ=1.54f\n{text}\n", metadata=None)
    with pytest.raises(ValueError, match="cannot read"):
        images.read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("code", "value"), [(256, 0), (257, 0), (258, 0), (277, 0), (256, 2**30), (257, 2**30), (278, 0), (262, 99)]
)
def test_a_tiff_whose_tags_make_no_sense_is_refused(tmp_path: Path, code: int, value: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0])
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[code].overwrite(value, dtype="I")
    if sentence := refusal(images.read, path):
        assert sentence.startswith("cannot read")
    else:
        np.testing.assert_array_equal(images.read(path).pixels, STACK[0])


def test_pixels_that_are_not_stored_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], rowsperstrip=5, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = tiff.pages.first.tags["StripByteCounts"]
        counts.overwrite((*counts.value[:-1], 0))
        offsets = tiff.pages.first.tags["StripOffsets"]
        offsets.overwrite((*offsets.value[:-1], 0))
    assert "1 of its 3 parts are not stored: they were read as 0" in images.read(path).remarks


@pytest.mark.parametrize("back_to", [0, 1, 2])
@pytest.mark.parametrize("lazily", [False, True])
def test_pages_that_go_round_in_a_circle_are_read_once_which_is_said(
    tmp_path: Path, back_to: int, lazily: bool
) -> None:
    file, planes = tmp_path / "circle.tif", np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    tifffile.imwrite(file, planes, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(file) as tiff:
        offsets = [page.offset for page in tiff.pages]
    # After the number of its tags and twelve bytes for each of them, a page says where the next one is.
    content = bytearray(file.read_bytes())
    last = offsets[-1]
    place = last + 2 + 12 * int.from_bytes(content[last : last + 2], "little")
    assert content[place : place + 4] == bytes(4)
    content[place : place + 4] = offsets[back_to].to_bytes(4, "little")
    file.write_bytes(content)
    image = images.read(file, lazily=lazily)
    # Of pages that lead back to an earlier one some are left out.
    pixels = np.asarray(image.pixels).reshape(-1, 8, 9)
    np.testing.assert_array_equal(pixels, planes[: len(pixels)])
    assert any(word in remark for remark in image.remarks for word in MISSING)

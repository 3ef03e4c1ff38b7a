"""All files of a command are looked at before the first byte is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.files import images

from .conftest import FEW, Capture, Refused

FAST = ["--effort", "fast", "--device", "cpu"]
WINDOWS = sys.platform == "win32"


@pytest.fixture
def names(folder: Path) -> Path:
    """A folder in which in.ome.tif has several names, and in which other inputs are."""
    tifffile.imwrite("mask.tif", np.eye(21, 17, dtype=np.uint8))
    tifffile.imwrite("kernel.tif", np.ones((3, 3), np.float32))
    tifffile.imwrite("guide.tif", images.read("in.ome.tif").pixels)
    (folder / "hard.tif").hardlink_to("in.ome.tif")
    if not WINDOWS:
        (folder / "link.tif").symlink_to("in.ome.tif")
        (folder / "future.tif").symlink_to("new.tif")
    return folder


@pytest.mark.skipif(WINDOWS, reason="links need rights there")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["denoise", "in.ome.tif", "in.ome.tif"],
            "input and output are the same file 'in.ome.tif': the original would",
        ),
        (["denoise", "in.ome.tif", "./in.ome.tif"], "are the same file 'in.ome.tif' = './in.ome.tif'"),
        (["denoise", "in.ome.tif", "hard.tif"], "input and output are the same file 'in.ome.tif' = 'hard.tif'"),
        (["denoise", "in.ome.tif", "link.tif"], "input and output are the same file 'in.ome.tif' = 'link.tif'"),
        (["denoise", "link.tif", "in.ome.tif"], "input and output are the same file"),
        (["denoise", "in.ome.tif", "o.tif", "--residual", "in.ome.tif"], "input and residual are the same file"),
        (["denoise", "in.ome.tif", "o.tif", "--uncertainty", "hard.tif"], "input and uncertainty are the same file"),
        (["denoise", "in.ome.tif", "truth.tif", "--reference", "truth.tif"], "reference and output are the same file"),
        (["inpaint", "in.ome.tif", "mask.tif", "--mask", "mask.tif"], "mask and output are the same file"),
        (["super-resolve", "in.ome.tif", "kernel.tif", "--kernel", "kernel.tif"], "kernel and output are the same"),
        (["guide", "in.ome.tif", "guide.tif", "--guide", "truth.tif", "--guide", "guide.tif"], "guide and output are"),
        (["remove-artifacts", "in.ome.tif", "truth.tif", "--jpeg", "truth.tif"], "jpeg and output are the same file"),
        (
            ["denoise", "in.ome.tif", "o.tif", "--residual", "o.tif"],
            "output and residual are the same file 'o.tif': the",
        ),
        (["denoise", "in.ome.tif", "o.tif", "--residual", "./O.TIF"], "output and residual are the same file"),
        (["denoise", "in.ome.tif", "é.tif", "--residual", "e\u0301.tif"], "output and residual are the same file"),
        (["denoise", "in.ome.tif", "future.tif", "--residual", "new.tif"], "output and residual are the same file"),
        (
            ["denoise", "in.ome.tif", "o.tif", "--residual", "r.tif", "--uncertainty", "R.tif"],
            "residual and uncertainty are the same file 'r.tif' = 'R.tif': the uncertainty would replace the other",
        ),
    ],
)
def test_no_output_is_another_file_of_the_command_by_any_name(
    names: Path, refused: Refused, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(*arguments, "--overwrite")


def test_inputs_may_be_one_file(folder: Path) -> None:
    assert main(["denoise", "in.ome.tif", "out.tif", *FAST, "--reference", "in.ome.tif"]) == DONE


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["", "out.tif"], "IN is empty: give a value, or leave it out"),
        (["in.ome.tif", ""], "OUT is empty: give a value, or leave it out"),
        (["in.ome.tif", "out.tif", "--residual", ""], "--residual is empty"),
        (["in.ome.tif", "out.tif", "--reference", ""], "--reference is empty"),
        (["in.ome.tif", "out.tif", "--axes", ""], "--axes is empty"),
        (["in.ome.tif", "out.tif", "--spacing", ""], "--spacing is empty"),
        (["in.ome.tif", "out.tif", "--effort", ""], "--effort is empty"),
        (
            ["in.ome.tif", "out.tif", "--residual", "r.png"],
            "--residual is 'r.png'; its values are fractions, which need",
        ),
        (["in.ome.tif", "out.tif", "--uncertainty", "u.PNG", "--members", "2"], "--uncertainty is 'u.PNG'; its values"),
        (
            ["in.ome.tif", "out.tif", "--uncertainty", "u.tif"],
            "no uncertainty to write: choose a method with --members",
        ),
        (["in.ome.tif", "out.tif", "--residual", "none/r.tif"], "there is no folder"),
        (["in.ome.tif", f"{'n' * 252}.tif"], "nnn.tif': File name too long"),
        (["in.ome.tif", "out.tif", "--residual", f"{'n' * 252}.tif"], "nnn.tif': File name too long"),
        (["in.ome.tif", "truth.tif/out.tif"], "Not a directory"),
    ],
)
@pytest.mark.skipif(WINDOWS, reason="the system's words are others there")
def test_an_output_that_cannot_be_written_is_refused_before_the_run(
    refused: Refused, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused("denoise", *arguments)


def test_the_longest_name_that_a_file_can_have_is_written(folder: Path) -> None:
    name = "n" * (os.pathconf(".", "PC_NAME_MAX") - 4 if hasattr(os, "pathconf") else 100) + ".tif"
    assert main(["denoise", "in.ome.tif", name, *FAST]) == DONE
    assert images.read(name).pixels.shape == (21, 17)


def test_an_output_only_replaces_an_output_of_its_kind(folder: Path, capsys: Capture) -> None:
    command = ["denoise", "in.ome.tif", "out.tif", *FEW, "--members", "2"]
    checks = ["--residual", "residual.tif", "--uncertainty", "uncertainty.tif"]
    assert main([*command, *checks]) == DONE
    before = {path: path.read_bytes() for path in folder.iterdir()}
    Path("photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a JPEG")
    Path("photo.jpg").rename("photo.tif")
    for arguments, sentence in (
        (
            ["out.tif", "--residual", "uncertainty.tif"],
            "'uncertainty.tif' is an uncertainty; the residual only replaces",
        ),
        (["residual.tif"], "'residual.tif' is a residual; the output only replaces a TIFF image"),
        (["new.tif", "--residual", "out.tif"], "'out.tif' is a TIFF; the residual only replaces an older residual"),
        (
            ["new.tif", "--uncertainty", "truth.tif"],
            "'truth.tif' is a TIFF; the uncertainty only replaces an older unc",
        ),
        (["photo.tif"], "'photo.tif' is a JPEG; the output only replaces a TIFF image: choose another name"),
    ):
        assert main(["denoise", "in.ome.tif", *arguments, *FEW, "--overwrite"]) == FAILED
        assert sentence in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert main([*command, *checks, "--overwrite", "--seed", "5"]) == DONE
    assert all(Path(name).read_bytes() != before[folder / name] for name in ("out.tif", *checks[1::2]))

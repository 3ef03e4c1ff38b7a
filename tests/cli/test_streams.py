"""Streams that cannot be written to never cost the result."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.cli.streams import calm_streams
from napari_deep_prior.files import images

from .conftest import FEW, Capture

COMMAND = ["denoise", "in.ome.tif", "out.tif", *FEW, "--reference", "truth.tif"]


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def pipe_without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full elsewhere")
@pytest.mark.parametrize("unusable", [full_disk, pipe_without_reader])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_stream_that_fails_does_not_cost_the_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, unusable: Callable[[], int], encoding: str
) -> None:
    streams = [os.fdopen(unusable(), "w", encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(COMMAND) == DONE
    assert main(["denoise", "missing.tif", "out.tif"]) == FAILED
    assert images.read("out.tif").pixels.shape == (21, 17)
    for stream in streams:
        stream.close()  # what waited in it went to nowhere


def test_streams_that_are_not_there_do_not_cost_the_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(COMMAND) == DONE
    assert images.read("out.tif").pixels.shape == (21, 17)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix is needed")
def test_closed_descriptors_do_not_get_into_the_files(folder: Path) -> None:
    command = [sys.executable, "-m", "napari_deep_prior", *COMMAND]
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    done = subprocess.run(shell, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False, timeout=120)
    assert done.returncode == DONE
    assert images.read("out.tif").pixels.shape == (21, 17)


def test_signs_that_a_terminal_does_not_know_do_not_cost_the_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("said.txt").open("w", encoding="ascii", errors="strict") as said:
        monkeypatch.setattr(sys, "stderr", said)
        assert main(COMMAND) == DONE
    assert "YX 21 ? 17, uint16" in Path("said.txt").read_text(encoding="ascii")


def test_log_lines_and_warnings_of_libraries_are_not_shown(capsys: Capture) -> None:
    with calm_streams(), warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.getLogger("tifffile").warning("<tifffile.TiffTag 270> is odd")
        warnings.warn("a codec is old", UserWarning, stacklevel=1)
        sys.stdout.write("shown\n")
    assert capsys.readouterr() == ("shown\n", "")
